//! Encryption at rest of personal data, and keyed hashes of secrets that must be found again.

use std::{io, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce, aead::Aead};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::{auth::read_or_create, random};

/// A sealed text can't be opened: another key, or it was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed text can't be opened with this key")]
pub struct Unsealable;

/// Seals texts with ChaCha20-Poly1305 (RFC 8439) and hashes them with HMAC-SHA-256 (RFC 2104), both under one 256-bit key.
#[derive(Clone)]
pub struct Sealer {
    key: [u8; 32],
}

impl Sealer {
    /// A sealer with this key.
    pub const fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// Reads the key from a file of 32 bytes, or makes one.
    pub fn load_or_create(path: &Path) -> io::Result<Self> {
        Self::of_file(read_or_create(path, || random::bytes::<32>().to_vec())?)
    }

    /// Reads the key from a file of 32 bytes.
    pub fn load(path: &Path) -> io::Result<Self> {
        Self::of_file(std::fs::read(path)?)
    }

    fn of_file(bytes: Vec<u8>) -> io::Result<Self> {
        bytes.try_into().map(Self::new).map_err(|_| io::Error::other("the data key must have 32 bytes"))
    }

    /// Seals a text; the answer is base64 of nonce and ciphertext, different every time.
    pub fn seal(&self, text: &str) -> String {
        let nonce: [u8; 12] = random::bytes();
        let cipher = ChaCha20Poly1305::new((&self.key).into());
        // Fails only for texts of more than 256 GiB.
        let sealed = cipher.encrypt(Nonce::from_slice(&nonce), text.as_bytes()).unwrap_or_default();
        STANDARD_NO_PAD.encode([nonce.as_slice(), &sealed].concat())
    }

    /// Opens a sealed text.
    pub fn open(&self, sealed: &str) -> Result<String, Unsealable> {
        let bytes = STANDARD_NO_PAD.decode(sealed).map_err(|_| Unsealable)?;
        let (nonce, body) = bytes.split_at_checked(12).ok_or(Unsealable)?;
        let cipher = ChaCha20Poly1305::new((&self.key).into());
        let open = cipher.decrypt(Nonce::from_slice(nonce), body).map_err(|_| Unsealable)?;
        String::from_utf8(open).map_err(|_| Unsealable)
    }

    /// Keyed hash of a secret within a purpose (`otp`, `refresh`), 32 bytes as base64. Equal secrets have equal hashes.
    pub fn hash(&self, purpose: &str, secret: &str) -> String {
        STANDARD_NO_PAD.encode(self.mac(purpose, secret).finalize().into_bytes())
    }

    /// Compares a secret with a keyed hash in constant time.
    pub fn matches(&self, purpose: &str, secret: &str, hash: &str) -> bool {
        STANDARD_NO_PAD.decode(hash).is_ok_and(|hash| self.mac(purpose, secret).verify_slice(&hash).is_ok())
    }

    fn mac(&self, purpose: &str, secret: &str) -> Hmac<Sha256> {
        // HMAC takes keys of any length, so this can't fail; an all-zero state would only refuse everything.
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.key).unwrap_or_else(|_| unreachable!());
        mac.update(purpose.as_bytes());
        mac.update(&[0]);
        mac.update(secret.as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_the_same_key_only() {
        let sealer = Sealer::new([7; 32]);
        let sealed = sealer.seal("3174012345678901");
        assert_eq!(sealer.open(&sealed).as_deref(), Ok("3174012345678901"));
        assert_eq!(Sealer::new([8; 32]).open(&sealed), Err(Unsealable));
        assert_eq!(sealer.open("AA"), Err(Unsealable));
        assert_ne!(sealed, sealer.seal("3174012345678901"));
    }

    #[test]
    fn hashes_are_bound_to_their_purpose() {
        let sealer = Sealer::new([7; 32]);
        let hash = sealer.hash("otp", "123456");
        assert!(sealer.matches("otp", "123456", &hash));
        assert!(!sealer.matches("refresh", "123456", &hash));
        assert!(!sealer.matches("otp", "123457", &hash));
    }
}
