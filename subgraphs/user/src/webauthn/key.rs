//! Public keys of passkeys: ES256 (ECDSA on P-256 with SHA-256) and `EdDSA` (Ed25519).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use ciborium::Value;
use p256::ecdsa::signature::Verifier;

use super::Why;

const ES256: i64 = -7;
const EDDSA: i64 = -8;
/// Algorithms that are asked for, the preferred first.
const ALGORITHMS: [i64; 2] = [ES256, EDDSA];

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// ECDSA on P-256.
    Es256(p256::ecdsa::VerifyingKey),
    /// Ed25519.
    EdDsa(ed25519_dalek::VerifyingKey),
}

impl PublicKey {
    /// The algorithms as a browser is told of them.
    pub const fn algorithms() -> [i64; 2] {
        ALGORITHMS
    }

    /// Its COSE algorithm.
    pub const fn algorithm(&self) -> i64 {
        match self {
            Self::Es256(_) => ES256,
            Self::EdDsa(_) => EDDSA,
        }
    }

    /// Reads a COSE key (RFC 9053): type, algorithm and curve must fit each other.
    pub fn of_cose(key: &Value) -> Result<Self, Why> {
        let number = |label| cose(key, label).and_then(Value::as_integer).and_then(|number| i64::try_from(number).ok());
        let coordinate = |label| {
            let bytes = cose(key, label).and_then(Value::as_bytes).map(Vec::as_slice);
            bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()).ok_or("the public key lacks a coordinate")
        };
        match (number(1), number(3), number(-1)) {
            (Some(2), Some(ES256), Some(1)) => {
                let point = p256::EncodedPoint::from_affine_coordinates(&coordinate(-2)?.into(), &coordinate(-3)?.into(), false);
                p256::ecdsa::VerifyingKey::from_encoded_point(&point).map(Self::Es256).map_err(|_| "the public key is no point")
            }
            (Some(1), Some(EDDSA), Some(6)) => ed25519_dalek::VerifyingKey::from_bytes(&coordinate(-2)?)
                .map(Self::EdDsa)
                .map_err(|_| "the public key is no point"),
            _ => Err("the public key is of a kind that was not asked for"),
        }
    }

    /// Checks a signature.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Why> {
        const WRONG: Why = "the signature is wrong";
        match self {
            Self::Es256(key) => {
                let signature = p256::ecdsa::Signature::from_der(signature).map_err(|_| WRONG)?;
                key.verify(message, &signature).map_err(|_| WRONG)
            }
            Self::EdDsa(key) => {
                let signature = ed25519_dalek::Signature::from_slice(signature).map_err(|_| WRONG)?;
                key.verify_strict(message, &signature).map_err(|_| WRONG)
            }
        }
    }

    /// As it is stored: algorithm and bytes.
    pub fn to_text(&self) -> String {
        match self {
            Self::Es256(key) => format!("{ES256}:{}", B64.encode(key.to_encoded_point(false))),
            Self::EdDsa(key) => format!("{EDDSA}:{}", B64.encode(key.as_bytes())),
        }
    }

    /// As it was stored.
    pub fn of_text(text: &str) -> Option<Self> {
        let (algorithm, key) = text.split_once(':')?;
        let key = B64.decode(key).ok()?;
        match algorithm.parse().ok()? {
            ES256 => p256::ecdsa::VerifyingKey::from_sec1_bytes(&key).ok().map(Self::Es256),
            EDDSA => ed25519_dalek::VerifyingKey::try_from(key.as_slice()).ok().map(Self::EdDsa),
            _ => None,
        }
    }
}

fn cose(key: &Value, label: i64) -> Option<&Value> {
    key.as_map()?.iter().find(|(name, _)| name.as_integer() == Some(label.into())).map(|(_, value)| value)
}
