//! `berth config`: the settings with secrets hidden.

use berth_kernel::urls;

use super::{Config, variables};

impl Config {
    /// The configuration as TOML with secrets hidden. Keys without a value stand as comments.
    pub fn redacted(&self) -> Result<String, toml::ser::Error> {
        let mut shown = toml::Table::try_from(self)?;
        for (key, url) in self.urls() {
            shown.insert(key.to_owned(), urls::shown(url.reveal()).into());
        }
        shown.insert("demo".to_owned(), self.imports_demo().into());
        let text = toml::to_string_pretty(&shown)?;
        let unset = variables::known_keys().into_iter().filter(|key| !shown.contains_key(key));
        let unset: String = unset.map(|key| format!("# {key} =\n")).collect();
        Ok(text + &unset)
    }
}
