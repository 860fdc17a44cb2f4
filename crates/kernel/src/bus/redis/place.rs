//! Where Redis is: a server by its URL, or whichever server the sentinels call the master. With TLS (`rediss`) the certificate is
//! checked, by the system's roots or by those of a file.

use std::{fs, time::Duration};

use percent_encoding::percent_decode_str;
use redis::{
    Client, ConnectionAddr, ErrorKind, RedisError, RedisResult, TlsCertificates, TlsMode,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use tokio::sync::Mutex;

use super::within;
use crate::{
    tls,
    urls::{self, Parts},
};

const SENTINEL_PORT: u16 = 26_379;

/// Where Redis is.
pub enum Place {
    /// Always there.
    Server(Box<Client>),
    /// Where these say.
    Sentinels(Box<Mutex<SentinelClient>>),
}

impl Place {
    /// Reads a URL. Nothing need be there.
    pub fn read(url: &str) -> RedisResult<Self> {
        tls::prepare();
        let parts = urls::redis(url).map_err(|problem| unusable(&problem.to_string()))?;
        let certificates = certificates(&parts)?;
        if parts.scheme.ends_with("-sentinel") {
            return Ok(Self::Sentinels(Box::new(Mutex::new(sentinels(&parts, certificates)?))));
        }
        let bare = url.split_once('?').map_or(url, |(bare, _)| bare);
        let client = match certificates {
            Some(certificates) => Client::build_with_tls(bare, certificates),
            None => Client::open(bare),
        };
        // The library repeats parts of what it can't read.
        client.map(|client| Self::Server(Box::new(client))).map_err(|_| unusable("the URL can't be used"))
    }

    /// The server, where it never changes.
    pub fn fixed(&self) -> Option<Client> {
        match self {
            Self::Server(client) => Some(Client::clone(client)),
            Self::Sentinels(_) => None,
        }
    }

    /// The present master, as the first sentinel that answers has it.
    pub async fn master(&self, patience: Duration) -> RedisResult<Client> {
        match self {
            Self::Server(client) => Ok(Client::clone(client)),
            Self::Sentinels(sentinels) => within(patience, async { sentinels.lock().await.async_get_client().await }).await,
        }
    }
}

fn unusable(problem: &str) -> RedisError {
    (ErrorKind::InvalidClientConfig, "the URL of Redis can't be used", problem.to_owned()).into()
}

/// The authorities to trust instead of the system's.
fn certificates(parts: &Parts<'_>) -> RedisResult<Option<TlsCertificates>> {
    let Some(file) = parts.parameter("sslrootcert").map(decoded) else { return Ok(None) };
    if !parts.scheme.starts_with("rediss") {
        return Err(unusable("sslrootcert is for rediss:// and rediss-sentinel://"));
    }
    let root_cert = fs::read(&file).map_err(|error| unusable(&format!("sslrootcert {file}: {error}")))?;
    Ok(Some(TlsCertificates { client_tls: None, root_cert: Some(root_cert) }))
}

fn sentinels(parts: &Parts<'_>, certificates: Option<TlsCertificates>) -> RedisResult<SentinelClient> {
    let has_tls = parts.scheme.starts_with("rediss");
    let address = |(host, port): &(&str, Option<u16>)| {
        let (host, port) = (host.trim_matches(['[', ']']).to_owned(), port.unwrap_or(SENTINEL_PORT));
        if has_tls {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        }
    };
    let (name, database) = parts.path.trim_matches('/').split_once('/').unwrap_or((parts.path.trim_matches('/'), "0"));
    let database = database.parse().map_err(|_| unusable("the database behind the master's name is no number"))?;
    let addresses: Vec<ConnectionAddr> = parts.hosts.iter().map(address).collect();
    let mut builder = SentinelClientBuilder::new(addresses, decoded(name), SentinelServerType::Master)?;
    builder = builder.set_client_to_redis_db(database);
    let (user, password) = parts.login.map_or(("", ""), |login| login.split_once(':').unwrap_or((login, "")));
    if !user.is_empty() {
        builder = builder.set_client_to_redis_username(decoded(user));
    }
    if !password.is_empty() {
        builder = builder.set_client_to_redis_password(decoded(password));
    }
    if let Some(user) = parts.parameter("sentinel_user") {
        builder = builder.set_client_to_sentinel_username(decoded(user));
    }
    if let Some(password) = parts.parameter("sentinel_password") {
        builder = builder.set_client_to_sentinel_password(decoded(password));
    }
    if has_tls {
        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure).set_client_to_sentinel_tls_mode(TlsMode::Secure);
    }
    if let Some(certificates) = certificates {
        let (redis, sentinel) = (certificates.clone(), certificates);
        builder = builder.set_client_to_redis_certificates(redis).set_client_to_sentinel_certificates(sentinel);
    }
    builder.build()
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn urls_that_can_be_used_are_told_from_others() {
        assert!(Place::read("redis://:pw@cache:6379/1").is_ok_and(|place| place.fixed().is_some()));
        assert!(Place::read("rediss://cache:6380").is_ok());
        let sentinels =
            Place::read("redis-sentinel://me:p%40w@a:26379,[::1]:2,c/berth/2?sentinel_password=x").expect("sentinels");
        assert!(sentinels.fixed().is_none());
        for (url, problem) in [
            ("redis-sentinel://a,b", "names no master"),
            ("redis-sentinel://a/berth/x", "is no number"),
            ("redis://cache?sslrootcert=/ca.pem", "is for rediss"),
            ("rediss://cache?sslrootcert=/nowhere/ca.pem", "/nowhere/ca.pem"),
            ("redis://:tul/ip@cache", "percent-encode"),
        ] {
            let told = Place::read(url).err().expect(url).to_string();
            assert!(told.contains(problem) && !told.contains("tul"), "{url}: {told}");
        }
    }
}
