//! Whether a process has the `data.key` with which its database was sealed. One row of each database holds a known text, sealed:
//! a key that does not open it would seal new data so that nobody else can read it, and read nothing of what is there.

use sea_orm::{ConnectionTrait, DbErr};

use crate::{
    db::{Db, Tx, exclusive, sql},
    seal::Sealer,
};

/// What is sealed. It is no secret: the key is.
const TEXT: &str = "berth-key-canary-1";

/// A column with sealed texts, by its table.
pub type Sealed = (&'static str, &'static str);

/// What a look at the canary found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canary {
    /// The key opens it.
    Opens,
    /// Another key sealed it.
    OtherKey,
    /// There is none yet.
    Absent,
}

/// Looks, and changes nothing. `Absent` too where the table is not there yet.
pub async fn look(db: &Db, sealer: &Sealer) -> Result<Canary, DbErr> {
    if !db.has_table("key_canary").await? {
        return Ok(Canary::Absent);
    }
    Ok(find(db.read()).await?.map_or(Canary::Absent, |sealed| judge(sealer, &sealed)))
}

/// Looks, and sets a canary where there is none, unless the key does not open what these columns hold already. Any number of
/// processes may do so at once: the first one's canary is that of all.
pub async fn settle(db: &Db, sealer: &Sealer, columns: &'static [Sealed]) -> Result<Canary, DbErr> {
    match look(db, sealer).await? {
        Canary::Absent => {}
        known => return Ok(known),
    }
    let sealer = sealer.clone();
    db.write(move |tx| {
        Box::pin(async move {
            exclusive(tx, "key_canary").await?;
            if let Some(sealed) = find(tx).await? {
                return Ok(judge(&sealer, &sealed));
            }
            for column in columns {
                if sample(tx, *column).await?.is_some_and(|sealed| sealer.open(&sealed).is_err()) {
                    return Ok(Canary::OtherKey);
                }
            }
            put(tx, &sealer).await?;
            Ok(Canary::Opens)
        })
    })
    .await
}

/// Sets a canary in place of another: what was sealed with another key is given up.
pub async fn replace(db: &Db, sealer: &Sealer) -> Result<(), DbErr> {
    let sealer = sealer.clone();
    db.write(move |tx| {
        Box::pin(async move {
            exclusive(tx, "key_canary").await?;
            tx.execute_unprepared("DELETE FROM key_canary").await?;
            put(tx, &sealer).await
        })
    })
    .await
}

fn judge(sealer: &Sealer, sealed: &str) -> Canary {
    if sealer.open(sealed).is_ok_and(|text| text == TEXT) { Canary::Opens } else { Canary::OtherKey }
}

async fn find(connection: &impl ConnectionTrait) -> Result<Option<String>, DbErr> {
    let row = connection.query_one_raw(sql(connection, "SELECT sealed FROM key_canary WHERE id = 1", [])).await?;
    row.map(|row| row.try_get("", "sealed")).transpose()
}

async fn put(tx: &Tx, sealer: &Sealer) -> Result<(), DbErr> {
    let text = "INSERT INTO key_canary (id, sealed) VALUES (1, $1)";
    tx.execute_raw(sql(tx, text, [sealer.seal(TEXT).into()])).await.map(|_| ())
}

/// Something that was sealed before there were canaries.
async fn sample(tx: &Tx, (table, column): Sealed) -> Result<Option<String>, DbErr> {
    let text = format!("SELECT {column} AS sealed FROM {table} WHERE {column} <> '' LIMIT 1");
    let row = tx.query_one_raw(sql(tx, &text, [])).await?;
    row.map(|row| row.try_get("", "sealed")).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEALED: &[Sealed] = &[("passenger", "number_sealed")];

    async fn database(folder: &tempfile::TempDir, tables: &str) -> Db {
        let db = Db::open_sqlite(&folder.path().join("user.sqlite")).await.expect("opens");
        db.read().execute_unprepared(tables).await.expect("tables");
        db
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_many_who_come_at_once_one_key_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let tables =
            "CREATE TABLE key_canary (id INTEGER PRIMARY KEY, sealed TEXT NOT NULL); CREATE TABLE passenger (number_sealed TEXT)";
        let first = database(&folder, tables).await;
        assert_eq!(look(&first, &Sealer::new([0; 32])).await, Ok(Canary::Absent));
        let come = (0..8_u8).map(|number| {
            let path = folder.path().join("user.sqlite");
            tokio::spawn(async move {
                let db = Db::open_sqlite(&path).await.expect("opens");
                settle(&db, &Sealer::new([number; 32]), SEALED).await.expect("settles")
            })
        });
        let mut opens = 0;
        for found in futures_util::future::join_all(come).await {
            opens += usize::from(found.expect("no panic") == Canary::Opens);
        }
        assert_eq!(opens, 1);
        replace(&first, &Sealer::new([9; 32])).await.expect("replaces");
        assert_eq!(look(&first, &Sealer::new([9; 32])).await, Ok(Canary::Opens));
    }

    #[tokio::test]
    async fn what_was_sealed_before_counts_where_there_is_no_canary() {
        let folder = tempfile::tempdir().expect("a folder");
        let old = Sealer::new([1; 32]);
        let rows = format!("INSERT INTO passenger VALUES (''), ('{}')", old.seal("A1"));
        let tables =
            "CREATE TABLE key_canary (id INTEGER PRIMARY KEY, sealed TEXT NOT NULL); CREATE TABLE passenger (number_sealed TEXT)";
        let db = database(&folder, &format!("{tables}; {rows}")).await;
        assert_eq!(settle(&db, &Sealer::new([2; 32]), SEALED).await, Ok(Canary::OtherKey));
        assert_eq!(look(&db, &old).await, Ok(Canary::Absent));
        assert_eq!(settle(&db, &old, SEALED).await, Ok(Canary::Opens));
    }
}
