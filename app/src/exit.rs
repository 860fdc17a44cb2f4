//! How a command ends: its exit code, and its last words. The table of codes is in docs/OPERATIONS.md.

use std::process::ExitCode;

use crate::config::{Refusal, Refusals};

/// Something was found that should not be, or could not be done.
const FAILED: u8 = 1;
/// `EX_TEMPFAIL` of sysexits: something is not reachable yet. Starting again later may help.
const NOT_YET: u8 = 75;
/// `EX_CONFIG` of sysexits: a setting, a key or a database is refused. Starting again does not help.
const REFUSED: u8 = 78;

/// Something that a command needs does not answer. Exit code 75.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {problem}")]
pub struct Away {
    /// What does not answer.
    pub what: String,
    /// How it looks from here.
    pub problem: String,
}

/// Says why a command ends, and with which code.
#[expect(clippy::print_stderr, reason = "the last words of a command")]
pub fn report(error: &anyhow::Error) -> ExitCode {
    for line in words(error).lines() {
        eprintln!("berth: {line}");
    }
    ExitCode::from(code(error))
}

fn code(error: &anyhow::Error) -> u8 {
    let refused = |cause: &(dyn std::error::Error + 'static)| cause.is::<Refusal>() || cause.is::<Refusals>();
    if error.chain().any(refused) {
        REFUSED
    } else if error.chain().any(<dyn std::error::Error>::is::<Away>) {
        NOT_YET
    } else {
        FAILED
    }
}

/// A refusal as it is: a line for each problem. Of anything else its causes, none of them twice.
fn words(error: &anyhow::Error) -> String {
    if let Some(refusals) = error.downcast_ref::<Refusals>() {
        return refusals.to_string();
    }
    let mut words = String::new();
    for cause in error.chain().map(ToString::to_string) {
        // Many an error repeats its cause in its own words.
        if !words.contains(&cause) {
            words = if words.is_empty() { cause } else { format!("{words}: {cause}") };
        }
    }
    words.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let cause = std::io::Error::other("the disk is gone");
        let error = anyhow::Error::from(cause).context("the disk is gone").context("opening x");
        assert_eq!(words(&error), "opening x: the disk is gone");
    }

    #[test]
    fn the_code_is_that_of_the_cause() {
        let refusal = || Err::<(), _>(Refusal::new("listen", "taken", "another")).context("opening");
        assert_eq!(code(&refusal().unwrap_err()), REFUSED);
        let away = Err::<(), _>(Away { what: "the database of user".into(), problem: "does not answer".into() });
        assert_eq!(code(&away.context("opening").unwrap_err()), NOT_YET);
        assert_eq!(code(&anyhow::anyhow!("2 of 8 checks failed")), FAILED);
    }
}
