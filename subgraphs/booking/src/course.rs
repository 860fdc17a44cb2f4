//! What a booking needs next, decided from its row, the payments and the clock alone. Pure: the saga only carries it out.

use berth_contracts::{Money, peer::PaymentCopy};
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::{
    booking::{Booking, State},
    config::BookingConfig,
    repayment::{Reason, Repayment},
};

/// What is known of a booking's money.
#[derive(Debug, Clone, Default)]
pub struct Till {
    /// Every payment, oldest first, as payment tells.
    pub payments: Vec<PaymentCopy>,
    /// What was decided to go back.
    pub repayments: Vec<Repayment>,
}

/// The next thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Course {
    /// Enough money has come: start to sell the seats.
    Confirm {
        /// The payment that pays for the booking.
        payment_id: Uuid,
    },
    /// The deadline has passed without money.
    Expire,
    /// Ask inventory to sell the seats.
    Sell,
    /// The money was taken back under our hands: give the seats up.
    GiveUp,
    /// Decide that payments go back.
    Owe(Vec<Repayment>),
    /// Ask payment to give these back.
    GiveBack(Vec<Repayment>),
    /// Everything went back.
    CloseRefund,
    /// Release the hold, close unpaid payments.
    CleanUp,
    /// Nothing now; look again then.
    Rest(Option<DateTime<Utc>>),
}

/// Whether money of this payment lies with us.
fn holds_money(payment: &PaymentCopy) -> bool {
    matches!(payment.status.as_str(), "PAID" | "PARTIALLY_REFUNDED")
        && payment.refunded.amount_minor < payment.amount.amount_minor
}

fn is_open(payment: &PaymentCopy) -> bool {
    matches!(payment.status.as_str(), "CREATED" | "PENDING" | "AUTHORIZED")
}

/// Whether nothing more can become of it. `FAILED`, `EXPIRED` and `CANCELLED` can still turn out to be paid.
fn is_settled(payment: &PaymentCopy) -> bool {
    matches!(payment.status.as_str(), "PAID" | "REFUNDED")
}

fn pays(payment: &PaymentCopy, total: Money) -> bool {
    payment.status == "PAID" && payment.amount == total && payment.refunded.amount_minor == 0
}

impl Till {
    fn goes_back(&self, payment_id: Uuid) -> bool {
        self.repayments.iter().any(|repayment| repayment.payment_id == payment_id)
    }

    fn find(&self, payment_id: Uuid) -> Option<&PaymentCopy> {
        self.payments.iter().find(|payment| payment.payment_id == payment_id)
    }

    /// When the booking was paid for.
    pub(crate) fn paid_at(&self, booking: &Booking) -> Option<DateTime<Utc>> {
        self.find(booking.paid_by?)?.paid_at
    }

    /// The first payment that covers the booking and does not go back.
    fn covering(&self, total: Money) -> Option<Uuid> {
        let covers = |payment: &&PaymentCopy| pays(payment, total) && !self.goes_back(payment.payment_id);
        self.payments.iter().find(covers).map(|payment| payment.payment_id)
    }

    /// Money that lies with us though the booking does not need it.
    fn surplus(&self, booking: &Booking) -> Vec<Repayment> {
        let kept = booking.paid_by.filter(|_| matches!(booking.state, State::Confirming | State::Confirmed));
        let reason = match booking.state {
            State::RefundPending if booking.paid_by.is_some() => Reason::SeatsGone,
            State::Cancelled | State::RefundPending => Reason::Cancelled,
            _ => Reason::NotNeeded,
        };
        let unneeded = |payment: &&PaymentCopy| {
            holds_money(payment) && !self.goes_back(payment.payment_id) && kept != Some(payment.payment_id)
        };
        let owe = |payment: &PaymentCopy| Repayment {
            payment_id: payment.payment_id,
            booking_id: booking.id,
            reason,
            // Part of it may have gone back at the provider already: only the rest does, and only that is told.
            amount: Money::new(
                payment.amount.amount_minor.saturating_sub(payment.refunded.amount_minor),
                payment.amount.currency,
            ),
            done: false,
        };
        self.payments.iter().filter(unneeded).map(owe).collect()
    }

    fn pending(&self) -> Vec<Repayment> {
        self.repayments.iter().filter(|repayment| !repayment.done).cloned().collect()
    }

    fn anything_went_back(&self) -> bool {
        let refunded = |payment: &PaymentCopy| payment.status == "REFUNDED";
        !self.repayments.is_empty() || self.payments.iter().any(refunded)
    }
}

impl Booking {
    /// What this booking needs next.
    pub fn course(&self, till: &Till, config: &BookingConfig, now: DateTime<Utc>) -> Course {
        self.own_course(till, now)
            .or_else(|| self.money_course(till))
            .unwrap_or_else(|| if self.cleanup_due { Course::CleanUp } else { Course::Rest(self.next_look(till, config, now)) })
    }

    /// Whether tickets are out although their money went back: people must look, the saga can't know who is right.
    pub fn contradicts(&self, till: &Till) -> bool {
        let paid_by = self.paid_by.and_then(|payment_id| till.find(payment_id));
        self.state == State::Confirmed && paid_by.is_some_and(|payment| payment.status == "REFUNDED")
    }

    /// What the state itself asks for.
    fn own_course(&self, till: &Till, now: DateTime<Utc>) -> Option<Course> {
        match self.state {
            State::PendingPayment | State::Expired => match till.covering(self.total) {
                Some(payment_id) => Some(Course::Confirm { payment_id }),
                None => (self.state == State::PendingPayment && now >= self.expires_at).then_some(Course::Expire),
            },
            State::Confirming => {
                let payment = self.paid_by.and_then(|payment_id| till.find(payment_id));
                payment.and_then(|payment| match payment.status.as_str() {
                    "PAID" => Some(Course::Sell),
                    "REFUNDED" | "PARTIALLY_REFUNDED" => Some(Course::GiveUp),
                    // A provider took its word back: people look at the payment, the booking waits for them.
                    _ => None,
                })
            }
            _ => None,
        }
    }

    /// What money that must go back asks for.
    fn money_course(&self, till: &Till) -> Option<Course> {
        let surplus = till.surplus(self);
        if !surplus.is_empty() {
            return Some(Course::Owe(surplus));
        }
        let pending = till.pending();
        if !pending.is_empty() {
            return Some(Course::GiveBack(pending));
        }
        (self.state == State::RefundPending && till.anything_went_back()).then_some(Course::CloseRefund)
    }

    /// When to look again although nothing has happened: with the bus gone this is how news arrives.
    pub fn next_look(&self, till: &Till, config: &BookingConfig, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let attempts = self.attempts;
        match self.state {
            State::PendingPayment if till.payments.iter().any(is_open) => {
                Some(self.expires_at.min(now + doubled(config.poll, attempts, 3)))
            }
            State::PendingPayment => Some(self.expires_at),
            State::Confirming | State::RefundPending => Some(self.retry_at(now)),
            State::Confirmed | State::Cancelled | State::Expired | State::Refunded => {
                let may_still_pay = till.payments.iter().any(|payment| !is_settled(payment));
                let watched = now < self.state_since + config.watch_for;
                (may_still_pay && watched).then(|| now + doubled(TimeDelta::minutes(1), attempts, 8))
            }
        }
    }

    /// When to try again what failed: 1 s, 2 s, 4 s ... a minute.
    pub fn retry_at(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now + doubled(TimeDelta::seconds(1), self.attempts, 6).min(TimeDelta::minutes(1))
    }
}

fn doubled(base: TimeDelta, attempts: i32, at_most: i32) -> TimeDelta {
    base * (1 << attempts.clamp(0, at_most))
}

#[cfg(test)]
mod tests {
    use berth_contracts::Currency;
    use berth_kernel::auth::SignKey;
    use proptest::prelude::*;

    use super::*;
    use crate::contact::Contact;

    const PRICE: Money = Money::new(15_000_000, Currency::IDR);

    /// What can happen around a booking.
    #[derive(Debug, Clone)]
    enum Happening {
        Minutes(i64),
        Start(bool),
        Pay(usize),
        Lapse(usize),
        Cancel,
        SeatsTaken,
        Steps(usize),
    }

    fn happening() -> impl Strategy<Value = Happening> {
        prop_oneof![
            (1..20_i64).prop_map(Happening::Minutes),
            any::<bool>().prop_map(Happening::Start),
            (0..4_usize).prop_map(Happening::Pay),
            (0..4_usize).prop_map(Happening::Lapse),
            Just(Happening::Cancel),
            Just(Happening::SeatsTaken),
            (1..4_usize).prop_map(Happening::Steps),
        ]
    }

    /// A booking with its money and seats, moved by the courses alone.
    struct Table {
        booking: Booking,
        till: Till,
        config: BookingConfig,
        now: DateTime<Utc>,
        seats_taken: bool,
        sold: bool,
    }

    impl Table {
        fn new() -> Self {
            let now = DateTime::from_timestamp_millis(1_800_000_000_000).expect("an instant");
            let booking = Booking {
                id: Uuid::from_u128(1),
                code: "BK7QK9".to_owned(),
                user_id: Uuid::from_u128(2),
                hold_id: Uuid::from_u128(3),
                contact: Contact {
                    email: "ani@example.id".to_owned(),
                    phone: None,
                    address: None,
                    locale: berth_contracts::Locale::En,
                },
                total: PRICE,
                created_at: now,
                expires_at: now + TimeDelta::minutes(15),
                state: State::PendingPayment,
                state_since: now,
                revision: 0,
                attention: false,
                late: false,
                paid_by: None,
                cleanup_due: false,
                attempts: 0,
                next_attempt_at: None,
            };
            let config = BookingConfig::new("http://127.0.0.1:4000", SignKey::generate());
            Self { booking, till: Till::default(), config, now, seats_taken: false, sold: false }
        }

        fn happen(&mut self, happening: &Happening) {
            match happening {
                Happening::Minutes(minutes) => self.now += TimeDelta::minutes(*minutes),
                Happening::Start(full_price) => self.start(*full_price),
                Happening::Pay(at) => self.set(*at, &["CREATED", "PENDING", "EXPIRED", "FAILED", "CANCELLED"], "PAID"),
                Happening::Lapse(at) => self.set(*at, &["CREATED", "PENDING"], "EXPIRED"),
                Happening::Cancel if self.booking.status(self.now) == crate::booking::Status::PendingPayment => {
                    self.become_state(State::Cancelled);
                    self.booking.cleanup_due = true;
                }
                Happening::Cancel => {}
                Happening::SeatsTaken => self.seats_taken |= !self.sold && self.now >= self.booking.expires_at,
                Happening::Steps(count) => {
                    for _ in 0..*count {
                        self.step();
                    }
                }
            }
        }

        fn start(&mut self, full_price: bool) {
            let amount = if full_price { PRICE } else { Money::new(PRICE.amount_minor - 100, Currency::IDR) };
            if self.till.payments.len() < 4 {
                let payment_id = Uuid::from_u128(100 + self.till.payments.len() as u128);
                let refunded = Money::new(0, Currency::IDR);
                self.till.payments.push(PaymentCopy {
                    payment_id,
                    status: "PENDING".to_owned(),
                    amount,
                    refunded,
                    paid_at: None,
                });
            }
        }

        fn set(&mut self, at: usize, from: &[&str], to: &str) {
            if let Some(payment) = self.till.payments.get_mut(at).filter(|payment| from.contains(&payment.status.as_str())) {
                payment.status = to.to_owned();
            }
        }

        fn become_state(&mut self, next: State) {
            self.booking = self.booking.moved(next, self.now).expect("a known transition");
        }

        /// Carries one course out, as the saga would. `false`: it rests.
        fn step(&mut self) -> bool {
            match self.booking.course(&self.till, &self.config, self.now) {
                Course::Confirm { payment_id } => {
                    self.become_state(State::Confirming);
                    self.booking.paid_by = Some(payment_id);
                }
                Course::Expire => self.become_state(State::Expired),
                Course::Sell if self.seats_taken => self.become_state(State::RefundPending),
                Course::Sell => {
                    self.become_state(State::Confirmed);
                    self.sold = true;
                }
                Course::GiveUp => self.become_state(State::RefundPending),
                Course::Owe(owed) => {
                    if self.booking.state == State::Cancelled {
                        self.become_state(State::RefundPending);
                    }
                    self.till.repayments.extend(owed);
                }
                Course::GiveBack(repayments) => self.give_back(&repayments[0]),
                Course::CloseRefund => self.become_state(State::Refunded),
                Course::CleanUp => self.booking.cleanup_due = false,
                Course::Rest(_) => return false,
            }
            true
        }

        fn give_back(&mut self, repayment: &Repayment) {
            for payment in self.till.payments.iter_mut().filter(|payment| payment.payment_id == repayment.payment_id) {
                assert_eq!(payment.status, "PAID", "money goes back once");
                payment.status = "REFUNDED".to_owned();
                payment.refunded = payment.amount;
            }
            for done in self.till.repayments.iter_mut().filter(|row| row.payment_id == repayment.payment_id) {
                done.done = true;
            }
        }

        fn settle(&mut self) {
            for _ in 0..64 {
                if !self.step() {
                    return;
                }
            }
            panic!("the booking never rests: {:?}", self.booking);
        }
    }

    proptest! {
        #[test]
        fn money_ends_in_tickets_or_goes_back(story in proptest::collection::vec(happening(), 0..40)) {
            let mut table = Table::new();
            for happening in story {
                table.happen(&happening);
            }
            table.settle();
            let paid: Vec<_> = table.till.payments.iter().filter(|payment| payment.status == "PAID").collect();
            if table.booking.state == State::Confirmed {
                prop_assert!(table.sold);
                prop_assert_eq!(paid.len(), 1);
                prop_assert_eq!(table.booking.paid_by, Some(paid[0].payment_id));
                prop_assert_eq!(paid[0].amount, PRICE);
            } else {
                prop_assert!(!table.sold);
                prop_assert!(paid.is_empty(), "{:?} keeps {:?}", table.booking.state, paid);
                prop_assert!(!table.booking.state.is_underway());
            }
            prop_assert!(table.till.repayments.iter().all(|repayment| repayment.done));
        }

        #[test]
        fn deciding_twice_is_deciding_once(story in proptest::collection::vec(happening(), 0..20)) {
            let mut table = Table::new();
            for happening in story {
                table.happen(&happening);
            }
            let course = |table: &Table| table.booking.course(&table.till, &table.config, table.now);
            prop_assert_eq!(course(&table), course(&table));
            table.settle();
            prop_assert!(matches!(course(&table), Course::Rest(_)));
        }
    }

    /// A letter tells this amount.
    #[test]
    fn of_a_payment_that_partly_went_back_only_the_rest_is_owed() {
        let mut table = Table::new();
        table.start(true);
        table.till.payments[0].status = "PARTIALLY_REFUNDED".to_owned();
        table.till.payments[0].refunded = Money::new(4_000_000, Currency::IDR);
        table.booking.state = State::Cancelled;
        let owed: Vec<Money> = table.till.surplus(&table.booking).iter().map(|repayment| repayment.amount).collect();
        assert_eq!(owed, [Money::new(11_000_000, Currency::IDR)]);
    }
}
