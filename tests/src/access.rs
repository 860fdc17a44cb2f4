//! The access matrix: what each kind of caller gets of each root field. `tests/access/matrix.toml` is its data, and says how to add to
//! it; [`graph`] finds what it does not cover, [`cast`] brings the callers and their things, [`ask`] sees what they get.

pub mod ask;
pub mod cast;
pub mod graph;

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use serde::Deserialize;

/// A kind of caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Caller {
    /// Not signed in.
    Anonymous,
    /// Somebody else.
    Stranger,
    /// An organizer.
    OrganizerX,
    /// Another organizer.
    OrganizerY,
    /// An admin.
    Admin,
    /// With an access token that has ended.
    Expired,
    /// With an access token of an ended session.
    Revoked,
    /// With an access token of a suspended account.
    Suspended,
    /// Whose things they are. The last one: what is used up is used up by its owner.
    Owner,
}

impl Caller {
    /// All of them, in the order in which they ask.
    pub const ALL: [Self; 9] = [
        Self::Anonymous,
        Self::Stranger,
        Self::OrganizerX,
        Self::OrganizerY,
        Self::Expired,
        Self::Revoked,
        Self::Suspended,
        Self::Admin,
        Self::Owner,
    ];

    /// The name in the matrix.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Stranger => "stranger",
            Self::OrganizerX => "organizer_x",
            Self::OrganizerY => "organizer_y",
            Self::Admin => "admin",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Suspended => "suspended",
            Self::Owner => "owner",
        }
    }
}

/// One way to ask for one root field.
#[derive(Debug, Clone, Deserialize)]
pub struct Row {
    /// `Query.booking`.
    pub field: String,
    /// Its arguments, with `$things` in them.
    #[serde(default)]
    pub args: String,
    select: Option<String>,
    expect: String,
    allowed: Option<String>,
    /// Asked with a session of its own.
    #[serde(default)]
    pub fresh: bool,
    #[serde(flatten)]
    instead: BTreeMap<String, String>,
}

/// The whole matrix.
#[derive(Debug, Clone, Deserialize)]
pub struct Matrix {
    expect: BTreeMap<String, BTreeMap<String, String>>,
    matrix: Rows,
}

#[derive(Debug, Clone, Deserialize)]
struct Rows {
    rows: Vec<Row>,
}

impl Matrix {
    /// Reads the matrix; an error names what in it means nothing.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let matrix: Self = toml::from_str(text)?;
        let known = |name: &str| name == "default" || Caller::ALL.iter().any(|caller| caller.name() == name);
        for (name, classes) in &matrix.expect {
            for caller in classes.keys() {
                ensure!(known(caller), "[expect.{name}]: there is no caller {caller}");
            }
            ensure!(classes.contains_key("default"), "[expect.{name}] has no default");
        }
        for row in matrix.rows() {
            ensure!(matrix.expect.contains_key(&row.expect), "{}: there is no [expect.{}]", row.field, row.expect);
            for caller in row.instead.keys() {
                ensure!(caller != "default" && known(caller), "{}: {caller} is no caller and no word of a row", row.field);
            }
        }
        Ok(matrix)
    }

    /// Its rows.
    pub fn rows(&self) -> &[Row] {
        &self.matrix.rows
    }

    /// The matrix without the rows of a field.
    #[must_use]
    pub fn without(mut self, field: &str) -> Self {
        self.matrix.rows.retain(|row| row.field != field);
        self
    }

    /// The matrix with only the rows that give this `$thing`.
    #[must_use]
    pub fn about(mut self, thing: &str) -> Self {
        self.matrix.rows.retain(|row| {
            row.args.split(|letter: char| letter != '$' && letter != '_' && !letter.is_alphanumeric()).any(|word| word == thing)
        });
        self
    }

    /// What a caller gets of a row.
    pub fn expected<'m>(&'m self, row: &'m Row, caller: Caller) -> anyhow::Result<&'m str> {
        if let Some(class) = row.instead.get(caller.name()) {
            return Ok(class);
        }
        let classes = self.expect.get(&row.expect).context("an unknown expectation")?;
        let class = classes.get(caller.name()).or_else(|| classes.get("default")).context("no default")?;
        Ok(row.allowed.as_ref().filter(|_| class == "ALLOWED").unwrap_or(class))
    }
}

impl Row {
    /// Whether it may change something for the rows after it.
    pub fn changes(&self) -> bool {
        self.parts().0 == "Mutation"
    }

    /// Root type and name of the field.
    pub fn parts(&self) -> (&str, &str) {
        self.field.split_once('.').unwrap_or(("Query", &self.field))
    }

    /// The document to send, with the things put in.
    pub fn document(&self, things: impl Fn(&str) -> String) -> String {
        let (root, name) = self.parts();
        let select = self.select.as_deref().unwrap_or(match root {
            "Mutation" => "__typename ... on UserError { code }",
            _ => "id",
        });
        let arguments = if self.args.is_empty() { String::new() } else { format!("({})", filled(&self.args, things)) };
        format!("{} {{ {name}{arguments} {{ {select} }} }}", root.to_lowercase())
    }
}

/// A text with every `$thing` replaced by its value as a string of GraphQL.
fn filled(text: &str, things: impl Fn(&str) -> String) -> String {
    let mut pieces = text.split('$');
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(piece.len());
        filled.push_str(&serde_json::Value::from(things(&piece[..end])).to_string());
        filled.push_str(&piece[end..]);
    }
    filled
}
