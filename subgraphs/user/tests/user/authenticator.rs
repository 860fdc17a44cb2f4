//! An authenticator in software, and the browser around it: keys on P-256 or Ed25519, real attestations and assertions.
//! The black-box tests (tests/tests/passkeys.rs) include this file as well: it names nothing of ours.

use std::hash::{BuildHasher, Hasher, RandomState};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use ciborium::{Value as Cbor, cbor};
use ed25519_dalek::Signer;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The site as the default configuration has it.
pub const SITE: &str = "127.0.0.1";
pub const ORIGIN: &str = "http://127.0.0.1:4000";
pub const PRESENT: u8 = 0x01;
pub const VERIFIED: u8 = 0x04;

pub enum Key {
    P256(p256::ecdsa::SigningKey),
    Ed25519(Box<ed25519_dalek::SigningKey>),
}

/// Unlike any others.
fn fresh_bytes() -> [u8; 32] {
    let number = || RandomState::new().build_hasher().finish().to_be_bytes();
    Sha256::digest([number(), number(), number()].concat()).into()
}

/// A device with one passkey, and what it lies about.
pub struct Device {
    pub key: Key,
    pub id: Vec<u8>,
    pub user_handle: Option<String>,
    pub count: u32,
    pub flags: u8,
    pub site: &'static str,
    pub origin: &'static str,
    pub kind: Option<&'static str>,
    pub cross_origin: bool,
    pub format: &'static str,
}

impl Device {
    pub fn p256() -> Self {
        Self::with(Key::P256(p256::ecdsa::SigningKey::from_slice(&fresh_bytes()).expect("a key")))
    }

    pub fn ed25519() -> Self {
        Self::with(Key::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&fresh_bytes()))))
    }

    fn with(key: Key) -> Self {
        Self {
            key,
            id: fresh_bytes().to_vec(),
            user_handle: None,
            count: 0,
            flags: PRESENT | VERIFIED,
            site: SITE,
            origin: ORIGIN,
            kind: None,
            cross_origin: false,
            format: "none",
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.key {
            Key::P256(key) => {
                let signature: p256::ecdsa::Signature = p256::ecdsa::signature::Signer::sign(key, message);
                signature.to_der().as_bytes().to_vec()
            }
            Key::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
        }
    }

    fn cose(&self) -> Cbor {
        match &self.key {
            Key::P256(key) => {
                let point = key.verifying_key().to_encoded_point(false);
                let (x, y) = (point.x().expect("x").to_vec(), point.y().expect("y").to_vec());
                cbor!({ 1 => 2, 3 => -7, -1 => 1, -2 => Cbor::Bytes(x), -3 => Cbor::Bytes(y) }).expect("CBOR")
            }
            Key::Ed25519(key) => {
                let x = key.verifying_key().as_bytes().to_vec();
                cbor!({ 1 => 1, 3 => -8, -1 => 6, -2 => Cbor::Bytes(x) }).expect("CBOR")
            }
        }
    }

    fn client_data(&self, kind: &str, challenge: &Value) -> Vec<u8> {
        let kind = self.kind.unwrap_or(kind);
        json!({ "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": self.cross_origin })
            .to_string()
            .into_bytes()
    }

    fn data(&self, more: u8) -> Vec<u8> {
        let mut data = Sha256::digest(self.site.as_bytes()).to_vec();
        data.push(self.flags | more);
        data.extend(self.count.to_be_bytes());
        data
    }

    /// What the browser answers to options for a new passkey.
    pub fn create(&mut self, options: &str) -> String {
        let options: Value = serde_json::from_str(options).expect("JSON");
        self.user_handle = options["user"]["id"].as_str().map(str::to_owned);
        let client_data = self.client_data("webauthn.create", &options["challenge"]);
        let mut data = self.data(0x40);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.id.len()).expect("short").to_be_bytes());
        data.extend(&self.id);
        ciborium::into_writer(&self.cose(), &mut data).expect("CBOR");
        let statement = if self.format == "packed" {
            let algorithm = if matches!(self.key, Key::P256(_)) { -7 } else { -8 };
            let signature = self.sign(&[data.as_slice(), Sha256::digest(&client_data).as_slice()].concat());
            cbor!({ "alg" => algorithm, "sig" => Cbor::Bytes(signature) }).expect("CBOR")
        } else {
            cbor!({}).expect("CBOR")
        };
        let object = cbor!({ "fmt" => self.format, "attStmt" => statement, "authData" => Cbor::Bytes(data) }).expect("CBOR");
        let mut attestation = Vec::new();
        ciborium::into_writer(&object, &mut attestation).expect("CBOR");
        let response = json!({
            "clientDataJSON": B64.encode(client_data), "attestationObject": B64.encode(attestation), "transports": ["internal"],
        });
        self.credential(&response)
    }

    /// What the browser answers to options for a sign-in.
    pub fn get(&mut self, options: &str) -> String {
        let options: Value = serde_json::from_str(options).expect("JSON");
        let client_data = self.client_data("webauthn.get", &options["challenge"]);
        let data = self.data(0);
        let signature = self.sign(&[data.as_slice(), Sha256::digest(&client_data).as_slice()].concat());
        let response = json!({
            "clientDataJSON": B64.encode(client_data),
            "authenticatorData": B64.encode(data),
            "signature": B64.encode(signature),
            "userHandle": self.user_handle,
        });
        self.credential(&response)
    }

    fn credential(&self, response: &Value) -> String {
        let id = B64.encode(&self.id);
        let credential = json!({
            "id": id, "rawId": id, "type": "public-key", "response": response,
            "authenticatorAttachment": "platform", "clientExtensionResults": {},
        });
        credential.to_string()
    }
}
