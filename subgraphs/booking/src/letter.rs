//! Letters to who booked: tickets, and money that went back.

use askama::Template;
use berth_kernel::mail::Letter;
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    booking::Booking,
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
    code: &'a str,
    total: String,
    late: bool,
    lines: &'a [Line<'a>],
}

#[derive(Template)]
#[template(path = "confirmed.html")]
struct ConfirmedHtml<'a> {
    code: &'a str,
    total: String,
    late: bool,
    lines: &'a [Line<'a>],
}

#[derive(Template)]
#[template(path = "refunded.txt")]
struct RefundedText<'a> {
    code: &'a str,
    amount: String,
    why: &'a str,
}

#[derive(Template)]
#[template(path = "refunded.html")]
struct RefundedHtml<'a> {
    code: &'a str,
    amount: String,
    why: &'a str,
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
    let (code, late) = (booking.code.as_str(), booking.late);
    let total = || booking.total.to_string();
    Ok(Letter {
        to: booking.contact.email.clone(),
        subject: format!("Your tickets, booking {code}"),
        text: written(ConfirmedText { code, total: total(), late, lines: &lines }.render())?,
        html: written(ConfirmedHtml { code, total: total(), late, lines: &lines }.render())?,
    })
}

/// Money went back.
pub fn refunded(booking: &Booking, repayment: &Repayment) -> Result<Letter, DbErr> {
    let code = booking.code.as_str();
    let why = match repayment.reason {
        Reason::SeatsGone => {
            "Your payment arrived after the time limit, and by then the seats were sold to somebody else. There are no tickets for it."
        }
        Reason::Cancelled => "Your payment arrived after the booking was cancelled. There are no tickets for it.",
        Reason::NotNeeded => "This payment was not needed for the booking. Everything else about the booking stays as it is.",
    };
    let amount = || repayment.amount.to_string();
    Ok(Letter {
        to: booking.contact.email.clone(),
        subject: format!("Your money went back, booking {code}"),
        text: written(RefundedText { code, amount: amount(), why }.render())?,
        html: written(RefundedHtml { code, amount: amount(), why }.render())?,
    })
}
