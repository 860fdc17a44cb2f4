//! Access tokens. Only Ed25519 signatures of our own keys count; everything else is refused before
//! the operation runs, because an embedded router that takes a bad token for an anonymous caller
//! would turn an expired session into a silently different answer.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, LazyLock, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderName, StatusCode};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use ntex::http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    config::{FindKey, NowSecs, RouterConfig, Sessions},
    refusal::Refusal,
};

/// Where the tickets begin to count.
static STARTED: OnceLock<Instant> = OnceLock::new();
/// Tokens remembered as verified, so that a busy client pays for one signature check, not thousands.
const REMEMBERED: u64 = 20_000;

/// A caller whose token was verified.
#[derive(Clone)]
pub(crate) struct Viewer {
    /// The token as sent on to the subgraphs.
    pub token: Arc<str>,
    /// Seconds since 1970 at which it ends.
    pub expires_at: u64,
    /// What the embedded router learns of the caller: `sub` and `roles`.
    pub claims: Arc<Value>,
    /// Whom the token is of.
    pub account: Arc<str>,
    session: Arc<str>,
    name: Arc<str>,
    now: NowSecs,
    sessions: Arc<dyn Sessions>,
}

/// The token is a secret, and stays out of logs.
impl std::fmt::Debug for Viewer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Viewer").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// Header in which the embedded router finds the [`Viewer::ticket`]. What a client sends in it is dropped.
pub(crate) const TICKET: HeaderName = HeaderName::from_static("x-berth-viewer");
/// Seconds for which a ticket is used. The embedded router remembers one for five seconds.
const TICKET_SECS: u64 = 2;

impl Viewer {
    /// By what the embedded router knows the caller. A new one every two seconds, so that none ends while it is used.
    pub(crate) fn ticket(&self) -> String {
        let started = STARTED.get_or_init(Instant::now);
        format!("{}.{}", started.elapsed().as_secs() / TICKET_SECS, self.name)
    }

    /// Why the token is worth nothing by now, if so.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        if self.remaining().is_zero() {
            return Some(expired());
        }
        self.sessions.has_ended(&self.session).then(ended)
    }

    /// Waits until the token is worth nothing, and tells why.
    pub(crate) async fn over(&self) -> Refusal {
        tokio::select! {
            () = tokio::time::sleep(self.remaining()) => expired(),
            () = self.sessions.ended(&self.session) => ended(),
        }
    }

    /// Time until the token ends.
    fn remaining(&self) -> Duration {
        Duration::from_secs(self.expires_at.saturating_sub((self.now)()))
    }
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: u64,
    #[serde(default)]
    sid: Box<str>,
    #[serde(default)]
    roles: Vec<String>,
}

/// A token that was found good.
#[derive(Clone)]
struct Verified {
    /// No other token of this process has it.
    name: Arc<str>,
    kid: Arc<str>,
    expires_at: u64,
    account: Arc<str>,
    session: Arc<str>,
    claims: Arc<Value>,
}

/// Verifies access tokens.
pub(crate) struct TokenVerifier {
    keys: FindKey,
    validation: Validation,
    issuer: String,
    audience: String,
    verified: moka::sync::Cache<Arc<str>, Verified>,
    now: NowSecs,
    sessions: Arc<dyn Sessions>,
}

impl TokenVerifier {
    pub(crate) fn new(config: &RouterConfig) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        // The clock is the app's, which tests move: it is compared below.
        validation.validate_exp = false;
        validation.set_issuer(&[&config.jwt_issuer]);
        validation.set_audience(&[&config.jwt_audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let verified = moka::sync::Cache::builder().max_capacity(REMEMBERED).time_to_live(Duration::from_mins(10)).build();
        let (keys, now, sessions) = (config.keys.clone(), config.now_secs.clone(), config.sessions.clone());
        let (issuer, audience) = (config.jwt_issuer.clone(), config.jwt_audience.clone());
        Self { keys, validation, issuer, audience, verified, now, sessions }
    }

    /// The caller of an HTTP request; `None` without a token.
    pub(crate) fn viewer(&self, headers: &HeaderMap) -> Result<Option<Viewer>, Refusal> {
        let mut values = headers.get_all(header::AUTHORIZATION);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(invalid());
        }
        let value = value.to_str().map_err(|_| invalid())?;
        self.verify_header(value).map(Some)
    }

    /// Verifies the value of an Authorization header.
    pub(crate) fn verify_header(&self, value: &str) -> Result<Viewer, Refusal> {
        let (scheme, token) = value.trim().split_once(' ').ok_or_else(invalid)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(invalid());
        }
        self.verify(token.trim())
    }

    fn verify(&self, token: &str) -> Result<Viewer, Refusal> {
        let token: Arc<str> = token.into();
        let known = self.verified.get(&token);
        let Verified { name, kid, expires_at, account, session, claims } = known.map_or_else(|| self.check(&token), Ok)?;
        if (self.keys)(&kid).is_none() {
            return Err(self.of_a_key_that_is_gone(&token));
        }
        if expires_at <= (self.now)() {
            return Err(expired());
        }
        if self.sessions.has_ended(&session) {
            return Err(ended());
        }
        let (now, sessions) = (self.now.clone(), self.sessions.clone());
        Ok(Viewer { token, expires_at, claims, account, session, name, now, sessions })
    }

    fn check(&self, token: &Arc<str>) -> Result<Verified, Refusal> {
        let head = decode_header(token.as_bytes()).map_err(|_| invalid())?;
        let kind = head.typ.as_deref().unwrap_or_default();
        if head.alg != Algorithm::EdDSA || !kind.eq_ignore_ascii_case("at+jwt") {
            return Err(invalid());
        }
        let kid = head.kid.ok_or_else(invalid)?;
        let public = (self.keys)(&kid).ok_or_else(|| self.of_a_key_that_is_gone(token))?;
        let key = DecodingKey::from_ed_components(&public).map_err(|_| invalid())?;
        let Claims { sub, exp, sid, roles } = decode(token.as_bytes(), &key, &self.validation).map_err(|_| invalid())?.claims;
        let claims = Arc::new(json!({ "sub": sub, "roles": roles }));
        let (kid, account, session) = (kid.into(), sub.into(), sid.into());
        let verified = Verified { name: new_name(), kid, expires_at: exp, account, session, claims };
        self.verified.insert(token.clone(), verified.clone());
        Ok(verified)
    }

    /// A token that says it is ours, by a key that we do not have: it was retired, perhaps as compromised. It opens nothing, but its
    /// session may well live: the client is told to refresh it.
    fn of_a_key_that_is_gone(&self, token: &str) -> Refusal {
        let is_ours = unproven(token).is_some_and(|named| named.iss == *self.issuer && named.aud == *self.audience);
        if is_ours { expired() } else { invalid() }
    }
}

#[derive(Deserialize)]
struct Named {
    iss: String,
    aud: String,
}

/// What a token says of itself, proven by nothing.
fn unproven(token: &str) -> Option<Named> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&claims).ok()
}

/// Unlike any other of this process, and not to be guessed.
fn new_name() -> Arc<str> {
    static SECRET: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{number:x}.{:x}", SECRET.hash_one(number)).into()
}

fn expired() -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "TOKEN_EXPIRED", "The access token has expired. Refresh the session.")
}

/// Its session was ended.
fn ended() -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "SESSION_REVOKED", "The session was ended. Sign in again.")
}

fn invalid() -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "TOKEN_INVALID", "The access token is not valid. Sign in again.")
}
