//! Which process asks: service credentials. Each caller has an Ed25519 key; its public half lies in a directory that every
//! service reads. A credential is a JWT for one callee that lives a minute.
//!
//! Give signer and verifier a clock that no test moves by hours: credentials are about machines, not about the timetable.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

use crate::{
    auth::{ISSUER, SignKey, replace_public},
    clock::Clock,
    peer::Standing,
};

/// Header that carries a credential; on a WebSocket the key in the payload of `connection_init` does so.
pub const SERVICE_HEADER: &str = "x-berth-service";
/// Header of an answer that says: nothing ran here, and another replica may take the request. Its value is the code of the refusal.
pub const REFUSED_HEADER: &str = "x-berth-refused";
/// `typ` in the header of a credential.
pub const CREDENTIAL_TYPE: &str = "service+jwt";
/// Life of a credential.
pub const CREDENTIAL_TTL: TimeDelta = TimeDelta::seconds(60);
/// How far the clocks of two processes may be apart: five minutes, and one for the way.
pub const CLOCK_LEEWAY: TimeDelta = TimeDelta::minutes(6);
/// A signer makes a new credential when the old one has lived this long.
const RENEW_AFTER: TimeDelta = TimeDelta::seconds(30);
/// Unknown callers make a verifier read its directory at most this often.
const READ_AGAIN_AFTER: std::time::Duration = std::time::Duration::from_secs(1);
/// Credentials remembered at most; then all are forgotten.
const REMEMBERED: usize = 1_000;

/// Who calls services: the names in `sub`.
pub const CALLERS: [&str; 6] = ["router", "user", "inventory", "booking", "payment", "worker"];

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    iat: i64,
    exp: i64,
}

/// The key of one caller.
#[derive(Clone)]
pub struct ServiceKey {
    caller: Arc<str>,
    key: SignKey,
}

impl ServiceKey {
    /// Reads `service-<caller>.pem` of a directory and writes the public half beside it; makes both when absent. Several
    /// processes may do so at once.
    pub fn load_or_create(folder: &Path, caller: &str) -> io::Result<Self> {
        let key = SignKey::load_or_create(&folder.join(format!("service-{caller}.pem")))?;
        replace_public(&public_file(folder, caller), &format!("{}\n", key.public()))?;
        Ok(Self { caller: caller.into(), key })
    }

    /// Whether a directory holds the key of a caller.
    pub fn is_in(folder: &Path, caller: &str) -> bool {
        folder.join(format!("service-{caller}.pem")).is_file()
    }
}

fn public_file(folder: &Path, caller: &str) -> PathBuf {
    folder.join(format!("service-{caller}.pub"))
}

/// Credentials by callee, with the time of their making.
type Made = HashMap<Box<str>, (DateTime<Utc>, Arc<str>)>;
/// Callers by credential, with the second in which it ends.
type Verified = HashMap<Box<str>, (Arc<str>, i64)>;

/// Makes the credentials of one caller.
#[derive(Clone)]
pub struct ServiceSigner {
    key: ServiceKey,
    clock: Clock,
    made: Arc<RwLock<Made>>,
    standing: Standing,
}

impl ServiceSigner {
    /// A signer with this key.
    pub fn new(key: ServiceKey, clock: Clock) -> Self {
        Self { key, clock, made: Arc::default(), standing: Standing::default() }
    }

    /// The same for a process whose standing is watched: a refusal makes it look again.
    #[must_use]
    pub fn with_standing(mut self, standing: Standing) -> Self {
        self.standing = standing;
        self
    }

    /// How the other processes receive this one.
    pub(crate) const fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The caller it signs for.
    pub fn caller(&self) -> &str {
        &self.key.caller
    }

    /// A credential for a callee, with at least half of its life before it.
    pub fn credential(&self, audience: &str) -> Arc<str> {
        let now = self.clock.now();
        let young = |made: &DateTime<Utc>| (TimeDelta::zero()..RENEW_AFTER).contains(&(now - made));
        if let Some((_, credential)) = self.made.read().get(audience).filter(|(made, _)| young(made)) {
            return credential.clone();
        }
        let credential: Arc<str> = self.sign(audience, now).into();
        self.made.write().insert(audience.into(), (now, credential.clone()));
        credential
    }

    fn sign(&self, audience: &str, now: DateTime<Utc>) -> String {
        let header = serde_json::json!({ "alg": "EdDSA", "typ": CREDENTIAL_TYPE });
        let claims = serde_json::json!({
            "iss": ISSUER, "sub": &*self.key.caller, "aud": audience,
            "iat": now.timestamp(), "exp": (now + CREDENTIAL_TTL).timestamp(),
        });
        let text = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = URL_SAFE_NO_PAD.encode(self.key.key.sign(text.as_bytes()));
        format!("{text}.{signature}")
    }
}

/// Why a credential opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// There is none.
    #[error("only services of this installation may call")]
    Missing,
    /// Its life is over, or it comes from the future: see [`CLOCK_LEEWAY`].
    #[error("the service credential has expired")]
    Expired,
    /// Wrong signature, algorithm, type, issuer or audience, or nobody knows the caller.
    #[error("the service credential is not valid")]
    Invalid,
    /// A good credential of a caller that may not ask this.
    #[error("this caller may not ask this")]
    Forbidden,
    /// Nothing is wrong with the credential: the callee is the one whom nobody knows, and does no work.
    #[error("this process is refused by the others, and does no work until they know it")]
    Outcast,
}

impl CredentialError {
    /// The code in the answer.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing => "SERVICE_CREDENTIAL_MISSING",
            Self::Expired => "SERVICE_CREDENTIAL_EXPIRED",
            Self::Invalid => "SERVICE_CREDENTIAL_INVALID",
            Self::Forbidden => "SERVICE_CALLER_FORBIDDEN",
            Self::Outcast => "SERVICE_OUTCAST",
        }
    }

    /// Whether another replica may take the request: it is about who stands where, not about what the caller may ask.
    pub const fn may_pass_elsewhere(self) -> bool {
        !matches!(self, Self::Forbidden)
    }
}

/// Checks the credentials sent to one callee.
#[derive(Clone)]
pub struct ServiceVerifier {
    inner: Arc<Verifier>,
}

struct Verifier {
    folder: PathBuf,
    audience: Box<str>,
    clock: Clock,
    standing: Standing,
    keys: RwLock<HashMap<String, DecodingKey>>,
    read_at: Mutex<Option<std::time::Instant>>,
    /// Credentials whose signature was found good.
    verified: RwLock<Verified>,
}

impl ServiceVerifier {
    /// A verifier of credentials for `audience`, with the public keys in a directory.
    pub fn new(folder: &Path, audience: &str, clock: Clock) -> Self {
        Self::watched(folder, audience, clock, Standing::default())
    }

    /// The same for a process whose standing is watched: while the others refuse it, it admits nobody.
    pub fn watched(folder: &Path, audience: &str, clock: Clock, standing: Standing) -> Self {
        let inner = Verifier {
            folder: folder.to_owned(),
            audience: audience.into(),
            clock,
            standing,
            keys: RwLock::default(),
            read_at: Mutex::default(),
            verified: RwLock::default(),
        };
        inner.read_keys();
        Self { inner: Arc::new(inner) }
    }

    /// The callee that credentials must be for.
    pub fn service(&self) -> &str {
        &self.inner.audience
    }

    /// The caller that a credential stands for.
    pub fn verify(&self, credential: &str) -> Result<Arc<str>, CredentialError> {
        let known = self.inner.verified.read().get(credential).cloned();
        let (caller, exp) = known.map_or_else(|| self.inner.check(credential), Ok)?;
        let life = exp - self.inner.clock.now().timestamp();
        let (leeway, longest) = (CLOCK_LEEWAY.num_seconds(), CREDENTIAL_TTL.num_seconds());
        if (-leeway..=leeway + longest).contains(&life) { Ok(caller) } else { Err(CredentialError::Expired) }
    }

    /// The caller, whatever it may ask. An outcast knows nobody.
    pub(crate) fn recognise(&self, credential: Option<&str>) -> Result<Arc<str>, CredentialError> {
        if self.inner.standing.is_outcast() {
            return Err(CredentialError::Outcast);
        }
        self.verify(credential.ok_or(CredentialError::Missing)?)
    }

    /// The time that the fleet agrees on, as this process knows it.
    pub(crate) fn agreed_now(&self) -> DateTime<Utc> {
        self.inner.clock.now() + self.inner.standing.off().unwrap_or_default()
    }

    /// The caller, if it is one of `allowed`.
    pub fn admit(&self, credential: Option<&str>, allowed: &[&str]) -> Result<Arc<str>, CredentialError> {
        let caller = self.recognise(credential)?;
        if allowed.contains(&&*caller) { Ok(caller) } else { Err(CredentialError::Forbidden) }
    }
}

impl Verifier {
    fn check(&self, credential: &str) -> Result<(Arc<str>, i64), CredentialError> {
        let header = jsonwebtoken::decode_header(credential).map_err(|_| CredentialError::Invalid)?;
        if header.alg != Algorithm::EdDSA || header.typ.as_deref() != Some(CREDENTIAL_TYPE) {
            return Err(CredentialError::Invalid);
        }
        let caller = claimed_caller(credential).ok_or(CredentialError::Invalid)?;
        // A second look, because the caller may be new or have a new key.
        let claims = self.decode(credential, &caller).or_else(|| {
            self.read_again();
            self.decode(credential, &caller)
        });
        let exp = claims.ok_or(CredentialError::Invalid)?.exp;
        let caller: Arc<str> = caller.into();
        let mut verified = self.verified.write();
        if verified.len() >= REMEMBERED {
            verified.clear();
        }
        verified.insert(credential.into(), (caller.clone(), exp));
        Ok((caller, exp))
    }

    fn decode(&self, credential: &str, caller: &str) -> Option<Claims> {
        let mut rules = Validation::new(Algorithm::EdDSA);
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[&*self.audience]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The clock is ours.
        rules.validate_exp = false;
        let key = self.keys.read().get(caller).cloned()?;
        Some(jsonwebtoken::decode::<Claims>(credential, &key, &rules).ok()?.claims)
    }

    /// Whoever comes while the keys are read waits for them: they may hold the one it looks for.
    fn read_again(&self) {
        let mut read_at = self.read_at.lock();
        if read_at.is_none_or(|at| at.elapsed() >= READ_AGAIN_AFTER) {
            self.read_keys();
            *read_at = Some(std::time::Instant::now());
        }
    }

    fn read_keys(&self) {
        let key = |caller: &&str| {
            let text = std::fs::read_to_string(public_file(&self.folder, caller)).ok()?;
            Some(((*caller).to_owned(), DecodingKey::from_ed_components(text.trim()).ok()?))
        };
        *self.keys.write() = CALLERS.iter().filter_map(key).collect();
    }
}

/// The caller that an unverified credential names.
fn claimed_caller(credential: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        sub: String,
    }
    let claims = URL_SAFE_NO_PAD.decode(credential.split('.').nth(1)?).ok()?;
    Some(serde_json::from_slice::<Named>(&claims).ok()?.sub).filter(|caller| CALLERS.contains(&caller.as_str()))
}
