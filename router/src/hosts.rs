//! To whom a request is addressed, where that counts: the explorer and the pages of development are for people at this machine.
//!
//! A page of another site can make its own name lead to our address (DNS rebinding) and then reads what we answer as its own; its
//! requests still carry its name. And it can send forms here without reading the answer; browsers say where those come from.

use std::net::IpAddr;

use http::{Method, StatusCode, uri::Authority};
use ntex::{
    http::header,
    web::{DefaultError, WebRequest},
};

use crate::refusal::Refusal;

/// The paths for people at this machine, and the name that the public knows it by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Home {
    /// Each begins paths that only they may ask for.
    pub paths: Vec<&'static str>,
    /// Host of the public URL.
    pub public_host: Option<String>,
}

impl Home {
    /// Paths for people at this machine, which the public knows by the host of this URL.
    pub(crate) fn new(paths: Vec<&'static str>, public_url: &str) -> Self {
        let authority = public_url.split_once("://").map_or(public_url, |(_, rest)| rest).split('/').next().unwrap_or_default();
        Self { paths, public_host: host(authority) }
    }

    /// Refuses what is addressed to another name, or sent by a page of another site.
    pub(crate) fn check(&self, request: &WebRequest<DefaultError>) -> Result<(), Refusal> {
        if !self.paths.iter().any(|prefix| begins(request.path(), prefix)) {
            return Ok(());
        }
        let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let addressed = [text(header::HOST), request.uri().authority().map(Authority::as_str)];
        let known = addressed[0].is_some() && addressed.iter().flatten().all(|authority| self.is_ours(authority));
        if !known {
            return Err(misdirected());
        }
        let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
        let site = request.headers().get("sec-fetch-site").and_then(|value| value.to_str().ok());
        if changes && is_foreign(site, text(header::ORIGIN), addressed[0].unwrap_or_default()) {
            return Err(Refusal::new(StatusCode::FORBIDDEN, "FOREIGN_SITE", "A page of another site may not send this."));
        }
        Ok(())
    }

    fn is_ours(&self, authority: &str) -> bool {
        let Some(host) = host(authority) else { return false };
        let name = host.trim_end_matches('.');
        let here = name == "localhost" || name.ends_with(".localhost");
        here || is_loopback(name) || self.public_host.as_deref().is_some_and(|public| public == host)
    }
}

fn misdirected() -> Refusal {
    let message = "This page answers at localhost and at the host of BERTH_PUBLIC_URL only.";
    Refusal::new(StatusCode::MISDIRECTED_REQUEST, "MISDIRECTED_REQUEST", message)
}

fn begins(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The host of `host:port`, in lower case.
fn host(authority: &str) -> Option<String> {
    let authority: Authority = authority.parse().ok()?;
    Some(authority.host().to_ascii_lowercase())
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Whether a browser says that a page of another site sends this. Programs say nothing.
fn is_foreign(site: Option<&str>, origin: Option<&str>, host: &str) -> bool {
    match (site, origin) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => origin.split_once("://").is_none_or(|(_, from)| !from.eq_ignore_ascii_case(host)),
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> Home {
        Home::new(vec!["/dev"], "https://shop.example:8443/")
    }

    #[test]
    fn names_of_this_machine_and_of_the_public_are_ours() {
        let ours = [
            "localhost",
            "localhost:4000",
            "LOCALHOST.:4000",
            "berth.localhost:1",
            "127.0.0.1",
            "127.8.9.1:80",
            "[::1]:4000",
            "[::ffff:127.0.0.1]",
            "shop.example",
            "Shop.Example:4000",
        ];
        for name in ours {
            assert!(home().is_ours(name), "{name}");
        }
    }

    #[test]
    fn other_names_are_not() {
        let others = [
            "",
            "evil.example",
            "evil.example:4000",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost@evil.example",
            "notlocalhost",
            "10.0.0.7",
            "[fd00::1]",
            "shop.example.evil.example",
            "a b",
        ];
        for name in others {
            assert!(!home().is_ours(name), "{name}");
        }
    }

    #[test]
    fn a_prefix_is_whole_segments() {
        assert!(begins("/dev", "/dev") && begins("/dev/mail", "/dev"));
        assert!(!begins("/device", "/dev"));
    }

    #[test]
    fn browsers_say_where_a_form_comes_from() {
        let foreign = |site, origin| is_foreign(site, origin, "localhost:4000");
        assert!(foreign(Some("cross-site"), None) && foreign(Some("same-site"), Some("http://localhost:4000")));
        assert!(foreign(None, Some("https://evil.example")) && foreign(None, Some("null")));
        assert!(!foreign(Some("same-origin"), Some("null")) && !foreign(None, Some("http://localhost:4000")));
        assert!(!foreign(None, None), "a program");
    }
}
