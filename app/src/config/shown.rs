//! `berth config`: the settings with secrets hidden.

use super::{Config, variables};

impl Config {
    /// The configuration as TOML with secrets hidden. Keys without a value stand as comments.
    pub fn redacted(&self) -> Result<String, toml::ser::Error> {
        let mut shown = self.clone();
        shown.provider_server_key = shown.provider_server_key.map(|_| "(hidden)".to_owned());
        shown.sms_token = shown.sms_token.map(|_| "(hidden)".to_owned());
        let urls = [
            &mut shown.smtp_url,
            &mut shown.sms_url,
            &mut shown.redis_url,
            &mut shown.database_url,
            &mut shown.database_url_user,
            &mut shown.database_url_inventory,
            &mut shown.database_url_booking,
            &mut shown.database_url_payment,
        ];
        for url in urls.into_iter().flatten() {
            *url = hide_password(url);
        }
        let text = toml::to_string_pretty(&shown)?;
        let unset =
            variables::known_keys().into_iter().filter(|key| !text.lines().any(|line| line.starts_with(&format!("{key} ="))));
        let unset: String = unset.map(|key| format!("# {key} =\n")).collect();
        Ok(text + &unset)
    }
}

pub(super) fn hide_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}(hidden){}", &url[..scheme + 3], &url[at..]),
        _ => url.to_owned(),
    }
}
