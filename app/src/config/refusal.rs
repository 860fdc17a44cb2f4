//! Why a process does not start, said so that whoever reads it knows what to change.

use std::fmt;

/// A reason not to start: which key, what is wrong, and what would be right. Exit code 78 (`EX_CONFIG`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem} (example: {example})")]
pub struct Refusal {
    /// The key or thing.
    pub key: String,
    /// What is wrong with it.
    pub problem: String,
    /// What would be right.
    pub example: String,
}

impl Refusal {
    /// A refusal from its three parts.
    pub fn new(key: &str, problem: impl fmt::Display, example: &str) -> Self {
        Self { key: key.to_owned(), problem: format!("{problem}"), example: example.to_owned() }
    }
}

/// Everything that is wrong, found in one go: a line each.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub struct Refusals(Vec<Refusal>);

impl Refusals {
    /// Notes one more.
    pub fn add(&mut self, refusal: Refusal) {
        if !self.0.contains(&refusal) {
            self.0.push(refusal);
        }
    }

    /// Notes one more, unless this holds.
    pub fn unless(&mut self, holds: bool, key: &str, problem: impl fmt::Display, example: &str) {
        if !holds {
            self.add(Refusal::new(key, problem, example));
        }
    }

    /// The value, or one more note.
    pub fn take<T>(&mut self, found: Result<T, Refusal>) -> Option<T> {
        found.map_err(|refusal| self.add(refusal)).ok()
    }

    /// All of them.
    pub fn list(&self) -> &[Refusal] {
        &self.0
    }

    /// An error, if there is anything.
    pub fn end(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}
