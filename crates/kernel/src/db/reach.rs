//! Whether a PostgreSQL lets this process in: one connection before there is a pool. A pool tells only that it waited too long.

use std::time::Duration;

use futures_util::future::join_all;
use sea_orm::{
    DbErr, RuntimeErr,
    sqlx::{self, ConnectOptions, Connection, postgres::PgConnectOptions},
};

use super::hosts::{Hosts, takes_writes};
use crate::{secret::Secret, urls};

/// How long one try takes at most.
const TRY_WITHIN: Duration = Duration::from_secs(5);

/// Why it does not. The texts hold nothing of the URL that is secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreached {
    /// It may be different in a moment.
    #[error("{0}")]
    Away(String),
    /// It stays so until somebody changes something.
    #[error("{0}")]
    Refused(String),
}

/// Connects once and leaves again; of several hosts, to all of them, and one must take writes.
pub async fn reach_postgres(url: &Secret) -> Result<(), Unreached> {
    let hosts = Hosts::read(url.reveal()).map_err(|error| Unreached::Refused(error.to_string()))?;
    let greeted = hosts.each().into_iter().map(|(place, options)| greet(place, options, hosts.is_choosy()));
    let mut problems = Vec::new();
    for answer in join_all(greeted).await {
        match answer {
            Ok(()) => return Ok(()),
            Err(problem) => problems.push(problem),
        }
    }
    let told = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let may_come = problems.iter().any(|problem| matches!(problem, Unreached::Away(_)));
    Err(if may_come { Unreached::Away(told) } else { Unreached::Refused(told) })
}

async fn greet(place: String, options: PgConnectOptions, must_write: bool) -> Result<(), Unreached> {
    let greeting = async {
        let mut connection = options.connect().await?;
        let is_right = !must_write || takes_writes(&mut connection).await?;
        connection.close().await?;
        Ok::<bool, sqlx::Error>(is_right)
    };
    match tokio::time::timeout(TRY_WITHIN, greeting).await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(Unreached::Away(format!("{place} takes no writes: it is no primary"))),
        Ok(Err(error)) => Err(explained(&place, &error)),
        Err(_) => Err(Unreached::Away(format!("{place} does not answer within {} s", TRY_WITHIN.as_secs()))),
    }
}

/// An error without the URL: what can't be parsed is repeated by who tries.
pub(crate) fn without_url(url: &str, error: DbErr) -> DbErr {
    if error.to_string().contains(url) { DbErr::Custom(format!("{} can't be used", urls::shown(url))) } else { error }
}

/// What is wrong with a SQLite file, when that stays so until somebody changes something.
pub fn sqlite_fault(error: &DbErr) -> Option<&'static str> {
    let DbErr::Conn(RuntimeErr::SqlxError(error)) = error else { return None };
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    // The low byte is the kind; the rest tells more of it.
    match code & 0xff {
        8 => Some("can't be written"),
        11 => Some("is damaged"),
        14 => Some("can't be opened"),
        26 => Some("is no database of SQLite"),
        _ => None,
    }
}

fn explained(place: &str, error: &sqlx::Error) -> Unreached {
    let misfit =
        |error: &dyn std::fmt::Display| Unreached::Refused(format!("{place} and the sslmode of the URL do not fit: {error}"));
    match error {
        // A certificate that nobody trusts, or of another host.
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => misfit(error),
        sqlx::Error::Io(error) => Unreached::Away(format!("{place} does not answer: {error}")),
        sqlx::Error::Tls(error) => misfit(error),
        sqlx::Error::Database(error) => of_server(place, error.code().as_deref().unwrap_or_default(), error.message()),
        sqlx::Error::Configuration(error) => Unreached::Refused(format!("{place} can't be used: {error}")),
        _ => Unreached::Refused(format!("{place} does not speak as PostgreSQL does")),
    }
}

/// By the codes of PostgreSQL's manual, appendix A.
fn of_server(place: &str, code: &str, message: &str) -> Unreached {
    match (code, code.get(..2)) {
        (_, Some("28")) => Unreached::Refused(format!("{place} refuses this user or password")),
        ("3D000", _) => Unreached::Refused(format!("{place} has no such database")),
        ("42501", _) => Unreached::Refused(format!("{place} does not let this user in")),
        // It starts, stops or recovers; it has no room for one more.
        (_, Some("57" | "53" | "08")) => Unreached::Away(format!("{place} takes no connection now: {message}")),
        _ => Unreached::Refused(format!("{place} refuses: {message} ({code})")),
    }
}
