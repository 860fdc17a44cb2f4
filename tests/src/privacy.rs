//! The map of personal data (docs/privacy.toml), and a search through every column of every database.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::Path,
};

use anyhow::{Context, bail, ensure};
use sea_orm::{ConnectionTrait, DatabaseBackend, DatabaseConnection, Statement};

use crate::world::Berth;

/// The databases: the services, and the sandbox provider beside payment.
const DATABASES: [&str; 5] = ["user", "inventory", "booking", "payment", "sandbox"];
/// Where the generated part of docs/PRIVACY.md begins.
pub const BEGIN: &str = "<!-- generated from privacy.toml: begin -->\n";
/// Where it ends.
pub const END: &str = "<!-- generated from privacy.toml: end -->\n";

/// A column: database, table, name.
pub type Column = (String, String, String);
/// The distinct texts of every column.
pub type Cells = BTreeMap<Column, BTreeSet<String>>;

/// What the map says of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Class {
    /// Nothing about anybody.
    Nothing,
    /// A key that stands for somebody and names nobody.
    Key,
    /// A fact about somebody.
    Personal(Fact),
}

/// A fact about somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What it is.
    pub what: String,
    /// What it is needed for.
    pub why: String,
    /// How long it is kept.
    pub kept: String,
    /// `clear`, `sealed` (encrypted) or `hashed`.
    pub at_rest: String,
    /// Whether an export shows it.
    pub exported: bool,
    /// `erased`, `replaced`, or `kept: why`.
    pub deletion: String,
}

impl Fact {
    /// Whether it may be there after its person has left.
    pub fn outlives(&self) -> bool {
        self.deletion.starts_with("kept: ")
    }
}

/// The map.
pub struct Map(pub BTreeMap<Column, Class>);

impl Map {
    /// Reads docs/privacy.toml.
    pub fn read() -> anyhow::Result<Self> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/privacy.toml");
        Self::parse(&std::fs::read_to_string(file)?)
    }

    /// Reads the text of a map.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let databases: toml::Table = text.parse()?;
        let mut map = BTreeMap::new();
        for (database, tables) in &databases {
            for (table, columns) in tables.as_table().with_context(|| format!("{database} is no table"))? {
                for (name, class) in columns.as_table().with_context(|| format!("{database}.{table} is no table"))? {
                    let class = class_of(class).with_context(|| format!("{database}.{table}.{name}"))?;
                    map.insert((database.clone(), table.clone(), name.clone()), class);
                }
            }
        }
        Ok(Self(map))
    }

    /// Facts about people, as the rows of a page.
    pub fn page(&self) -> String {
        let mut page = String::from(BEGIN);
        page += "\n| where | what | why | how long | at rest | in the export | when the account is deleted |\n";
        page += "| --- | --- | --- | --- | --- | --- | --- |\n";
        for ((database, table, name), class) in &self.0 {
            let Class::Personal(fact) = class else { continue };
            let Fact { what, why, kept, at_rest, exported, deletion } = fact;
            let exported = if *exported { "yes" } else { "no" };
            let _ =
                writeln!(page, "| {database} `{table}.{name}` | {what} | {why} | {kept} | {at_rest} | {exported} | {deletion} |");
        }
        page += "\nKeys that stand for a person, and name nobody once the account is gone:\n\n";
        let keys = self.0.iter().filter(|(_, class)| **class == Class::Key);
        let keys = keys.map(|((database, table, name), _)| format!("{database} `{table}.{name}`")).collect::<Vec<_>>();
        page + &keys.join(", ") + ".\n\n" + END
    }

    /// Columns that exist and are not in the map, and the other way round.
    pub fn differences(&self, cells: &Cells) -> Vec<String> {
        let unknown = cells.keys().filter(|column| !self.0.contains_key(*column));
        let gone = self.0.keys().filter(|column| !cells.contains_key(*column));
        let name = |(database, table, name): &Column| format!("{database}.{table}.{name}");
        unknown
            .map(|column| format!("{} is not in docs/privacy.toml", name(column)))
            .chain(gone.map(|column| format!("{} is in docs/privacy.toml, but nowhere else", name(column))))
            .collect()
    }

    /// Where marks of a person are that the map does not allow there: outside of personal columns at any time, and after
    /// the person has `left` in any column that is not kept.
    pub fn marks(&self, cells: &Cells, marks: &[&str], left: bool) -> Vec<String> {
        let allowed = |column: &Column| match self.0.get(column) {
            Some(Class::Personal(fact)) => !left || fact.outlives(),
            _ => false,
        };
        let mut found = Vec::new();
        for (column, texts) in cells.iter().filter(|(column, _)| !allowed(column)) {
            for mark in marks.iter().filter(|mark| texts.iter().any(|text| text.contains(**mark))) {
                let (database, table, name) = column;
                found.push(format!("{mark} is in {database}.{table}.{name}"));
            }
        }
        found
    }

    /// Texts that came with a person and are still there, in columns that the map says are emptied: also sealed and hashed ones,
    /// in which no mark can be read.
    pub fn remains(&self, before: &Cells, during: &Cells, after: &Cells) -> Vec<String> {
        let none = BTreeSet::new();
        let mut found = Vec::new();
        for (column, class) in &self.0 {
            if !matches!(class, Class::Personal(fact) if !fact.outlives()) {
                continue;
            }
            let [before, during, after] = [before, during, after].map(|cells| cells.get(column).unwrap_or(&none));
            let theirs = during.difference(before).filter(|text| !text.is_empty() && after.contains(*text));
            let (database, table, name) = column;
            found.extend(theirs.map(|text| format!("{text} is still in {database}.{table}.{name}")));
        }
        found
    }
}

fn class_of(value: &toml::Value) -> anyhow::Result<Class> {
    match value {
        toml::Value::String(word) if word == "none" => Ok(Class::Nothing),
        toml::Value::String(word) if word == "key" => Ok(Class::Key),
        toml::Value::Table(fact) => {
            let text = |name: &str| {
                let text = fact.get(name).and_then(toml::Value::as_str).filter(|text| !text.is_empty());
                text.map(str::to_owned).with_context(|| format!("{name} is missing"))
            };
            let exported = fact.get("exported").and_then(toml::Value::as_bool).context("exported is missing")?;
            let [what, why, kept] = [text("what")?, text("why")?, text("kept")?];
            let [at_rest, deletion] = [text("at_rest")?, text("deletion")?];
            ensure!(["clear", "sealed", "hashed"].contains(&at_rest.as_str()), "at_rest is {at_rest}");
            let known = ["erased", "replaced"].contains(&deletion.as_str()) || deletion.starts_with("kept: ");
            ensure!(known, "deletion is {deletion}");
            Ok(Class::Personal(Fact { what, why, kept, at_rest, exported, deletion }))
        }
        other => bail!("{other} is no class"),
    }
}

/// Reads every column of every database.
pub async fn search(berth: &Berth) -> anyhow::Result<Cells> {
    let mut cells = Cells::new();
    for database in DATABASES {
        let store = berth.store(database).await.with_context(|| format!("the database of {database}"))?;
        for (table, column) in columns(&store).await? {
            let texts = texts(&store, &table, &column).await.with_context(|| format!("{database}.{table}.{column}"))?;
            cells.insert((database.to_owned(), table, column), texts);
        }
        store.close().await?;
    }
    Ok(cells)
}

async fn columns(store: &DatabaseConnection) -> anyhow::Result<Vec<(String, String)>> {
    let text = match store.get_database_backend() {
        DatabaseBackend::Postgres => {
            "SELECT CAST(table_name AS TEXT) AS t, CAST(column_name AS TEXT) AS c FROM information_schema.columns \
             WHERE table_schema = current_schema()"
        }
        _ => {
            "SELECT m.name AS t, p.name AS c FROM sqlite_master m JOIN pragma_table_info(m.name) p \
             WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'"
        }
    };
    let rows = store.query_all_raw(Statement::from_string(store.get_database_backend(), text)).await?;
    ensure!(!rows.is_empty(), "a database without tables");
    rows.iter().map(|row| Ok((row.try_get("", "t")?, row.try_get("", "c")?))).collect()
}

async fn texts(store: &DatabaseConnection, table: &str, column: &str) -> anyhow::Result<BTreeSet<String>> {
    let text = match store.get_database_backend() {
        DatabaseBackend::Postgres => format!("CAST(\"{column}\" AS TEXT)"),
        _ => format!("CASE WHEN typeof(\"{column}\") = 'blob' THEN hex(\"{column}\") ELSE CAST(\"{column}\" AS TEXT) END"),
    };
    let text = format!("SELECT DISTINCT {text} AS cell FROM \"{table}\" WHERE \"{column}\" IS NOT NULL");
    let rows = store.query_all_raw(Statement::from_string(store.get_database_backend(), text)).await?;
    rows.iter().map(|row| Ok(row.try_get("", "cell")?)).collect()
}
