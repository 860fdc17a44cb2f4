//! The whole journey on the demo timetable, over the public addresses only.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and tells of its run"
)]

use std::time::Duration;

use anyhow::{Context, ensure};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use berth_tests::{
    client::Client,
    documents, in_both_arms,
    live::{Feed, Transport},
    person::{Hold, Person, fresh_key, id_of},
    process::Arm,
    timetable,
    watch::Watcher,
};
use serde_json::{Value, json};

const WITHIN: Duration = Duration::from_secs(20);

in_both_arms!(from_the_sign_up_to_the_ticket, the_addresses_beside_the_graph, a_second_start_is_quick_and_remembers);

async fn from_the_sign_up_to_the_ticket(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let mut person = Person::sign_up(&client, "rina").await?;
    become_premium(&person).await?;
    let passenger = add_passenger(&person).await?;

    let train = timetable::demo_train(&client, 3).await?;
    let segment = train.segment(0, 2);
    let mut watcher = Watcher::open(&client, Transport::WebSocket, &segment, None).await?;
    let seats = timetable::free_seats(&client, &segment, 2).await?;
    let hold = person.hold(&segment, &[&seats[0], &seats[1]]).await?;
    wait_for(&mut watcher, &seats[0], "HELD").await?;

    let booking = book_for(&person, &hold, &passenger).await?;
    let booking_id = id_of(&booking)?;
    ensure!(booking["status"] == "PENDING_PAYMENT", "{booking}");
    let mut bookings =
        Feed::open(&person.client, Transport::WebSocket, documents::BOOKING_STATUS, json!({ "id": booking_id })).await?;
    let payment_id = pay(&person, &booking_id).await?;
    let mut payments = Feed::open(&person.client, Transport::Sse, documents::PAYMENT_STATUS, json!({ "id": payment_id })).await?;
    person.provider(&payment_id, "settle").await?;
    until_status(&mut bookings, "bookingStatus", "CONFIRMED").await?;
    until_status(&mut payments, "paymentStatus", "PAID").await?;
    wait_for(&mut watcher, &seats[0], "SOLD").await?;

    let booking = person.await_booking(&booking_id, &["CONFIRMED"], WITHIN).await?;
    let tickets = booking["tickets"].as_array().context("no tickets")?;
    ensure!(tickets.len() == 2 && tickets.iter().all(|ticket| ticket["status"] == "ISSUED"), "{booking}");
    for ticket in tickets {
        check_ticket(&client, ticket).await?;
    }
    check_letter(&client, &person, tickets).await?;
    check_me(&person, &booking_id, tickets).await?;
    person.refresh().await?;
    check_me(&person, &booking_id, tickets).await?;
    ensure!(watcher.verdict(&client, WITHIN).await?.is_empty());
    berth.assert_alive()
}

async fn become_premium(person: &Person) -> anyhow::Result<()> {
    let part = json!({ "fullName": "Rina Wulandari", "birthDate": "1994-05-17", "phone": "+6281234567890" });
    let done = person.client.mutate(documents::UPDATE_PROFILE, part).await?.done()?;
    ensure!(done["user"]["tier"] == "BASIC", "{done}");
    let rest = json!({ "idType": "NATIONAL_ID", "idNumber": "3174015705940003", "address": "Jalan Merdeka 1, Bandung" });
    let done = person.client.mutate(documents::UPDATE_PROFILE, rest).await?.done()?;
    ensure!(done["user"]["tier"] == "PREMIUM", "{done}");
    let shown = done["user"]["profile"]["idNumberMasked"].as_str().context("no masked number")?;
    ensure!(!shown.contains("317401570594"), "{shown} is not masked");
    Ok(())
}

async fn add_passenger(person: &Person) -> anyhow::Result<String> {
    let input = json!({ "fullName": "Rina Wulandari", "idType": "NATIONAL_ID", "idNumber": "3174015705940003", "birthDate": "1994-05-17" });
    id_of(&person.client.mutate(documents::ADD_PASSENGER, input).await?.done()?["passenger"])
}

/// One seat for a passenger of the list, one for somebody who is only described.
async fn book_for(person: &Person, hold: &Hold, passenger: &str) -> anyhow::Result<Value> {
    let input = json!({
        "holdId": hold.id, "idempotencyKey": fresh_key(),
        "contact": { "email": person.email, "phone": "+6281234567890" },
        "passengers": [
            { "heldSeatId": hold.items[0], "passengerId": passenger },
            { "heldSeatId": hold.items[1], "details": { "fullName": "Budi Santoso", "idType": "PASSPORT", "idNumber": "X1234567", "birthDate": "1988-01-30" } },
        ],
    });
    let mut done = person.client.mutate(documents::CREATE_BOOKING, input).await?.done()?;
    Ok(done["booking"].take())
}

async fn pay(person: &Person, booking_id: &str) -> anyhow::Result<String> {
    let done = person.try_pay(booking_id, &fresh_key()).await?.done()?;
    let payload = done["payment"]["qris"]["payload"].as_str().context("no QRIS payload")?;
    ensure!(payload.starts_with("000201") && payload.contains("5802ID"), "{payload}");
    let (body, sum) = payload.split_at(payload.len() - 4);
    ensure!(body.ends_with("6304") && sum == format!("{:04X}", crc16(body.as_bytes())), "the checksum of {payload}");
    let page = person.client.get(&format!("/sandbox/pay/{}", id_of(&done["payment"])?)).await?;
    ensure!(page.0 == 200 && page.1.to_lowercase().contains("pay"), "the sandbox's page: {page:?}");
    id_of(&done["payment"])
}

/// CRC-16/CCITT-FALSE.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |sum: u16, byte| {
        (0..8).fold(sum ^ (u16::from(*byte) << 8), |sum, _| if sum & 0x8000 == 0 { sum << 1 } else { (sum << 1) ^ 0x1021 })
    })
}

async fn wait_for(watcher: &mut Watcher, seat: &str, state: &str) -> anyhow::Result<()> {
    while watcher.seats.get(seat).map(String::as_str) != Some(state) {
        watcher.take(WITHIN).await.with_context(|| format!("{seat} never becomes {state}"))?;
    }
    Ok(())
}

async fn until_status(feed: &mut Feed, field: &str, status: &str) -> anyhow::Result<()> {
    while feed.next_of(field, WITHIN).await?["status"] != status {}
    Ok(())
}

/// The QR text is signed with a key of the key set, and its picture is served to whom the ticket was told.
async fn check_ticket(client: &Client, ticket: &Value) -> anyhow::Result<()> {
    let qr = ticket["qr"].as_str().context("no qr")?;
    ensure!(qr.len() > 80, "{qr} can't hold a signature");
    let (status, keys) = client.get("/.well-known/jwks.json").await?;
    let keys: Value = serde_json::from_str(&keys)?;
    let known = keys["keys"].as_array().context("no keys")?;
    ensure!(status == 200 && known.iter().all(|key| key["crv"] == "Ed25519" && key.get("d").is_none()), "{keys}");
    for key in known {
        URL_SAFE_NO_PAD.decode(key["x"].as_str().context("no public half")?)?;
    }
    let address = ticket["qrUrl"].as_str().context("no qrUrl")?;
    let path = address.strip_prefix(client.url()).with_context(|| format!("{address} leads elsewhere"))?;
    ensure!(path.starts_with(&format!("/tickets/{}/qr.svg", id_of(ticket)?)), "{address}");
    let response = client.request(reqwest::Method::GET, path).send().await?;
    let (status, kind) = (response.status(), response.headers().get("content-type").cloned());
    let picture = response.text().await?;
    ensure!(status == 200 && picture.contains("<svg"), "{status} {picture}");
    ensure!(client.get(&format!("/tickets/{}/qr.svg", id_of(ticket)?)).await?.0 == 404, "the picture is served to anybody");
    ensure!(kind.is_some_and(|kind| kind.as_bytes().starts_with(b"image/svg+xml")), "the picture's media type");
    Ok(())
}

async fn check_letter(client: &Client, person: &Person, tickets: &[Value]) -> anyhow::Result<()> {
    berth_tests::eventually("the letter with the tickets", WITHIN, || async {
        let letters = client.letters(&person.email).await?;
        let text = Value::from(letters).to_string();
        Ok(tickets.iter().all(|ticket| ticket["number"].as_str().is_some_and(|number| text.contains(number))).then_some(()))
    })
    .await
}

async fn check_me(person: &Person, booking_id: &str, tickets: &[Value]) -> anyhow::Result<()> {
    let data = person.client.query(documents::ME, Value::Null).await?;
    let me = &data["me"];
    ensure!(me["tier"] == "PREMIUM" && me["bookings"]["nodes"][0]["id"] == booking_id, "{me}");
    ensure!(me["tickets"]["nodes"].as_array().map(Vec::len) == Some(tickets.len()), "{me}");
    for (when, count) in [("UPCOMING", tickets.len()), ("PAST", 0), ("ALL", tickets.len())] {
        let query =
            format!("{{ me {{ tickets(when: {when}) {{ nodes {{ id trip {{ name }} from {{ station {{ name }} }} }} }} }} }}");
        let data = person.client.query(&query, Value::Null).await?;
        let nodes = data["me"]["tickets"]["nodes"].as_array().context("no tickets")?;
        ensure!(nodes.len() == count && nodes.iter().all(|node| node["trip"]["name"].is_string()), "{when}: {data}");
    }
    Ok(())
}

async fn the_addresses_beside_the_graph(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let of_development = ["/dev/mail", "/dev/mail.json", "/dev/sms", "/dev/sms.json", "/dev/letters"];
    for path in ["/", "/health", "/readiness", "/metrics", "/graphiql", "/.well-known/jwks.json"].iter().chain(&of_development) {
        let (status, text) = client.get(path).await?;
        ensure!(status == 200 && !text.is_empty(), "{path}: {status}");
    }
    let page = client.request(reqwest::Method::GET, "/graphql").header("accept", "text/html,*/*;q=0.1").send().await?;
    ensure!(page.status() == 200 && page.text().await?.contains("<html"), "a browser gets GraphiQL on /graphql");
    let (status, text) = client.get("/graphql?query=%7B__typename%7D").await?;
    ensure!(status == 200 && text.contains("Query"), "GET of a query: {status} {text}");
    let (status, text) = client.get("/graphql?query=mutation%7BsignOut%7B__typename%7D%7D").await?;
    ensure!(status >= 400 && text.contains("errors"), "GET of a mutation: {status} {text}");
    ensure!(client.get("/no/such/page").await?.0 == 404);
    berth.assert_alive()
}

async fn a_second_start_is_quick_and_remembers(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let person = Person::sign_up(&berth.client()?, "again").await?;
    let train = timetable::demo_train(&berth.client()?, 2).await?;
    let seat = timetable::free_seats(&berth.client()?, &train.whole(), 1).await?.remove(0);
    let bought = person.buy(&train.whole(), &[&seat]).await?;
    berth.stop().await?;
    berth.restart().await?;
    let data = person.client.query(documents::ME, Value::Null).await?;
    ensure!(data["me"]["bookings"]["nodes"][0]["id"] == bought["id"], "{data}");
    ensure!(timetable::seat_state(&berth.client()?, &train.whole(), &seat).await? == "SOLD");
    berth.assert_alive()
}
