//! `berth audit`: silent over what an honest history leaves behind, loud over each corruption made by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::process::Output;

use anyhow::{Context, ensure};
use berth_tests::{
    arrears::World,
    person::Person,
    process::{Berth, data_dir, run},
    timetable,
};
use sea_orm::{ConnectionTrait, Database};
use serde_json::Value;
use tempfile::TempDir;

/// Each corruption: the database, what is done to it, and a word of the check that must see it.
const CORRUPTIONS: [(&str, &str, &str); 18] = [
    ("inventory", "DELETE FROM seat_claim WHERE state = 1", "has its seat"),
    ("inventory", "DELETE FROM seat_claim WHERE state = 1", "seats and holds agree"),
    ("inventory", "UPDATE seat_claim SET booking_id = hold_id WHERE state = 1", "belongs to a booking"),
    ("inventory", "UPDATE hold SET status = 2 WHERE status = 1", "seats and holds agree"),
    ("inventory", "DELETE FROM hold", "repeated requests"),
    ("booking", "UPDATE booking SET state = 'REFUNDED' WHERE state = 'CONFIRMED'", "belongs to a booking"),
    ("booking", "UPDATE booking SET state = 'REFUNDED' WHERE state = 'CONFIRMED'", "others have none"),
    // Money that came a moment ago is nobody's concern yet, so it is made old first.
    (
        "payment",
        "UPDATE payment SET paid_at_ms = 0; UPDATE payment SET booking_id = id WHERE status = 'PAID'",
        "in tickets or went back",
    ),
    ("booking", "DELETE FROM ticket", "others have none"),
    ("booking", "UPDATE ticket SET place = (SELECT place FROM ticket ORDER BY number LIMIT 1)", "on one valid ticket"),
    ("booking", "UPDATE booking SET state = 'CONFIRMING', state_since_ms = 0 WHERE state = 'CONFIRMED'", "unfinished"),
    ("booking", "UPDATE booking SET attention = 1 WHERE state = 'CONFIRMED'", "needs attention"),
    ("booking", "UPDATE booking SET user_id = id", "know each other"),
    ("payment", "DELETE FROM ledger_entry WHERE account = 'at_provider' AND debit_minor > 0", "debits equal credits"),
    ("payment", "UPDATE ledger_entry SET debit_minor = debit_minor + 1 WHERE debit_minor > 0", "debits equal credits"),
    ("payment", "UPDATE payment SET refunded_minor = amount_minor + 100 WHERE status = 'PAID'", "agree with the ledger"),
    (
        "payment",
        "UPDATE payment SET paid_at_ms = 0; DELETE FROM ledger_entry WHERE posting LIKE 'refund:%'",
        "in tickets or went back",
    ),
    ("payment", "UPDATE webhook_inbox SET done_at_ms = NULL, received_at_ms = 0", "notices"),
];

fn audit(folder: &TempDir) -> anyhow::Result<(bool, Value)> {
    let Output { status, stdout, stderr } = run(&["audit", "--json"], folder)?;
    let report = serde_json::from_slice(&stdout).with_context(|| String::from_utf8_lossy(&stderr).into_owned())?;
    Ok((status.success(), report))
}

fn broken(report: &Value) -> Vec<String> {
    let checks = report["checks"].as_array().unwrap().iter();
    let violated = checks.filter(|check| !check["violations"].as_array().unwrap().is_empty());
    violated.map(|check| format!("{}: {}", check["name"].as_str().unwrap(), check["violations"])).collect()
}

/// People who bought, who paid too late, who cancelled, who wait.
async fn history(berth: &Berth) -> anyhow::Result<()> {
    let client = berth.client()?;
    let segment = timetable::demo_train(&client, 2).await?.whole();
    let ani = Person::sign_up(&client, "ani").await?;
    for _ in 0..2 {
        let hold = ani.hold_best(&segment, 2).await?;
        let booking = ani.book(&hold).await?;
        let payment = ani.pay(&booking).await?;
        ani.provider(&payment, "settle").await?;
        ani.await_booking(&booking, &["CONFIRMED"], std::time::Duration::from_secs(20)).await?;
    }
    ani.hold_best(&segment, 1).await?;
    ani.book(&ani.hold_best(&segment, 1).await?).await?;
    let mut world = World::new(&client, 2).await?;
    ensure!(world.cancelled().await?.is_empty() && world.seats_taken().await?.is_empty(), "late money");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_history_is_clean_and_each_corruption_is_found() -> anyhow::Result<()> {
    let mut berth = Berth::start().await?;
    history(&berth).await?;
    let live = run_live(&berth)?;
    ensure!(live.status.success(), "beside the live process: {live:?}");
    berth.stop().await?;
    let (clean, report) = audit(&berth.copy()?)?;
    ensure!(clean, "{:#?}", broken(&report));
    let looked_at = |at: usize| report["checks"][at]["looked_at"].as_u64().unwrap();
    ensure!((0..13).all(|at| looked_at(at) > 0), "a check looked at nothing: {report:#}");
    let mut audits = Vec::new();
    for (service, corruption, word) in CORRUPTIONS {
        let folder = berth.copy()?;
        let file = data_dir(&folder).join(format!("{service}.sqlite"));
        let database = Database::connect(format!("sqlite://{}", file.display())).await?;
        ensure!(database.execute_unprepared(corruption).await?.rows_affected() > 0, "nothing to corrupt: {corruption}");
        database.close().await?;
        audits.push((corruption, word, tokio::task::spawn_blocking(move || audit(&folder))));
    }
    for (corruption, word, audit) in audits {
        let (clean, report) = audit.await??;
        let found = broken(&report);
        ensure!(!clean && found.iter().any(|check| check.contains(word)), "{corruption} was not seen: {found:#?}");
    }
    Ok(())
}

fn run_live(berth: &Berth) -> anyhow::Result<Output> {
    let mut command = std::process::Command::new(berth_tests::process::program()?);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("BERTH_")) {
        command.env_remove(name);
    }
    Ok(command.arg("audit").arg("--data-dir").arg(berth.data_dir()).output()?)
}
