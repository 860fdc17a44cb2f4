//! What user asks when a person wants to see what is kept about them, or to leave.

use std::collections::HashMap;

use async_trait::async_trait;
use berth_contracts::{
    Kind,
    peer::{PeerError, PeerResult, RecordsPeer},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    Bookings,
    booking::Booking,
    error::Error,
    passenger::PassengerDetails,
    place::{Part, clock_text},
    repayment::Repayment,
    store::{self, Position},
    ticket::Ticket,
};

/// How many bookings are read at a time.
const BATCH: u64 = 50;

#[async_trait]
impl RecordsPeer for Bookings {
    async fn records(&self, user_id: Uuid) -> PeerResult<Value> {
        self.all_of(user_id).await.map(|bookings| json!({ "bookings": bookings })).map_err(|error| unanswered(&error))
    }

    async fn open_affairs(&self, person_id: Uuid) -> PeerResult<u32> {
        let open = store::erasure::count_open(self.deps.db.read(), person_id, self.deps.clock.now()).await;
        open.map(|count| u32::try_from(count).unwrap_or(u32::MAX)).map_err(|error| unanswered(&error.into()))
    }
}

fn unanswered(error: &Error) -> PeerError {
    tracing::error!(error = %error.chain(), "booking.records.failed");
    PeerError::Unavailable("booking".to_owned())
}

impl Bookings {
    async fn all_of(&self, user_id: Uuid) -> Result<Vec<Value>, Error> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = store::booking::list(self.deps.db.read(), user_id, &[], self.deps.clock.now(), after, BATCH).await?;
            let Some(last) = page.last() else { return Ok(all) };
            after = Some(Position { at_ms: last.created_at.timestamp_millis(), id: last.id });
            all.extend(self.told(&page).await?);
        }
    }

    async fn told(&self, bookings: &[Booking]) -> Result<Vec<Value>, Error> {
        let (read, ids) = (self.deps.db.read(), bookings.iter().map(|booking| booking.id).collect::<Vec<_>>());
        let (parts, tickets) = (store::part::list(read, &ids).await?, store::ticket::list_of(read, &ids).await?);
        let sealed: HashMap<Uuid, String> = store::erasure::list_sealed(read, &ids).await?.into_iter().collect();
        let mut told = Vec::with_capacity(bookings.len());
        for booking in bookings {
            let own = parts.iter().filter(|part| part.booking_id == booking.id);
            let own = own.map(|part| self.part_told(part, sealed.get(&part.id))).collect::<Result<Vec<_>, _>>()?;
            let of_it = tickets.iter().filter(|ticket| ticket.booking_id == booking.id).map(ticket_told).collect::<Vec<_>>();
            let repayments = store::repayment::list(read, booking.id).await?.iter().map(repayment_told).collect::<Vec<_>>();
            told.push(self.booking_told(booking, &own, &of_it, &repayments));
        }
        Ok(told)
    }

    fn booking_told(&self, booking: &Booking, parts: &[Value], tickets: &[Value], repayments: &[Value]) -> Value {
        let contact = &booking.contact;
        json!({
            "id": Kind::Booking.encode(booking.id),
            "code": booking.code,
            "status": booking.status(self.deps.clock.now()).name(),
            "createdAt": booking.created_at,
            "expiresAt": booking.expires_at,
            "total": booking.total.to_string(),
            "contact": { "email": contact.email, "phone": contact.phone, "address": contact.address },
            "holdId": Kind::Hold.encode(booking.hold_id),
            "parts": parts,
            "tickets": tickets,
            "repayments": repayments,
        })
    }

    fn part_told(&self, part: &Part, sealed: Option<&String>) -> Result<Value, Error> {
        let details = sealed.filter(|sealed| !sealed.is_empty()).map(|sealed| self.open_details(sealed)).transpose()?;
        let passenger = details.as_ref().unwrap_or(&part.passenger);
        Ok(json!({
            "title": part.title,
            "price": part.price.to_string(),
            "car": part.place.car,
            "seat": part.place.seat,
            "travelClass": part.place.travel_class,
            "departure": clock_text(&part.place.from),
            "arrival": clock_text(&part.place.to),
            "passenger": {
                "fullName": passenger.full_name,
                "idType": passenger.id_type,
                "idNumber": passenger.id_number,
                "birthDate": passenger.birth_date,
            },
        }))
    }

    fn open_details(&self, sealed: &str) -> Result<PassengerDetails, Error> {
        let corrupt = || Error::Corrupt("passenger");
        let open = self.deps.sealer.open(sealed).map_err(|_| corrupt())?;
        serde_json::from_str(&open).map_err(|_| corrupt())
    }
}

fn ticket_told(ticket: &Ticket) -> Value {
    json!({
        "id": Kind::Ticket.encode(ticket.id),
        "number": ticket.number,
        "status": ticket.status.name(),
        "passengerName": ticket.passenger_name,
        "validFrom": ticket.valid_from,
        "validUntil": ticket.valid_until,
        "qr": ticket.document,
    })
}

fn repayment_told(repayment: &Repayment) -> Value {
    json!({
        "paymentId": Kind::Payment.encode(repayment.payment_id),
        "reason": repayment.reason.name(),
        "amount": repayment.amount.to_string(),
        "done": repayment.done,
    })
}
