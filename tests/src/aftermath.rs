//! What must be true after a run with faults, once everything works again: nothing acknowledged is lost, every payment ends in
//! tickets or in a refund, and Berth is as lively as before.

use std::time::{Duration, Instant};

use anyhow::ensure;
use futures_util::{StreamExt, stream};

use crate::{
    arrears::{self, End},
    client::Client,
    eventually,
    fight::Arena,
    history::{Claim, History, Violation, given_twice},
    person::{Person, Segment},
    timetable,
};

/// Longer than the first moment at which an unheard payment is asked for.
const POLL_PAST_SECS: i64 = 70;
const ENDS_WITHIN: Duration = Duration::from_secs(30);
/// Holds that measure how lively it is.
const HOLDS: usize = 120;

/// A run that is over, and where to look.
pub struct Aftermath<'a> {
    /// A client without a token.
    pub client: &'a Client,
    /// What was fought for.
    pub arena: &'a Arena,
    /// Who fought.
    pub people: &'a [Person],
    /// What they saw.
    pub history: &'a History,
}

impl Aftermath<'_> {
    /// Every checker that needs no deadline to pass.
    pub async fn violations(&self) -> anyhow::Result<Vec<Violation>> {
        let mut found = self.history.violations(self.arena.capacity);
        found.extend(self.holds_that_differ().await?);
        found.extend(self.map_that_differs().await?);
        found.extend(self.payments_without_end().await?);
        Ok(found)
    }

    /// Fails when a checker finds something.
    pub async fn judge(&self) -> anyhow::Result<()> {
        println!("{}", self.history.summary());
        let found = self.violations().await?;
        ensure!(found.is_empty(), "{} violations: {:#?}", found.len(), &found[..found.len().min(10)]);
        Ok(())
    }

    /// Every granted hold is known and has the status that its owner was told.
    pub async fn holds_that_differ(&self) -> anyhow::Result<Vec<Violation>> {
        let mut found = Vec::new();
        for claim in self.history.claims() {
            let status = self.people[claim.who].hold_status(&claim.hold_id).await?;
            let status = status.as_deref().unwrap_or("MISSING");
            let cancelled = claim.purchase.as_ref().is_some_and(|purchase| purchase.cancelled);
            let paid = claim.purchase.as_ref().is_some_and(|purchase| purchase.payment_id.is_some());
            let right = match status {
                "COMMITTED" => paid,
                "RELEASED" => claim.released || cancelled,
                "ACTIVE" => !claim.released && claim.sold.is_none(),
                _ => false,
            };
            // The seats of a cancelled booking are given back by the saga, a moment later.
            if !right || cancelled && status == "ACTIVE" && !self.released_soon(&claim).await {
                found.push(Violation::Lost(format!("{} is {status}, but {claim:?}", claim.hold_id)));
            }
        }
        Ok(found)
    }

    async fn released_soon(&self, claim: &Claim) -> bool {
        let person = &self.people[claim.who];
        let released = || async { Ok((person.hold_status(&claim.hold_id).await?.as_deref() == Some("RELEASED")).then_some(())) };
        eventually("the release of a cancelled booking's seats", Duration::from_secs(20), released).await.is_ok()
    }

    /// Exactly the seats of living holds are taken.
    pub async fn map_that_differs(&self) -> anyhow::Result<Vec<Violation>> {
        let mut living = Vec::new();
        for claim in self.history.claims() {
            let status = self.people[claim.who].hold_status(&claim.hold_id).await?;
            if matches!(status.as_deref(), Some("ACTIVE" | "COMMITTED")) {
                living.push(claim);
            }
        }
        let mut found = Vec::new();
        for leg in 0..self.arena.legs {
            let (_, map) = timetable::seat_map(self.client, &self.arena.train.segment(leg, leg + 1)).await?;
            for (number, id) in self.arena.seats.iter().enumerate() {
                let holders: Vec<&str> = living
                    .iter()
                    .filter(|claim| claim.seats.contains(&number) && claim.legs.contains(&leg))
                    .map(|claim| claim.hold_id.as_str())
                    .collect();
                let free = map.iter().any(|seat| seat.id == *id && seat.state == "AVAILABLE");
                if holders.len() > 1 || free == (holders.len() == 1) {
                    found.push(Violation::Lost(format!("seat {number} leg {leg}: free {free}, holders {holders:?}")));
                }
            }
        }
        Ok(found)
    }

    /// Every begun payment is paid now, whatever was lost; then each ends in tickets or in a refund.
    pub async fn payments_without_end(&self) -> anyhow::Result<Vec<Violation>> {
        let mut paid = Vec::new();
        for mut claim in self.history.claims() {
            let Some(purchase) = claim.purchase.clone() else { continue };
            let Some(payment_id) = purchase.payment_id else { continue };
            let person = &self.people[claim.who];
            if person.booking(&purchase.booking_id).await?.is_null() {
                return Ok(vec![Violation::Lost(format!("booking {} is gone", purchase.booking_id))]);
            }
            if !purchase.settled {
                person.provider(&payment_id, "settle").await?;
            }
            claim.sold = None;
            paid.push((claim, purchase.booking_id, payment_id));
        }
        // Lost webhooks are found by asking the provider, a minute later.
        self.client.advance(POLL_PAST_SECS).await?;
        let (mut found, mut sold, mut refunds) = (Vec::new(), Vec::new(), 0);
        for (mut claim, booking_id, payment_id) in paid {
            match arrears::settled(&self.people[claim.who], &booking_id, &payment_id, ENDS_WITHIN).await? {
                Ok(End::Tickets) => {
                    claim.sold = Some(claim.held.from);
                    sold.push(claim);
                }
                Ok(End::Refund) => refunds += 1,
                Err(violation) => found.push(violation),
            }
            // One stuck payment is enough to know.
            if found.len() > 2 {
                break;
            }
        }
        println!("{} payments ended in tickets, {refunds} in a refund", sold.len());
        found.extend(given_twice(&sold));
        Ok(found)
    }
}

/// The slowest of the quickest 99 % of holds, a few at a time, on seats that nobody else wants.
pub async fn hold_p99(people: &[Person], segment: &Segment) -> anyhow::Result<Duration> {
    let one = |number: usize| async move {
        let person = &people[number % people.len()];
        let asked = Instant::now();
        let hold = person.hold_best(segment, 1).await?;
        let took = asked.elapsed();
        person.release(&hold.id).await?.done()?;
        Ok::<_, anyhow::Error>(took)
    };
    let taken = stream::iter(0..HOLDS).map(one).buffer_unordered(people.len().min(4)).collect::<Vec<_>>().await;
    let mut took = taken.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    took.sort_unstable();
    Ok(took[took.len() * 99 / 100])
}
