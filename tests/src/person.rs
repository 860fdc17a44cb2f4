//! What a person does with Berth, step by step.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::{
    client::{Client, Fault, Outcome},
    documents, eventually,
};

/// Password of everybody here.
pub const PASSWORD: &str = "correct horse battery staple 7";

/// A signed-in person.
#[derive(Clone)]
pub struct Person {
    /// A client with their token.
    pub client: Client,
    /// Their address.
    pub email: String,
    /// Their id.
    pub id: String,
    /// The newest refresh token.
    pub refresh_token: String,
}

/// Counts up, for names that are used once in a run.
pub fn next_number() -> u64 {
    static COUNTED: AtomicU64 = AtomicU64::new(1);
    COUNTED.fetch_add(1, Ordering::Relaxed)
}

/// A key that no other request of this run has.
pub fn fresh_key() -> String {
    format!("key-{}-{}", std::process::id(), next_number())
}

/// The one-time password in the newest letter to an address.
pub async fn one_time_password(client: &Client, email: &str) -> anyhow::Result<String> {
    eventually("the letter with the one-time password", Duration::from_secs(20), || async {
        Ok(client.letters(email).await?.first().and_then(|letter| six_digits(letter["text"].as_str()?)))
    })
    .await
}

fn six_digits(text: &str) -> Option<String> {
    text.split(|letter: char| !letter.is_ascii_digit()).find(|word| word.len() == 6).map(str::to_owned)
}

impl Person {
    /// Signs up with an address of their own and proves it by the letter.
    pub async fn sign_up(client: &Client, name: &str) -> anyhow::Result<Self> {
        let email = format!("{name}-{}-{}@example.org", std::process::id(), next_number());
        let flow = client.mutate(documents::SIGN_UP, json!({ "email": email, "password": PASSWORD })).await?.done()?;
        let code = one_time_password(client, &email).await?;
        let input = json!({ "flowId": flow["flowId"], "code": code });
        Self::of_session(client, &client.mutate(documents::VERIFY_OTP, input).await?.done()?)
    }

    /// Many people at once.
    pub async fn sign_up_many(client: &Client, name: &str, count: usize) -> anyhow::Result<Vec<Self>> {
        use futures_util::{StreamExt, TryStreamExt, stream};
        stream::iter(0..count).map(|_| Self::sign_up(client, name)).buffered(8).try_collect().await
    }

    /// Signs in again with the password.
    pub async fn sign_in(client: &Client, email: &str) -> anyhow::Result<Self> {
        let input = json!({ "email": email, "password": PASSWORD });
        Self::of_session(client, &client.anonymous().mutate(documents::SIGN_IN, input).await?.done()?)
    }

    fn of_session(client: &Client, success: &Value) -> anyhow::Result<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned).with_context(|| format!("not a session: {success}"));
        Ok(Self {
            client: client.with_token(&text(&success["session"]["accessToken"])?),
            email: text(&success["user"]["email"])?,
            id: text(&success["user"]["id"])?,
            refresh_token: text(&success["session"]["refreshToken"])?,
        })
    }

    /// A new access token, as after the clock has moved past the life of the old one.
    pub async fn refresh(&mut self) -> anyhow::Result<()> {
        let input = json!({ "refreshToken": self.refresh_token });
        *self =
            Self::of_session(&self.client, &self.client.anonymous().mutate(documents::REFRESH_SESSION, input).await?.done()?)?;
        Ok(())
    }

    /// Asks for exact seats.
    pub async fn place(&self, segment: &Segment, seats: &[&str], key: &str) -> anyhow::Result<Outcome> {
        let input = json!({ "items": [segment.seats(seats)], "idempotencyKey": key });
        self.client.mutate(documents::PLACE_HOLD, input).await
    }

    /// Holds exact seats; a refusal is an error.
    pub async fn hold(&self, segment: &Segment, seats: &[&str]) -> anyhow::Result<Hold> {
        Hold::of(&self.place(segment, seats, &fresh_key()).await?.done()?)
    }

    /// Asks for the best seats.
    pub async fn place_best(&self, segment: &Segment, count: i32, key: &str) -> anyhow::Result<Outcome> {
        let input = json!({ "items": [segment.best(count)], "idempotencyKey": key });
        self.client.mutate(documents::PLACE_HOLD, input).await
    }

    /// Holds the best seats; a refusal is an error.
    pub async fn hold_best(&self, segment: &Segment, count: i32) -> anyhow::Result<Hold> {
        Hold::of(&self.place_best(segment, count, &fresh_key()).await?.done()?)
    }

    /// Gives a hold back.
    pub async fn release(&self, hold_id: &str) -> anyhow::Result<Outcome> {
        self.client.mutate(documents::RELEASE_HOLD, json!({ "holdId": hold_id })).await
    }

    /// The status of a hold as the graph tells it; `None` when it is not theirs.
    pub async fn hold_status(&self, hold_id: &str) -> anyhow::Result<Option<String>> {
        let data = self.client.query(documents::HOLD, json!({ "id": hold_id })).await?;
        Ok(data["hold"]["status"].as_str().map(str::to_owned))
    }

    /// Asks for a booking of a hold, one passenger per seat.
    pub async fn try_book(&self, hold: &Hold, key: &str) -> anyhow::Result<Outcome> {
        let passengers: Vec<Value> = hold.items.iter().enumerate().map(|(number, item)| passenger(item, number)).collect();
        let input =
            json!({ "holdId": hold.id, "passengers": passengers, "contact": { "email": self.email }, "idempotencyKey": key });
        self.client.mutate(documents::CREATE_BOOKING, input).await
    }

    /// Books a hold; a refusal is an error. Answers the booking's id.
    pub async fn book(&self, hold: &Hold) -> anyhow::Result<String> {
        id_of(&self.try_book(hold, &fresh_key()).await?.done()?["booking"])
    }

    /// Cancels a booking.
    pub async fn cancel(&self, booking_id: &str, key: &str) -> anyhow::Result<Outcome> {
        self.client.mutate(documents::CANCEL_BOOKING, json!({ "bookingId": booking_id, "idempotencyKey": key })).await
    }

    /// Asks for a payment by QRIS.
    pub async fn try_pay(&self, booking_id: &str, key: &str) -> anyhow::Result<Outcome> {
        let input = json!({ "bookingId": booking_id, "method": { "qris": {} }, "idempotencyKey": key });
        self.client.mutate(documents::CREATE_PAYMENT, input).await
    }

    /// Begins a payment; a refusal is an error. Answers the payment's id.
    pub async fn pay(&self, booking_id: &str) -> anyhow::Result<String> {
        id_of(&self.try_pay(booking_id, &fresh_key()).await?.done()?["payment"])
    }

    /// Tells the sandbox provider how a payment ends: `settle`, `expire` or `deny`.
    pub async fn provider(&self, payment_id: &str, end: &str) -> anyhow::Result<()> {
        let (status, text) = self.client.post(&format!("/sandbox/payments/{payment_id}/{end}")).await?;
        if status < 400 { Ok(()) } else { Err(Fault::of(status, text).into()) }
    }

    /// A booking with its parts, tickets and payments.
    pub async fn booking(&self, booking_id: &str) -> anyhow::Result<Value> {
        let mut data = self.client.query(documents::BOOKING, json!({ "id": booking_id })).await?;
        Ok(data["booking"].take())
    }

    /// The kinds of what the person was told, newest first.
    pub async fn notifications(&self) -> anyhow::Result<Vec<String>> {
        let data = self.client.query("{ me { notifications(first: 50) { nodes { kind } } } }", Value::Null).await?;
        let nodes = data["me"]["notifications"]["nodes"].as_array().with_context(|| format!("no list: {data}"))?;
        Ok(nodes.iter().filter_map(|node| node["kind"].as_str().map(str::to_owned)).collect())
    }

    /// A payment with its history.
    pub async fn payment(&self, payment_id: &str) -> anyhow::Result<Value> {
        let mut data = self.client.query(documents::PAYMENT, json!({ "id": payment_id })).await?;
        Ok(data["payment"].take())
    }

    /// Waits until a booking has one of these statuses.
    pub async fn await_booking(&self, booking_id: &str, statuses: &[&str], within: Duration) -> anyhow::Result<Value> {
        eventually(&format!("booking {statuses:?}"), within, || async {
            let booking = self.booking(booking_id).await?;
            let status = booking["status"].as_str().unwrap_or_default();
            if statuses.contains(&status) { Ok(Some(booking)) } else { bail!("the booking is {booking}") }
        })
        .await
    }

    /// Waits until a payment has one of these statuses.
    pub async fn await_payment(&self, payment_id: &str, statuses: &[&str], within: Duration) -> anyhow::Result<Value> {
        eventually(&format!("payment {statuses:?}"), within, || async {
            let payment = self.payment(payment_id).await?;
            let status = payment["status"].as_str().unwrap_or_default();
            if statuses.contains(&status) { Ok(Some(payment)) } else { bail!("the payment is {payment}") }
        })
        .await
    }

    /// From free seats to tickets. Answers the booking.
    pub async fn buy(&self, segment: &Segment, seats: &[&str]) -> anyhow::Result<Value> {
        let hold = self.hold(segment, seats).await?;
        let booking_id = self.book(&hold).await?;
        let payment_id = self.pay(&booking_id).await?;
        self.provider(&payment_id, "settle").await?;
        self.await_booking(&booking_id, &["CONFIRMED"], Duration::from_secs(20)).await
    }
}

fn passenger(held_seat_id: &str, number: usize) -> Value {
    json!({ "heldSeatId": held_seat_id, "details": {
        "fullName": format!("Passenger Number {}", ["One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight"][number % 8]),
        "idType": "NATIONAL_ID", "idNumber": format!("317501010190{number:04}"), "birthDate": "1990-01-01" } })
}

/// The `id` of an object.
pub fn id_of(value: &Value) -> anyhow::Result<String> {
    value["id"].as_str().map(str::to_owned).with_context(|| format!("no id: {value}"))
}

/// A part of a trip between two of its stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The trip.
    pub trip: String,
    /// The stop where the journey begins.
    pub from: String,
    /// The stop where it ends.
    pub to: String,
}

impl Segment {
    /// The item of `placeHold` for exact seats.
    pub fn seats(&self, seats: &[&str]) -> Value {
        self.item(&json!({ "seatIds": seats }))
    }

    /// The item of `placeHold` for the best seats.
    pub fn best(&self, count: i32) -> Value {
        self.item(&json!({ "bestAvailable": { "count": count } }))
    }

    fn item(&self, select: &Value) -> Value {
        json!({ "seats": { "tripId": self.trip, "fromStopId": self.from, "toStopId": self.to, "select": select } })
    }
}

/// A hold that was granted.
#[derive(Debug, Clone)]
pub struct Hold {
    /// Its id.
    pub id: String,
    /// Ids of its held seats.
    pub items: Vec<String>,
    /// Ids of the seats themselves.
    pub seats: Vec<String>,
    /// Time it had left when the answer was made.
    pub remaining: Duration,
}

impl Hold {
    /// Reads `PlaceHoldSuccess`.
    pub fn of(success: &Value) -> anyhow::Result<Self> {
        let hold = &success["hold"];
        let items = hold["items"].as_array().context("no items")?;
        Ok(Self {
            id: id_of(hold)?,
            items: items.iter().map(id_of).collect::<anyhow::Result<_>>()?,
            seats: items.iter().map(|item| id_of(&item["seat"])).collect::<anyhow::Result<_>>()?,
            remaining: Duration::from_millis(hold["remainingMs"].as_u64().context("no remainingMs")?),
        })
    }
}
