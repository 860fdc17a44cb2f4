//! Letters to who booked, in the language of the contact: tickets, and money that went back. The words are in `letter/words.rs`.

mod words;

use askama::Template;
use berth_contracts::{Currency, Locale, Money};
use berth_kernel::mail::{Letter, Preview};
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    booking::Booking,
    contact::Contact,
    place::clock_text,
    repayment::{Reason, Repayment},
    ticket::Ticket,
};

/// One ticket as a letter shows it.
struct Line<'a> {
    number: &'a str,
    passenger: &'a str,
    trip: &'a str,
    car: &'a str,
    seat: &'a str,
    class: &'a str,
    from: &'a str,
    departs: String,
    to: &'a str,
    arrives: String,
    qr_url: String,
}

impl<'a> Line<'a> {
    fn of(ticket: &'a Ticket, qr_url: String) -> Self {
        let place = &ticket.place;
        Self {
            number: &ticket.number,
            passenger: &ticket.passenger_name,
            trip: &place.trip_name,
            car: &place.car,
            seat: &place.seat,
            class: &place.travel_class,
            from: &place.from.station_name,
            departs: clock_text(&place.from),
            to: &place.to.station_name,
            arrives: clock_text(&place.to),
            qr_url,
        }
    }
}

#[derive(Template)]
#[template(path = "confirmed.txt")]
struct ConfirmedText<'a> {
    words: &'a words::Confirmed,
    late: bool,
    lines: &'a [Line<'a>],
}

#[derive(Template)]
#[template(path = "confirmed.html")]
struct ConfirmedHtml<'a> {
    lang: &'a str,
    words: &'a words::Confirmed,
    late: bool,
    lines: &'a [Line<'a>],
}

#[derive(Template)]
#[template(path = "refunded.txt")]
struct RefundedText<'a> {
    words: &'a words::Refunded,
}

#[derive(Template)]
#[template(path = "refunded.html")]
struct RefundedHtml<'a> {
    lang: &'a str,
    words: &'a words::Refunded,
}

fn written(text: askama::Result<String>) -> Result<String, DbErr> {
    text.map_err(|error| DbErr::Custom(format!("a letter can't be written: {error}")))
}

/// Names the letter with a booking's tickets.
pub fn confirmed_cause(booking_id: Uuid) -> String {
    format!("booking-confirmed:{booking_id}")
}

/// Names the letter about the money of a payment that went back.
pub fn refunded_cause(payment_id: Uuid) -> String {
    format!("booking-refunded:{payment_id}")
}

/// The booking is confirmed: its tickets, each with the address of its QR code.
pub fn confirmed(booking: &Booking, tickets: &[Ticket], qr_url: impl Fn(&Ticket) -> String) -> Result<Letter, DbErr> {
    let lines: Vec<_> = tickets.iter().map(|ticket| Line::of(ticket, qr_url(ticket))).collect();
    with_tickets(&booking.contact, &booking.code, booking.total, booking.late, &lines)
}

fn with_tickets(contact: &Contact, code: &str, total: Money, late: bool, lines: &[Line<'_>]) -> Result<Letter, DbErr> {
    let (lang, words) = (contact.locale.word(), words::confirmed(contact.locale, code, &total.to_string()));
    Ok(Letter {
        to: contact.email.clone(),
        text: written(ConfirmedText { words: &words, late, lines }.render())?,
        html: written(ConfirmedHtml { lang, words: &words, late, lines }.render())?,
        subject: words.subject,
    })
}

/// Money went back.
pub fn refunded(booking: &Booking, repayment: &Repayment) -> Result<Letter, DbErr> {
    about_money(&booking.contact, &booking.code, repayment.amount, repayment.reason)
}

fn about_money(contact: &Contact, code: &str, amount: Money, reason: Reason) -> Result<Letter, DbErr> {
    let (lang, words) = (contact.locale.word(), words::refunded(contact.locale, code, &amount.to_string(), reason));
    Ok(Letter {
        to: contact.email.clone(),
        text: written(RefundedText { words: &words }.render())?,
        html: written(RefundedHtml { lang, words: &words }.render())?,
        subject: words.subject,
    })
}

/// Every letter of this service in every language.
pub fn previews() -> Result<Vec<Preview>, DbErr> {
    let line = Line {
        number: "T7QK9-1",
        passenger: "Siti Rahma",
        trip: "Argo Bromo Anggrek 2",
        car: "1",
        seat: "5A",
        class: "Executive",
        from: "Gambir",
        departs: "2026-12-24 08:20 (Asia/Jakarta)".to_owned(),
        to: "Surabaya Pasarturi",
        arrives: "2026-12-24 16:30 (Asia/Jakarta)".to_owned(),
        qr_url: "https://berth.example/tickets/ticket_example/qr.svg".to_owned(),
    };
    let (lines, money, mut all) = ([line], Money::new(18_500_000, Currency::IDR), Vec::new());
    for locale in Locale::ALL {
        let contact = Contact { email: "siti@example.com".to_owned(), phone: None, address: None, locale };
        let mut add = |name: &str, letter| all.push(Preview { name: name.to_owned(), locale, letter });
        add("booking: tickets", with_tickets(&contact, "BK7QK9", money, false, &lines)?);
        add("booking: tickets, money came late", with_tickets(&contact, "BK7QK9", money, true, &lines)?);
        add("refund: seats are gone", about_money(&contact, "BK7QK9", money, Reason::SeatsGone)?);
        add("refund: booking was cancelled", about_money(&contact, "BK7QK9", money, Reason::Cancelled)?);
        add("refund: not needed", about_money(&contact, "BK7QK9", money, Reason::NotNeeded)?);
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_is_written_in_every_language() {
        let all = previews().expect("written");
        for pair in all.chunks(2) {
            let [one, other] = pair else { panic!("a letter in one language: {pair:?}") };
            assert_eq!((&one.name, one.locale, other.locale), (&other.name, Locale::En, Locale::Id));
            assert_ne!(one.letter.subject, other.letter.subject);
            assert!(other.letter.html.contains("lang=\"id\""), "{}", other.letter.html);
            assert!(!other.letter.text.contains("Your"), "{}", other.letter.text);
        }
    }
}
