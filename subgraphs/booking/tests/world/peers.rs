//! Peers that keep their promises in memory and fail when told to.

#![allow(clippy::assigning_clones, reason = "short statuses")]

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use async_trait::async_trait;
use berth_contracts::{
    Currency, Kind, Money,
    id::TripKey,
    peer::{
        CommitOutcome, EndedSession, HeldSeat, HoldCopy, HoldState, InventoryPeer, PassengerCopy, PaymentCopy, PaymentPeer,
        PeerError, PeerResult, RefundState, StopCopy, UserPeer,
    },
};
use berth_kernel::clock::Clock;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use std::sync::Mutex;
use uuid::Uuid;

pub const PRICE: Money = Money::new(15_000_000, Currency::IDR);

/// How calls go wrong.
#[derive(Default)]
pub struct Faults {
    /// So many calls do nothing and fail.
    pub refuse: AtomicU32,
    /// So many calls do their work, but their answer is lost.
    pub lose: AtomicU32,
    /// So many answers arrive before the first is lost.
    pub spare: AtomicU32,
}

impl Faults {
    fn before(&self) -> PeerResult<()> {
        if take(&self.refuse) { Err(gone()) } else { Ok(()) }
    }

    fn after<T>(&self, answer: T) -> PeerResult<T> {
        if !take(&self.spare) && take(&self.lose) { Err(gone()) } else { Ok(answer) }
    }
}

fn take(count: &AtomicU32) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

fn gone() -> PeerError {
    PeerError::Unavailable("told to".to_owned())
}

#[derive(Clone)]
pub struct Held {
    pub copy: HoldCopy,
    pub tied: Option<Uuid>,
    pub extended: bool,
    /// Whether somebody else bought the seats once the hold had ended.
    pub taken: bool,
    pub commits: u32,
}

impl Held {
    /// The ids of the hold and its seats.
    pub fn encoded(&self) -> (String, Vec<String>) {
        let seats = self.copy.seats.iter().map(|seat| Kind::HeldItem.encode(seat.held_seat_id)).collect();
        (Kind::Hold.encode(self.copy.hold_id), seats)
    }
}

pub struct Inventory {
    clock: Clock,
    holds: Mutex<HashMap<Uuid, Held>>,
    pub faults: Faults,
}

impl Inventory {
    pub fn new(clock: Clock) -> Self {
        Self { clock, holds: Mutex::default(), faults: Faults::default() }
    }

    /// An active hold of some seats, for 15 minutes.
    pub fn place(&self, user_id: Uuid, seats: usize) -> Held {
        let now = self.clock.now();
        let trip = TripKey { template: self.clock.new_key(), day: 20_812 };
        let seat = |at: usize| HeldSeat {
            held_seat_id: self.clock.new_key(),
            trip,
            trip_name: "Argo Bromo Anggrek 2".to_owned(),
            service_date: NaiveDate::from_ymd_opt(2026, 12, 24).expect("a date"),
            from: stop(0, "Gambir", now + TimeDelta::days(3)),
            to: stop(4, "Surabaya Pasarturi", now + TimeDelta::days(3) + TimeDelta::hours(8)),
            spot_no: u16::try_from(at).expect("few"),
            car: "3".to_owned(),
            seat: format!("{}A", at + 1),
            travel_class: "EXECUTIVE".to_owned(),
            price: PRICE,
        };
        let copy = HoldCopy {
            hold_id: self.clock.new_key(),
            user_id,
            state: HoldState::Active,
            expires_at: now + TimeDelta::minutes(15),
            seats: (0..seats).map(seat).collect(),
        };
        let held = Held { copy, tied: None, extended: false, taken: false, commits: 0 };
        self.holds.lock().expect("lock").insert(held.copy.hold_id, held.clone());
        held
    }

    pub fn change(&self, hold_id: Uuid, change: impl FnOnce(&mut Held)) {
        change(self.holds.lock().expect("lock").get_mut(&hold_id).expect("a hold"));
    }

    /// The only hold there is.
    pub fn only(&self) -> Held {
        let holds = self.holds.lock().expect("lock");
        assert_eq!(holds.len(), 1);
        self.lapsed(holds.values().next().expect("a hold"))
    }

    /// All holds have ended and somebody bought the seats.
    pub fn take_all(&self) {
        self.holds.lock().expect("lock").values_mut().for_each(|held| held.taken = true);
    }

    fn lapsed(&self, held: &Held) -> Held {
        let mut held = held.clone();
        if held.copy.state == HoldState::Active && held.copy.expires_at <= self.clock.now() {
            held.copy.state = HoldState::Expired;
        }
        held
    }

    fn with<T>(&self, hold_id: Uuid, act: impl FnOnce(&mut Held) -> PeerResult<T>) -> PeerResult<T> {
        self.faults.before()?;
        let mut holds = self.holds.lock().expect("lock");
        let held = holds.get_mut(&hold_id).ok_or(PeerError::NotFound)?;
        *held = self.lapsed(held);
        let answer = act(held)?;
        self.faults.after(answer)
    }
}

fn stop(stop_index: u16, name: &str, at: DateTime<Utc>) -> StopCopy {
    let local = (at + TimeDelta::hours(7)).naive_utc();
    StopCopy { stop_index, station_name: name.to_owned(), at, local, time_zone: "Asia/Jakarta".to_owned() }
}

#[async_trait]
impl InventoryPeer for Inventory {
    async fn hold(&self, user_id: Uuid, hold_id: Uuid) -> PeerResult<HoldCopy> {
        self.with(hold_id, |held| if held.copy.user_id == user_id { Ok(held.copy.clone()) } else { Err(PeerError::NotFound) })
    }

    async fn attach_hold(&self, hold_id: Uuid, booking_id: Uuid) -> PeerResult<HoldCopy> {
        self.with(hold_id, |held| {
            let free = held.copy.state == HoldState::Active && held.tied.is_none();
            if !free && held.tied != Some(booking_id) {
                return Err(PeerError::NotFound);
            }
            held.tied = Some(booking_id);
            Ok(held.copy.clone())
        })
    }

    async fn extend_hold(&self, hold_id: Uuid, until: DateTime<Utc>) -> PeerResult<DateTime<Utc>> {
        self.with(hold_id, |held| {
            if !held.extended && held.copy.state == HoldState::Active {
                held.extended = true;
                held.copy.expires_at = held.copy.expires_at.max(until);
            }
            Ok(held.copy.expires_at)
        })
    }

    async fn commit_hold(&self, hold_id: Uuid, booking_id: Uuid) -> PeerResult<CommitOutcome> {
        self.with(hold_id, |held| {
            assert_eq!(held.tied, Some(booking_id));
            if held.copy.state == HoldState::Committed {
                return Ok(CommitOutcome::Committed);
            }
            if held.copy.state == HoldState::Released || (held.taken && held.copy.state != HoldState::Active) {
                return Ok(CommitOutcome::Gone);
            }
            held.copy.state = HoldState::Committed;
            held.commits += 1;
            Ok(CommitOutcome::Committed)
        })
    }

    async fn release_hold(&self, hold_id: Uuid) -> PeerResult<()> {
        self.with(hold_id, |held| {
            if held.copy.state != HoldState::Committed {
                held.copy.state = HoldState::Released;
            }
            Ok(())
        })
    }

    async fn give_back(&self, hold_id: Uuid, booking_id: Uuid) -> PeerResult<()> {
        self.with(hold_id, |held| {
            assert_eq!(held.tied, Some(booking_id));
            held.copy.state = HoldState::Released;
            Ok(())
        })
    }
}

#[derive(Default)]
pub struct Users {
    pub passengers: Mutex<Vec<(Uuid, PassengerCopy)>>,
}

#[async_trait]
impl UserPeer for Users {
    async fn passengers(&self, user_id: Uuid, passenger_ids: Vec<Uuid>) -> PeerResult<Vec<PassengerCopy>> {
        let all = self.passengers.lock().expect("lock");
        let theirs = all.iter().filter(|(owner, copy)| *owner == user_id && passenger_ids.contains(&copy.passenger_id));
        Ok(theirs.map(|(_, copy)| copy.clone()).collect())
    }

    async fn sessions_ended(&self, _: DateTime<Utc>) -> PeerResult<Vec<EndedSession>> {
        Ok(vec![])
    }
}

#[derive(Default)]
pub struct Payments {
    rows: Mutex<Vec<(Uuid, PaymentCopy)>>,
    refunds: Mutex<HashMap<Uuid, (String, u32)>>,
    pub closed: Mutex<Vec<Uuid>>,
    pub faults: Faults,
    /// So many refunds are still pending when asked for.
    pub slow_refunds: AtomicU32,
    /// The provider refuses every refund for good.
    pub keeps_money: AtomicBool,
}

impl Payments {
    /// A payment of the right amount in this status.
    pub fn add(&self, booking_id: Uuid, status: &str) -> Uuid {
        let payment_id = Uuid::from_u128(0xbe27 + self.rows.lock().expect("lock").len() as u128);
        let payment = PaymentCopy {
            payment_id,
            status: status.to_owned(),
            amount: PRICE,
            refunded: Money::new(0, Currency::IDR),
            paid_at: None,
        };
        self.rows.lock().expect("lock").push((booking_id, payment));
        payment_id
    }

    pub fn change(&self, payment_id: Uuid, change: impl FnOnce(&mut PaymentCopy)) {
        let mut rows = self.rows.lock().expect("lock");
        change(rows.iter_mut().map(|(_, payment)| payment).find(|payment| payment.payment_id == payment_id).expect("a payment"));
    }

    pub fn pay(&self, payment_id: Uuid) {
        self.change(payment_id, |payment| payment.status = "PAID".to_owned());
    }

    pub fn statuses(&self) -> Vec<String> {
        self.rows.lock().expect("lock").iter().map(|(_, payment)| payment.status.clone()).collect()
    }

    /// Why a payment went back, and how often money moved (one, if the saga and this double are right).
    pub fn refund_of(&self, payment_id: Uuid) -> Option<(String, u32)> {
        self.refunds.lock().expect("lock").get(&payment_id).cloned()
    }
}

#[async_trait]
impl PaymentPeer for Payments {
    async fn payments(&self, booking_id: Uuid) -> PeerResult<Vec<PaymentCopy>> {
        self.faults.before()?;
        let rows = self.rows.lock().expect("lock");
        Ok(rows.iter().filter(|(of, _)| *of == booking_id).map(|(_, payment)| payment.clone()).collect())
    }

    async fn refund(&self, payment_id: Uuid, reason: String) -> PeerResult<RefundState> {
        self.faults.before()?;
        if take(&self.slow_refunds) {
            return Ok(RefundState::Pending);
        }
        if self.keeps_money.load(Ordering::SeqCst) {
            return Ok(RefundState::Failed);
        }
        self.change(payment_id, |payment| {
            if payment.status == "PAID" {
                payment.status = "REFUNDED".to_owned();
                payment.refunded = payment.amount;
                self.refunds.lock().expect("lock").entry(payment_id).or_insert((reason, 0)).1 += 1;
            }
        });
        self.faults.after(RefundState::Succeeded)
    }

    async fn close(&self, booking_id: Uuid) -> PeerResult<()> {
        self.faults.before()?;
        for (of, payment) in self.rows.lock().expect("lock").iter_mut() {
            if *of == booking_id && matches!(payment.status.as_str(), "CREATED" | "PENDING") {
                payment.status = "CANCELLED".to_owned();
            }
        }
        self.closed.lock().expect("lock").push(booking_id);
        self.faults.after(())
    }
}
