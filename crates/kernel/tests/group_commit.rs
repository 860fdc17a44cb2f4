//! Writes share a transaction, and each stands or falls alone.
#![allow(clippy::unwrap_used, clippy::panic, clippy::manual_assert, reason = "a test may stop at the first surprise")]

use berth_kernel::db::{Db, sql};
use sea_orm::{ConnectionTrait, DbErr};

async fn world() -> (tempfile::TempDir, Db) {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open_sqlite(&dir.path().join("t.sqlite")).await.unwrap();
    db.write(|tx| Box::pin(async move { tx.execute_unprepared("CREATE TABLE t (n INTEGER PRIMARY KEY)").await.map(|_| ()) }))
        .await
        .unwrap();
    (dir, db)
}

async fn insert(db: &Db, n: i64, fail: bool) -> Result<(), DbErr> {
    db.write(move |tx| {
        Box::pin(async move {
            tx.execute_raw(sql(tx, "INSERT INTO t (n) VALUES ($1)", [n.into()])).await?;
            if fail { Err(DbErr::Custom("refused".to_owned())) } else { Ok(()) }
        })
    })
    .await
}

async fn rows(db: &Db) -> Vec<i64> {
    let rows = db.read().query_all_raw(sql(db.read(), "SELECT n FROM t ORDER BY n", [])).await.unwrap();
    rows.iter().map(|row| row.try_get::<i64>("", "n").unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_write_leaves_its_neighbours_alone() {
    let (_dir, db) = world().await;
    let writes = (0..500).map(|n| {
        let db = db.clone();
        tokio::spawn(async move { insert(&db, n, n % 3 == 0).await.is_ok() })
    });
    let mut kept = 0;
    for (n, write) in writes.enumerate() {
        let ok = write.await.unwrap();
        assert_eq!(ok, n % 3 != 0, "write {n}");
        kept += usize::from(ok);
    }
    let rows = rows(&db).await;
    assert_eq!(rows.len(), kept);
    assert!(rows.iter().all(|n| n % 3 != 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_statement_or_a_panic_harms_nobody_else() {
    let (_dir, db) = world().await;
    insert(&db, 1, false).await.unwrap();
    let twice = insert(&db, 1, false).await;
    assert!(twice.is_err(), "the key is taken");
    let panicked = db
        .write(|tx| {
            Box::pin(async move {
                tx.execute_unprepared("INSERT INTO t (n) VALUES (2)").await?;
                if true {
                    panic!("a bug");
                }
                Ok::<(), DbErr>(())
            })
        })
        .await;
    assert!(panicked.is_err());
    insert(&db, 3, false).await.unwrap();
    assert_eq!(rows(&db).await, [1, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_does_not_stop_its_write() {
    let (_dir, db) = world().await;
    let gone = tokio::time::timeout(std::time::Duration::ZERO, insert(&db, 7, false)).await;
    insert(&db, 8, false).await.unwrap();
    let rows = rows(&db).await;
    assert!(rows == [7, 8] || (gone.is_err() && rows == [8]), "{rows:?}");
}
