//! Work that a sign-up costs.

use async_graphql::{InputObject, SimpleObject};
use berth_kernel::graphql::{DateTime, in_utc};

use crate::work::{Task, Work};

/// A task that was done. Each counts once.
#[derive(InputObject)]
pub struct SignUpWorkInput {
    /// The challenge that requestSignUpChallenge gave.
    pub challenge: String,
    /// The text of at most 64 characters that was found: SHA-256 of challenge, a colon and this text begins with the wanted zero bits.
    pub nonce: String,
}

impl<'a> From<&'a SignUpWorkInput> for Work<'a> {
    fn from(input: &'a SignUpWorkInput) -> Self {
        Self { challenge: &input.challenge, nonce: &input.nonce }
    }
}

/// A task for signUp. Try one nonce after the other until SHA-256(challenge + ":" + nonce), as UTF-8, begins with `bits` zero bits.
#[derive(SimpleObject)]
pub struct RequestSignUpChallengeSuccess {
    /// Stands before the colon.
    pub challenge: String,
    /// Leading zero bits that are wanted: 2 to the power of bits tries on average. 0: signUp asks for no work.
    pub bits: i32,
    /// Until when the task counts: 10 minutes.
    pub expires_at: DateTime,
}

impl From<Task> for RequestSignUpChallengeSuccess {
    fn from(task: Task) -> Self {
        let bits = i32::try_from(task.bits).unwrap_or(i32::MAX);
        Self { challenge: task.challenge, bits, expires_at: in_utc(task.expires_at) }
    }
}
