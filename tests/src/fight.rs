//! Many clients, few seats: everybody wants overlapping parts of the same train.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use anyhow::Context;
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};

use crate::{
    client::{Client, Outcome},
    history::{Claim, History, Purchase, Reading, Span, Violation},
    person::{Hold, Person, fresh_key, id_of},
    timetable::{self, Train},
};

/// Refusals that ask for the same request again.
pub const AGAIN: [&str; 2] = ["IDEMPOTENCY_IN_PROGRESS", "PROVIDER_UNAVAILABLE"];

/// What is fought for.
#[derive(Debug, Clone)]
pub struct Arena {
    /// The train.
    pub train: Train,
    /// Its wanted seats.
    pub seats: Vec<String>,
    /// How many of its legs are wanted, from the first.
    pub legs: usize,
    /// How many seats a map of it has.
    pub capacity: usize,
}

impl Arena {
    /// A train of the demo timetable.
    pub async fn demo(client: &Client, seats: usize, legs: usize) -> anyhow::Result<Self> {
        let train = timetable::demo_train(client, legs).await?;
        let (_, map) = timetable::seat_map(client, &train.whole()).await?;
        let seats: Vec<String> =
            map.iter().filter(|seat| seat.state == "AVAILABLE").take(seats).map(|seat| seat.id.clone()).collect();
        Ok(Self { train, seats, legs, capacity: map.len() })
    }
}

/// How it is fought.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// For how long.
    pub lasts: Duration,
    /// Where chance begins.
    pub seed: u64,
    /// Of a hundred holds, how many are left to expire.
    pub abandoned: u32,
    /// How many are given back.
    pub released: u32,
    /// How many are booked and paid. The rest is booked and cancelled.
    pub paid: u32,
    /// The process is killed now and then: a lost answer is asked for again, with the same key.
    pub outages: bool,
}

impl Rules {
    /// The rules of the first promise.
    pub fn lasting(secs: u64) -> Self {
        Self { lasts: Duration::from_secs(secs), seed: 20_261_121, abandoned: 30, released: 30, paid: 2, outages: false }
    }
}

/// Runs a fight and answers its log. Each person is one client.
pub async fn run(client: &Client, arena: &Arena, people: &[Person], rules: Rules) -> History {
    let history = History::default();
    let until = Instant::now() + rules.lasts;
    let fighters = people.iter().enumerate().map(|(who, person)| {
        let dice = StdRng::seed_from_u64(rules.seed.wrapping_add(who as u64));
        Fighter { who, person, arena, rules, history: &history, until, dice }.run()
    });
    let anonymous = client.anonymous();
    tokio::join!(futures_util::future::join_all(fighters), observe(&anonymous, arena, &history, until));
    history
}

/// Reads the maps of all legs, ten times a second.
async fn observe(client: &Client, arena: &Arena, history: &History, until: Instant) {
    for leg in (0..arena.legs).cycle() {
        if Instant::now() > until {
            return;
        }
        let asked = Instant::now();
        match timetable::seat_map(client, &arena.train.segment(leg, leg + 1)).await {
            Ok((version, seats)) => history.read(Reading { leg, asked, answered: Instant::now(), version, seats }),
            Err(error) => history.outage(&error),
        }
        tokio::time::sleep(Duration::from_millis(100).saturating_sub(asked.elapsed())).await;
    }
}

struct Fighter<'a> {
    who: usize,
    person: &'a Person,
    arena: &'a Arena,
    rules: Rules,
    history: &'a History,
    until: Instant,
    dice: StdRng,
}

/// An answer, and when the try that got it began.
struct Answered {
    asked: Instant,
    outcome: Outcome,
}

impl Fighter<'_> {
    async fn run(mut self) {
        while Instant::now() < self.until {
            self.round().await;
        }
    }

    async fn round(&mut self) {
        let from = self.dice.random_range(0..self.arena.legs);
        let to = self.dice.random_range(from + 1..=self.arena.legs);
        let mut wanted: Vec<usize> = (0..self.arena.seats.len()).collect();
        wanted.shuffle(&mut self.dice);
        wanted.truncate(self.dice.random_range(1..=3));
        let Some((number, hold)) = self.place(from, to, wanted).await else { return };
        tokio::time::sleep(Duration::from_millis(self.dice.random_range(0..60))).await;
        let fate = self.dice.random_range(0..100);
        let Rules { abandoned, released, paid, .. } = self.rules;
        if fate < abandoned {
            return;
        }
        if fate < abandoned + released {
            return self.release(number, &hold).await;
        }
        let Some(booking_id) = self.book(number, &hold).await else { return };
        if fate < abandoned + released + paid {
            self.pay(number, &booking_id).await;
        } else {
            self.cancel(number, &booking_id).await;
        }
    }

    async fn place(&mut self, from: usize, to: usize, wanted: Vec<usize>) -> Option<(usize, Hold)> {
        let segment = self.arena.train.segment(from, to);
        let seats: Vec<&str> = wanted.iter().map(|seat| self.arena.seats[*seat].as_str()).collect();
        let key = fresh_key();
        let answered = self.ask(|| self.person.place(&segment, &seats, &key)).await?;
        let success = self.success(answered.outcome)?;
        let hold = self.understood(Hold::of(&success))?;
        if hold.seats.len() != wanted.len() {
            self.history.violated(Violation::Untyped(format!("asked for {} seats, got {}", wanted.len(), hold.seats.len())));
        }
        let held = Span { from: Instant::now(), to: Some(answered.asked + hold.remaining) };
        let claim = Claim {
            who: self.who,
            hold_id: hold.id.clone(),
            seats: wanted,
            legs: from..to,
            held,
            sold: None,
            released: false,
            purchase: None,
        };
        Some((self.history.granted(claim), hold))
    }

    async fn release(&self, number: usize, hold: &Hold) {
        self.history.ends(number, Instant::now());
        let Some(answered) = self.ask(|| self.person.release(&hold.id)).await else { return };
        if self.success(answered.outcome).is_some() {
            self.history.amend(number, |claim| claim.released = true);
        }
    }

    async fn book(&self, number: usize, hold: &Hold) -> Option<String> {
        let key = fresh_key();
        let answered = self.ask(|| self.person.try_book(hold, &key)).await?;
        let booking_id = self.understood(id_of(&self.success(answered.outcome)?["booking"]))?;
        let purchase = Purchase { booking_id: booking_id.clone(), payment_id: None, settled: false, cancelled: false };
        self.history.amend(number, |claim| claim.purchase = Some(purchase));
        Some(booking_id)
    }

    async fn cancel(&self, number: usize, booking_id: &str) {
        self.history.ends(number, Instant::now());
        let key = fresh_key();
        let Some(answered) = self.ask(|| self.person.cancel(booking_id, &key)).await else { return };
        if self.success(answered.outcome).is_some() {
            self.amend_purchase(number, |purchase| purchase.cancelled = true);
        }
    }

    async fn pay(&self, number: usize, booking_id: &str) {
        let key = fresh_key();
        let Some(answered) = self.ask(|| self.person.try_pay(booking_id, &key)).await else { return };
        let Some(success) = self.success(answered.outcome) else { return };
        let Some(payment_id) = self.understood(id_of(&success["payment"])) else { return };
        self.amend_purchase(number, |purchase| purchase.payment_id = Some(payment_id.clone()));
        if let Err(error) = self.person.provider(&payment_id, "settle").await {
            return self.history.outage(&error);
        }
        self.amend_purchase(number, |purchase| purchase.settled = true);
        let patience = if self.rules.outages { Duration::from_secs(3) } else { Duration::from_secs(20) };
        match self.person.await_booking(booking_id, &["CONFIRMED"], patience).await {
            Ok(_) => self.history.amend(number, |claim| claim.sold = Some(Instant::now())),
            Err(error) if self.rules.outages => self.history.outage(&error),
            Err(error) => self.history.violated(Violation::Unsettled(format!("{error:#}"))),
        }
    }

    fn amend_purchase(&self, number: usize, change: impl FnOnce(&mut Purchase)) {
        self.history.amend(number, |claim| {
            if let Some(purchase) = &mut claim.purchase {
                change(purchase);
            }
        });
    }

    /// Asks, and asks again while answers are lost, if that is in the rules.
    async fn ask<F, Fut>(&self, request: F) -> Option<Answered>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = anyhow::Result<Outcome>>,
    {
        let patience = self.until + Duration::from_mins(1);
        loop {
            let asked = Instant::now();
            match request().await {
                Ok(Outcome::Refused(refusal)) if AGAIN.contains(&refusal.code.as_str()) && Instant::now() < patience => {
                    self.history.refused(&refusal.code);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Ok(outcome) => return Some(Answered { asked, outcome }),
                Err(error) if self.rules.outages && Instant::now() < patience => {
                    self.history.outage(&error);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => {
                    self.history.violated(Violation::Untyped(format!("{error:#}")));
                    return None;
                }
            }
        }
    }

    fn success(&self, outcome: Outcome) -> Option<serde_json::Value> {
        match outcome {
            Outcome::Done(value) => Some(value),
            Outcome::Refused(refusal) => {
                self.history.refused(&refusal.code);
                None
            }
        }
    }

    fn understood<T>(&self, read: anyhow::Result<T>) -> Option<T> {
        read.context("the answer can't be read")
            .map_err(|error| self.history.violated(Violation::Untyped(format!("{error:#}"))))
            .ok()
    }
}
