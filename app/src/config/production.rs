//! What a process of the public is refused for: whatever could sell what is not there, leak what is secret, or send people
//! nowhere.

use std::net::Ipv4Addr;

use berth_kernel::{
    secret::Secret,
    urls::{self, Parts},
};
use lettre::message::Mailbox;

use super::{Config, Profile, Refusals};
use crate::role::{Role, Service};

/// What a setting holds that somebody meant to fill in later. Compared in small letters.
const PLACEHOLDERS: [&str; 9] =
    ["changeme", "change-me", "change_me", "placeholder", "your-key", "your_key", "yourkey", "example", "xxxx"];
/// Whole values that nobody should have as a secret.
const KNOWN_TO_ALL: [&str; 8] = ["secret", "password", "passwort", "postgres", "berth", "admin", "redis", "test"];
/// A key or token of chance has more different signs than this.
const VARIETY_AT_LEAST: usize = 6;
const KEY_LENGTH_AT_LEAST: usize = 16;
/// Domains for examples (RFC 2606): mail from there is thrown away.
const EXAMPLES: [&str; 6] = ["example", "example.com", "example.net", "example.org", "invalid", "localhost"];

impl Config {
    /// What a process that serves would be refused for, besides values that nobody can use.
    pub fn problems_of_serving(&self) -> Refusals {
        let mut problems = Refusals::default();
        self.check_production(&mut problems);
        problems
    }

    pub(super) fn check_production(&self, problems: &mut Refusals) {
        if self.profile == Profile::Production {
            self.check_demo_and_clock(problems);
            self.check_public_url(problems);
            self.check_provider(problems);
            self.check_mail(problems);
        } else if self.provider_url.is_some() && self.takes_payments() {
            self.check_provider_key(problems);
        }
        if self.profile == Profile::Production {
            self.check_secrets(problems);
        }
    }

    /// Whether this process asks the payment provider.
    fn takes_payments(&self) -> bool {
        self.roles().is_ok_and(|roles| roles.opened().contains(&Service::Payment))
    }

    /// Whether this process writes links to the front door: into letters, tickets and orders of the provider.
    fn links_to_itself(&self) -> bool {
        self.roles().is_ok_and(|roles| roles.opened().into_iter().any(|service| service != Service::Inventory))
    }

    /// Whether this process sends letters.
    fn sends_letters(&self) -> bool {
        self.roles().is_ok_and(|roles| roles.has(Role::Worker))
    }

    fn check_demo_and_clock(&self, problems: &mut Refusals) {
        let problem = "production sells no demo timetable";
        problems.unless(self.demo != Some(true), "demo", problem, "BERTH_DEMO=false, or leave it out");
        let problem = "production does not move its clock";
        problems.unless(self.clock_file.is_none(), "clock_file", problem, "leave it out");
        problems.unless(self.clock_offset_secs == 0, "clock_offset_secs", problem, "leave it out");
    }

    fn check_public_url(&self, problems: &mut Refusals) {
        let example = "BERTH_PUBLIC_URL=https://tickets.your-domain";
        match self.public_url.as_deref().map(urls::http) {
            None if !self.links_to_itself() => {}
            None => problems.unless(false, "public_url", "is missing: links in letters would lead to this machine", example),
            Some(Ok(parts)) => problems.unless(parts.scheme == "https", "public_url", "must be https in production", example),
            Some(Err(_)) => {}
        }
    }

    fn check_provider(&self, problems: &mut Refusals) {
        if !self.takes_payments() {
            return;
        }
        let example = "BERTH_PROVIDER_URL=https://provider.your-domain";
        match self.provider_url.as_deref().map(urls::http) {
            None => problems.unless(false, "provider_url", "production takes no sandbox payments", example),
            Some(Ok(parts)) => {
                problems.unless(is_private(&parts, "https"), "provider_url", "must be https in production", example);
            }
            Some(Err(_)) => {}
        }
        self.check_provider_key(problems);
    }

    fn check_provider_key(&self, problems: &mut Refusals) {
        let key = self.provider_server_key.as_ref().map_or("", Secret::reveal);
        let example = "BERTH_PROVIDER_SERVER_KEY_FILE=/run/secrets/provider_key";
        let problem = format!("is missing, shorter than {KEY_LENGTH_AT_LEAST} characters or a placeholder");
        let fits = key.len() >= KEY_LENGTH_AT_LEAST && !is_placeholder(key) && variety(key) >= VARIETY_AT_LEAST;
        problems.unless(fits, "provider_server_key", problem, example);
    }

    fn check_mail(&self, problems: &mut Refusals) {
        if !self.sends_letters() {
            return;
        }
        let example = "BERTH_SMTP_URL=smtps://user:password@mail.your-domain";
        match self.smtp_url.as_ref().map(|url| urls::smtp(url.reveal())) {
            None => problems.unless(false, "smtp_url", "production sends real mail", example),
            Some(Ok(parts)) => {
                let fits = is_private(&parts, "smtps") || parts.parameter("tls") == Some("required");
                let problem = "sends letters and password in clear: use smtps://, or smtp://...?tls=required";
                problems.unless(fits, "smtp_url", problem, example);
            }
            Some(Err(_)) => {}
        }
        let domain = self.mail_from.parse().map(|sender: Mailbox| sender.email.domain().to_lowercase()).unwrap_or_default();
        let is_example = EXAMPLES.iter().any(|known| domain == *known || domain.ends_with(&format!(".{known}")));
        let problem = "is an address of nobody: production sends from a domain of its own";
        problems.unless(!is_example, "mail_from", problem, "BERTH_MAIL_FROM=Berth <tickets@your-domain>");
    }

    /// Passwords within URLs, and tokens.
    fn check_secrets(&self, problems: &mut Refusals) {
        let problem = "holds a placeholder instead of a secret";
        for (key, url) in self.urls() {
            let login = url.reveal().split_once("://").and_then(|(_, rest)| rest.split_once('@')).map_or("", |(login, _)| login);
            let password = login.split_once(':').map_or("", |(_, password)| password);
            let fits = password.is_empty() || !(is_placeholder(password) || is_known(password));
            problems.unless(fits, key, problem, "a password of chance");
        }
        let token = self.sms_token.as_ref().map_or("", Secret::reveal);
        let fits = token.is_empty() || !(is_placeholder(token) || is_known(token) || variety(token) < VARIETY_AT_LEAST);
        problems.unless(fits, "sms_token", problem, "BERTH_SMS_TOKEN_FILE=/run/secrets/sms_token");
    }
}

/// Whether nobody on the way reads along: by TLS, or because it does not leave this machine.
fn is_private(parts: &Parts<'_>, scheme: &str) -> bool {
    let here = |(host, _): &(&str, Option<u16>)| {
        matches!(*host, "localhost" | "[::1]") || host.parse().is_ok_and(|ip: Ipv4Addr| ip.is_loopback())
    };
    parts.scheme == scheme || parts.hosts.iter().all(here)
}

fn is_placeholder(secret: &str) -> bool {
    let small = secret.to_lowercase();
    PLACEHOLDERS.iter().any(|word| small.contains(word))
}

fn is_known(secret: &str) -> bool {
    KNOWN_TO_ALL.iter().any(|word| secret.eq_ignore_ascii_case(word))
}

/// How many different signs a secret has.
fn variety(secret: &str) -> usize {
    secret.chars().collect::<std::collections::BTreeSet<_>>().len()
}
