//! PostgreSQL: a connection that comes back from a write that failed, in whatever way, is in no transaction.

use berth_kernel::db::{Db, Tx, sql};
use sea_orm::{ConnectionTrait, DbErr, TransactionTrait};

use crate::world::fresh;

/// With one connection, which every write has to share. `None`, said aloud, where there is no PostgreSQL.
async fn one_connection() -> Option<Db> {
    let Ok(url) = std::env::var("BERTH_TEST_POSTGRES_URL") else {
        eprintln!("skipped: BERTH_TEST_POSTGRES_URL names no PostgreSQL");
        return None;
    };
    let db = Db::open_postgres(&url, &format!("tx_{}", fresh().simple()), 1).await.unwrap();
    let tables = "CREATE TABLE t (n BIGINT PRIMARY KEY); \
                  CREATE TABLE child (n BIGINT REFERENCES t (n) DEFERRABLE INITIALLY DEFERRED)";
    db.write(move |tx| Box::pin(async move { tx.execute_unprepared(tables).await.map(|_| ()) })).await.unwrap();
    Some(db)
}

async fn put(tx: &Tx, n: i64) -> Result<(), DbErr> {
    tx.execute_raw(sql(tx, "INSERT INTO t (n) VALUES ($1)", [n.into()])).await.map(|_| ())
}

/// Writes a row, and asks in another transaction what is there.
async fn rows_after(db: &Db, n: i64) -> Vec<i64> {
    db.write(move |tx| Box::pin(async move { put(tx, n).await })).await.unwrap();
    let rows = db.read().query_all_raw(sql(db.read(), "SELECT n FROM t ORDER BY n", [])).await.unwrap();
    rows.iter().map(|row| row.try_get::<i64>("", "n").unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_commit_and_a_panic_leave_the_connection_as_it_was() {
    let Some(db) = one_connection().await else { return };
    let orphan = db.write(|tx| {
        Box::pin(async move {
            put(tx, 1).await?;
            tx.execute_unprepared("INSERT INTO child VALUES (99)").await.map(|_| ())
        })
    });
    assert!(orphan.await.is_err());
    assert_eq!(rows_after(&db, 2).await, [2]);
    let panicked = db.write(|tx| {
        Box::pin(async move {
            put(tx, 3).await?;
            let nested = tx.begin().await?;
            put(&nested, 4).await?;
            let answer = nested.query_one_raw(sql(&nested, "SELECT 1", [])).await?;
            assert!(answer.is_none(), "a bug");
            Ok::<(), DbErr>(())
        })
    });
    assert!(panicked.await.is_err());
    assert_eq!(rows_after(&db, 5).await, [2, 5]);
    // The server ends the session in the middle.
    let ended = db.write(|tx| {
        Box::pin(async move {
            put(tx, 6).await?;
            tx.execute_unprepared("SELECT pg_terminate_backend(pg_backend_pid())").await.map(|_| ())
        })
    });
    assert!(ended.await.is_err());
    assert_eq!(rows_after(&db, 7).await, [2, 5, 7]);
}

/// PostgreSQL answers a COMMIT of a transaction in which a statement failed with a rollback, and calls that a success.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_a_write_passes_over_is_not_acknowledged() {
    let Some(db) = one_connection().await else { return };
    let blind = db.write(|tx| {
        Box::pin(async move {
            put(tx, 1).await?;
            let _passed_over = put(tx, 1).await;
            Ok::<(), DbErr>(())
        })
    });
    assert!(blind.await.is_err());
    assert_eq!(rows_after(&db, 2).await, [2]);
}
