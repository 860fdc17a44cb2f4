//! Use cases of bookings: create, cancel, find, list.

use berth_contracts::{
    Money,
    peer::{HeldSeat, HoldCopy, HoldState, PassengerCopy, PeerError},
};
use berth_kernel::{
    Deps,
    clock::latest_today,
    db::Tx,
    failpoint,
    idempotency::{self, Call, MAX_KEY_CHARS, Seen},
    metrics, random,
};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    Bookings,
    booking::{Booking, State, Status, key_of},
    change::{Change, told, wake},
    contact::Contact,
    error::{Error, Refusal},
    passenger::{PassengerDetails, Seating, check_cover, check_each},
    place::{Part, title_of},
    store::{self, Position},
};

const KEEP_ANSWER: TimeDelta = TimeDelta::hours(24);
const CODE_LENGTH: usize = 6;
const CODE_TRIES: usize = 8;
const SEATINGS_AT_MOST: usize = 100;

/// What a person wants to book.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Order {
    /// The hold; `None` when its id can't be read.
    pub hold_id: Option<Uuid>,
    /// Who sits where.
    pub seatings: Vec<Seating>,
    /// Whom to write to.
    pub contact: Contact,
}

/// A booking ready to be written.
#[derive(Clone)]
struct Draft {
    booking: Booking,
    /// Each part with its passenger's sealed details.
    parts: Vec<(Part, String)>,
}

impl Bookings {
    /// Makes a booking from a hold.
    pub(crate) async fn create(&self, user_id: Uuid, order: Order, key: &str) -> Result<Booking, Error> {
        let call = call(user_id, "createBooking", key, &order)?;
        if let Some(done) = self.answered(&call).await? {
            return Ok(done);
        }
        match self.create_new(user_id, order, call.clone()).await {
            // A racing call with the same key may have made the booking that stands in the way.
            Err(Error::Refused(refusal)) => self.answered(&call).await?.ok_or(refusal.into()),
            answer => answer,
        }
    }

    async fn create_new(&self, user_id: Uuid, order: Order, call: Call) -> Result<Booking, Error> {
        let now = self.deps.clock.now();
        let contact = order.contact.checked().map_err(|(field, why)| Refusal::invalid(&["contact", field], why))?;
        let seatings = match order.seatings.len() {
            1..=SEATINGS_AT_MOST => check_each(order.seatings, latest_today(now))?,
            _ => return Err(Refusal::passenger(&["passengers"], "every held seat needs exactly one passenger").into()),
        };
        let hold = self.bookable_hold(user_id, order.hold_id).await?;
        let held: Vec<Uuid> = hold.seats.iter().map(|seat| seat.held_seat_id).collect();
        check_cover(&seatings, &held)?;
        let passengers = self.passengers(user_id, seatings).await?;
        let draft = self.draft(hold, contact, &passengers, now)?;
        failpoint::at("booking.create.begun");
        self.attach(&draft.booking).await?;
        failpoint::at("booking.create.attached");
        self.write_new(draft, call).await
    }

    /// The booking that an earlier call with this key made.
    async fn answered(&self, call: &Call) -> Result<Option<Booking>, Error> {
        match idempotency::find(self.deps.db.read(), &self.deps.clock, call).await? {
            Some(Seen::Repeat(answer)) => self.remembered(&answer).await.map(Some),
            Some(Seen::Conflict) => Err(Refusal::IdempotencyConflict.into()),
            Some(Seen::First) | None => Ok(None),
        }
    }

    async fn remembered(&self, answer: &str) -> Result<Booking, Error> {
        let id = Uuid::try_parse(answer).map_err(|_| Error::Corrupt("answer"))?;
        store::booking::find(self.deps.db.read(), id).await?.ok_or(Error::Corrupt("answer"))
    }

    /// The hold, if it is this person's and a booking can still be made from it.
    async fn bookable_hold(&self, user_id: Uuid, hold_id: Option<Uuid>) -> Result<HoldCopy, Error> {
        let absent = || Error::from(Refusal::not_found(&["holdId"]));
        let hold = match self.inventory.hold(user_id, hold_id.ok_or_else(absent)?).await {
            Err(PeerError::NotFound) => return Err(absent()),
            answer => answer?,
        };
        if hold.user_id != user_id {
            return Err(absent());
        }
        let booking_id = key_of(hold.hold_id);
        if store::booking::find(self.deps.db.read(), booking_id).await?.is_some() {
            return Err(Refusal::HoldAlreadyBooked { booking_id }.into());
        }
        let alive = hold.state == HoldState::Active && hold.expires_at > self.deps.clock.now() && !hold.seats.is_empty();
        if alive { Ok(hold) } else { Err(Refusal::HoldExpired.into()) }
    }

    /// Every seating with its passenger's details; those of the owner's list are copied.
    async fn passengers(&self, user_id: Uuid, seatings: Vec<Seating>) -> Result<Vec<(Uuid, PassengerDetails)>, Error> {
        let listed: Vec<Uuid> = seatings.iter().filter_map(|seating| seating.passenger_id).collect();
        let copies = if listed.is_empty() { Vec::new() } else { self.user.passengers(user_id, listed).await? };
        let find = |wanted: Uuid| copies.iter().find(|copy: &&PassengerCopy| copy.passenger_id == wanted);
        let seat = |(at, seating): (usize, Seating)| {
            let absent = || Refusal::not_found(&["passengers", &at.to_string(), "passengerId"]);
            let details = match seating.passenger_id {
                Some(wanted) => find(wanted).cloned().map(PassengerDetails::from).ok_or_else(absent)?,
                None => seating.details.ok_or_else(absent)?,
            };
            let held = seating.held_seat_id.ok_or(Error::Corrupt("seating"))?;
            Ok((held, details))
        };
        seatings.into_iter().enumerate().map(seat).collect()
    }

    fn draft(
        &self,
        hold: HoldCopy,
        contact: Contact,
        passengers: &[(Uuid, PassengerDetails)],
        now: DateTime<Utc>,
    ) -> Result<Draft, Error> {
        let total = Money::sum(hold.seats.iter().map(|seat| seat.price)).ok().flatten().ok_or(Error::Corrupt("price"))?;
        let booking = Booking {
            id: key_of(hold.hold_id),
            code: random::readable_code(CODE_LENGTH),
            user_id: hold.user_id,
            hold_id: hold.hold_id,
            contact,
            total,
            created_at: now,
            expires_at: hold.expires_at,
            state: State::PendingPayment,
            state_since: now,
            revision: 0,
            attention: false,
            late: false,
            paid_by: None,
            cleanup_due: false,
            attempts: 0,
            next_attempt_at: Some(hold.expires_at),
        };
        let part = |(position, seat): (i32, HeldSeat)| {
            let passenger = passengers.iter().find(|(held, _)| *held == seat.held_seat_id).map(|(_, details)| details.clone());
            self.part(booking.id, position, seat, passenger.ok_or(Error::Corrupt("seating"))?)
        };
        let parts = (0..).zip(hold.seats).map(part).collect::<Result<_, Error>>()?;
        Ok(Draft { booking, parts })
    }

    fn part(
        &self,
        booking_id: Uuid,
        position: i32,
        seat: HeldSeat,
        passenger: PassengerDetails,
    ) -> Result<(Part, String), Error> {
        let details = serde_json::to_string(&passenger).map_err(|_| Error::Corrupt("passenger"))?;
        let (id, title, price) = (self.deps.clock.new_key(), title_of(&seat), seat.price);
        let part = Part { id, booking_id, position, title, price, passenger, place: seat };
        Ok((part, self.deps.sealer.seal(&details)))
    }

    /// Ties the hold to the booking before it is written: the key is the hold's own, so a try after a crash ties the same pair.
    async fn attach(&self, booking: &Booking) -> Result<(), Error> {
        match self.inventory.attach_hold(booking.hold_id, booking.id).await {
            Err(PeerError::NotFound) => Err(Refusal::HoldExpired.into()),
            answer => Ok(answer.map(|_| ())?),
        }
    }

    async fn write_new(&self, draft: Draft, call: Call) -> Result<Booking, Error> {
        let deps = self.deps.clone();
        let written = self.deps.db.write(move |tx| Box::pin(async move { write_draft(tx, &deps, draft, &call).await })).await?;
        match written {
            Ok(booking) => {
                failpoint::at("booking.create.committed");
                wake(&self.deps);
                metrics::reached("booking", booking.state.name());
                Ok(booking)
            }
            Err(answer) => self.remembered(&answer).await,
        }
    }

    /// Cancels a booking that is not paid. Its hold is released and its open payments are closed at once if possible, by the
    /// reconciler otherwise.
    pub(crate) async fn cancel(&self, user_id: Uuid, booking_id: Option<Uuid>, key: &str) -> Result<Booking, Error> {
        let call = call(user_id, "cancelBooking", key, &booking_id)?;
        if let Some(done) = self.answered(&call).await? {
            return Ok(done);
        }
        let absent = || Error::from(Refusal::not_found(&["bookingId"]));
        let id = booking_id.ok_or_else(absent)?;
        self.find(user_id, id).await?.ok_or_else(absent)?;
        let deps = self.deps.clone();
        let change = self.deps.db.write(move |tx| Box::pin(async move { write_cancel(tx, &deps, id, &call).await })).await?;
        if let Some(change) = change {
            wake(&self.deps);
            change.count();
        }
        if let Err(error) = self.step(id).await {
            tracing::warn!(booking.id = %id, error = %error.chain(), "booking.cancel.cleanup_later");
        }
        self.find(user_id, id).await?.ok_or_else(absent)
    }

    /// The booking, if it is this person's.
    pub(crate) async fn find(&self, user_id: Uuid, id: Uuid) -> Result<Option<Booking>, Error> {
        Ok(store::booking::list_owned(self.deps.db.read(), user_id, &[id]).await?.pop())
    }

    /// A page of a person's bookings, newest first, and how many there are over all pages.
    pub(crate) async fn list(
        &self,
        user_id: Uuid,
        statuses: &[Status],
        after: Option<Position>,
        limit: u64,
    ) -> Result<(Vec<Booking>, i64), Error> {
        let (read, now) = (self.deps.db.read(), self.deps.clock.now());
        let page = store::booking::list(read, user_id, statuses, now, after, limit).await?;
        Ok((page, store::booking::count(read, user_id, statuses, now).await?))
    }
}

fn call(user_id: Uuid, mutation: &'static str, key: &str, input: &impl Serialize) -> Result<Call, Refusal> {
    if !(1..=MAX_KEY_CHARS).contains(&key.chars().count()) {
        return Err(Refusal::invalid(&["idempotencyKey"], "an idempotencyKey has 1 to 128 characters"));
    }
    let fingerprint = idempotency::fingerprint(input);
    Ok(Call { user_id, mutation, key: key.to_owned(), fingerprint, keep: KEEP_ANSWER })
}

/// The new booking, or the answer that a racing call with the same key has stored.
async fn write_draft(tx: &Tx, deps: &Deps, draft: Draft, call: &Call) -> Result<Result<Booking, String>, Error> {
    let Draft { mut booking, parts } = draft;
    match idempotency::record(tx, &deps.clock, call, &booking.id.to_string()).await? {
        Seen::First => {}
        Seen::Repeat(answer) => return Ok(Err(answer)),
        Seen::Conflict => return Err(Refusal::IdempotencyConflict.into()),
    }
    for _ in 0..CODE_TRIES {
        if store::booking::insert(tx, &booking).await? {
            for (part, sealed) in &parts {
                store::part::insert(tx, part, sealed).await?;
            }
            deps.outbox.append(tx, &told(&booking)).await?;
            failpoint::at("booking.create.written");
            return Ok(Ok(booking));
        }
        if store::booking::find(tx, booking.id).await?.is_some() {
            return Err(Refusal::HoldAlreadyBooked { booking_id: booking.id }.into());
        }
        booking.code = random::readable_code(CODE_LENGTH);
    }
    Err(Error::Corrupt("booking code"))
}

/// The change that cancels, or `None` when a racing call with the same key, or an earlier one, has cancelled.
async fn write_cancel(tx: &Tx, deps: &Deps, id: Uuid, call: &Call) -> Result<Option<Change>, Error> {
    match idempotency::record(tx, &deps.clock, call, &id.to_string()).await? {
        Seen::First => {}
        Seen::Repeat(_) => return Ok(None),
        Seen::Conflict => return Err(Refusal::IdempotencyConflict.into()),
    }
    let now = deps.clock.now();
    let booking = store::booking::find_locked(tx, id).await?.ok_or(Error::Corrupt("booking"))?;
    if booking.state == State::Cancelled {
        return Ok(None);
    }
    let refused = Refusal::InvalidTransition(booking.status(now));
    if booking.status(now) != Status::PendingPayment {
        return Err(refused.into());
    }
    let cancelled = booking.moved(State::Cancelled, now).map_err(|_| refused)?;
    let change = Change::of(&booking, Booking { cleanup_due: true, ..cancelled });
    change.write(tx, deps).await?;
    Ok(Some(change))
}
