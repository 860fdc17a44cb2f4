//! I11: the same key three times in a row and eight times at once, and a reply that is cut on its way: one effect, the same data.

use std::{collections::BTreeSet, future::Future};

use anyhow::{Context, ensure};
use berth_tests::{
    client::{Client, Outcome},
    documents, in_both_arms,
    person::{Hold, Person, fresh_key, id_of},
    process::Arm,
    proxy::{Mode, Proxy},
    timetable,
};
use serde_json::Value;

in_both_arms!(a_repeated_request_has_one_effect, a_lost_reply_is_given_again);

/// The same key three times in a row and eight times at once: one effect, the same answer.
async fn a_repeated_request_has_one_effect(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let person = Person::sign_up(&client, "again").await?;
    let segment = timetable::demo_train(&client, 2).await?.whole();
    let seat = timetable::free_seats(&client, &segment, 1).await?.remove(0);

    let (key, seats) = (fresh_key(), [seat.as_str()]);
    let hold_id = repeated("hold", || person.place(&segment, &seats, &key)).await?;
    let hold = Hold::of(&person.place(&segment, &seats, &key).await?.done()?)?;
    ensure!(hold.id == hold_id && person.hold_status(&hold_id).await?.as_deref() == Some("ACTIVE"));
    let key = fresh_key();
    let booking_id = repeated("booking", || person.try_book(&hold, &key)).await?;
    let key = fresh_key();
    let payment_id = repeated("payment", || person.try_pay(&booking_id, &key)).await?;
    let booking = person.booking(&booking_id).await?;
    ensure!(booking["payments"].as_array().map(Vec::len) == Some(1) && booking["payments"][0]["id"] == payment_id, "{booking}");
    let key = fresh_key();
    repeated("booking", || person.cancel(&booking_id, &key)).await?;
    let data = person.client.query(documents::ME, Value::Null).await?;
    ensure!(data["me"]["bookings"]["nodes"].as_array().map(Vec::len) == Some(1), "{data}");
    berth.assert_alive()
}

/// Eight at once, then three in a row: all name the same thing. A repeat that meets the first at work may be told so.
async fn repeated<F, Fut>(field: &str, request: F) -> anyhow::Result<String>
where
    F: Fn() -> Fut,
    Fut: Future<Output = anyhow::Result<Outcome>>,
{
    let mut answers = futures_util::future::try_join_all((0..8).map(|_| request())).await?;
    for _ in 0..3 {
        answers.push(request().await?);
    }
    let mut ids = BTreeSet::new();
    for (at, answer) in answers.into_iter().enumerate() {
        match answer {
            Outcome::Done(success) => drop(ids.insert(id_of(&success[field])?)),
            Outcome::Refused(refusal) => {
                ensure!(at < 8 && refusal.code == "IDEMPOTENCY_IN_PROGRESS", "{field}: {}", refusal.body);
            }
        }
    }
    ensure!(ids.len() == 1, "one {field} was asked for, there are {ids:?}");
    ids.pop_first().context("no answer")
}

/// The request is worked on, its reply is cut; the same key then answers what happened, and it happened once.
async fn a_lost_reply_is_given_again(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let person = Person::sign_up(&client, "cut").await?;
    let segment = timetable::demo_train(&client, 2).await?.whole();
    let seat = timetable::free_seats(&client, &segment, 1).await?.remove(0);
    let wire = Proxy::start(berth.address()?).await?;
    let behind = Client::new(&format!("http://{}", wire.address()))?;
    let token = person.client.token().context("no token")?;
    let cut = Person { client: behind.with_token(token), ..person.clone() };

    wire.set(Mode::CutReply);
    let (key, seats) = (fresh_key(), [seat.as_str()]);
    for _ in 0..2 {
        ensure!(cut.place(&segment, &seats, &key).await.is_err(), "the reply came through");
    }
    ensure!(timetable::seat_state(&client, &segment, &seat).await? == "HELD", "the request did not come through");
    let hold = Hold::of(&person.place(&segment, &seats, &key).await?.done()?)?;
    let key = fresh_key();
    ensure!(cut.try_book(&hold, &key).await.is_err(), "the reply came through");
    let booking_id = id_of(&person.try_book(&hold, &key).await?.done()?["booking"])?;
    let key = fresh_key();
    ensure!(cut.try_pay(&booking_id, &key).await.is_err(), "the reply came through");
    let payment_id = id_of(&person.try_pay(&booking_id, &key).await?.done()?["payment"])?;
    let booking = person.booking(&booking_id).await?;
    ensure!(booking["payments"].as_array().map(Vec::len) == Some(1) && booking["payments"][0]["id"] == payment_id, "{booking}");
    let data = person.client.query(documents::ME, Value::Null).await?;
    ensure!(data["me"]["bookings"]["nodes"].as_array().map(Vec::len) == Some(1), "{data}");
    berth.assert_alive()
}
