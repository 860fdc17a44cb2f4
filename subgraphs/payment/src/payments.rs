//! Creating, reading and closing payments.

use std::time::Duration;

use berth_contracts::{Currency, peer::Payable};
use berth_kernel::{
    failpoint,
    graphql::RefusalText,
    idempotency::{self, Call, MAX_KEY_CHARS, Seen},
    metrics,
};
use chrono::TimeDelta;
use serde::Serialize;
use uuid::Uuid;

use crate::{
    Payments,
    error::{Error, Refusal},
    payment::{Event, Payment, Status},
    store,
};

/// How long a repeat of createPayment is recognised.
const KEEP: TimeDelta = TimeDelta::days(7);
/// How long a repeat waits for the first request before it is told to come back.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
const PAYABLE: &str = "PENDING_PAYMENT";
/// Bookings in these states have had their money.
const PAID_STATUSES: [&str; 5] = ["CONFIRMING", "CONFIRMED", "REFUND_PENDING", "REFUNDED", "PARTIALLY_REFUNDED"];

/// The wish to pay for a booking by QRIS.
#[derive(Debug, Clone)]
pub struct CreatePayment {
    /// Who pays.
    pub user_id: Uuid,
    /// For what.
    pub booking_id: Uuid,
    /// Which acquirer's QR code, if that matters.
    pub acquirer: Option<String>,
    /// Makes a repeat harmless.
    pub idempotency_key: String,
}

#[derive(Serialize)]
struct Canonical<'a> {
    booking_id: Uuid,
    method: &'static str,
    acquirer: Option<&'a str>,
}

impl CreatePayment {
    fn call(&self) -> Result<Call, Refusal> {
        let invalid = |message: &str, path: &[&str]| Err(Refusal::InvalidInput(RefusalText::at("INVALID_INPUT", message, path)));
        if !(1..=MAX_KEY_CHARS).contains(&self.idempotency_key.chars().count()) {
            return invalid("idempotencyKey must have 1 to 128 characters", &["idempotencyKey"]);
        }
        let well_formed = |name: &String| {
            (1..=30).contains(&name.len()) && name.bytes().all(|letter| letter.is_ascii_lowercase() || letter == b' ')
        };
        if !self.acquirer.as_ref().is_none_or(well_formed) {
            return invalid("acquirer must be 1 to 30 lower-case letters", &["method", "qris", "acquirer"]);
        }
        let canonical = Canonical { booking_id: self.booking_id, method: "qris", acquirer: self.acquirer.as_deref() };
        Ok(Call {
            user_id: self.user_id,
            mutation: "createPayment",
            key: self.idempotency_key.clone(),
            fingerprint: idempotency::fingerprint(&canonical),
            keep: KEEP,
        })
    }
}

impl Payments {
    /// Makes a payment for a booking and places it at the provider. A repeat with the same key answers the same payment.
    pub async fn create(&self, wish: CreatePayment) -> Result<Payment, Error> {
        let call = wish.call()?;
        let id = match idempotency::find(self.deps.db.read(), &self.deps.clock, &call).await? {
            Some(seen) => first_payment(seen)?,
            None => self.record(wish, call).await?,
        };
        self.ordered(id).await
    }

    /// Row, history and idempotency in one transaction. Answers the payment's key.
    async fn record(&self, wish: CreatePayment, call: Call) -> Result<Uuid, Error> {
        let payable = self.booking.payable(wish.user_id, wish.booking_id).await?;
        self.refuse_unpayable(&payable).await?;
        let started = self.booking.payment_started(wish.booking_id).await?;
        let payment = self.draft(&wish, &started)?;
        failpoint::at("payment.create.begun");
        let (books, clock) = (self.books.clone(), self.deps.clock.clone());
        let recorded = self.deps.db.write(move |tx| {
            Box::pin(async move {
                match idempotency::record(tx, &clock, &call, &payment.id.to_string()).await? {
                    Seen::First => {}
                    seen => return first_payment(seen).map_err(Error::from),
                }
                let others = store::payment::list_of_booking(tx, payment.booking_id).await?;
                refuse_second(others)?;
                store::payment::insert(tx, &payment).await?;
                books.announce(tx, &payment, "").await?;
                failpoint::at("payment.create.written");
                Ok(payment.id)
            })
        });
        let recorded = recorded.await;
        failpoint::at("payment.create.recorded");
        match recorded {
            // Two keys raced for one booking on PostgreSQL; the index let one through.
            Err(Error::Taken) => Err(self.open_payment(wish.booking_id).await?),
            other => other,
        }
    }

    async fn refuse_unpayable(&self, payable: &Payable) -> Result<(), Error> {
        if PAID_STATUSES.contains(&payable.status.as_str()) {
            let payments = store::payment::list_of_booking(self.deps.db.read(), payable.booking_id).await?;
            return Err(Refusal::AlreadyPaid(payments.into_iter().find(|payment| payment.paid_at.is_some()).map(Box::new)).into());
        }
        if payable.status != PAYABLE {
            return Err(Refusal::NotPayable(format!("the booking is {}", payable.status)).into());
        }
        if payable.pay_until.is_some_and(|until| until <= self.deps.clock.now()) {
            return Err(Refusal::NotPayable("the booking's time to pay is over".to_owned()).into());
        }
        let rupiah = payable.total.currency == Currency::IDR;
        if !rupiah || !payable.total.whole_major().is_ok_and(|amount| amount > 0) {
            return Err(Refusal::NotPayable(format!("{} can't be paid by QRIS: whole rupiah only", payable.total)).into());
        }
        Ok(())
    }

    async fn open_payment(&self, booking_id: Uuid) -> Result<Error, Error> {
        let payments = store::payment::list_of_booking(self.deps.db.read(), booking_id).await?;
        Ok(refuse_second(payments).err().map_or(Error::Raced, Error::from))
    }

    fn draft(&self, wish: &CreatePayment, started: &Payable) -> Result<Payment, Error> {
        let now = self.deps.clock.now();
        let expires_at = started.pay_until.unwrap_or(now + self.config.ttl);
        if started.status != PAYABLE || expires_at <= now {
            return Err(Refusal::NotPayable("the booking's time to pay is over".to_owned()).into());
        }
        let mut payment = Payment {
            id: self.deps.clock.new_key(),
            booking_id: wish.booking_id,
            user_id: wish.user_id,
            booking_code: started.code.clone(),
            status: Status::Created,
            amount: started.total,
            method: "qris".to_owned(),
            acquirer: wish.acquirer.clone(),
            provider: self.provider.name().to_owned(),
            attempt: 1,
            transaction_id: None,
            qris_payload: None,
            expires_at,
            paid_at: None,
            refunded_minor: 0,
            close_requested: false,
            created_at: now,
            next_poll_at: None,
            version: 1,
        };
        payment.next_poll_at = payment.next_poll(&self.config.polling, now);
        Ok(payment)
    }

    /// The payment once the provider knows it. Waits its turn, so that repeats see what the first request reached.
    async fn ordered(&self, id: Uuid) -> Result<Payment, Error> {
        self.deps.outbox.wake();
        let Some(_turn) = self.turn(id, PATIENCE).await? else { return Err(Refusal::InProgress.into()) };
        let payment = store::payment::find(self.deps.db.read(), id).await?.ok_or(Error::NotFound)?;
        if payment.status != Status::Created {
            return if payment.status == Status::Failed {
                Err(Refusal::ProviderRefused(Box::new(payment)).into())
            } else {
                Ok(payment)
            };
        }
        if self.deps.clock.now() >= payment.expires_at {
            return Err(Refusal::NotPayable("the payment's time is over".to_owned()).into());
        }
        match self.place(payment).await {
            Ok(payment) if payment.status == Status::Failed => Err(Refusal::ProviderRefused(Box::new(payment)).into()),
            Err(Error::Provider(error)) => {
                tracing::warn!(payment.id = %id, error = %error, "payment.charge.unanswered");
                Err(Refusal::ProviderUnavailable.into())
            }
            other => other,
        }
    }

    /// A payment of this user.
    pub async fn find(&self, user_id: Uuid, id: Uuid) -> Result<Option<Payment>, Error> {
        Ok(store::payment::list_owned(self.deps.db.read(), user_id, &[id]).await?.pop())
    }

    /// Those of these payments that are the user's.
    pub(crate) async fn list(&self, user_id: Uuid, ids: &[Uuid]) -> Result<Vec<Payment>, Error> {
        Ok(store::payment::list_owned(self.deps.db.read(), user_id, ids).await?)
    }

    /// The user's payments of these bookings, oldest first.
    pub(crate) async fn list_of_bookings(&self, user_id: Uuid, ids: &[Uuid]) -> Result<Vec<Payment>, Error> {
        Ok(store::payment::list_of_bookings(self.deps.db.read(), user_id, ids).await?)
    }

    /// Histories, oldest line first. Whoever asks has been shown the payments.
    pub(crate) async fn histories(&self, ids: &[Uuid]) -> Result<Vec<(Uuid, Event)>, Error> {
        Ok(store::payment::list_events(self.deps.db.read(), ids).await?)
    }

    /// Tells the metrics how many payments there are in each state.
    pub(crate) async fn count_states(&self) -> Result<(), Error> {
        let counts = store::payment::count_by_status(self.deps.db.read()).await?;
        for status in Status::all() {
            let count = counts.iter().find(|(known, _)| *known == status).map_or(0, |(_, count)| *count);
            metrics::in_state("payment", status.name(), count);
        }
        Ok(())
    }

    /// What a payment's ledger entries add up to.
    pub async fn balance(&self, id: Uuid) -> Result<crate::ledger::Balance, Error> {
        Ok(store::ledger::balance(self.deps.db.read(), id).await?)
    }

    /// The address of a payment's QR code as a picture.
    pub(crate) fn qr_url(&self, payment: &Payment) -> String {
        format!("{}/payments/{}/qr.svg", self.config.public_base_url, payment.public_id())
    }

    /// What a payment's QR code says, for whoever knows its id: the page of a till shows it to anybody.
    pub(crate) async fn qr_payload(&self, id: Uuid) -> Result<Option<String>, Error> {
        Ok(store::payment::find(self.deps.db.read(), id).await?.and_then(|payment| payment.qris_payload))
    }
}

fn first_payment(seen: Seen) -> Result<Uuid, Refusal> {
    match seen {
        Seen::Repeat(answer) => answer.parse().map_err(|_| Refusal::Conflict),
        Seen::First | Seen::Conflict => Err(Refusal::Conflict),
    }
}

/// A booking has one open payment, and is paid once.
fn refuse_second(others: Vec<Payment>) -> Result<(), Refusal> {
    let money = |payment: &Payment| matches!(payment.status, Status::Paid | Status::PartiallyRefunded | Status::NeedsAttention);
    for payment in others {
        if payment.status.is_open() {
            return Err(Refusal::Pending(Box::new(payment)));
        }
        if money(&payment) {
            return Err(Refusal::AlreadyPaid(Some(Box::new(payment))));
        }
    }
    Ok(())
}
