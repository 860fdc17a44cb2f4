//! The hosts of one PostgreSQL: of several, one is the primary, and after a failover it is another one. The driver knows one host, so
//! the primary is looked for here, and a pool is told where it is.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{FutureExt, StreamExt, stream};
use parking_lot::Mutex;
use sea_orm::{
    DbErr,
    sqlx::{
        self, ConnectOptions, Connection, PgConnection, PgPool,
        pool::PoolConnectionMetadata,
        postgres::{PgConnectOptions, PgPoolOptions},
    },
};

use crate::{
    tls,
    urls::{self, Parts},
};

/// How often the present primary is asked whether it still is one.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a host may take to answer that.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// How long the hosts are looked at again and again for one that takes writes, before a pool is opened without.
const FOUND_WITHIN: Duration = Duration::from_secs(3);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Where a PostgreSQL is.
pub struct Hosts {
    /// Each with the URL of its own.
    all: Vec<Host>,
    /// Whether a host that takes no writes is the wrong one.
    is_choosy: bool,
}

#[derive(Clone)]
struct Host {
    /// Its URL; nothing secret.
    place: String,
    options: PgConnectOptions,
}

impl Hosts {
    /// Reads a URL with one host or several.
    pub fn read(url: &str) -> Result<Self, DbErr> {
        tls::prepare();
        let unusable = |problem: &dyn std::fmt::Display| DbErr::Custom(format!("the URL of the database {problem}"));
        let parts = urls::postgres(url).map_err(|problem| unusable(&problem))?;
        let wanted = parts.parameter("target_session_attrs").unwrap_or("any");
        let host = |url: String| {
            // The driver repeats parts of what it can't read.
            let options: PgConnectOptions = url.parse().map_err(|_| unusable(&"can't be used"))?;
            Ok(Host { place: urls::shown(&url), options: options.disable_statement_logging() })
        };
        let all: Vec<Host> = single(&parts).into_iter().map(host).collect::<Result<_, DbErr>>()?;
        Ok(Self { is_choosy: all.len() > 1 || wanted != "any", all })
    }

    /// The same with something done to the options of each.
    #[must_use]
    pub fn with(mut self, finish: impl Fn(PgConnectOptions) -> PgConnectOptions) -> Self {
        for host in &mut self.all {
            host.options = finish(host.options.clone());
        }
        self
    }

    /// Where each is shown to be, and how to get there.
    pub fn each(&self) -> Vec<(String, PgConnectOptions)> {
        self.all.iter().map(|host| (host.place.clone(), host.options.clone())).collect()
    }

    /// Whether a host that takes no writes is the wrong one.
    pub fn is_choosy(&self) -> bool {
        self.is_choosy
    }

    /// The options of the host to use now: the only one, or the first that takes writes.
    pub async fn choose(&self) -> Result<PgConnectOptions, DbErr> {
        let began = Instant::now();
        loop {
            if !self.is_choosy {
                return self.all.first().map(|host| host.options.clone()).ok_or_else(|| DbErr::Custom("no host".to_owned()));
            }
            match self.primary().await {
                Ok(host) => return Ok(host.options),
                Err(problem) if began.elapsed() >= FOUND_WITHIN => return Err(problem),
                Err(_) => tokio::time::sleep(LOOK_AGAIN).await,
            }
        }
    }

    /// All are asked at once; the first in their order counts.
    async fn primary(&self) -> Result<Host, DbErr> {
        let asked: Vec<_> = self.all.iter().map(|host| takes_writes_at(host.options.clone()).boxed()).collect();
        let (mut hosts, mut problems) = (self.all.iter(), Vec::new());
        let mut answers = stream::iter(asked).buffered(self.all.len().max(1));
        while let (Some(answer), Some(host)) = (answers.next().await, hosts.next()) {
            match answer {
                Ok(true) => return Ok(host.clone()),
                Ok(false) => problems.push(format!("{} takes no writes", host.place)),
                Err(error) => problems.push(format!("{}: {error}", host.place)),
            }
        }
        Err(DbErr::Custom(format!("no primary: {}", problems.join("; "))))
    }

    /// What a pool needs so that no connection of it leads to a standby; `None` where nobody has to choose.
    pub fn guard(&self) -> Option<Guard> {
        self.is_choosy.then(Guard::default)
    }

    /// Tells a pool, as long as it is open, where the primary is.
    pub async fn follow(self, pool: PgPool, guard: Guard) {
        while !pool.is_closed() {
            tokio::time::sleep(LOOK_EVERY).await;
            if is_well(&pool).await {
                continue;
            }
            let Ok(primary) = self.primary().await else { continue };
            let present = pool.connect_options();
            if (present.get_host(), present.get_port()) != (primary.options.get_host(), primary.options.get_port()) {
                tracing::warn!(database.host = primary.place, "database.primary.moved");
                pool.set_connect_options(primary.options);
                guard.moved();
            }
        }
    }
}

/// Whether a connection of the pool leads to a host that takes writes. A pool that has none to spare is as good as ill: a look costs
/// little.
async fn is_well(pool: &PgPool) -> bool {
    let asked = async { takes_writes(&mut *pool.acquire().await?).await };
    matches!(tokio::time::timeout(ANSWER_WITHIN, asked).await, Ok(Ok(true)))
}

/// A URL for each host, without what the driver does not know.
fn single(parts: &Parts<'_>) -> Vec<String> {
    let login = parts.login.map_or_else(String::new, |login| format!("{login}@"));
    let known = parts.parameters.iter().filter(|(name, _)| *name != "target_session_attrs");
    let query: Vec<String> = known.map(|(name, value)| format!("{name}={value}")).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let url = |host: String| format!("{}://{login}{host}{}{query}", parts.scheme, parts.path);
    let named = |(host, port): &(&str, Option<u16>)| port.map_or_else(|| (*host).to_owned(), |port| format!("{host}:{port}"));
    let hosts: Vec<String> = if parts.hosts.is_empty() { vec![String::new()] } else { parts.hosts.iter().map(named).collect() };
    hosts.into_iter().map(url).collect()
}

async fn takes_writes_at(options: PgConnectOptions) -> Result<bool, sqlx::Error> {
    let asked = async {
        let mut connection = options.connect().await?;
        let answer = takes_writes(&mut connection).await;
        connection.close().await.and(answer)
    };
    tokio::time::timeout(ANSWER_WITHIN, asked).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// A standby says no, and so does a server whose sessions are made to read only.
pub(super) async fn takes_writes(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let answer: String = sqlx::query_scalar("SHOW transaction_read_only").fetch_one(connection).await?;
    Ok(answer == "off")
}

/// Keeps a pool from connections to a host that is not the primary, or no longer.
#[derive(Clone, Default)]
pub struct Guard(Arc<Mutex<Option<Instant>>>);

impl Guard {
    fn moved(&self) {
        *self.0.lock() = Some(Instant::now());
    }

    /// Whether a connection was made before the primary moved.
    pub fn is_stale(&self, connection: &PoolConnectionMetadata) -> bool {
        self.0.lock().is_some_and(|moved_at| connection.age >= moved_at.elapsed())
    }

    /// What a new connection must go through: its schema, and the proof that it takes writes.
    pub fn admit_to(pool: PgPoolOptions, schema: &str) -> PgPoolOptions {
        let path = format!("SET search_path = \"{schema}\"");
        pool.after_connect(move |connection, _| {
            let path = path.clone();
            Box::pin(async move {
                sqlx::Executor::execute(&mut *connection, sqlx::AssertSqlSafe(path)).await?;
                let is_primary = takes_writes(connection).await?;
                if is_primary { Ok(()) } else { Err(sqlx::Error::Configuration("this host takes no writes".into())) }
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(url: &str) -> Vec<String> {
        Hosts::read(url)
            .expect(url)
            .all
            .iter()
            .map(|host| format!("{}:{}", host.options.get_host(), host.options.get_port()))
            .collect()
    }

    #[test]
    fn every_host_has_the_same_login_and_parameters() {
        let url = "postgres://me:p%40w@one,two:5433,[::1]:6000/berth?sslmode=require&target_session_attrs=read-write";
        assert_eq!(names(url), ["one:5432", "two:5433", "[::1]:6000"]);
        let hosts = Hosts::read(url).expect("hosts");
        assert!(hosts.is_choosy && hosts.all.iter().all(|host| host.options.get_database() == Some("berth")));
        assert!(hosts.all.iter().all(|host| host.options.get_username() == "me"));
        assert!(!Hosts::read("postgres://me@one/berth").expect("one").is_choosy);
        assert!(Hosts::read("postgres://me@one/berth?target_session_attrs=primary").expect("one").is_choosy);
    }

    #[test]
    fn a_url_that_is_none_is_not_repeated() {
        let told = Hosts::read("postgres://me:tul/ip@one,two/berth").err().expect("refused").to_string();
        assert!(told.contains("percent-encode") && !told.contains("tul"), "{told}");
    }

    #[tokio::test]
    async fn who_is_away_is_named_and_nothing_secret_is() {
        let hosts = Hosts::read("postgres://me:tulip@127.0.0.1:1,127.0.0.1:2/berth").expect("hosts");
        let told = hosts.choose().await.expect_err("nobody is there").to_string();
        assert!(told.contains("127.0.0.1:1/") && told.contains("127.0.0.1:2/") && !told.contains("tulip"), "{told}");
    }
}
