//! What people are told about their bookings: once, live and in their list, in their language, and nobody else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::time::Duration;

use anyhow::{Context, ensure};
use berth_tests::{
    client::Client,
    documents, eventually, in_both_arms,
    live::{Feed, Transport},
    person::{Hold, PASSWORD, Person, fresh_key, id_of, one_time_password},
    process::Arm,
    timetable,
};
use serde_json::{Value, json};

in_both_arms!(a_paid_booking_is_told_once, somebody_is_written_to_in_indonesian);

const WITHIN: Duration = Duration::from_secs(20);
const FIELD: &str = "notificationReceived";
const WATCH: &str =
    "subscription($since: ID) { notificationReceived(sinceId: $since) { id kind title readAt booking { id status } } }";
const LIST: &str = "{ me { unreadNotificationCount notifications { totalCount nodes { id kind title readAt \
     booking { id status } payment { id } } } } }";
const MARK: &str = "mutation($input: MarkNotificationsReadInput!) { markNotificationsRead(input: $input) { __typename \
     ... on MarkNotificationsReadSuccess { marked unreadCount } ... on UserError { code } } }";
const SETTINGS: &str = "mutation($input: UpdateSettingsInput!) { updateSettings(input: $input) { __typename \
     ... on UpdateSettingsSuccess { settings { locale timeZone channels { group email sms } } } ... on UserError { code path } } }";

async fn listed(person: &Person) -> anyhow::Result<Value> {
    let mut data = person.client.query(LIST, Value::Null).await?;
    Ok(data["me"].take())
}

async fn watch(person: &Person, transport: Transport, since: Value) -> anyhow::Result<Feed> {
    Feed::open(&person.client, transport, WATCH, json!({ "since": since })).await
}

async fn a_paid_booking_is_told_once(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let (siti, budi) = (Person::sign_up(&client, "siti").await?, Person::sign_up(&client, "budi").await?);
    let mut hers = watch(&siti, Transport::WebSocket, Value::Null).await?;
    let mut hers_too = watch(&siti, Transport::Sse, Value::Null).await?;
    let mut his = watch(&budi, Transport::WebSocket, Value::Null).await?;
    let train = timetable::demo_train(&client, 2).await?;
    let seat = timetable::free_seats(&client, &train.whole(), 1).await?.remove(0);
    let booking = siti.buy(&train.whole(), &[&seat]).await?;

    let told = hers.next_of(FIELD, WITHIN).await?;
    ensure!(told["kind"] == "BOOKING_CONFIRMED" && told["readAt"].is_null(), "{told}");
    ensure!(told["booking"] == json!({ "id": booking["id"], "status": "CONFIRMED" }), "{told}");
    let code = booking["code"].as_str().context("no code")?;
    ensure!(told["title"] == format!("Booking {code} is confirmed"), "{told}");
    ensure!(hers_too.next_of(FIELD, WITHIN).await?["id"] == told["id"]);

    let me = listed(&siti).await?;
    ensure!(me["unreadNotificationCount"] == 1 && me["notifications"]["totalCount"] == 1, "{me}");
    ensure!(me["notifications"]["nodes"][0]["id"] == told["id"], "{me}");
    // Longer than a stream waits between two looks: nothing comes twice, and nothing to anybody else.
    tokio::time::sleep(Duration::from_secs(6)).await;
    for feed in [&mut hers, &mut hers_too, &mut his] {
        let more = feed.try_next()?;
        ensure!(more.is_none(), "{more:?}");
    }
    ensure!(listed(&budi).await?["notifications"]["nodes"] == json!([]));
    let letters = client.letters(&siti.email).await?;
    ensure!(letters.len() == 2, "the code and the tickets: {letters:?}");

    marking(&siti, &budi, &told["id"]).await?;
    coming_back(&siti, &told["id"]).await?;
    berth.assert_alive()
}

async fn marking(siti: &Person, budi: &Person, id: &Value) -> anyhow::Result<()> {
    let these = json!({ "notificationIds": [id] });
    ensure!(budi.client.mutate(MARK, these.clone()).await?.refused()?.code == "NOT_FOUND");
    ensure!(budi.client.mutate(MARK, json!({ "all": true })).await?.done()?["marked"] == 0);
    ensure!(listed(siti).await?["unreadNotificationCount"] == 1, "somebody else marks nothing");
    let marked = siti.client.mutate(MARK, these).await?.done()?;
    ensure!(marked["marked"] == 1 && marked["unreadCount"] == 0, "{marked}");
    let me = listed(siti).await?;
    ensure!(me["unreadNotificationCount"] == 0 && me["notifications"]["nodes"][0]["readAt"].is_string(), "{me}");
    Ok(())
}

/// A booking that nobody pays; the stream says so to who was away meanwhile.
async fn coming_back(siti: &Person, newest: &Value) -> anyhow::Result<()> {
    let train = timetable::demo_train(&siti.client, 2).await?;
    let seat = timetable::free_seats(&siti.client, &train.whole(), 1).await?.remove(0);
    let booking_id = siti.book(&siti.hold(&train.whole(), &[&seat]).await?).await?;
    siti.cancel(&booking_id, &fresh_key()).await?.done()?;
    eventually("the news of the cancellation", WITHIN, || async {
        Ok((listed(siti).await?["unreadNotificationCount"] == 1).then_some(()))
    })
    .await?;
    let mut back = watch(siti, Transport::WebSocket, newest.clone()).await?;
    let missed = back.next_of(FIELD, WITHIN).await?;
    ensure!(missed["kind"] == "BOOKING_CANCELLED" && missed["booking"]["id"] == booking_id, "{missed}");
    Ok(())
}

async fn somebody_is_written_to_in_indonesian(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let siti = in_indonesian(&client).await?;
    let settings = siti.client.mutate(SETTINGS, json!({ "timeZone": "Asia/Jakarta" })).await?.done()?["settings"].clone();
    ensure!(settings["locale"] == "ID" && settings["timeZone"] == "Asia/Jakarta", "{settings}");
    let refused = json!({ "channels": [{ "group": "SECURITY", "email": false }] });
    ensure!(siti.client.mutate(SETTINGS, refused).await?.refused()?.code == "INVALID_INPUT");

    let train = timetable::demo_train(&client, 2).await?;
    let seat = timetable::free_seats(&client, &train.whole(), 1).await?.remove(0);
    let booking_id = book(&siti, &siti.hold(&train.whole(), &[&seat]).await?).await?;
    let payment_id = siti.pay(&booking_id).await?;
    siti.provider(&payment_id, "settle").await?;
    let booking = siti.await_booking(&booking_id, &["CONFIRMED"], WITHIN).await?;
    let code = booking["code"].as_str().context("no code")?.to_owned();
    let subject = format!("Tiket Anda, pemesanan {code}");
    eventually("the tickets in Indonesian", WITHIN, || async {
        Ok(client.letters(&siti.email).await?.iter().any(|letter| letter["subject"] == subject).then_some(()))
    })
    .await?;
    eventually("the notification in Indonesian", WITHIN, || async {
        let title = listed(&siti).await?["notifications"]["nodes"][0]["title"].take();
        Ok((title == format!("Pemesanan {code} telah dikonfirmasi")).then_some(()))
    })
    .await?;
    let (status, page) = client.get("/dev/letters").await?;
    ensure!(status == 200 && page.contains("Tiket Anda, pemesanan BK7QK9") && page.contains("123456 adalah kode Berth Anda"));
    berth.assert_alive()
}

async fn in_indonesian(client: &Client) -> anyhow::Result<Person> {
    let email = format!("siti-{}@example.org", fresh_key());
    let input = json!({ "email": email, "password": PASSWORD, "locale": "ID" });
    let flow = client.mutate(documents::SIGN_UP, input).await?.done()?;
    let code = one_time_password(client, &email).await?;
    let input = json!({ "flowId": flow["flowId"], "code": code });
    client.mutate(documents::VERIFY_OTP, input).await?.done()?;
    Person::sign_in(client, &email).await
}

async fn book(siti: &Person, hold: &Hold) -> anyhow::Result<String> {
    let details =
        json!({ "fullName": "Siti Rahma", "idType": "NATIONAL_ID", "idNumber": "3175010101900001", "birthDate": "1990-01-01" });
    let input = json!({ "holdId": hold.id, "passengers": [{ "heldSeatId": hold.items[0], "details": details }],
        "contact": { "email": siti.email, "locale": "ID" }, "idempotencyKey": fresh_key() });
    id_of(&siti.client.mutate(documents::CREATE_BOOKING, input).await?.done()?["booking"])
}
