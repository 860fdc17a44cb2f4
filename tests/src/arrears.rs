//! Deadlines and money that comes after them. Each scenario answers what went wrong: nothing, on a sound build.

use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

use crate::{
    client::{Client, Outcome},
    eventually,
    history::Violation,
    person::{Person, Segment, fresh_key},
    timetable,
};

/// Longer than a hold that was extended by a payment.
const PAST_EVERY_DEADLINE_SECS: i64 = 2 * 3600 + 60;
const WITHIN: Duration = Duration::from_secs(30);

/// People on one train, and the clock they live by.
pub struct World {
    client: Client,
    people: Vec<Person>,
    segment: Segment,
    seats: Vec<String>,
}

/// A booking whose payment has begun.
struct Begun {
    hold_id: String,
    booking_id: String,
    payment_id: String,
}

impl World {
    /// Some people and some free seats.
    pub async fn new(client: &Client, people: usize) -> anyhow::Result<Self> {
        let segment = timetable::demo_train(client, 2).await?.whole();
        let seats = timetable::free_seats(client, &segment, 8).await?;
        let people = Person::sign_up_many(client, "late", people).await?;
        Ok(Self { client: client.clone(), people, segment, seats })
    }

    /// Moves the clock, and gives everybody a token that is good afterwards.
    async fn advance(&mut self, secs: i64) -> anyhow::Result<()> {
        self.client.advance(secs).await?;
        for person in &mut self.people {
            person.refresh().await?;
        }
        Ok(())
    }

    async fn begin(&self, who: usize, seat: usize) -> anyhow::Result<Begun> {
        let person = &self.people[who];
        let hold = person.hold(&self.segment, &[&self.seats[seat]]).await?;
        let booking_id = person.book(&hold).await?;
        let payment_id = person.pay(&booking_id).await?;
        Ok(Begun { hold_id: hold.id, booking_id, payment_id })
    }

    async fn lapsed(&self, who: usize, begun: &Begun) -> anyhow::Result<()> {
        self.people[who].await_booking(&begun.booking_id, &["EXPIRED"], WITHIN).await.map(|_| ())
    }

    /// How a paid booking ended: with tickets, or with its money back; both or none is a violation.
    async fn ended(&self, who: usize, begun: &Begun) -> anyhow::Result<Result<End, Violation>> {
        settled(&self.people[who], &begun.booking_id, &begun.payment_id, WITHIN).await
    }

    /// A hold is dead at its deadline, without anybody sweeping: not a moment earlier, not a moment later.
    pub async fn deadline(&mut self) -> anyhow::Result<Vec<Violation>> {
        let mut found = Vec::new();
        let hold = self.people[0].hold(&self.segment, &[&self.seats[0]]).await?;
        let remaining = i64::try_from(hold.remaining.as_secs())?;
        self.advance(remaining - 5).await?;
        if let Outcome::Done(_) = self.people[1].place(&self.segment, &[&self.seats[0]], &fresh_key()).await? {
            found.push(Violation::GivenTwice("granted before the deadline of the first hold".to_owned()));
        }
        self.advance(7).await?;
        if let Outcome::Refused(refusal) = self.people[1].place(&self.segment, &[&self.seats[0]], &fresh_key()).await? {
            found.push(Violation::Lost(format!("still refused after the deadline: {}", refusal.body)));
        }
        match self.people[0].try_book(&hold, &fresh_key()).await? {
            Outcome::Refused(refusal) if refusal.code == "HOLD_EXPIRED" => {}
            other => found.push(Violation::Untyped(format!("booking an ended hold answers {other:?}"))),
        }
        if self.people[0].hold_status(&hold.id).await?.as_deref() != Some("EXPIRED") {
            found.push(Violation::Untyped("the hold's status is not EXPIRED".to_owned()));
        }
        Ok(found)
    }

    /// Money after the deadline, the seats are still free: tickets.
    pub async fn seats_free(&mut self) -> anyhow::Result<Vec<Violation>> {
        let begun = self.begin(0, 1).await?;
        self.advance(PAST_EVERY_DEADLINE_SECS).await?;
        self.lapsed(0, &begun).await?;
        self.people[0].provider(&begun.payment_id, "settle").await?;
        Ok(match self.ended(0, &begun).await? {
            Ok(End::Tickets) => vec![],
            Ok(End::Refund) => vec![Violation::Unsettled("the seats were free, and the money went back".to_owned())],
            Err(violation) => vec![violation],
        })
    }

    /// Money after the deadline, somebody else has the seats: a refund.
    pub async fn seats_taken(&mut self) -> anyhow::Result<Vec<Violation>> {
        let begun = self.begin(0, 2).await?;
        self.advance(PAST_EVERY_DEADLINE_SECS).await?;
        self.lapsed(0, &begun).await?;
        self.people[1].buy(&self.segment, &[&self.seats[2]]).await?;
        self.people[0].provider(&begun.payment_id, "settle").await?;
        Ok(match self.ended(0, &begun).await? {
            Ok(End::Refund) => vec![],
            Ok(End::Tickets) => vec![Violation::GivenTwice(format!("{} was sold to two people", begun.hold_id))],
            Err(violation) => vec![violation],
        })
    }

    /// Two people pay late for the same seat at once: tickets for one, a refund for the other.
    pub async fn two_late_payers(&mut self) -> anyhow::Result<Vec<Violation>> {
        let first = self.begin(0, 3).await?;
        self.advance(PAST_EVERY_DEADLINE_SECS).await?;
        self.lapsed(0, &first).await?;
        let second = self.begin(1, 3).await?;
        self.advance(PAST_EVERY_DEADLINE_SECS).await?;
        self.lapsed(1, &second).await?;
        let (one, other) = tokio::join!(
            self.people[0].provider(&first.payment_id, "settle"),
            self.people[1].provider(&second.payment_id, "settle")
        );
        one.and(other)?;
        let ends = [self.ended(0, &first).await?, self.ended(1, &second).await?];
        Ok(match ends {
            [Ok(End::Tickets), Ok(End::Refund)] | [Ok(End::Refund), Ok(End::Tickets)] => vec![],
            [Ok(End::Tickets), Ok(End::Tickets)] => vec![Violation::GivenTwice("both late payers have tickets".to_owned())],
            [Ok(End::Refund), Ok(End::Refund)] => vec![Violation::Unsettled("neither late payer has tickets".to_owned())],
            ends => ends.into_iter().filter_map(Result::err).collect(),
        })
    }

    /// Money for a booking that was cancelled: a refund.
    pub async fn cancelled(&mut self) -> anyhow::Result<Vec<Violation>> {
        let begun = self.begin(0, 4).await?;
        self.people[0].cancel(&begun.booking_id, &fresh_key()).await?.done()?;
        if let Err(refused) = self.people[0].provider(&begun.payment_id, "settle").await {
            // The provider may have closed the payment in time: then there is no money to give back.
            let payment = self.people[0].payment(&begun.payment_id).await?;
            anyhow::ensure!(payment["status"] == "CANCELLED", "{refused}: {payment}");
            return Ok(vec![]);
        }
        Ok(match self.ended(0, &begun).await? {
            Ok(End::Refund) => vec![],
            Ok(End::Tickets) => vec![Violation::Lost("the cancelled booking has tickets".to_owned())],
            Err(violation) => vec![violation],
        })
    }
}

/// How money ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// In tickets.
    Tickets,
    /// Back at the payer.
    Refund,
}

/// Waits until a paid payment has ended in tickets or in a completed refund.
pub async fn settled(
    person: &Person,
    booking_id: &str,
    payment_id: &str,
    within: Duration,
) -> anyhow::Result<Result<End, Violation>> {
    let seen = eventually("tickets or a refund", within, || async {
        let (booking, payment) = (person.booking(booking_id).await?, person.payment(payment_id).await?);
        end_of(&booking, &payment).map(Some).with_context(|| format!("{booking} {payment}"))
    });
    Ok(match seen.await {
        Ok(end) => Ok(end),
        Err(error) => Err(Violation::Unsettled(format!("{error:#}"))),
    })
}

/// Tickets for every part and money kept, or no ticket in force and money back.
fn end_of(booking: &Value, payment: &Value) -> anyhow::Result<End> {
    let tickets = booking["tickets"].as_array().map_or(0, |tickets| {
        tickets.iter().filter(|ticket| matches!(ticket["status"].as_str(), Some("ISSUED" | "CHECKED_IN"))).count()
    });
    let parts = booking["parts"].as_array().map_or(0, Vec::len);
    match (booking["status"].as_str(), payment["status"].as_str()) {
        (Some("CONFIRMED"), Some("PAID")) if tickets == parts && parts > 0 => Ok(End::Tickets),
        (Some("REFUNDED" | "CANCELLED"), Some("REFUNDED")) if tickets == 0 => Ok(End::Refund),
        (booking, payment) => anyhow::bail!("{tickets} tickets for {parts} parts, booking {booking:?}, payment {payment:?}"),
    }
}
