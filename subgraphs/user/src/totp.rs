//! Codes of an authenticator app (RFC 6238 over HMAC-SHA-1): six digits that change every 30 seconds, as all apps know them.

use berth_kernel::random;
use chrono::{DateTime, Utc};
use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

const STEP_SECS: i64 = 30;
/// Steps before and after the present one in which a code counts too: clocks differ, and people type slowly.
const TOLERANCE: i64 = 1;

/// The secret that an app and we share. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    /// A fresh one, 160 bits.
    pub fn generate() -> Self {
        Self(random::bytes::<20>().to_vec())
    }

    /// As apps take it when it is typed.
    pub fn base32(&self) -> String {
        BASE32_NOPAD.encode(&self.0)
    }

    /// As it was stored; `None` when it is none.
    pub fn stored(base32: &str) -> Option<Self> {
        BASE32_NOPAD.decode(base32.as_bytes()).ok().map(Self)
    }

    /// As apps take it from a QR code.
    pub fn uri(&self, email: &str) -> String {
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        let written = |byte: u8| if safe(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
        let label: String = email.bytes().map(written).collect();
        format!("otpauth://totp/Berth:{label}?secret={}&issuer=Berth&algorithm=SHA1&digits=6&period={STEP_SECS}", self.base32())
    }

    /// The step in which this code is right, if it is one about now and later than the last one used: a code works once.
    pub fn step_of(&self, code: &str, now: DateTime<Utc>, last_step: i64) -> Option<i64> {
        let present = now.timestamp().div_euclid(STEP_SECS);
        let steps = (present - TOLERANCE..=present + TOLERANCE).filter(|step| *step > last_step);
        steps.into_iter().find(|step| self.code(*step).as_bytes().ct_eq(code.as_bytes()).into())
    }

    fn code(&self, step: i64) -> String {
        // HMAC takes keys of any length, so this can't fail.
        let mut mac = <Hmac<Sha1> as Mac>::new_from_slice(&self.0).unwrap_or_else(|_| unreachable!());
        mac.update(&step.to_be_bytes());
        let digest = mac.finalize().into_bytes();
        let begin = usize::from(digest[19] & 0x0f);
        let four = [digest[begin] & 0x7f, digest[begin + 1], digest[begin + 2], digest[begin + 3]];
        format!("{:06}", u32::from_be_bytes(four) % 1_000_000)
    }
}

/// The code as somebody typed it, without what people and apps put between the signs.
pub fn typed(code: &str) -> String {
    code.chars().filter(|sign| sign.is_alphanumeric()).flat_map(char::to_uppercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_rfc() -> Secret {
        Secret(b"12345678901234567890".to_vec())
    }

    fn at(secs: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(secs, 0).expect("a time")
    }

    #[test]
    fn the_codes_are_those_of_rfc_6238() {
        // The last six of its eight digits.
        let vectors = [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ];
        for (secs, code) in vectors {
            assert_eq!(of_rfc().code(secs / STEP_SECS), code);
            assert_eq!(of_rfc().step_of(code, at(secs), 0), Some(secs / STEP_SECS));
        }
    }

    #[test]
    fn a_code_counts_one_step_around_and_once() {
        let secret = of_rfc();
        for (secs, counts) in [(-30, true), (59, true), (60, false), (-31, false)] {
            assert_eq!(secret.step_of("005924", at(1_234_567_890 + secs), 0).is_some(), counts, "{secs}");
        }
        let step = secret.step_of("005924", at(1_234_567_890), 0).expect("right");
        assert_eq!(secret.step_of("005924", at(1_234_567_890), step), None);
        assert_eq!(secret.step_of("", at(1_234_567_890), 0), None);
    }

    #[test]
    fn an_app_gets_what_it_needs() {
        let uri = of_rfc().uri("siti+app@example.com");
        assert!(
            uri.starts_with("otpauth://totp/Berth:siti%2Bapp%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Berth"),
            "{uri}"
        );
        assert_eq!(Secret::stored(&of_rfc().base32()), Some(of_rfc()));
        assert_eq!(typed(" ab2-3 x"), "AB23X");
    }
}
