//! The checks of an audit: facts of all services side by side.

use std::collections::{HashMap, HashSet};

use berth_booking::audit::{BookingFact, SeatOnLegs};
use berth_contracts::{Kind, id::TripKey};
use berth_inventory::audit::Facts as InventoryFacts;
use berth_payment::{
    audit::{Facts as PaymentFacts, PaymentFact},
    payment::Status,
};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Check, Databases, GRACE, Report};

/// What all services say, read one after the other.
struct Facts {
    now: DateTime<Utc>,
    accounts: HashSet<Uuid>,
    inventory: InventoryFacts,
    bookings: HashMap<Uuid, BookingFact>,
    lost_bookings: Vec<String>,
    payment: PaymentFacts,
    /// Payments by booking.
    payments: HashMap<Uuid, Vec<PaymentFact>>,
}

/// Reads everything once and checks it.
pub async fn look(databases: &Databases, now: DateTime<Utc>) -> anyhow::Result<Report> {
    let inventory = berth_inventory::audit::facts(&databases.inventory).await?;
    let (bookings, lost_bookings) = berth_booking::audit::facts(&databases.booking).await?;
    let payment = berth_payment::audit::facts(&databases.payment).await?;
    let accounts = berth_user::audit::accounts(&databases.user).await?;
    let mut payments: HashMap<Uuid, Vec<PaymentFact>> = HashMap::new();
    for fact in &payment.payments {
        payments.entry(fact.booking_id).or_default().push(fact.clone());
    }
    let bookings = bookings.into_iter().map(|booking| (booking.id, booking)).collect();
    let facts = Facts { now, accounts, inventory, bookings, lost_bookings, payment, payments };
    let checks = vec![
        facts.sold_seats_have_a_booking(),
        facts.sold_seats_agree_with_their_holds(),
        facts.tickets_have_their_seats(),
        facts.a_seat_is_on_one_ticket(),
        facts.confirmed_bookings_have_tickets(),
        facts.money_is_in_tickets_or_went_back(),
        facts.debits_are_credits(),
        facts.payments_agree_with_the_ledger(),
        facts.services_agree(),
        facts.nothing_is_unfinished(),
        facts.nothing_waits_for_people(),
        facts.notices_were_worked_on(),
        facts.answers_exist(),
    ];
    Ok(Report { checks })
}

fn booking_id(id: Uuid) -> String {
    Kind::Booking.encode(id)
}

fn payment_id(id: Uuid) -> String {
    Kind::Payment.encode(id)
}

fn leg(trip: TripKey, spot_no: u16, leg_no: u16) -> String {
    format!("{} seat {spot_no} leg {leg_no}", trip.encode())
}

impl Facts {
    fn sold_seats_have_a_booking(&self) -> Check {
        let known = |id: &Uuid| self.bookings.get(id).is_some_and(BookingFact::may_have_seats);
        let lost = self.inventory.sold.iter().filter(|sold| !sold.booking_id.as_ref().is_some_and(known));
        let told = lost.map(|sold| {
            let whose = sold.booking_id.map_or_else(|| "no booking".to_owned(), booking_id);
            format!("{}: sold to {whose}", leg(sold.trip, sold.spot_no, sold.leg_no))
        });
        Check::new("every sold seat belongs to a booking that has tickets or gets them", self.inventory.sold.len(), told)
    }

    fn sold_seats_agree_with_their_holds(&self) -> Check {
        let groups = [
            (&self.inventory.foreign_sales, "its seats are sold, but not by it"),
            (&self.inventory.missing_sales, "it is committed, but lacks a sold seat"),
            (&self.inventory.leftovers, "it was given back, but keeps a seat"),
        ];
        let told = groups.iter().flat_map(|(ids, why)| ids.iter().map(move |id| format!("{}: {why}", Kind::Hold.encode(*id))));
        Check::new("seats and holds agree", self.inventory.holds, told)
    }

    fn tickets_have_their_seats(&self) -> Check {
        let sold: HashMap<(TripKey, u16, u16), Option<Uuid>> =
            self.inventory.sold.iter().map(|sold| ((sold.trip, sold.spot_no, sold.leg_no), sold.booking_id)).collect();
        let mut told = Vec::new();
        let mut count = 0;
        for (booking, number, seat) in self.valid_tickets() {
            count += 1;
            let lost = |leg_no: &u16| sold.get(&(seat.trip, seat.spot_no, *leg_no)) != Some(&Some(booking.id));
            told.extend(
                seat.legs
                    .clone()
                    .find(lost)
                    .map(|at| format!("ticket {number}: {} is not its", leg(seat.trip, seat.spot_no, at))),
            );
        }
        Check::new("every valid ticket has its seat", count, told)
    }

    fn a_seat_is_on_one_ticket(&self) -> Check {
        let mut seen: HashMap<(TripKey, u16, u16), &str> = HashMap::new();
        let mut told = Vec::new();
        for (_, number, seat) in self.valid_tickets() {
            for leg_no in seat.legs.clone() {
                if let Some(other) = seen.insert((seat.trip, seat.spot_no, leg_no), number) {
                    let [one, two] = if other < number { [other, number] } else { [number, other] };
                    told.push(format!("{}: tickets {one} and {two}", leg(seat.trip, seat.spot_no, leg_no)));
                }
            }
        }
        Check::new("a seat is on one valid ticket at most", seen.len(), told)
    }

    fn valid_tickets(&self) -> impl Iterator<Item = (&BookingFact, &str, &SeatOnLegs)> {
        let tickets = |booking| -> Vec<(&BookingFact, &str, &SeatOnLegs)> {
            let booking: &BookingFact = booking;
            let valid = booking.tickets.iter().filter(|ticket| ticket.valid);
            valid.map(|ticket| (booking, ticket.number.as_str(), &ticket.seat)).collect()
        };
        self.bookings.values().flat_map(tickets)
    }

    fn confirmed_bookings_have_tickets(&self) -> Check {
        let wrong = |booking: &&BookingFact| {
            let ticketed: HashSet<Uuid> = booking.tickets.iter().map(|ticket| ticket.part_id).collect();
            let parts: HashSet<Uuid> = booking.parts.iter().copied().collect();
            let valid = booking.tickets.iter().any(|ticket| ticket.valid);
            if booking.is_confirmed() { ticketed != parts || parts.is_empty() } else { valid }
        };
        let told = self.bookings.values().filter(wrong).map(|booking| {
            format!(
                "{} is {} with {} tickets for {} parts",
                booking_id(booking.id),
                booking.state,
                booking.tickets.len(),
                booking.parts.len()
            )
        });
        Check::new("confirmed bookings have a ticket for each part, others have none", self.bookings.len(), told)
    }

    fn money_is_in_tickets_or_went_back(&self) -> Check {
        let recent = |payment: &PaymentFact| payment.paid_at.is_some_and(|at| self.now < at + GRACE);
        let mut told = Vec::new();
        for (id, payments) in &self.payments {
            let booking = self.bookings.get(id);
            if booking.is_some_and(BookingFact::is_underway) || payments.iter().any(recent) {
                continue;
            }
            let held: i64 = payments.iter().map(|payment| payment.captured_minor - payment.returned_minor).sum();
            let wanted = booking.filter(|booking| booking.is_confirmed()).map_or(0, |booking| booking.total.amount_minor);
            if held != wanted {
                let state = booking.map_or("unknown", |booking| booking.state);
                told.push(format!("{} is {state}: {held} of its money is here, {wanted} is in tickets", booking_id(*id)));
            }
        }
        let unpaid = |booking: &&BookingFact| booking.is_confirmed() && !self.payments.contains_key(&booking.id);
        let gifts =
            self.bookings.values().filter(unpaid).map(|booking| format!("{} has tickets, nobody paid", booking_id(booking.id)));
        told.extend(gifts);
        Check::new("money that came is in tickets or went back", self.payments.len(), told)
    }

    fn debits_are_credits(&self) -> Check {
        let facts = &self.payment;
        let postings = facts.unbalanced.iter().map(|posting| format!("{posting}: its debits are not its credits"));
        let currencies = facts.imbalance.iter().map(|(currency, rest)| format!("{currency}: debits exceed credits by {rest}"));
        let orphans = facts.orphans.iter().map(|posting| format!("{posting}: of no payment"));
        Check::new("debits equal credits", facts.postings, postings.chain(currencies).chain(orphans))
    }

    fn payments_agree_with_the_ledger(&self) -> Check {
        let wrong = |payment: &&PaymentFact| {
            let captured = match payment.status {
                Status::Paid | Status::PartiallyRefunded | Status::Refunded => Some(payment.amount_minor),
                Status::NeedsAttention => None,
                _ => Some(0),
            };
            captured.is_some_and(|captured| captured != payment.captured_minor)
                || payment.captures > 1
                || payment.returned_minor > payment.captured_minor
                || payment.returned_minor != payment.refunded_minor
                || payment.refunds_minor != payment.refunded_minor
        };
        let told = self.payment.payments.iter().filter(wrong).map(|payment| {
            let PaymentFact { amount_minor, captured_minor, captures, returned_minor, refunded_minor, refunds_minor, .. } = payment;
            format!(
                "{} is {} over {amount_minor}: came {captured_minor} in {captures}, went back {returned_minor} (row {refunded_minor}, refunds {refunds_minor})",
                payment_id(payment.id),
                payment.status.name()
            )
        });
        Check::new("payments agree with the ledger, and never more went back than came", self.payment.payments.len(), told)
    }

    fn services_agree(&self) -> Check {
        let mut told = Vec::new();
        for payment in &self.payment.payments {
            match self.bookings.get(&payment.booking_id) {
                None => told.push(format!("{}: its booking is unknown", payment_id(payment.id))),
                Some(booking) if booking.user_id != payment.user_id => {
                    told.push(format!("{}: its booking is somebody else's", payment_id(payment.id)));
                }
                Some(_) => {}
            }
        }
        for booking in self.bookings.values() {
            let payments = self.payments.get(&booking.id).map_or(&[][..], Vec::as_slice);
            if booking.paid_by.is_some_and(|id| payments.iter().all(|payment| payment.id != id)) {
                told.push(format!("{}: the payment that paid for it is unknown", booking_id(booking.id)));
            }
            if !self.accounts.contains(&booking.user_id) {
                told.push(format!("{}: its owner has no account", booking_id(booking.id)));
            }
        }
        Check::new("bookings, payments and accounts know each other", self.bookings.len() + self.payment.payments.len(), told)
    }

    fn nothing_is_unfinished(&self) -> Check {
        let late = |booking: &&BookingFact| self.unfinished_since(booking).is_some_and(|since| self.now > since + GRACE);
        let told = self.bookings.values().filter(late).map(|booking| format!("{} is {}", booking_id(booking.id), booking.state));
        Check::new("no booking is unfinished two minutes past its deadline", self.bookings.len(), told)
    }

    /// From when on the booking should be done; `None`: it is, or may wait.
    fn unfinished_since(&self, booking: &BookingFact) -> Option<DateTime<Utc>> {
        if booking.state == "PENDING_PAYMENT" {
            return Some(booking.expires_at);
        }
        let payments = self.payments.get(&booking.id).map_or(&[][..], Vec::as_slice);
        let owed = |payment: &&PaymentFact| booking.repayments.contains(&(payment.id, false));
        let paid_at = payments.iter().filter(owed).filter_map(|payment| payment.paid_at).max();
        booking.is_underway().then(|| paid_at.map_or(booking.state_since, |paid_at| paid_at.max(booking.state_since)))
    }

    fn nothing_waits_for_people(&self) -> Check {
        let bookings = self.bookings.values().filter(|booking| booking.attention).map(|booking| booking_id(booking.id));
        let odd = |payment: &&PaymentFact| payment.status == Status::NeedsAttention;
        let payments = self.payment.payments.iter().filter(odd).map(|payment| payment_id(payment.id));
        Check::new("nothing needs attention", self.bookings.len() + self.payment.payments.len(), bookings.chain(payments))
    }

    fn notices_were_worked_on(&self) -> Check {
        let late = self.payment.waiting.iter().filter(|(_, came)| self.now > *came + GRACE);
        let told = late.map(|(id, came)| format!("notice {id} waits since {came}"));
        Check::new("the provider's notices were worked on", self.payment.notices, told)
    }

    fn answers_exist(&self) -> Check {
        let groups = [
            ("placeHold", &self.inventory.lost_answers),
            ("createBooking", &self.lost_bookings),
            ("createPayment", &self.payment.lost_answers),
        ];
        let told = groups
            .iter()
            .flat_map(|(mutation, lost)| lost.iter().map(move |answer| format!("{mutation}: {answer} does not exist")));
        Check::new("what repeated requests are answered exists", groups.len(), told)
    }
}
