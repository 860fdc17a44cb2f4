//! Every refusal is typed, changes nothing, and is no panic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and tells of its run"
)]

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use berth_tests::{
    client::{Client, Outcome},
    documents, in_both_arms,
    person::{Hold, PASSWORD, Person, Segment, fresh_key, one_time_password},
    process::Arm,
    timetable::{self, Train},
    today,
};
use chrono::Days;
use serde_json::{Value, json};

in_both_arms!(searches, ids, seats, holds_and_bookings, one_time_passwords_and_sessions, long_texts);

/// The code of a refusal that is data.
fn code(outcome: Outcome) -> anyhow::Result<String> {
    Ok(outcome.refused()?.code)
}

fn one_of(found: &str, codes: &[&str]) -> anyhow::Result<()> {
    ensure!(codes.contains(&found), "{found} is none of {codes:?}");
    Ok(())
}

/// Version and states of a train, and what a person has: what a refusal must not change.
async fn picture(train: &Train, person: &Person) -> anyhow::Result<(Vec<timetable::SeatState>, Value)> {
    let (_, seats) = timetable::seat_map(&person.client, &train.whole()).await?;
    Ok((seats, person.client.query(documents::ME, Value::Null).await?))
}

async fn searches(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let (from, to) = (timetable::station(&client, "Gambir").await?, timetable::station(&client, "Bandung").await?);
    let unknown = format!("station_{}", "0".repeat(26));
    let (day, never) = (today() + Days::new(3), today() + Days::new(900));
    let cases = [
        (json!({ "fromStationId": unknown, "toStationId": to, "date": day.to_string() }), vec!["UNKNOWN_STATION"]),
        (json!({ "fromStationId": from, "toStationId": unknown, "date": day.to_string() }), vec!["UNKNOWN_STATION"]),
        (json!({ "fromStationId": from, "toStationId": from, "date": day.to_string() }), vec!["SAME_STATION"]),
        (json!({ "fromStationId": from, "toStationId": to, "date": never.to_string() }), vec!["DATE_OUTSIDE_TIMETABLE"]),
        (json!({ "fromStationId": "nonsense", "toStationId": to, "date": day.to_string() }), vec!["INVALID_ID"]),
        (
            json!({ "fromStationId": from, "toStationId": to, "date": day.to_string(), "passengers": 0 }),
            vec!["INVALID_PASSENGER_COUNT"],
        ),
        (
            json!({ "fromStationId": from, "toStationId": to, "date": day.to_string(), "passengers": 9 }),
            vec!["INVALID_PASSENGER_COUNT"],
        ),
    ];
    let query =
        "query($input: SearchTripsInput!, $first: Int) { searchTrips(input: $input, first: $first) { nodes { trip { id } } } }";
    for (input, codes) in cases {
        one_of(&client.send(query, json!({ "input": input })).await?.refusal_code()?, &codes)
            .with_context(|| input.to_string())?;
    }
    let input = json!({ "fromStationId": from, "toStationId": to, "date": day.to_string() });
    for first in [0, -1, 101] {
        one_of(&client.send(query, json!({ "input": input, "first": first })).await?.refusal_code()?, &["PAGE_TOO_LARGE"])?;
    }
    for date in ["2026-13-40", "tomorrow", ""] {
        let input = json!({ "fromStationId": from, "toStationId": to, "date": date });
        client.send(query, json!({ "input": input })).await?.refusal_code().context("a malformed date")?;
    }
    berth.assert_alive()
}

async fn ids(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let people = Person::sign_up_many(&client, "ids", 2).await?;
    let train = timetable::demo_train(&client, 2).await?;
    let seats = timetable::free_seats(&client, &train.whole(), 2).await?;
    let hold = people[0].hold(&train.whole(), &[&seats[0]]).await?;
    let bought = people[0].buy(&train.whole(), &[&seats[1]]).await?;
    let (booking, payment) = (bought["id"].as_str().context("no id")?, bought["payments"][0]["id"].as_str().context("no id")?);
    let ticket = bought["tickets"][0]["id"].as_str().context("no id")?;
    for (field, id) in [
        ("hold", hold.id.as_str()),
        ("booking", booking),
        ("payment", payment),
        ("ticket", ticket),
        ("node", booking),
        ("node", payment),
        ("node", ticket),
        ("node", &hold.id),
    ] {
        let query = format!(
            "query($id: ID!) {{ {field}(id: $id) {{ id ... on Hold {{ status }} ... on Booking {{ code }} ... on Payment {{ method }} ... on Ticket {{ number }} }} }}"
        );
        let query = if field == "node" { query } else { format!("query($id: ID!) {{ {field}(id: $id) {{ id }} }}") };
        // Not yours is the same as not there; `node` may repeat the id that it was asked for.
        for stranger in [&people[1].client, &client] {
            let answer = stranger.send(&query, json!({ "id": id })).await?;
            let told = answer.body["data"][field]
                .as_object()
                .map(|fields| fields.iter().filter(|(name, value)| *name != "id" && !value.is_null()).count());
            ensure!(told.is_none_or(|told| field == "node" && told == 0), "{field}: {}", answer.text);
        }
        ensure!(people[0].client.query(&query, json!({ "id": id })).await?[field]["id"] == id);
    }
    for field in ["trip", "hold", "booking", "payment", "ticket", "node"] {
        let query = format!("query($id: ID!) {{ {field}(id: $id) {{ id }} }}");
        for id in [
            "",
            "nonsense",
            "trip_",
            "trip_zzzz",
            "hold_!!",
            "../../etc/passwd",
            "seat_0",
            "\u{0}",
            &"x".repeat(5000),
            "' OR 1=1 --",
        ] {
            let answer = people[0].client.send(&query, json!({ "id": id })).await?;
            ensure!(answer.body["data"][field].is_null(), "{field} {id:?}: {}", answer.text);
            if answer.body.get("errors").is_some() {
                answer.refusal_code().with_context(|| format!("{field} {id:?}"))?;
            }
        }
    }
    for id in ["nonsense", &train.id, &format!("hold_{}", "0".repeat(26))] {
        one_of(&code(people[0].release(id).await?)?, &["NOT_FOUND", "INVALID_INPUT", "INVALID_ID"])?;
    }
    one_of(&code(people[1].release(&hold.id).await?)?, &["NOT_FOUND"])?;
    one_of(&code(people[1].try_book(&hold, &fresh_key()).await?)?, &["NOT_FOUND"])?;
    one_of(&code(people[1].try_pay(booking, &fresh_key()).await?)?, &["NOT_FOUND"])?;
    one_of(&code(people[1].cancel(booking, &fresh_key()).await?)?, &["NOT_FOUND"])?;
    ensure!(people[0].hold_status(&hold.id).await?.as_deref() == Some("ACTIVE"));
    let rejected = client.mutate(documents::RELEASE_HOLD, json!({ "holdId": hold.id })).await;
    ensure!(rejected.is_err_and(|error| format!("{error:#}").contains("UNAUTHENTICATED")), "an anonymous mutation");
    berth.assert_alive()
}

async fn seats(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let people = Person::sign_up_many(&client, "seats", 2).await?;
    let trains = timetable::demo_trains(&client, 3).await?;
    let (train, other) = (&trains[0], &trains[1]);
    let segment = train.whole();
    let free = timetable::free_seats(&client, &segment, 12).await?;
    let foreign = timetable::free_seats(&client, &other.whole(), 1).await?.remove(0);
    let taken = people[1].hold(&segment, &[&free[0]]).await?;
    let before = picture(train, &people[0]).await?;
    let seat = |number: usize| free[number].as_str();
    let nine: Vec<&str> = (1..10).map(seat).collect();
    let turned = Segment { from: segment.to.clone(), to: segment.from.clone(), ..segment.clone() };
    let nowhere = Segment { to: segment.from.clone(), ..segment.clone() };
    let elsewhere = Segment { to: other.stops[1].clone(), ..segment.clone() };
    let cases: Vec<(&Segment, Vec<&str>, &[&str])> = vec![
        (&segment, vec![], &["INVALID_SEAT_COUNT"]),
        (&segment, nine, &["INVALID_SEAT_COUNT"]),
        (&segment, vec![seat(1), seat(1)], &["DUPLICATE_SEAT"]),
        (&segment, vec![&foreign], &["INVALID_SEAT"]),
        (&segment, vec!["nonsense"], &["INVALID_SEAT", "INVALID_ID", "INVALID_INPUT"]),
        (&turned, vec![seat(1)], &["INVALID_SEGMENT"]),
        (&nowhere, vec![seat(1)], &["INVALID_SEGMENT"]),
        (&elsewhere, vec![seat(1)], &["INVALID_SEGMENT", "INVALID_ID", "INVALID_INPUT"]),
    ];
    for (segment, seats, codes) in cases {
        one_of(&code(people[0].place(segment, &seats, &fresh_key()).await?)?, codes).with_context(|| format!("{seats:?}"))?;
    }
    for item in [segment.best(0), segment.best(-1), segment.best(9)] {
        let input = json!({ "items": [item], "idempotencyKey": fresh_key() });
        one_of(&code(people[0].client.mutate(documents::PLACE_HOLD, input).await?)?, &["INVALID_SEAT_COUNT"])?;
    }
    let input = json!({ "items": [], "idempotencyKey": fresh_key() });
    one_of(&code(people[0].client.mutate(documents::PLACE_HOLD, input).await?)?, &["INVALID_SEAT_COUNT", "INVALID_INPUT"])?;
    let both = json!({ "tripId": segment.trip, "fromStopId": segment.from, "toStopId": segment.to,
        "select": { "seatIds": [seat(1)], "bestAvailable": { "count": 1 } } });
    let input = json!({ "input": { "items": [{ "seats": both }], "idempotencyKey": fresh_key() } });
    people[0].client.send(documents::PLACE_HOLD, input).await?.refusal_code().context("two members of a oneOf")?;

    let refusal = people[0].place(&segment, &[seat(0), seat(1)], &fresh_key()).await?.refused()?;
    ensure!(
        refusal.code == "SEATS_UNAVAILABLE"
            && refusal.body["seats"][0]["id"] == seat(0)
            && refusal.body["seats"].as_array().map(Vec::len) == Some(1),
        "{}",
        refusal.body
    );
    let alternatives = refusal.body["alternatives"].as_array().context("no alternatives")?;
    ensure!(!alternatives.is_empty() && alternatives.iter().all(|seat| seat["state"] == "AVAILABLE"), "{}", refusal.body);
    ensure!(picture(train, &people[0]).await? == before, "a refusal changed something");
    ensure!(people[1].hold_status(&taken.id).await?.as_deref() == Some("ACTIVE"));

    for number in 1..5 {
        people[0].hold(&segment, &[seat(number)]).await?;
    }
    one_of(&code(people[0].place(&segment, &[seat(5)], &fresh_key()).await?)?, &["HOLD_LIMIT"])?;
    berth.assert_alive()
}

async fn holds_and_bookings(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.setup().env("BERTH_HOLD_TTL_SECS", "60").start().await?;
    let client = berth.client()?;
    let person = Person::sign_up(&client, "book").await?;
    let train = timetable::demo_train(&client, 2).await?;
    let seats = timetable::free_seats(&client, &train.whole(), 4).await?;
    let hold = person.hold(&train.whole(), &[&seats[0], &seats[1]]).await?;

    let details =
        json!({ "fullName": "Siti Rahma", "idType": "NATIONAL_ID", "idNumber": "3175010101900001", "birthDate": "1990-01-01" });
    let one = |item: &str| json!({ "heldSeatId": item, "details": details });
    let (first, second) = (hold.items[0].as_str(), hold.items[1].as_str());
    let foreign = format!("helditem_{}", "0".repeat(26));
    let cases: Vec<(&str, Value)> = vec![
        ("none", json!([])),
        ("too few", json!([one(first)])),
        ("too many", json!([one(first), one(second), one(first)])),
        ("one twice", json!([one(first), one(first)])),
        ("of another hold", json!([one(first), one(&foreign)])),
        ("malformed", json!([one(first), one("nonsense")])),
        ("neither", json!([one(first), { "heldSeatId": second }])),
        (
            "both",
            json!([one(first), { "heldSeatId": second, "passengerId": format!("passenger_{}", "0".repeat(26)), "details": details }]),
        ),
        (
            "unknown passenger",
            json!([one(first), { "heldSeatId": second, "passengerId": format!("passenger_{}", "0".repeat(26)) }]),
        ),
        ("no name", json!([one(first), { "heldSeatId": second, "details": { "fullName": "" } }])),
    ];
    for (name, passengers) in cases {
        let input = json!({ "holdId": hold.id, "passengers": passengers, "contact": { "email": person.email }, "idempotencyKey": fresh_key() });
        let code = code(person.client.mutate(documents::CREATE_BOOKING, input).await?).with_context(|| name.to_owned())?;
        one_of(&code, &["PASSENGER_RULE", "INVALID_INPUT", "NOT_FOUND"]).with_context(|| name.to_owned())?;
    }
    let input = json!({ "holdId": hold.id, "passengers": [one(first), one(second)], "contact": { "email": "nonsense" }, "idempotencyKey": fresh_key() });
    one_of(&code(person.client.mutate(documents::CREATE_BOOKING, input).await?)?, &["INVALID_INPUT"])?;
    let data = person.client.query(documents::ME, Value::Null).await?;
    ensure!(
        data["me"]["bookings"]["nodes"] == json!([]) && person.hold_status(&hold.id).await?.as_deref() == Some("ACTIVE"),
        "{data}"
    );

    let booking_id = person.book(&hold).await?;
    one_of(&code(person.try_book(&hold, &fresh_key()).await?)?, &["HOLD_ALREADY_BOOKED"])?;
    let payment_id = person.pay(&booking_id).await?;
    one_of(&code(person.try_pay(&booking_id, &fresh_key()).await?)?, &["PAYMENT_PENDING"])?;
    person.provider(&payment_id, "settle").await?;
    person.await_booking(&booking_id, &["CONFIRMED"], Duration::from_secs(20)).await?;
    one_of(&code(person.try_pay(&booking_id, &fresh_key()).await?)?, &["ALREADY_PAID"])?;
    one_of(&code(person.cancel(&booking_id, &fresh_key()).await?)?, &["INVALID_TRANSITION"])?;
    one_of(&code(person.release(&hold.id).await?)?, &["INVALID_TRANSITION"])?;

    let lapsing = person.hold(&train.whole(), &[&seats[2]]).await?;
    client.advance(61).await?;
    one_of(&code(person.try_book(&lapsing, &fresh_key()).await?)?, &["HOLD_EXPIRED"])?;
    let released = person.release(&lapsing.id).await?;
    if let Outcome::Refused(refusal) = released {
        one_of(&refusal.code, &["INVALID_TRANSITION", "HOLD_EXPIRED"])?;
    }
    ensure!(person.hold_status(&lapsing.id).await?.as_deref() == Some("EXPIRED"));
    idempotency_keys(&person, &train, &seats[3]).await?;
    berth.assert_alive()
}

async fn idempotency_keys(person: &Person, train: &Train, seat: &str) -> anyhow::Result<()> {
    let segment = train.whole();
    let without = json!({ "input": { "items": [segment.seats(&[seat])] } });
    person.client.send(documents::PLACE_HOLD, without).await?.refusal_code().context("a missing key")?;
    for key in ["", &"k".repeat(200)] {
        one_of(&code(person.place(&segment, &[seat], key).await?)?, &["INVALID_IDEMPOTENCY_KEY", "INVALID_INPUT"])?;
    }
    let key = fresh_key();
    let hold = Hold::of(&person.place(&segment, &[seat], &key).await?.done()?)?;
    one_of(&code(person.place(&train.segment(0, 1), &[seat], &key).await?)?, &["IDEMPOTENCY_CONFLICT"])?;
    let again = Hold::of(&person.place(&segment, &[seat], &key).await?.done()?)?;
    ensure!(hold.id == again.id && hold.items == again.items, "a repeat has another answer");
    let key = fresh_key();
    let booking = person.try_book(&hold, &key).await?.done()?;
    let mut input = json!({ "holdId": hold.id, "passengers": [{ "heldSeatId": hold.items[0], "details": { "fullName": "Somebody Else" } }],
        "contact": { "email": person.email }, "idempotencyKey": key });
    one_of(&code(person.client.mutate(documents::CREATE_BOOKING, input.take()).await?)?, &["IDEMPOTENCY_CONFLICT"])?;
    ensure!(person.try_book(&hold, &key).await?.done()?["booking"]["id"] == booking["booking"]["id"]);
    Ok(())
}

async fn one_time_passwords_and_sessions(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    for (email, password) in
        [("nonsense", PASSWORD), ("", PASSWORD), ("a@example.org", "short"), ("a@example.org", &"x".repeat(5000))]
    {
        one_of(
            &code(client.mutate(documents::SIGN_UP, json!({ "email": email, "password": password })).await?)?,
            &["INVALID_INPUT"],
        )?;
    }
    let flow = sign_up(&client, "locked@example.org").await?;
    let right = one_time_password(&client, "locked@example.org").await?;
    let wrong = if right == "000000" { "111111" } else { "000000" };
    for _ in 0..5 {
        one_of(&verify(&client, &flow, wrong).await?, &["OTP_INVALID", "OTP_LOCKED"])?;
    }
    one_of(&verify(&client, &flow, &right).await?, &["OTP_LOCKED"])?;
    one_of(&verify(&client, "nonsense", &right).await?, &["OTP_INVALID", "INVALID_INPUT", "NOT_FOUND"])?;

    let flow = sign_up(&client, "late@example.org").await?;
    let right = one_time_password(&client, "late@example.org").await?;
    for malformed in ["", "12345", "1234567", "abcdef", "１２３４５６"] {
        one_of(&verify(&client, &flow, malformed).await?, &["OTP_INVALID", "INVALID_INPUT"])?;
    }
    client.advance(601).await?;
    one_of(&verify(&client, &flow, &right).await?, &["OTP_EXPIRED", "OTP_LOCKED"])?;

    // Nobody learns whether an account exists.
    let person = Person::sign_up(&client, "known").await?;
    let known = client.mutate(documents::SIGN_UP, json!({ "email": person.email, "password": PASSWORD })).await?.done()?;
    ensure!(known["flowId"].as_str().is_some_and(|flow| flow.starts_with("flow_")), "{known}");
    one_of(&sign_in(&client, &person.email, "wrong password 1").await?, &["CREDENTIALS_INVALID"])?;
    one_of(&sign_in(&client, "nobody@example.org", "wrong password 1").await?, &["CREDENTIALS_INVALID"])?;

    // A consumed refresh token works again only while its successor was never used.
    let refresh = |token: String| {
        let client = client.clone();
        async move { client.mutate(documents::REFRESH_SESSION, json!({ "refreshToken": token })).await }
    };
    let second =
        refresh(person.refresh_token.clone()).await?.done()?["session"]["refreshToken"].as_str().context("none")?.to_owned();
    refresh(second).await?.done()?;
    one_of(&code(refresh(person.refresh_token.clone()).await?)?, &["SESSION_REVOKED"])?;
    one_of(&code(refresh("nonsense".to_owned()).await?)?, &["SESSION_UNKNOWN", "INVALID_INPUT"])?;
    berth.assert_alive()
}

async fn sign_up(client: &Client, email: &str) -> anyhow::Result<String> {
    let done = client.mutate(documents::SIGN_UP, json!({ "email": email, "password": PASSWORD })).await?.done()?;
    Ok(done["flowId"].as_str().context("no flow")?.to_owned())
}

async fn verify(client: &Client, flow: &str, otp: &str) -> anyhow::Result<String> {
    code(client.mutate(documents::VERIFY_OTP, json!({ "flowId": flow, "code": otp })).await?)
}

async fn sign_in(client: &Client, email: &str, password: &str) -> anyhow::Result<String> {
    code(client.mutate(documents::SIGN_IN, json!({ "email": email, "password": password })).await?)
}

/// Texts as long as a request takes them, of the kinds that make careless readers slow: each is refused, and soon.
async fn long_texts(arm: Arm) -> anyhow::Result<()> {
    const LENGTH: usize = 200_000;
    const SOON: Duration = Duration::from_secs(3);
    const STATIONS: &str = "query($input: String!) { stations(search: $input) { totalCount } }";
    const PAGE: &str = "query($input: String!) { stations(after: $input) { totalCount } }";
    const NODE: &str = "query($input: ID!) { node(id: $input) { id } }";
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let person = Person::sign_up(&client, "long").await?;
    let units = ["a", "a.", "@", "+1", "\u{e9} ", "a\u{301}", "=", "AAAA", "%", "\u{130}", "0-", "\\"];
    for unit in units {
        let long: String = unit.chars().cycle().take(LENGTH / unit.len().max(2)).collect();
        let asked = [
            (documents::SIGN_UP, json!({ "email": format!("{long}@example.org"), "password": PASSWORD })),
            (documents::SIGN_UP, json!({ "email": "long@example.org", "password": long })),
            (documents::SIGN_IN, json!({ "email": long, "password": PASSWORD })),
            (documents::VERIFY_OTP, json!({ "flowId": long, "code": "000000" })),
            (documents::VERIFY_OTP, json!({ "flowId": format!("flow_{}", "0".repeat(26)), "code": long })),
            (documents::UPDATE_PROFILE, json!({ "fullName": long })),
            (documents::PLACE_HOLD, json!({ "items": [], "idempotencyKey": long })),
            (STATIONS, json!(long)),
            (PAGE, json!(long)),
            (NODE, json!(long)),
        ];
        for (number, (document, input)) in asked.into_iter().enumerate() {
            let began = Instant::now();
            let answer = person.client.send(document, json!({ "input": input })).await?;
            ensure!(began.elapsed() < SOON, "{unit:?} in {number} took {:?}", began.elapsed());
            let ours = ["SERVICE_UNAVAILABLE", "INTERNAL_SERVER_ERROR"].iter().any(|code| answer.text.contains(code));
            ensure!(!ours && !answer.text.contains("Success\""), "{unit:?} in {number}: {}", answer.text);
        }
    }
    berth.assert_alive()
}
