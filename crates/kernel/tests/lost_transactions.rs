//! SQLite can end a transaction by itself. What was told to be kept is on disk all the same, what was refused is not, and the
//! database goes on.
#![allow(clippy::unwrap_used, clippy::panic, clippy::manual_assert, reason = "a test may stop at the first surprise")]

use std::{path::Path, time::Duration};

use berth_kernel::db::{Db, Tx, sql};
use futures_util::future::join_all;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DbErr, TransactionTrait};
use tokio::{sync::oneshot, time};

const TABLE: &str = "CREATE TABLE t (n INTEGER PRIMARY KEY, filler BLOB)";

async fn world() -> (tempfile::TempDir, Db) {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open_sqlite(&file(dir.path())).await.unwrap();
    db.write(|tx| Box::pin(async move { tx.execute_unprepared(TABLE).await.map(|_| ()) })).await.unwrap();
    (dir, db)
}

fn file(folder: &Path) -> std::path::PathBuf {
    folder.join("t.sqlite")
}

async fn put(tx: &Tx, n: i64) -> Result<(), DbErr> {
    tx.execute_raw(sql(tx, "INSERT INTO t (n) VALUES ($1)", [n.into()])).await.map(|_| ())
}

async fn insert(db: &Db, n: i64) -> Result<(), DbErr> {
    db.write(move |tx| Box::pin(async move { put(tx, n).await })).await
}

/// A write that refuses itself, as most of them do under load: undone, it must not leave a transaction open for the next ones.
async fn refused(db: &Db) {
    let refusal = db.write(|tx| {
        Box::pin(async move {
            put(tx, 500).await?;
            Err::<(), _>(DbErr::Custom("refused".to_owned()))
        })
    });
    assert!(refusal.await.is_err());
}

/// What is on disk: asked by somebody else.
async fn rows(folder: &Path) -> Vec<i64> {
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode=ro", file(folder).display()));
    options.max_connections(1).sqlx_logging(false);
    let other = Database::connect(options).await.unwrap();
    let rows = other.query_all_raw(sql(&other, "SELECT n FROM t ORDER BY n", [])).await.unwrap();
    other.close().await.unwrap();
    rows.iter().map(|row| row.try_get::<i64>("", "n").unwrap()).collect()
}

/// Fills all the pages that this connection may have: SQLite answers "full".
async fn fill(tx: &Tx) -> Result<(), DbErr> {
    tx.execute_unprepared("PRAGMA max_page_count = 8").await?;
    for n in 1000..1100 {
        tx.execute_raw(sql(tx, "INSERT INTO t (n, filler) VALUES ($1, zeroblob(5000))", [i64::from(n).into()])).await?;
    }
    panic!("the database has no end");
}

/// Has SQLite end the transaction by itself, as it does on an I/O error, or when its log finds no room.
async fn end(tx: &Tx) -> Result<(), DbErr> {
    for _ in 0..2 {
        tx.execute_unprepared("INSERT OR ROLLBACK INTO t (n) VALUES (1000)").await?;
    }
    panic!("SQLite keeps a key twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_lost_transaction_every_acknowledged_write_is_on_disk() {
    let (dir, db) = world().await;
    assert!(db.write(|tx| Box::pin(async move { end(tx).await })).await.is_err());
    for n in 0..20 {
        refused(&db).await;
        insert(&db, n).await.unwrap();
    }
    assert_eq!(rows(dir.path()).await, (0..20).collect::<Vec<_>>());
    assert_eq!(db.problem(), None, "a small write has succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_full_disk_every_acknowledged_write_is_on_disk() {
    let (dir, db) = world().await;
    let full = db.write(|tx| Box::pin(async move { fill(tx).await })).await.unwrap_err();
    assert!(full.to_string().contains("full"), "{full}");
    for n in 0..20 {
        refused(&db).await;
        insert(&db, n).await.unwrap();
    }
    assert_eq!(rows(dir.path()).await, (0..20).collect::<Vec<_>>());
    assert_eq!(db.problem(), None, "a small write has succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_a_write_passes_over_loses_nothing_in_silence() {
    let (dir, db) = world().await;
    let blind = db.write(|tx| {
        Box::pin(async move {
            put(tx, 1).await?;
            let _passed_over = end(tx).await;
            // SQLite would keep these two, each for itself, and not the first.
            let _refused = put(tx, 2).await;
            let nested = tx.begin().await?;
            let _refused = put(&nested, 3).await;
            nested.rollback().await?;
            Ok::<(), DbErr>(())
        })
    });
    assert!(blind.await.is_err());
    insert(&db, 4).await.unwrap();
    assert_eq!(rows(dir.path()).await, [4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_can_not_end_the_transaction_of_its_neighbours() {
    let (dir, db) = world().await;
    for end in ["ROLLBACK", "COMMIT"] {
        let ended = db.write(move |tx| {
            Box::pin(async move {
                put(tx, 1).await?;
                tx.execute_unprepared(end).await.map(|_| ())
            })
        });
        assert!(ended.await.is_err(), "{end}");
    }
    insert(&db, 2).await.unwrap();
    assert_eq!(rows(dir.path()).await, [2]);
}

/// Writes `jobs` of them in one transaction: they wait while the writer is held up.
async fn together<T>(db: &Db, jobs: Vec<impl Future<Output = T>>) -> Vec<T> {
    let (go, wait) = oneshot::channel::<()>();
    let held = db.clone();
    let holding = tokio::spawn(async move {
        let hold = held.write(|_| {
            Box::pin(async move {
                let _ = wait.await;
                Ok::<(), DbErr>(())
            })
        });
        hold.await
    });
    time::sleep(Duration::from_millis(50)).await;
    let let_go = async {
        time::sleep(Duration::from_millis(50)).await;
        go.send(()).unwrap();
    };
    let (done, ()) = tokio::join!(join_all(jobs), let_go);
    holding.await.unwrap().unwrap();
    done
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Insert(i64),
    /// Refuses itself when a row is there already.
    Unless(i64),
    End,
    Panic(i64),
}

async fn step(db: Db, step: Step) -> Result<(), DbErr> {
    db.write(move |tx| {
        Box::pin(async move {
            match step {
                Step::Insert(n) => put(tx, n).await,
                Step::Unless(n) => {
                    let row = tx.query_one_raw(sql(tx, "SELECT 1 FROM t WHERE n = $1", [n.into()])).await?;
                    row.map_or(Ok(()), |_| Err(DbErr::Custom("taken".to_owned())))
                }
                Step::End => end(tx).await,
                Step::Panic(n) => {
                    put(tx, n).await?;
                    let nested = tx.begin().await?;
                    put(&nested, n + 1).await?;
                    panic!("a bug");
                }
            }
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_in_a_lost_transaction_is_told_anything_that_is_not_so() {
    let (dir, db) = world().await;
    let steps = [Step::Insert(1), Step::Unless(1), Step::Insert(2), Step::End, Step::Insert(3)];
    let ends = together(&db, steps.map(|one| step(db.clone(), one)).into()).await;
    let kept = rows(dir.path()).await;
    for (end, one) in ends.iter().zip(steps) {
        match one {
            Step::Insert(n) => assert_eq!(end.is_ok(), kept.contains(&n), "{one:?}: {end:?}, on disk: {kept:?}"),
            // It saw what its neighbour wrote, and that is gone.
            Step::Unless(_) => assert_ne!(end.as_ref().unwrap_err(), &DbErr::Custom("taken".to_owned())),
            _ => assert!(end.is_err()),
        }
    }
    refused(&db).await;
    insert(&db, 4).await.unwrap();
    assert!(rows(dir.path()).await.contains(&4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_batch_undoes_itself_alone() {
    let (dir, db) = world().await;
    let steps = [Step::Insert(1), Step::Panic(10), Step::Insert(2)];
    let ends = together(&db, steps.map(|one| step(db.clone(), one)).into()).await;
    assert!(ends[0].is_ok() && ends[1].is_err() && ends[2].is_ok(), "{ends:?}");
    insert(&db, 3).await.unwrap();
    assert_eq!(rows(dir.path()).await, [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_fails_keeps_nothing_and_harms_nobody() {
    let (dir, db) = world().await;
    let child = "CREATE TABLE child (n INTEGER REFERENCES t (n) DEFERRABLE INITIALLY DEFERRED)";
    db.write(move |tx| Box::pin(async move { tx.execute_unprepared(child).await.map(|_| ()) })).await.unwrap();
    let orphan = db.write(|tx| {
        Box::pin(async move {
            put(tx, 1).await?;
            tx.execute_unprepared("INSERT INTO child VALUES (99)").await.map(|_| ())
        })
    });
    assert!(orphan.await.is_err());
    insert(&db, 2).await.unwrap();
    assert_eq!(rows(dir.path()).await, [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_database_refuses_in_time_and_heals_by_itself() {
    let (dir, db) = world().await;
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rw", file(dir.path()).display()));
    options.max_connections(1).sqlx_logging(false);
    let other = Database::connect(options).await.unwrap();
    let lock = other.begin().await.unwrap();
    lock.execute_unprepared("INSERT INTO t (n) VALUES (1)").await.unwrap();

    let first = time::timeout(Duration::from_secs(8), insert(&db, 2)).await.unwrap();
    assert!(first.is_err());
    // Whoever comes after it does not wait as long.
    let second = time::timeout(Duration::from_secs(2), insert(&db, 3)).await.unwrap();
    assert!(second.is_err());
    assert!(db.problem().unwrap().contains("locked"), "{:?}", db.problem());

    lock.commit().await.unwrap();
    let healed = async {
        while db.problem().is_some() {
            time::sleep(Duration::from_millis(20)).await;
        }
    };
    time::timeout(Duration::from_secs(8), healed).await.unwrap();
    insert(&db, 4).await.unwrap();
    assert_eq!(rows(dir.path()).await, [1, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_gone_is_not_made_anew() {
    let (dir, db) = world().await;
    std::fs::remove_file(file(dir.path())).unwrap();
    let full = db.write(|tx| Box::pin(async move { fill(tx).await })).await;
    assert!(full.is_err());
    assert!(insert(&db, 1).await.is_err());
    assert!(db.problem().is_some());
    assert!(!file(dir.path()).exists());
}

/// A reader whose transaction SQLite ended must not go on in one that never ends: it would read the past for good.
#[tokio::test(flavor = "multi_thread")]
async fn readers_see_what_is_written_after_their_snapshot_broke() {
    let (_dir, db) = world().await;
    for _ in 0..8 {
        let snapshot = db.snapshot().await.unwrap();
        snapshot.execute_unprepared("ROLLBACK").await.unwrap();
    }
    let count = |tx: Tx| async move {
        let row = tx.query_one_raw(sql(&tx, "SELECT COUNT(*) AS rows FROM t", [])).await.unwrap().unwrap();
        row.try_get::<i64>("", "rows").unwrap()
    };
    for n in 1..6 {
        insert(&db, n).await.unwrap();
        let mut snapshots = Vec::new();
        for _ in 0..4 {
            snapshots.push(db.snapshot().await.unwrap());
        }
        assert_eq!(join_all(snapshots.into_iter().map(count)).await, [n; 4]);
    }
}
