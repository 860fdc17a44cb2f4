//! Subgraphs in the same process and subgraphs over HTTP give the same bytes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and tells of its run"
)]

use anyhow::{Context, ensure};
use berth_tests::{
    client::Client,
    person::{Person, id_of},
    process::{Berth, Setup},
    timetable,
};
use serde_json::{Value, json};

const TRIP: &str =
    "id name mode serviceDate operator { id name } stops { id sequence arrivalAt departureAt arrivalLocal departureLocal timeZone
  station { id name code latitude longitude timeZone } }";

/// Operations over every type of the main journey; each names the variables it uses.
fn operations(known: &Value) -> Vec<(String, Value)> {
    let all = |text: &str| (text.replace("TRIP", TRIP), known.clone());
    vec![
        all("{ __typename }"),
        all("{ stations(first: 5) { nodes { id name code latitude longitude timeZone } edges { cursor } pageInfo { hasNextPage endCursor } totalCount } }"),
        all("query($search: SearchTripsInput!) { searchTrips(input: $search, first: 3) { nodes { durationMinutes seatsAvailable from { id } to { id }
            fares { id name travelClass seatsAvailable price { amount amountMinor currency } } trip { TRIP } } pageInfo { hasNextPage endCursor } totalCount } }"),
        all("query($trip: ID!) { trip(id: $trip) { TRIP } }"),
        all("query($trip: ID!, $from: ID!, $to: ID!) { trip(id: $trip) { seatMap(fromStopId: $from, toStopId: $to) { tripId version
            cars { id label travelClass seats { id label row column attributes state price { amount currency } } } } } }"),
        all("{ me { id email tier profile { fullName birthDate phone idType idNumberMasked address } passengers { nodes { id fullName } } } }"),
        all("{ me { bookings(first: 10) { nodes { id code status total { amount } createdAt contact { email } parts { id kind status title passengerName price { amount }
            seat { car seat travelClass } trip { TRIP } from { id station { name } } to { id station { name } } }
            payments { id status method amount { amount } qris { payload imageUrl } history { at status note } } tickets { id } } totalCount } } }"),
        all("{ me { tickets { nodes { id number status passengerName qr qrUrl validFrom validUntil seat { car seat travelClass } trip { TRIP } } } } }"),
        all("query($hold: ID!) { hold(id: $hold) { id status total { amount } expiresAt remainingMs items { ... on HeldSeat { id price { amount }
            seat { id label } trip { TRIP } from { id } to { id } } } } }"),
        all("query($booking: ID!) { booking(id: $booking) { id status payments { id status } tickets { id qr } } }"),
        all("query($payment: ID!) { payment(id: $payment) { id status expiresAt } }"),
        all("query($ticket: ID!) { ticket(id: $ticket) { id number trip { name } } }"),
        all("query($booking: ID!) { node(id: $booking) { id __typename ... on Booking { code } } }"),
        all("query($trip: ID!) { node(id: $trip) { id __typename ... on Trip { name } } }"),
        // Refusals and protocol errors as well.
        all("query { trip(id: \"nonsense\") { id } }"),
        all("query { hold(id: \"hold_00000000000000000000000000\") { id } }"),
        all("{ stations(first: 1000) { nodes { id } } }"),
        all("{ noSuchField }"),
        all("{ "),
        all("mutation { releaseHold(input: { holdId: \"hold_00000000000000000000000000\" }) { __typename ... on UserError { code message path } } }"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ways_give_the_same_bytes() -> anyhow::Result<()> {
    let mut first = Berth::start().await?;
    let (person, known) = fill(&first.client()?).await?;
    first.stop().await?;
    let copy = first.copy()?;
    first.restart().await?;
    // Links in answers name the public address: both claim the same one.
    let mut second =
        Setup::default().env("BERTH_SUBGRAPH_TRANSPORT", "http").env("BERTH_PUBLIC_URL", &first.url()).on(copy).start().await?;
    let token = person.client.token().context("no token")?;
    for signed_in in [true, false] {
        let (one, other) = if signed_in {
            (first.client()?.with_token(token), second.client()?.with_token(token))
        } else {
            (first.client()?, second.client()?)
        };
        for (query, variables) in operations(&known) {
            let (one, other) = (one.send(&query, variables.clone()).await?, other.send(&query, variables).await?);
            ensure!(
                one.status == other.status && normal(&one.text) == normal(&other.text),
                "{query}\nin process: {}\nover HTTP:  {}",
                one.text,
                other.text
            );
            let fine =
                query.contains("nonsense") || query.contains("noSuch") || query.contains("1000") || query == "{ " || !signed_in;
            ensure!(fine || one.body.get("errors").is_none(), "{query}: {}", one.text);
        }
    }
    first.assert_alive()?;
    second.assert_alive()
}

/// Every request has an id of its own.
fn normal(text: &str) -> String {
    let mut parts = text.split("\"requestId\":\"");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("\"requestId\":\"");
        out.push_str(part.split_once('"').map_or("", |(_, rest)| rest));
    }
    out
}

/// A person with a paid booking and a released hold, and the ids to ask for.
async fn fill(client: &Client) -> anyhow::Result<(Person, Value)> {
    let person = Person::sign_up(client, "twin").await?;
    let train = timetable::demo_train(client, 3).await?;
    let seats = timetable::free_seats(client, &train.whole(), 2).await?;
    let booking = person.buy(&train.segment(0, 2), &[&seats[0]]).await?;
    let hold = person.hold(&train.whole(), &[&seats[1]]).await?;
    person.release(&hold.id).await?.done()?;
    let data = client
        .query("query($id: ID!) { trip(id: $id) { serviceDate stops { station { id } } } }", json!({ "id": train.id }))
        .await?;
    let stops = data["trip"]["stops"].as_array().context("no stops")?;
    let last = stops.last().context("no stop")?;
    let search = json!({ "fromStationId": stops[0]["station"]["id"], "toStationId": last["station"]["id"], "date": data["trip"]["serviceDate"] });
    let known = json!({ "search": search, "trip": train.id, "from": train.stops[0], "to": train.stops[1], "hold": hold.id,
        "booking": booking["id"], "payment": booking["payments"][0]["id"], "ticket": id_of(&booking["tickets"][0])? });
    Ok((person, known))
}
