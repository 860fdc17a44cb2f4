//! What a subscription tells is true, in order, complete, and only for whom it is meant.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and tells of its run"
)]

use std::time::Duration;

use anyhow::{Context, ensure};
use berth_tests::{
    documents, in_both_arms,
    live::{Feed, Socket, Transport},
    person::Person,
    process::Arm,
    timetable,
    watch::Watcher,
};
use serde_json::json;

const WITHIN: Duration = Duration::from_secs(20);

in_both_arms!(
    a_subscriber_resumes_where_it_was,
    segments_see_their_own_legs,
    statuses_are_pushed_and_private,
    the_socket_keeps_its_protocol
);

async fn a_subscriber_resumes_where_it_was(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let person = Person::sign_up(&client, "resume").await?;
    let segment = timetable::demo_train(&client, 2).await?.whole();
    let seats = timetable::free_seats(&client, &segment, 3).await?;
    let mut first = Watcher::open(&client, Transport::WebSocket, &segment, None).await?;
    person.hold(&segment, &[&seats[0]]).await?;
    first.take(WITHIN).await?;
    let (version, mut picture) = (first.version, first.seats.clone());
    drop(first);
    person.hold(&segment, &[&seats[1]]).await?;
    for transport in [Transport::WebSocket, Transport::Sse, Transport::Multipart] {
        let mut resumed = Watcher::open(&client, transport, &segment, Some(version)).await?;
        ensure!(resumed.snapshots == 0 && resumed.version > version, "{transport:?}: a snapshot although the version is recent");
        picture.extend(resumed.seats.clone());
        resumed.seats.clone_from(&picture);
        ensure!(picture[&seats[0]] == "HELD" && picture[&seats[1]] == "HELD");
        ensure!(resumed.verdict(&client, WITHIN).await?.is_empty());
    }
    // A version that never was, or is long gone, gets the whole picture.
    let ahead = Watcher::open(&client, Transport::WebSocket, &segment, Some(version + 1_000_000)).await?;
    ensure!(ahead.snapshots == 1, "a version from the future was believed");
    // Changes of other legs are not told to a segment that does not touch them, or do not change what it shows.
    berth.assert_alive()
}

async fn segments_see_their_own_legs(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let person = Person::sign_up(&client, "legs").await?;
    let train = timetable::demo_train(&client, 4).await?;
    let seat = timetable::free_seats(&client, &train.whole(), 1).await?.remove(0);
    let before = Watcher::open(&client, Transport::Sse, &train.segment(0, 2), None).await?;
    let mut after = Watcher::open(&client, Transport::WebSocket, &train.segment(2, 4), None).await?;
    let hold = person.hold(&train.segment(2, 3), &[&seat]).await?;
    after.take(WITHIN).await?;
    ensure!(after.seats[&seat] == "HELD");
    // The same seat is still free before, and is sold to somebody else there.
    person.hold(&train.segment(0, 2), &[&seat]).await?;
    ensure!(before.verdict(&client, WITHIN).await?.is_empty());
    person.release(&hold.id).await?.done()?;
    ensure!(after.verdict(&client, WITHIN).await?.is_empty());
    berth.assert_alive()
}

async fn statuses_are_pushed_and_private(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let people = Person::sign_up_many(&client, "private", 2).await?;
    let segment = timetable::demo_train(&client, 2).await?.whole();
    let seat = timetable::free_seats(&client, &segment, 1).await?.remove(0);
    let hold = people[0].hold(&segment, &[&seat]).await?;
    let booking_id = people[0].book(&hold).await?;
    let payment_id = people[0].pay(&booking_id).await?;

    let mut own = Vec::new();
    for transport in [Transport::WebSocket, Transport::Sse, Transport::Multipart] {
        let booking = Feed::open(&people[0].client, transport, documents::BOOKING_STATUS, json!({ "id": booking_id })).await?;
        let payment = Feed::open(&people[0].client, transport, documents::PAYMENT_STATUS, json!({ "id": payment_id })).await?;
        own.push((booking, payment));
    }
    // The very same operations, sent by others while the first are open: identical operations must not be shared.
    for client in [&people[1].client, &client] {
        for transport in [Transport::WebSocket, Transport::Sse, Transport::Multipart] {
            for (document, id) in [(documents::BOOKING_STATUS, &booking_id), (documents::PAYMENT_STATUS, &payment_id)] {
                let Ok(mut feed) = Feed::open(client, transport, document, json!({ "id": id })).await else { continue };
                let first = feed.next(WITHIN).await?.context("ended without a word")?;
                ensure!(
                    first["errors"][0]["extensions"]["code"].is_string()
                        && first["data"].as_object().is_none_or(|data| data.values().all(serde_json::Value::is_null)),
                    "a foreign stream answers {first}"
                );
            }
        }
    }
    people[0].provider(&payment_id, "settle").await?;
    for (booking, payment) in &mut own {
        until(booking, "bookingStatus", "CONFIRMED").await?;
        until(payment, "paymentStatus", "PAID").await?;
    }
    // Queries neither: the same text at the same time, two people, two answers.
    for _ in 0..20 {
        let ask = |person: &Person| {
            let client = person.client.clone();
            async move { client.query(documents::ME, serde_json::Value::Null).await }
        };
        let (one, other) = tokio::join!(ask(&people[0]), ask(&people[1]));
        ensure!(one?["me"]["id"] == people[0].id && other?["me"]["id"] == people[1].id);
    }
    berth.assert_alive()
}

async fn until(feed: &mut Feed, field: &str, status: &str) -> anyhow::Result<()> {
    while feed.next_of(field, WITHIN).await?["status"] != status {}
    Ok(())
}

async fn the_socket_keeps_its_protocol(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let mut socket = Socket::connect(client.url()).await?;
    socket.send(&json!({ "id": "1", "type": "subscribe", "payload": { "query": "{ __typename }" } })).await?;
    ensure!(socket.closed(WITHIN).await? == Some(4401), "subscribe before connection_init");
    let mut socket = Socket::open(client.url(), None).await?;
    socket.send(&json!({ "type": "connection_init" })).await?;
    ensure!(socket.closed(WITHIN).await? == Some(4429), "connection_init twice");
    let mut socket = Socket::connect(client.url()).await?;
    socket.send(&json!({ "type": "connection_init", "payload": { "Authorization": "Bearer nonsense" } })).await?;
    let code = socket.closed(WITHIN).await?;
    ensure!(matches!(code, Some(4401 | 4403)), "a bad token: {code:?}");
    let mut socket = Socket::open(client.url(), None).await?;
    socket.send(&json!({ "id": "q", "type": "subscribe", "payload": { "query": "{ __typename }" } })).await?;
    let next = socket.receive().await?.context("closed")?;
    let complete = socket.receive().await?.context("closed")?;
    ensure!(next["payload"]["data"]["__typename"] == "Query" && complete["type"] == "complete", "{next} {complete}");
    berth.assert_alive()
}
