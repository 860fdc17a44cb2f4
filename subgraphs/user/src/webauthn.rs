//! Passkeys: what a browser is asked, and whether its answer is good (W3C Web Authentication Level 2, sections 7.1 and 7.2; the
//! flags on backups as of Level 3). Pure: who keeps challenges and keys is `passkeys`.
//!
//! Narrow on purpose (docs/decisions/0014-factors-and-limits.md): ES256 and `EdDSA`, attestation `none` (or self attestation, which
//! browsers pass on unchanged), discoverable credentials, user verification always.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use ciborium::Value;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

mod key;

pub use key::PublicKey;

/// Longest credential id of the specification.
const LONGEST_ID: usize = 1023;
/// Answers are small; what is longer is none.
const LONGEST_ANSWER: usize = 16 * 1024;
const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const HAS_CREDENTIAL: u8 = 0x40;
const HAS_EXTENSIONS: u8 = 0x80;

/// Whom passkeys are for: the site, by its domain and its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingParty {
    /// Its domain.
    pub id: String,
    /// `https://shop.example`, with the port if it is not that of the scheme.
    pub origin: String,
}

impl RelyingParty {
    /// The site at a public URL.
    pub fn at(public_url: &str) -> Self {
        let url = public_url.trim().to_lowercase();
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", &url));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let default_port = if scheme == "http" { ":80" } else { ":443" };
        let authority = authority.strip_suffix(default_port).unwrap_or(authority);
        let id = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        };
        Self { id: id.to_owned(), origin: format!("{scheme}://{authority}") }
    }
}

/// Why an answer is not good, for a developer.
pub type Why = &'static str;

/// A new credential.
#[derive(Debug, Clone)]
pub struct NewCredential {
    /// Its id, base64url.
    pub credential_id: String,
    /// Its public key.
    pub public_key: PublicKey,
    /// How often it signed.
    pub sign_count: u32,
}

/// An answer to a challenge, read but not checked.
pub struct Answer<R> {
    id: String,
    client_data: Vec<u8>,
    told: ClientData,
    response: R,
}

/// What the authenticator says of a new credential.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attestation {
    attestation_object: String,
}

/// What the authenticator says at a sign-in.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assertion {
    authenticator_data: String,
    signature: String,
    user_handle: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Credential<R> {
    id: String,
    raw_id: String,
    #[serde(rename = "type")]
    kind: String,
    response: Response<R>,
}

#[derive(Deserialize)]
struct Response<R> {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    #[serde(flatten)]
    rest: R,
}

/// What the browser says of the request.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    cross_origin: Option<bool>,
}

impl<R: for<'de> Deserialize<'de>> Answer<R> {
    /// Reads the JSON of a `PublicKeyCredential`.
    pub fn read(json: &str) -> Result<Self, Why> {
        if json.len() > LONGEST_ANSWER {
            return Err("the credential is too long");
        }
        let credential: Credential<R> =
            serde_json::from_str(json).map_err(|_| "the credential is no JSON of a PublicKeyCredential")?;
        if credential.kind != "public-key" || credential.id != credential.raw_id {
            return Err("the credential is no public key");
        }
        let client_data = bytes(&credential.response.client_data)?;
        let told = serde_json::from_slice(&client_data).map_err(|_| "clientDataJSON is no JSON")?;
        Ok(Self { id: credential.id, client_data, told, response: credential.response.rest })
    }

    /// The challenge it answers, base64url. Who asks must know that it was given out and not answered before.
    pub fn challenge(&self) -> &str {
        &self.told.challenge
    }

    /// The credential it speaks for, base64url.
    pub fn credential_id(&self) -> &str {
        &self.id
    }

    fn check_client(&self, kind: &str, site: &RelyingParty) -> Result<(), Why> {
        if self.told.kind != kind {
            return Err("the answer is of another kind of request");
        }
        if self.told.origin != site.origin || self.told.cross_origin == Some(true) {
            return Err("the answer comes from another site");
        }
        Ok(())
    }

    /// What the authenticator signs: its own data and the hash of the browser's.
    fn signed(&self, authenticator_data: &[u8]) -> Vec<u8> {
        [authenticator_data, Sha256::digest(&self.client_data).as_slice()].concat()
    }
}

impl Answer<Attestation> {
    /// The new credential, when everything about the answer is right.
    pub fn registered(&self, site: &RelyingParty) -> Result<NewCredential, Why> {
        self.check_client("webauthn.create", site)?;
        let object = bytes(&self.response.attestation_object)?;
        let object: Value = ciborium::from_reader(object.as_slice()).map_err(|_| "the attestation is no CBOR")?;
        let data = entry(&object, "authData").and_then(Value::as_bytes).ok_or("the attestation has no authenticator data")?;
        let seen = AuthenticatorData::read(data, site)?;
        let (id, public_key) = seen.credential.ok_or("the authenticator made no credential")?;
        if B64.encode(id) != self.id {
            return Err("the credential has two ids");
        }
        let statement = entry(&object, "attStmt").ok_or("the attestation has no statement")?;
        match entry(&object, "fmt").and_then(Value::as_text) {
            Some("none") if statement.as_map().is_some_and(Vec::is_empty) => {}
            Some("packed") => self.check_self_attestation(statement, &public_key, data)?,
            _ => return Err("attestation other than none was not asked for"),
        }
        Ok(NewCredential { credential_id: self.id.clone(), public_key, sign_count: seen.sign_count })
    }

    /// The credential vouches for itself: says nothing about its maker, but must be right.
    fn check_self_attestation(&self, statement: &Value, key: &PublicKey, data: &[u8]) -> Result<(), Why> {
        let algorithm = entry(statement, "alg").and_then(Value::as_integer).and_then(|number| i64::try_from(number).ok());
        let signature = entry(statement, "sig").and_then(Value::as_bytes);
        if algorithm != Some(key.algorithm()) || entry(statement, "x5c").is_some() {
            return Err("attestation other than none was not asked for");
        }
        key.verify(&self.signed(data), signature.ok_or("the attestation is not signed")?)
    }
}

impl Answer<Assertion> {
    /// How often the credential has signed, when everything about the answer is right: it is for this site, of this key and of
    /// this person.
    pub fn signed_in(&self, site: &RelyingParty, key: &PublicKey, owner: Uuid) -> Result<u32, Why> {
        self.check_client("webauthn.get", site)?;
        if self.response.user_handle.as_deref() != Some(user_handle(owner).as_str()) {
            return Err("the credential is of another person");
        }
        let data = bytes(&self.response.authenticator_data)?;
        let seen = AuthenticatorData::read(&data, site)?;
        key.verify(&self.signed(&data), &bytes(&self.response.signature)?)?;
        Ok(seen.sign_count)
    }
}

/// How authenticators know a person: the key of the account, which says nothing to anybody else.
pub fn user_handle(account_id: Uuid) -> String {
    B64.encode(account_id.as_bytes())
}

struct AuthenticatorData<'a> {
    sign_count: u32,
    credential: Option<(&'a [u8], PublicKey)>,
}

impl<'a> AuthenticatorData<'a> {
    fn read(data: &'a [u8], site: &RelyingParty) -> Result<Self, Why> {
        const SHORT: Why = "the authenticator data is too short";
        let (site_hash, rest) = data.split_at_checked(32).ok_or(SHORT)?;
        let (&flags, rest) = rest.split_first().ok_or(SHORT)?;
        let (count, mut rest) = rest.split_first_chunk::<4>().ok_or(SHORT)?;
        if site_hash != Sha256::digest(site.id.as_bytes()).as_slice() {
            return Err("the credential is for another site");
        }
        if flags & USER_PRESENT == 0 || flags & USER_VERIFIED == 0 {
            return Err("the authenticator did not verify its user");
        }
        if flags & BACKED_UP != 0 && flags & BACKUP_ELIGIBLE == 0 {
            return Err("the authenticator contradicts itself");
        }
        let credential = if flags & HAS_CREDENTIAL == 0 { None } else { Some(attested(&mut rest)?) };
        if flags & HAS_EXTENSIONS != 0 {
            let _ignored: Value = ciborium::from_reader(&mut rest).map_err(|_| "the extensions are no CBOR")?;
        }
        if !rest.is_empty() {
            return Err("the authenticator data is too long");
        }
        Ok(Self { sign_count: u32::from_be_bytes(*count), credential })
    }
}

/// Takes the id and the key of a new credential from the data.
fn attested<'a>(rest: &mut &'a [u8]) -> Result<(&'a [u8], PublicKey), Why> {
    const SHORT: Why = "the credential data is too short";
    let (_model, behind) = rest.split_at_checked(16).ok_or(SHORT)?;
    let (length, behind) = behind.split_first_chunk::<2>().ok_or(SHORT)?;
    let (id, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(SHORT)?;
    if id.is_empty() || id.len() > LONGEST_ID {
        return Err("the credential's id has an impossible length");
    }
    *rest = behind;
    let cose: Value = ciborium::from_reader(rest).map_err(|_| "the public key is no CBOR")?;
    Ok((id, PublicKey::of_cose(&cose)?))
}

fn entry<'a>(map: &'a Value, name: &str) -> Option<&'a Value> {
    map.as_map()?.iter().find(|(key, _)| key.as_text() == Some(name)).map(|(_, value)| value)
}

fn bytes(text: &str) -> Result<Vec<u8>, Why> {
    B64.decode(text.trim_end_matches('=')).map_err(|_| "a part of the credential is no base64url")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_its_domain_and_its_origin() {
        let site = |url: &str| {
            let RelyingParty { id, origin } = RelyingParty::at(url);
            (id, origin)
        };
        let both = |id: &str, origin: &str| (id.to_owned(), origin.to_owned());
        assert_eq!(site("https://Shop.example/"), both("shop.example", "https://shop.example"));
        assert_eq!(site("https://shop.example:443"), both("shop.example", "https://shop.example"));
        assert_eq!(site("http://localhost:4000"), both("localhost", "http://localhost:4000"));
    }

    #[test]
    fn nonsense_is_refused_and_nothing_panics() {
        let site = RelyingParty::at("https://shop.example");
        let hash = Sha256::digest(b"shop.example");
        let head = |flags: u8| [hash.as_slice(), &[flags, 0, 0, 0, 1]].concat();
        assert!(AuthenticatorData::read(&head(USER_PRESENT | USER_VERIFIED), &site).is_ok());
        assert!(AuthenticatorData::read(&head(USER_PRESENT), &site).is_err(), "a passkey stands for two factors");
        assert!(AuthenticatorData::read(&head(USER_PRESENT | USER_VERIFIED | BACKED_UP), &site).is_err());
        assert!(AuthenticatorData::read(&head(0xff)[..20], &site).is_err());
        for tail in 0..80 {
            let data = [head(USER_PRESENT | USER_VERIFIED | HAS_CREDENTIAL), vec![0xff; tail]].concat();
            assert!(AuthenticatorData::read(&data, &site).is_err());
        }
        for json in [
            "",
            "{}",
            "null",
            r#"{"id":"a","rawId":"a","type":"public-key","response":{"clientDataJSON":"!","attestationObject":""}}"#,
        ] {
            assert!(Answer::<Attestation>::read(json).is_err(), "{json}");
        }
    }
}
