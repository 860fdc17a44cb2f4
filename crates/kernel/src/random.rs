//! Randomness from the operating system. The only place that draws it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::{TryRng, rngs::SysRng};

/// `N` bytes. The operating system's generator does not fail once the machine has started; if it
/// does, nothing secret can be made and the process must not go on.
#[expect(clippy::panic, reason = "without randomness no secret can be made")]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if let Err(error) = SysRng.try_fill_bytes(&mut bytes) {
        panic!("the operating system gives no randomness: {error}");
    }
    bytes
}

/// An opaque token of 256 bits, URL-safe, 43 characters.
pub fn token() -> String {
    URL_SAFE_NO_PAD.encode(bytes::<32>())
}

/// A decimal code of six digits, evenly distributed.
pub fn six_digits() -> String {
    loop {
        let draw = u32::from_be_bytes(bytes::<4>());
        if draw < 4_294_000_000 {
            return format!("{:06}", draw % 1_000_000);
        }
    }
}

/// A code people can read aloud: `length` letters and digits without 0, 1, I, L, O, U.
pub fn readable_code(length: usize) -> String {
    const LETTERS: &[u8; 30] = b"23456789ABCDEFGHJKMNPQRSTVWXYZ";
    let mut code = String::with_capacity(length);
    while code.len() < length {
        let draw = usize::from(bytes::<1>()[0]);
        if draw < 240 {
            code.push(char::from(LETTERS[draw % 30]));
        }
    }
    code
}
