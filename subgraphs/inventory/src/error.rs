//! Why a question about the catalogue gets no answer.

use chrono::NaiveDate;
use sea_orm::DbErr;

use crate::trip::SegmentError;

/// Most seats a person can ask for at once; a hold takes no more.
pub const MAX_PASSENGERS: i32 = 8;

/// A refusal of a query, or our own fault.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An id that is malformed or of another kind.
    #[error("{0} is not a valid id of this kind")]
    InvalidId(&'static str),
    /// No such station.
    #[error("{0} names no station of the timetable")]
    UnknownStation(&'static str),
    /// From and to are one station.
    #[error("fromStationId and toStationId name the same station")]
    SameStation,
    /// Nothing runs on the date.
    #[error("the timetable runs from {first} to {last}")]
    DateOutsideTimetable {
        /// First service date.
        first: NaiveDate,
        /// Last service date.
        last: NaiveDate,
    },
    /// There is no timetable at all.
    #[error("the timetable is empty")]
    EmptyTimetable,
    /// Nobody, or too many.
    #[error("passengers must be between 1 and {MAX_PASSENGERS}")]
    InvalidPassengerCount,
    /// Two stops that are no part of the trip that can be travelled.
    #[error("{0}")]
    InvalidSegment(#[from] SegmentError),
    /// A cursor of something else.
    #[error("after is not a cursor of this list")]
    InvalidCursor,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

impl Error {
    /// The stable code of docs/ERRORS.md.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidId(_) => "INVALID_ID",
            Self::UnknownStation(_) => "UNKNOWN_STATION",
            Self::SameStation => "SAME_STATION",
            Self::DateOutsideTimetable { .. } | Self::EmptyTimetable => "DATE_OUTSIDE_TIMETABLE",
            Self::InvalidPassengerCount => "INVALID_PASSENGER_COUNT",
            Self::InvalidSegment(_) => "INVALID_SEGMENT",
            Self::InvalidCursor => "INVALID_CURSOR",
            Self::Database(_) => "SERVICE_UNAVAILABLE",
        }
    }
}
