//! Somebody an account books for.

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use crate::{
    document::{IdNumber, IdType},
    error::Invalid,
    person,
};

/// A passenger of somebody's list.
#[derive(Debug, Clone)]
pub struct Passenger {
    /// Key.
    pub id: Uuid,
    /// Name as on the document.
    pub full_name: String,
    /// Kind of the document.
    pub id_type: IdType,
    /// Its number.
    pub id_number: IdNumber,
    /// Date of birth.
    pub birth_date: NaiveDate,
}

/// A passenger as somebody describes one.
#[derive(Debug, Clone)]
pub struct PassengerDraft {
    /// Name as on the document.
    pub full_name: String,
    /// Kind of the document.
    pub id_type: IdType,
    /// Its number, as written.
    pub id_number: String,
    /// Date of birth.
    pub birth_date: NaiveDate,
}

/// A wanted change. What is absent stays.
#[derive(Debug, Clone, Default)]
pub struct PassengerChange {
    /// New name.
    pub full_name: Option<String>,
    /// New kind of document.
    pub id_type: Option<IdType>,
    /// New number, as written.
    pub id_number: Option<String>,
    /// New date of birth.
    pub birth_date: Option<NaiveDate>,
}

impl PassengerDraft {
    /// The passenger this describes.
    pub fn checked(self, id: Uuid, now: DateTime<Utc>) -> Result<Passenger, Invalid> {
        let at = |field| move |why| Invalid { field, why };
        Ok(Passenger {
            id,
            full_name: person::full_name(&self.full_name).map_err(at("fullName"))?,
            id_type: self.id_type,
            id_number: IdNumber::parse(self.id_type, &self.id_number).map_err(at("idNumber"))?,
            birth_date: person::birth_date(self.birth_date, now).map_err(at("birthDate"))?,
        })
    }
}

impl Passenger {
    /// The passenger after the change.
    pub fn changed(self, change: PassengerChange, now: DateTime<Utc>) -> Result<Self, Invalid> {
        let draft = PassengerDraft {
            full_name: change.full_name.unwrap_or(self.full_name),
            id_type: change.id_type.unwrap_or(self.id_type),
            id_number: change.id_number.unwrap_or_else(|| self.id_number.as_str().to_owned()),
            birth_date: change.birth_date.unwrap_or(self.birth_date),
        };
        draft.checked(self.id, now)
    }
}
