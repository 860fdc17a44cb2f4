//! URLs of what a process talks to. They are read when the settings are read, and what is wrong with one is said without
//! repeating any of it: a password that was not percent-encoded can end up in every part of a URL.

use std::net::Ipv6Addr;

use crate::secret::HIDDEN;

/// What a URL of one kind may look like. Another kind of database, or one more scheme, is another line here.
#[derive(Debug)]
pub struct Kind {
    schemes: &'static [&'static str],
    /// Several hosts, separated by commas.
    many_hosts: bool,
    /// The host may be left out, for instance when a parameter names a socket.
    hostless: bool,
    /// The parameters that are known; `None`: nobody asks.
    parameters: Option<&'static [&'static str]>,
}

/// PostgreSQL, with one host or several.
pub const POSTGRES: Kind = Kind {
    schemes: &["postgres", "postgresql"],
    many_hosts: true,
    hostless: true,
    parameters: Some(&[
        "application_name",
        "dbname",
        "host",
        "hostaddr",
        "options",
        "password",
        "port",
        "sslcert",
        "sslkey",
        "sslmode",
        "sslrootcert",
        "statement-cache-capacity",
        "target_session_attrs",
        "user",
    ]),
};

/// Redis, with or without TLS (`rediss`), or the sentinels that know where it is.
pub const REDIS: Kind = Kind {
    schemes: &["redis", "rediss", "redis-sentinel", "rediss-sentinel"],
    many_hosts: true,
    hostless: false,
    parameters: Some(&["sentinel_password", "sentinel_user", "sslrootcert"]),
};

/// A mail server.
pub const SMTP: Kind = Kind { schemes: &["smtp", "smtps"], many_hosts: false, hostless: false, parameters: Some(&["tls"]) };

/// Anything that is asked over HTTP.
pub const HTTP: Kind = Kind { schemes: &["http", "https"], many_hosts: false, hostless: false, parameters: None };

/// What is wrong with a URL. Holds nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlProblem {
    /// No scheme, or that of something else.
    #[error("must begin with {0}")]
    Scheme(String),
    /// A sign stands where none may: nearly always part of a password.
    #[error("holds {0:?} where none may stand: percent-encode the password ({0:?} is {1})")]
    Sign(char, &'static str),
    /// A host that is none, or a port that is none.
    #[error(
        "names no host and port that can be read; if the password has a sign like / ? # @ : in it, percent-encode the password"
    )]
    Host,
    /// One host only.
    #[error("names several hosts, but only one is possible")]
    ManyHosts,
    /// The login is not whole.
    #[error("names a user without a password")]
    NoPassword,
    /// One behind the question mark.
    #[error("has a parameter that is not known; known: {0}")]
    Parameter(String),
    /// Sentinels without the name of what they watch.
    #[error("names no master: redis-sentinel://HOST,HOST/MASTER or redis-sentinel://HOST,HOST/MASTER/DATABASE")]
    Master,
    /// A parameter's value is not one of those that are known.
    #[error("the parameter {0} is none of {1}")]
    Value(&'static str, &'static str),
}

/// The parts of a URL.
#[derive(Debug, Clone)]
pub struct Parts<'u> {
    /// `postgres`, `redis`, ...
    pub scheme: &'u str,
    /// `user` or `user:password`, as written.
    pub login: Option<&'u str>,
    /// Hosts with their ports, as written.
    pub hosts: Vec<(&'u str, Option<u16>)>,
    /// What follows the hosts: empty, or `/...`.
    pub path: &'u str,
    /// Names and values of the parameters, as written.
    pub parameters: Vec<(&'u str, &'u str)>,
}

impl<'u> Parts<'u> {
    /// Takes a URL apart, if it is one of this kind.
    pub fn of(url: &'u str, kind: &Kind) -> Result<Self, UrlProblem> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        if !kind.schemes.contains(&scheme) {
            let schemes: Vec<String> = kind.schemes.iter().map(|scheme| format!("{scheme}://")).collect();
            return Err(UrlProblem::Scheme(schemes.join(" or ")));
        }
        refuse_signs(rest)?;
        let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = address.find('/').map_or((address, ""), |at| address.split_at(at));
        let (login, hosts) = authority.split_once('@').map_or((None, authority), |(login, hosts)| (Some(login), hosts));
        if path.contains('@') || query.contains('@') || hosts.contains('@') {
            return Err(UrlProblem::Sign('@', "%40"));
        }
        let hosts = if hosts.is_empty() && kind.hostless { Vec::new() } else { read_hosts(hosts)? };
        if hosts.len() > 1 && !kind.many_hosts {
            return Err(UrlProblem::ManyHosts);
        }
        let parameters = query.split('&').filter(|pair| !pair.is_empty());
        let parameters: Vec<_> = parameters.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
        refuse_unknown(&parameters, kind)?;
        Ok(Self { scheme, login, hosts, path, parameters })
    }

    /// A parameter's value, as written.
    pub fn parameter(&self, name: &str) -> Option<&'u str> {
        self.parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// Where it leads, without anything that could be secret: scheme, hosts and path.
    pub fn shown(&self) -> String {
        let host = |(host, port): &(&str, Option<u16>)| port.map_or_else(|| (*host).to_owned(), |port| format!("{host}:{port}"));
        let hosts: Vec<String> = self.hosts.iter().map(host).collect();
        let login = if self.login.is_some() { format!("{HIDDEN}@") } else { String::new() };
        let parameters: Vec<String> = self.parameters.iter().map(|parameter| shown_parameter(*parameter)).collect();
        let query = if parameters.is_empty() { String::new() } else { format!("?{}", parameters.join("&")) };
        format!("{}://{login}{}{}{query}", self.scheme, hosts.join(","), self.path)
    }
}

/// Parameters whose values tell nothing secret.
const HARMLESS: [&str; 8] =
    ["application_name", "dbname", "host", "port", "sslmode", "sslrootcert", "target_session_attrs", "tls"];

fn shown_parameter((name, value): (&str, &str)) -> String {
    if HARMLESS.contains(&name) { format!("{name}={value}") } else { HIDDEN.to_owned() }
}

/// A URL as it may be shown: without login, and without the values of parameters that could be secret.
pub fn shown(url: &str) -> String {
    let kinds = [&POSTGRES, &REDIS, &SMTP, &HTTP];
    let parts = kinds.iter().find_map(|kind| Parts::of(url, kind).ok());
    parts.map_or_else(|| HIDDEN.to_owned(), |parts| parts.shown())
}

/// A URL of HTTP without its login, and the login as the server wants to see it: `user:password`.
pub fn without_login(url: &str) -> (String, Option<String>) {
    match http(url).ok().and_then(|parts| parts.login) {
        Some(login) => (url.replacen(&format!("{login}@"), "", 1), Some(decoded(login))),
        None => (url.to_owned(), None),
    }
}

/// Undoes percent-encoding.
pub fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let (byte, after) = hex.filter(|_| *first == b'%').map_or((*first, tail), |byte| (byte, &tail[2..]));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A URL of PostgreSQL.
pub fn postgres(url: &str) -> Result<Parts<'_>, UrlProblem> {
    let parts = Parts::of(url, &POSTGRES)?;
    one_of(&parts, "sslmode", "disable, allow, prefer, require, verify-ca, verify-full")?;
    one_of(&parts, "target_session_attrs", "any, read-write, primary")?;
    Ok(parts)
}

/// A URL of Redis: one server, or the sentinels that watch one.
pub fn redis(url: &str) -> Result<Parts<'_>, UrlProblem> {
    let parts = Parts::of(url, &REDIS)?;
    match (parts.scheme.ends_with("-sentinel"), parts.hosts.len(), parts.path.trim_start_matches('/')) {
        (true, _, "") => Err(UrlProblem::Master),
        (false, 2.., _) => Err(UrlProblem::ManyHosts),
        _ => Ok(parts),
    }
}

/// A URL of a mail server. A user without a password would sign in as nobody.
pub fn smtp(url: &str) -> Result<Parts<'_>, UrlProblem> {
    let parts = Parts::of(url, &SMTP)?;
    one_of(&parts, "tls", "required, opportunistic")?;
    if parts.login.is_some_and(|login| !login.contains(':')) { Err(UrlProblem::NoPassword) } else { Ok(parts) }
}

/// A URL of HTTP.
pub fn http(url: &str) -> Result<Parts<'_>, UrlProblem> {
    Parts::of(url, &HTTP)
}

/// A URL of a collector: its path gets longer, so no parameters stand behind it.
pub fn otlp(url: &str) -> Result<Parts<'_>, UrlProblem> {
    Parts::of(url, &Kind { parameters: Some(&[]), ..HTTP })
}

/// Signs that end a part of a URL early, or stand in none.
fn refuse_signs(rest: &str) -> Result<(), UrlProblem> {
    if rest.contains('#') {
        return Err(UrlProblem::Sign('#', "%23"));
    }
    if let Some(space) = rest.chars().find(|sign| sign.is_whitespace() || sign.is_control()) {
        return Err(UrlProblem::Sign(if space == ' ' { ' ' } else { '\n' }, if space == ' ' { "%20" } else { "%0A" }));
    }
    let is_encoded = |at: usize| rest.as_bytes().get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    if rest.match_indices('%').all(|(at, _)| is_encoded(at)) { Ok(()) } else { Err(UrlProblem::Sign('%', "%25")) }
}

fn read_hosts(hosts: &str) -> Result<Vec<(&str, Option<u16>)>, UrlProblem> {
    hosts.split(',').map(|host| read_host(host).ok_or(UrlProblem::Host)).collect()
}

fn read_host(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            address.parse::<Ipv6Addr>().ok()?;
            (&text[..address.len() + 2], port.strip_prefix(':').or_else(|| port.is_empty().then_some("")))
        }
        None => text.split_once(':').map_or((text, Some("")), |(host, port)| (host, Some(port).filter(|port| !port.is_empty()))),
    };
    let port = match port? {
        "" => None,
        port => Some(port.parse::<u16>().ok().filter(|port| *port > 0)?),
    };
    // A socket's path is percent-encoded: %2Frun%2Fpostgresql.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'%');
    let named = !host.is_empty() && (host.starts_with('[') || host.bytes().all(plain));
    named.then_some((host, port))
}

fn refuse_unknown(parameters: &[(&str, &str)], kind: &Kind) -> Result<(), UrlProblem> {
    let Some(known) = kind.parameters else { return Ok(()) };
    let is_known = |name: &str| known.contains(&name) || (name.starts_with("options[") && known.contains(&"options"));
    // Its name is not told: it may be the end of a password.
    if parameters.iter().all(|(name, _)| is_known(name)) {
        Ok(())
    } else {
        Err(UrlProblem::Parameter(if known.is_empty() { "none".to_owned() } else { known.join(", ") }))
    }
}

fn one_of(parts: &Parts<'_>, name: &'static str, values: &'static str) -> Result<(), UrlProblem> {
    let fits = parts.parameter(name).is_none_or(|value| values.split(", ").any(|known| known == value));
    if fits { Ok(()) } else { Err(UrlProblem::Value(name, values)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A password that was made by a generator and put into a URL as it was.
    const RAW: [&str; 12] = [
        "postgres://berth:qx/zv@db/berth",
        "postgres://berth:71/83@db/berth",
        "postgres://berth:qx@zv@db/berth",
        "postgres://berth:qx@zv#zv@db/berth",
        "postgres://berth:qx#zv@db/berth",
        "postgres://berth:qx?zv@db/berth",
        "postgres://berth:71?zv@db/berth",
        "postgres://berth:qx%zv@db/berth",
        "postgres://berth:qx zv@db/berth",
        "postgres://berth:qx[zv@db:54x2/berth",
        "postgres://berth:qxzv@db/berth?zv=qx",
        "postgres://berth:qxzv@db/berth?sslmode=qx",
    ];

    #[test]
    fn a_password_that_breaks_its_url_is_not_told() {
        for url in RAW {
            let told = postgres(url).map(|parts| parts.shown()).expect_err(url).to_string();
            let leaked = ["qx", "zv", "71", "83", "54"].into_iter().find(|part| told.contains(part));
            assert_eq!(leaked, None, "{url}: {told}");
        }
        let told = postgres(RAW[0]).expect_err("a slash").to_string();
        assert!(told.contains("percent-encode the password"), "{told}");
    }

    #[test]
    fn what_operators_write_is_read() {
        let urls = [
            "postgres://berth:p%40ss%2Fword@db.example:5432/berth?sslmode=verify-full&sslrootcert=/etc/ca.pem",
            "postgresql://me@[::1]:5432/berth",
            "postgres://me:pw@a:5432,b:5433,c/berth?target_session_attrs=read-write",
            "postgres:///berth?host=/run/postgresql",
            "postgres://me@%2Frun%2Fpostgresql/berth?options[search_path]=x",
        ];
        for url in urls {
            assert!(postgres(url).is_ok(), "{url}: {:?}", postgres(url));
        }
        assert_eq!(postgres(urls[2]).map(|parts| parts.hosts.len()), Ok(3));
        assert!(redis("rediss://:pw@cache.example:6380/1").is_ok() && redis("redis://127.0.0.1").is_ok());
        let sentinels = redis("redis-sentinel://:pw@a:26379,b,c/berth/1?sentinel_password=x").expect("sentinels");
        assert_eq!((sentinels.hosts.len(), sentinels.path), (3, "/berth/1"));
        assert_eq!(redis("redis-sentinel://a,b").map(|_| ()), Err(UrlProblem::Master));
        assert_eq!(redis("redis://a,b").map(|_| ()), Err(UrlProblem::ManyHosts));
        assert!(redis("rediss://cache?sslrootcert=/etc/ca.pem").is_ok());
        assert!(smtp("smtps://me:pw@mail.example").is_ok() && smtp("smtp://mail:1025?tls=required").is_ok());
        assert_eq!(smtp("smtps://me@mail.example").map(|_| ()), Err(UrlProblem::NoPassword));
        assert!(http("https://collector.example:4318/v1").is_ok());
        assert!([http("https://"), http("collector:4318"), http("http://a:0"), http("http://a,b")].iter().all(Result::is_err));
    }

    #[test]
    fn a_login_goes_apart_from_its_url() {
        let (url, login) = without_login("http://me:p%40ss@collector:4318/v1");
        assert_eq!((url.as_str(), login.as_deref()), ("http://collector:4318/v1", Some("me:p@ss")));
        assert_eq!(without_login("http://collector:4318"), ("http://collector:4318".to_owned(), None));
    }

    #[test]
    fn a_shown_url_has_no_secret() {
        let told = shown("postgres://me:pw@a:1,b/berth?sslmode=require&password=pw");
        assert_eq!(told, "postgres://(hidden)@a:1,b/berth?sslmode=require&(hidden)");
        assert_eq!(shown("https://me:pw@collector:4318/v1?key=pw"), "https://(hidden)@collector:4318/v1?(hidden)");
        assert_eq!(shown("postgres://me:p/w@db"), HIDDEN);
    }
}
