//! The log of what admins did: whole, in order, and never changed unseen.

use berth_user::{
    operator::{self, Verdict},
    role::Role,
};
use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, DatabaseBackend, DbErr};
use serde_json::{Value, json};

use crate::{
    admins::{admin, suspend},
    world::World,
};

const ENTRIES: &str = "query($first: Int, $after: String, $actor: ID, $subject: ID, $action: AuditAction) { \
     auditEntries(first: $first, after: $after, actorId: $actor, subjectId: $subject, action: $action) { \
     nodes { seq at actorId action subjectId details previousHash hash } pageInfo { hasNextPage endCursor } } }";

async fn verdict(world: &World) -> Verdict {
    operator::verify(&world.db, None).await.expect("reads")
}

async fn run(world: &World, text: &str) -> Result<(), DbErr> {
    world.db.read().execute_unprepared(text).await.map(|_| ())
}

/// As somebody would who owns the database.
async fn drop_guards(world: &World) {
    let statements: &[&str] = match world.db.backend() {
        DatabaseBackend::Postgres => &["DROP TRIGGER audit_entry_no_change ON audit_entry"],
        _ => &["DROP TRIGGER audit_entry_no_update", "DROP TRIGGER audit_entry_no_delete"],
    };
    for statement in statements {
        run(world, statement).await.expect("dropped");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_act_is_written_and_found() {
    let world = World::new().await;
    let (tia, siti) = (admin(&world, "tia@example.com").await, world.person("siti@example.com").await);
    suspend(&world, &tia, &siti).await;
    suspend(&world, &tia, &siti).await;
    let list = |variables: Value| {
        let (world, tia) = (&world, &tia);
        async move { world.data(Some(&tia.access), ENTRIES, variables).await["auditEntries"]["nodes"].take() }
    };
    let all = list(json!({})).await;
    assert_eq!(all.as_array().map(Vec::len), Some(2), "what changes nothing is no act: {all}");
    assert_eq!((&all[0]["seq"], &all[0]["actorId"], &all[0]["subjectId"]), (&json!("2"), &json!(tia.id), &json!(siti.id)));
    assert_eq!((&all[0]["action"], &all[0]["previousHash"]), (&json!("ACCOUNT_SUSPENDED"), &all[1]["hash"]));
    assert_eq!(all[0]["details"], r#"{"reason":"card fraud","sessionsEnded":1}"#);
    assert_eq!((&all[1]["actorId"], &all[1]["details"]), (&json!(null), &json!(r#"{"from":"USER","to":"ADMIN"}"#)));
    for (variables, seqs) in [
        (json!({ "actor": tia.id }), json!(["2"])),
        (json!({ "subject": tia.id }), json!(["1"])),
        (json!({ "action": "ACCOUNT_SUSPENDED", "subject": siti.id }), json!(["2"])),
        (json!({ "actor": "nonsense" }), json!([])),
        (json!({ "first": 1 }), json!(["2"])),
    ] {
        let found = list(variables).await;
        let found: Vec<&Value> = found.as_array().expect("a list").iter().map(|entry| &entry["seq"]).collect();
        assert_eq!(json!(found), seqs);
    }
    let head = all[0]["hash"].as_str().expect("a text").to_owned();
    assert_eq!(verdict(&world).await, Verdict::Whole { entries: 2, head });
}

#[tokio::test(flavor = "multi_thread")]
async fn acts_at_once_make_one_chain() {
    let world = World::new().await;
    let people = join_all((0..8).map(|number| {
        let world = &world;
        async move { world.person(&format!("p{number}@example.com")).await }
    }));
    let people = people.await;
    let tia = admin(&world, "tia@example.com").await;
    let acts = people.iter().map(|person| suspend(&world, &tia, person));
    let grants = (0..8).map(|number| {
        let (db, clock) = (world.db.clone(), world.clock.clone());
        async move { operator::grant(&db, &clock, &format!("p{number}@example.com"), Role::Organizer).await }
    });
    let (acts, grants) = tokio::join!(join_all(acts), join_all(grants));
    assert!(acts.iter().all(|act| act["__typename"] == "SuspendAccountSuccess"), "{acts:?}");
    assert!(grants.iter().all(Result::is_ok), "{grants:?}");
    assert!(matches!(verdict(&world).await, Verdict::Whole { entries: 17, .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_takes_no_change_of_the_log() {
    let world = World::new().await;
    admin(&world, "tia@example.com").await;
    let copy = "seq, at_ms, actor_id, action, subject_id, details, previous, hash";
    let replace = format!("INSERT OR REPLACE INTO audit_entry SELECT {} FROM audit_entry", copy.replace("details", "'{}'"));
    let skip = format!("INSERT INTO audit_entry SELECT {} FROM audit_entry", copy.replace("seq", "seq + 5"));
    let mut forbidden = vec!["UPDATE audit_entry SET details = '{}'", "DELETE FROM audit_entry"];
    match world.db.backend() {
        DatabaseBackend::Postgres => forbidden.push("TRUNCATE audit_entry"),
        _ => forbidden.extend([replace.as_str(), skip.as_str()]),
    }
    for text in forbidden {
        assert!(run(&world, text).await.is_err(), "{text}");
    }
    assert!(matches!(verdict(&world).await, Verdict::Whole { entries: 1, .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_or_removed_entry_is_named() {
    let world = World::new().await;
    let tia = admin(&world, "tia@example.com").await;
    for number in 0..4 {
        let person = world.person(&format!("p{number}@example.com")).await;
        suspend(&world, &tia, &person).await;
    }
    let Verdict::Whole { entries: 5, head } = verdict(&world).await else { panic!("{:?}", verdict(&world).await) };
    drop_guards(&world).await;
    for (change, back, seq) in [
        ("details = '{\"reason\":\"another\"}'", "details = '{\"reason\":\"card fraud\",\"sessionsEnded\":1}'", 3),
        ("at_ms = at_ms + 1", "at_ms = at_ms - 1", 3),
        ("action = 'ACCOUNT_REINSTATED'", "action = 'ACCOUNT_SUSPENDED'", 3),
        ("seq = 77", "seq = 3", 3),
    ] {
        run(&world, &format!("UPDATE audit_entry SET {change} WHERE seq = 3")).await.expect("changed");
        assert!(matches!(verdict(&world).await, Verdict::Broken { seq: found, .. } if found == seq), "{change}");
        let now_at = if change == "seq = 77" { 77 } else { 3 };
        run(&world, &format!("UPDATE audit_entry SET {back} WHERE seq = {now_at}")).await.expect("changed back");
    }
    assert!(matches!(verdict(&world).await, Verdict::Whole { entries: 5, .. }));
    run(&world, "DELETE FROM audit_entry WHERE seq = 5").await.expect("cut off");
    assert!(matches!(verdict(&world).await, Verdict::Whole { entries: 4, .. }), "the end alone tells nothing");
    let known = operator::verify(&world.db, Some(&head)).await.expect("reads");
    assert!(matches!(known, Verdict::Broken { seq: 5, .. }), "{known:?}");
    run(&world, "DELETE FROM audit_entry WHERE seq = 2").await.expect("removed");
    assert!(matches!(verdict(&world).await, Verdict::Broken { seq: 2, .. }));
}
