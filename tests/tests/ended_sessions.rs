//! An access token is worth nothing once its session was ended, whatever ended it, in every process: at once in the one that did it,
//! in the others as soon as they hear.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use berth_tests::{
    access::cast,
    client::Client,
    documents, eventually, in_both_arms,
    live::{Feed, Transport},
    person::{PASSWORD, Person},
    process::{Arm, Berth},
    timetable,
};
use serde_json::{Value, json};

in_both_arms!(whatever_ends_a_session_ends_its_tokens, private_streams_end_with_their_session, a_process_that_starts_knows);

const SIGN_OUT: &str = "mutation { signOut { __typename } }";
const SIGN_OUT_EVERYWHERE: &str = "mutation { signOutEverywhere { __typename } }";
const CHANGE_PASSWORD: &str = "mutation($input: ChangePasswordInput!) { changePassword(input: $input) { __typename \
     ... on UserError { code } } }";
const REVOKE: &str =
    "mutation($input: RevokeSessionInput!) { revokeSession(input: $input) { __typename ... on UserError { code } } }";
const DELETE: &str =
    "mutation($input: DeleteAccountInput!) { deleteAccount(input: $input) { __typename ... on UserError { code } } }";
const SUSPEND: &str = "mutation($input: SuspendAccountInput!) { suspendAccount(input: $input) { __typename \
     ... on UserError { code } } }";
const CHANGE_ROLE: &str =
    "mutation($input: ChangeRoleInput!) { changeRole(input: $input) { __typename ... on UserError { code } } }";
const SESSIONS: &str = "{ me { sessions { nodes { id current } } } }";

/// A process reads every five seconds; a busy machine takes its time.
const HEARD_WITHIN: Duration = Duration::from_secs(20);
/// What a fleet with Redis needs: less than the pause between two readings.
const WOKEN_WITHIN: Duration = Duration::from_secs(4);

/// Asks every service, and the front door alone, with the token: all must refuse it.
async fn is_refused(client: &Client) -> anyhow::Result<Option<()>> {
    let id = json!({ "id": "hold_00000000000000000000000000" });
    let booking = json!({ "id": "booking_00000000000000000000000000" });
    let payment = json!({ "id": "payment_00000000000000000000000000" });
    let asked = [
        ("{ __typename }", Value::Null),
        ("{ me { id } }", Value::Null),
        (documents::HOLD, id),
        (documents::BOOKING, booking),
        (documents::PAYMENT, payment),
    ];
    for (document, variables) in asked {
        let answer = client.send(document, variables).await?;
        ensure!(
            answer.status == 401 && answer.refusal_code()? == "SESSION_REVOKED",
            "{document}: {} {}",
            answer.status,
            answer.text
        );
    }
    Ok(Some(()))
}

async fn dies(arm: Arm, what: &str, client: &Client) -> anyhow::Result<()> {
    match arm {
        Arm::Embedded => is_refused(client).await.map(drop).with_context(|| format!("{what}: not at once")),
        Arm::Fleet => eventually(what, HEARD_WITHIN, || is_refused(client)).await,
    }
}

async fn lives(client: &Client) -> anyhow::Result<()> {
    ensure!(client.query("{ me { id } }", Value::Null).await?["me"]["id"].is_string());
    Ok(())
}

async fn admin(berth: &mut Berth, client: &Client) -> anyhow::Result<Person> {
    let mut admin = Person::sign_up(client, "admin").await?;
    cast::grant(berth, &admin.email, "ADMIN")?;
    admin.refresh().await?;
    Ok(admin)
}

async fn whatever_ends_a_session_ends_its_tokens(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let first = Person::sign_up(&client, "leaver").await?;
    let again = || Person::sign_in(&client, &first.email);

    first.client.query(SIGN_OUT, Value::Null).await?;
    dies(arm, "signed out", &first.client).await?;

    let (lost, mut here) = (again().await?, again().await?);
    let listed = here.client.query(SESSIONS, Value::Null).await?;
    let nodes = listed["me"]["sessions"]["nodes"].as_array().context("no list")?;
    let other = nodes.iter().find(|session| session["current"] == false).context("no other session")?;
    here.client.mutate(REVOKE, json!({ "sessionId": other["id"] })).await?.done()?;
    dies(arm, "revoked", &lost.client).await?;
    lives(&here.client).await?;

    let elsewhere = again().await?;
    let words = json!({ "currentPassword": PASSWORD, "newPassword": "another correct horse 99" });
    here.client.mutate(CHANGE_PASSWORD, words).await?.done()?;
    dies(arm, "a new password", &elsewhere.client).await?;
    lives(&here.client).await?;
    let words = json!({ "currentPassword": "another correct horse 99", "newPassword": PASSWORD });
    here.client.mutate(CHANGE_PASSWORD, words).await?.done()?;

    let stolen = here.refresh_token.clone();
    here.refresh().await?;
    here.refresh().await?;
    let copy = client.mutate(documents::REFRESH_SESSION, json!({ "refreshToken": stolen })).await?.refused()?;
    ensure!(copy.code == "SESSION_REVOKED", "{copy:?}");
    dies(arm, "a copied refresh token", &here.client).await?;

    let (one, two) = (again().await?, again().await?);
    one.client.query(SIGN_OUT_EVERYWHERE, Value::Null).await?;
    dies(arm, "signed out everywhere", &one.client).await?;
    dies(arm, "signed out everywhere", &two.client).await?;

    let gone = again().await?;
    gone.client.mutate(DELETE, json!({ "password": PASSWORD })).await?.done()?;
    dies(arm, "deleted", &gone.client).await?;
    by_an_admin(arm, &mut berth, &client).await?;
    berth.assert_alive()
}

async fn by_an_admin(arm: Arm, berth: &mut Berth, client: &Client) -> anyhow::Result<()> {
    let chief = admin(berth, client).await?;
    let person = Person::sign_up(client, "suspect").await?;
    let second = admin(berth, client).await?;
    chief.client.mutate(CHANGE_ROLE, json!({ "accountId": person.id, "role": "ORGANIZER" })).await?.done()?;
    lives(&person.client).await?;
    chief.client.mutate(SUSPEND, json!({ "accountId": person.id })).await?.done()?;
    dies(arm, "suspended", &person.client).await?;
    chief.client.mutate(CHANGE_ROLE, json!({ "accountId": second.id, "role": "USER" })).await?.done()?;
    dies(arm, "an admin no more", &second.client).await?;
    lives(&chief.client).await
}

async fn private_streams_end_with_their_session(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let train = timetable::demo_train(&client, 2).await?;
    for transport in [Transport::WebSocket, Transport::Sse] {
        let person = Person::sign_up(&client, "watcher").await?;
        let booking = person.book(&person.hold_best(&train.whole(), 1).await?).await?;
        let variables = json!({ "id": booking });
        let mut private = Feed::open(&person.client, transport, documents::BOOKING_STATUS, variables).await?;
        private.next_of("bookingStatus", HEARD_WITHIN).await?;
        person.client.query(SIGN_OUT, Value::Null).await?;
        let last = loop {
            let event = private.next(HEARD_WITHIN).await?.context("the stream ends without a word")?;
            if !event["errors"].is_null() {
                break event;
            }
        };
        ensure!(last["errors"][0]["extensions"]["code"] == "SESSION_REVOKED", "{last}");
    }
    public_streams_go_on(&client).await?;
    berth.assert_alive()
}

async fn public_streams_go_on(client: &Client) -> anyhow::Result<()> {
    let person = Person::sign_up(client, "onlooker").await?;
    let train = timetable::demo_train(client, 2).await?;
    let segment = train.whole();
    let variables = json!({ "trip": segment.trip, "from": segment.from, "to": segment.to });
    let mut public = Feed::open(&person.client, Transport::Sse, documents::SEAT_AVAILABILITY, variables).await?;
    public.next_of("seatAvailability", HEARD_WITHIN).await?;
    person.client.query(SIGN_OUT, Value::Null).await?;
    let buyer = Person::sign_up(client, "buyer").await?;
    buyer.hold_best(&segment, 1).await?;
    public.next_of("seatAvailability", HEARD_WITHIN).await.map(|_| ())
}

/// What is in memory is gone with the process; the tokens are not.
async fn a_process_that_starts_knows(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let (gone, here) = (Person::sign_up(&client, "gone").await?, Person::sign_up(&client, "here").await?);
    gone.client.query(SIGN_OUT, Value::Null).await?;
    dies(arm, "signed out", &gone.client).await?;
    berth.process("router", 0)?.restart().await?;
    is_refused(&gone.client).await.context("after a restart")?;
    lives(&here.client).await?;
    berth.assert_alive()
}

async fn without_redis_it_takes_seconds(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let mut woken = Duration::MAX;
    // A wake is lost now and then: one of a few comes.
    for _ in 0..3 {
        let person = Person::sign_up(&client, "quick").await?;
        person.client.query(SIGN_OUT, Value::Null).await?;
        let started = Instant::now();
        dies(arm, "signed out", &person.client).await?;
        woken = woken.min(started.elapsed());
    }
    ensure!(woken < WOKEN_WITHIN, "nobody was woken: {woken:?}");
    let person = Person::sign_up(&client, "patient").await?;
    berth.redis()?.kill()?;
    person.client.query(SIGN_OUT, Value::Null).await?;
    dies(arm, "signed out without Redis", &person.client).await?;
    berth.assert_alive()
}

/// Only a fleet has a Redis.
mod with_redis {
    use super::without_redis_it_takes_seconds;

    berth_tests::in_the_fleet!(without_redis_it_takes_seconds);
}
