//! Access tokens. Only Ed25519 signatures of our own keys count; everything else is refused before
//! the operation runs, because an embedded router that takes a bad token for an anonymous caller
//! would turn an expired session into a silently different answer.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode, decode_header,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet},
};
use ntex::http::{HeaderMap, header};
use serde::Deserialize;

use crate::{
    config::{NowSecs, RouterError},
    refusal::Refusal,
};

/// Tokens remembered as verified, so that a busy client pays for one signature check, not thousands.
const REMEMBERED: u64 = 20_000;

/// A caller whose token was verified.
#[derive(Clone)]
pub(crate) struct Viewer {
    /// The token as sent on to the subgraphs.
    pub token: Arc<str>,
    /// Seconds since 1970 at which it ends.
    pub expires_at: u64,
    now: NowSecs,
}

/// The token is a secret, and stays out of logs.
impl std::fmt::Debug for Viewer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Viewer").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

impl Viewer {
    /// Time until the token ends.
    pub(crate) fn remaining(&self) -> Duration {
        Duration::from_secs(self.expires_at.saturating_sub((self.now)()))
    }
}

#[derive(Deserialize)]
struct Claims {
    exp: u64,
}

/// Verifies access tokens.
pub(crate) struct TokenVerifier {
    keys: Vec<(Option<String>, DecodingKey)>,
    validation: Validation,
    verified: moka::sync::Cache<Arc<str>, u64>,
    now: NowSecs,
}

impl TokenVerifier {
    pub(crate) fn new(jwks_json: &str, issuer: &str, audience: &str, now: NowSecs) -> Result<Self, RouterError> {
        let set: JwkSet = serde_json::from_str(jwks_json).map_err(|error| RouterError::Keys(error.to_string()))?;
        let keys: Vec<_> = set.keys.iter().filter_map(ed25519).collect();
        if keys.is_empty() {
            return Err(RouterError::Keys("it holds no Ed25519 key".to_owned()));
        }
        let mut validation = Validation::new(Algorithm::EdDSA);
        // The clock is the app's, which tests move: it is compared below.
        validation.validate_exp = false;
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let verified = moka::sync::Cache::builder().max_capacity(REMEMBERED).time_to_live(Duration::from_mins(10)).build();
        Ok(Self { keys, validation, verified, now })
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
        let expires_at = if let Some(known) = self.verified.get(&token) {
            known
        } else {
            let expires_at = self.check(&token)?;
            self.verified.insert(token.clone(), expires_at);
            expires_at
        };
        if expires_at <= (self.now)() {
            return Err(expired());
        }
        Ok(Viewer { token, expires_at, now: self.now.clone() })
    }

    fn check(&self, token: &str) -> Result<u64, Refusal> {
        let head = decode_header(token).map_err(|_| invalid())?;
        let kind = head.typ.as_deref().unwrap_or_default();
        if head.alg != Algorithm::EdDSA || !kind.eq_ignore_ascii_case("at+jwt") {
            return Err(invalid());
        }
        for (id, key) in &self.keys {
            if head.kid.is_some() && id.is_some() && head.kid != *id {
                continue;
            }
            if let Ok(data) = decode::<Claims>(token, key, &self.validation) {
                return Ok(data.claims.exp);
            }
        }
        Err(invalid())
    }
}

fn ed25519(key: &Jwk) -> Option<(Option<String>, DecodingKey)> {
    match &key.algorithm {
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            Some((key.common.key_id.clone(), DecodingKey::from_jwk(key).ok()?))
        }
        _ => None,
    }
}

pub(crate) fn expired() -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "TOKEN_EXPIRED", "The access token has expired. Refresh the session.")
}

fn invalid() -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "TOKEN_INVALID", "The access token is not valid. Sign in again.")
}
