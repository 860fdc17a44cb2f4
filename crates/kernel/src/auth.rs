//! Who asks: signing and verifying access tokens (`EdDSA` JWT, RFC 9068 `at+jwt`), and the [`Viewer`] made of one.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use ed25519_dalek::{
    Signer, SigningKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey, spki::der::pem::LineEnding},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, Validation};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{clock::Clock, ended::EndedSessions, keyring::KeyRing, random};
use berth_contracts::Kind;

/// `iss` of every access token.
pub const ISSUER: &str = "berth";
/// `aud` of every access token.
pub const AUDIENCE: &str = "berth-graph";
/// `typ` in the header of an access token.
pub const ACCESS_TOKEN_TYPE: &str = "at+jwt";
/// Life of an access token.
pub const ACCESS_TTL: TimeDelta = TimeDelta::minutes(10);

/// An Ed25519 key with its public name.
#[derive(Clone)]
pub struct SignKey {
    key: Arc<SigningKey>,
    kid: String,
}

impl SignKey {
    /// A fresh key.
    pub fn generate() -> Self {
        Self::from_key(SigningKey::from_bytes(&random::bytes()))
    }

    /// Reads a key from a PEM file (PKCS #8), or makes one and writes it, readable by the owner only.
    pub fn load_or_create(path: &Path) -> io::Result<Self> {
        let make = || Self::generate().key.to_pkcs8_pem(LineEnding::LF).map(|pem| pem.as_bytes().to_vec()).unwrap_or_default();
        let pem = String::from_utf8(read_or_create(path, make)?).map_err(io::Error::other)?;
        SigningKey::from_pkcs8_pem(&pem).map(Self::from_key).map_err(io::Error::other)
    }

    /// Reads a key from a PEM file (PKCS #8).
    pub fn load(path: &Path) -> io::Result<Self> {
        SigningKey::from_pkcs8_pem(&fs::read_to_string(path)?).map(Self::from_key).map_err(io::Error::other)
    }

    fn from_key(key: SigningKey) -> Self {
        let digest = Sha256::digest(key.verifying_key().as_bytes());
        Self { kid: URL_SAFE_NO_PAD.encode(&digest[..9]), key: Arc::new(key) }
    }

    /// The key's name in a JWKS.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Signs bytes (tickets).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    /// The public half, base64url without padding.
    pub fn public(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.key.verifying_key().as_bytes())
    }

    /// The public half as a JWK. `purpose` goes into `use`: `sig`.
    pub fn jwk(&self) -> serde_json::Value {
        serde_json::json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": self.kid, "x": self.public() })
    }
}

/// Writes a file that only its owner reads; refuses to overwrite. The file is whole from the moment it has its name.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let draft = draft(path, 0o600, content)?;
    let named = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    named
}

/// Reads a secret file, or makes it. When several processes do so at once, one file wins and all read that.
pub fn read_or_create(path: &Path, make: impl FnOnce() -> Vec<u8>) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        read => return read,
    }
    match write_private(path, &make()) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => fs::read(path),
    }
}

/// Writes a file that everybody may read, unless it has this content.
pub(crate) fn replace_public(path: &Path, content: &str) -> io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    fs::rename(draft(path, 0o644, content.as_bytes())?, path)
}

/// A complete file beside `path`, under a name of its own.
fn draft(path: &Path, mode: u32, content: &[u8]) -> io::Result<PathBuf> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let draft = path.with_extension(random::token());
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
    file.write_all(content)?;
    file.sync_all()?;
    Ok(draft)
}

/// The claims of an access token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    /// Issuer.
    pub iss: String,
    /// Audience.
    pub aud: String,
    /// The user's public id.
    pub sub: String,
    /// The session (refresh-token family).
    pub sid: Uuid,
    /// Seconds since 1970: issued.
    pub iat: i64,
    /// Seconds since 1970: end of life.
    pub exp: i64,
    /// Unique name of the token.
    pub jti: Uuid,
    /// Roles, space-separated scopes of the graph.
    pub roles: Vec<String>,
}

/// Makes access tokens.
#[derive(Clone)]
pub struct TokenSigner {
    keys: KeyRing,
    clock: Clock,
}

impl TokenSigner {
    /// A signer with these keys.
    pub fn new(keys: impl Into<KeyRing>, clock: Clock) -> Self {
        Self { keys: keys.into(), clock }
    }

    /// An access token for a user's session, and when it ends.
    pub fn sign(
        &self,
        user_id: Uuid,
        session_id: Uuid,
        roles: &[String],
    ) -> Result<(String, DateTime<Utc>), jsonwebtoken::errors::Error> {
        let now = self.clock.now();
        let ends = now + ACCESS_TTL;
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: Kind::User.encode(user_id),
            sid: session_id,
            iat: now.timestamp(),
            exp: ends.timestamp(),
            jti: self.clock.new_key(),
            roles: roles.to_vec(),
        };
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(ACCESS_TOKEN_TYPE.to_owned());
        let key = self.keys.signing();
        header.kid = Some(key.kid);
        let der = key.key.to_pkcs8_der().map_err(|_| jsonwebtoken::errors::ErrorKind::InvalidEddsaKey)?;
        let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ed_der(der.as_bytes()))?;
        Ok((token, ends))
    }
}

/// Why a token is no proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Its life is over, or that of the key that signed it: refresh the session.
    #[error("the access token has expired")]
    Expired,
    /// Its session was ended: sign in.
    #[error("the session of the access token was ended")]
    Ended,
    /// Anything else: wrong signature, algorithm, type, issuer or audience.
    #[error("the access token is not valid")]
    Invalid,
}

impl TokenError {
    /// The code clients see.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Expired => "TOKEN_EXPIRED",
            Self::Ended => "SESSION_REVOKED",
            Self::Invalid => "TOKEN_INVALID",
        }
    }
}

/// Checks access tokens against the known keys.
#[derive(Clone)]
pub struct TokenVerifier {
    keys: KeyRing,
    /// Tokens whose signature was found good, with the key's name: a busy client pays for one check, not for one a fetch.
    verified: Arc<RwLock<Verified>>,
    ended: EndedSessions,
    clock: Clock,
}

type Verified = HashMap<Box<str>, (Arc<str>, SignedIn)>;

/// Verified tokens remembered at most; then all are forgotten.
const REMEMBERED: usize = 20_000;

impl TokenVerifier {
    /// A verifier that knows these keys.
    pub fn new(keys: impl Into<KeyRing>, clock: Clock) -> Self {
        Self { keys: keys.into(), verified: Arc::default(), ended: EndedSessions::new(clock.clone()), clock }
    }

    /// The same, refusing the tokens of these sessions.
    #[must_use]
    pub fn refusing(mut self, ended: EndedSessions) -> Self {
        self.ended = ended;
        self
    }

    /// The viewer a token stands for.
    pub fn verify(&self, token: &str) -> Result<Viewer, TokenError> {
        let known = self.verified.read().get(token).cloned();
        let (kid, person) = known.map_or_else(|| self.check(token), Ok)?;
        if !self.keys.trusts(&kid) {
            return Err(of_a_key_that_is_gone(token));
        }
        if person.expires_at <= self.clock.now() {
            return Err(TokenError::Expired);
        }
        if self.ended.contains(person.session_id) {
            return Err(TokenError::Ended);
        }
        Ok(Viewer(Some(person)))
    }

    fn check(&self, token: &str) -> Result<(Arc<str>, SignedIn), TokenError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
        if header.alg != Algorithm::EdDSA || header.typ.as_deref() != Some(ACCESS_TOKEN_TYPE) {
            return Err(TokenError::Invalid);
        }
        let kid = header.kid.ok_or(TokenError::Invalid)?;
        let key = self.keys.find(&kid).ok_or_else(|| of_a_key_that_is_gone(token))?;
        let mut rules = Validation::new(Algorithm::EdDSA);
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[AUDIENCE]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The clock is ours, so that moved clocks count.
        rules.validate_exp = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &rules).map_err(|_| TokenError::Invalid)?.claims;
        let expires_at = DateTime::from_timestamp(claims.exp, 0).ok_or(TokenError::Invalid)?;
        let user_id = Kind::User.decode(&claims.sub).map_err(|_| TokenError::Invalid)?;
        let person = SignedIn { user_id, session_id: claims.sid, roles: claims.roles, expires_at };
        let mut verified = self.verified.write();
        if verified.len() >= REMEMBERED {
            verified.clear();
        }
        let found = (Arc::from(kid), person);
        verified.insert(token.into(), found.clone());
        Ok(found)
    }

    /// The viewer of an `Authorization` header (or its absence).
    pub fn viewer(&self, authorization: Option<&str>) -> Result<Viewer, TokenError> {
        match authorization.map(str::trim) {
            None | Some("") => Ok(Viewer(None)),
            Some(text) => match text.split_once(' ') {
                Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => self.verify(token.trim()),
                _ => Err(TokenError::Invalid),
            },
        }
    }
}

/// A token that says it is ours, by a key that we do not have: it was retired, perhaps as compromised. It proves nothing and opens nothing;
/// but its session may well live, so the client is told to refresh it and not to sign in. A forger learns nothing by that.
fn of_a_key_that_is_gone(token: &str) -> TokenError {
    #[derive(Deserialize)]
    struct Named {
        iss: String,
        aud: String,
    }
    let claims = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let named = claims.and_then(|claims| serde_json::from_slice::<Named>(&claims).ok());
    let is_ours = named.is_some_and(|named| named.iss == ISSUER && named.aud == AUDIENCE);
    if is_ours { TokenError::Expired } else { TokenError::Invalid }
}

/// Who asks: somebody signed in, or nobody.
#[derive(Debug, Clone, Default)]
pub struct Viewer(pub Option<SignedIn>);

/// A signed-in person.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// The user.
    pub user_id: Uuid,
    /// The session.
    pub session_id: Uuid,
    /// The roles.
    pub roles: Vec<String>,
    /// When the token ends.
    pub expires_at: DateTime<Utc>,
}

impl Viewer {
    /// The user, if signed in.
    pub fn user_id(&self) -> Option<Uuid> {
        self.0.as_ref().map(|person| person.user_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_contracts::peer::EndedSession;

    fn world() -> (TokenSigner, TokenVerifier, Clock) {
        let (clock, key) = (Clock::system(), SignKey::generate());
        (TokenSigner::new(key.clone(), clock.clone()), TokenVerifier::new(&[key], clock.clone()), clock)
    }

    #[test]
    fn a_token_lives_ten_minutes() {
        let (signer, verifier, clock) = world();
        let user_id = clock.new_key();
        let (token, _) = signer.sign(user_id, clock.new_key(), &["USER".to_owned()]).expect("signs");
        assert_eq!(verifier.verify(&token).expect("valid").user_id(), Some(user_id));
        clock.advance(TimeDelta::minutes(10));
        assert_eq!(verifier.verify(&token).err(), Some(TokenError::Expired));
    }

    #[test]
    fn a_token_dies_with_its_session() {
        let (signer, verifier, clock) = world();
        let ended = EndedSessions::new(clock.clone());
        let verifier = verifier.refusing(ended.clone());
        let session_id = clock.new_key();
        let (token, _) = signer.sign(clock.new_key(), session_id, &[]).expect("signs");
        assert!(verifier.verify(&token).is_ok());
        ended.learn([EndedSession { session_id, at: clock.now() }]);
        assert_eq!(verifier.verify(&token).err(), Some(TokenError::Ended));
        let (other, _) = signer.sign(clock.new_key(), clock.new_key(), &[]).expect("signs");
        assert!(verifier.verify(&other).is_ok());
    }

    #[test]
    fn foreign_keys_and_other_algorithms_are_refused() {
        let (signer, _, clock) = world();
        let (_, other, _) = world();
        let (token, _) = signer.sign(clock.new_key(), clock.new_key(), &[]).expect("signs");
        assert_eq!(other.verify(&token).err(), Some(TokenError::Expired), "a key that is gone");
        let named = |kid: &str| {
            let head = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"{kid}"}}"#));
            let (_, rest) = token.split_once('.').expect("three parts");
            format!("{head}.{rest}")
        };
        assert_eq!(
            other.verify(&named(other.keys.signing().kid())).err(),
            Some(TokenError::Invalid),
            "a signature that is wrong"
        );
        let [claims, end] = [r#"{"iss":"else","aud":"berth-graph"}"#, "x"].map(|part| URL_SAFE_NO_PAD.encode(part));
        let head = named("gone").split('.').next().expect("a head").to_owned();
        assert_eq!(other.verify(&format!("{head}.{claims}.{end}")).err(), Some(TokenError::Invalid), "not ours");
        let claims = serde_json::json!({ "sub": "user_x", "iss": ISSUER, "aud": AUDIENCE, "exp": 4_000_000_000_i64 });
        let hs256 = jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(b"x")).expect("encodes");
        assert_eq!(other.verify(&hs256).err(), Some(TokenError::Invalid));
        assert_eq!(other.viewer(Some("Basic abc")).err(), Some(TokenError::Invalid));
        assert!(other.viewer(None).expect("anonymous").user_id().is_none());
    }
}
