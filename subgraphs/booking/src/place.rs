//! The noun: a part of a booking that is a seat on a journey, copied whole at purchase.

use berth_contracts::{
    Money,
    peer::{HeldSeat, StopCopy},
};
use uuid::Uuid;

use crate::passenger::PassengerDetails;

/// One seat of a booking with who sits on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its key.
    pub id: Uuid,
    /// The booking.
    pub booking_id: Uuid,
    /// Its position, from 0.
    pub position: i32,
    /// One line for people.
    pub title: String,
    /// What it costs.
    pub price: Money,
    /// Who travels.
    pub passenger: PassengerDetails,
    /// The seat and the journey, as they were when the booking was made.
    pub place: HeldSeat,
}

/// `Argo Bromo Anggrek 2: Gambir – Surabaya Pasarturi, 2026-12-24`
pub fn title_of(seat: &HeldSeat) -> String {
    let HeldSeat { trip_name, from, to, service_date, .. } = seat;
    format!("{trip_name}: {} – {}, {service_date}", from.station_name, to.station_name)
}

/// `2026-12-24 18:05 (Asia/Jakarta)`
pub fn clock_text(stop: &StopCopy) -> String {
    format!("{} ({})", stop.local.format("%Y-%m-%d %H:%M"), stop.time_zone)
}
