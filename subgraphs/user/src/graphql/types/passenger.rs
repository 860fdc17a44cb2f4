//! Passengers.

use async_graphql::{ID, InputObject, Object, SimpleObject};
use berth_contracts::Kind;
use berth_kernel::graphql::Date;
use uuid::Uuid;

use super::user::IdType;
use crate::passenger::{self, PassengerChange, PassengerDraft};

/// Somebody a person books for. Only visible to that person.
pub struct Passenger(pub passenger::Passenger);

/// Somebody a person books for. Only visible to that person.
#[Object]
impl Passenger {
    /// Opaque id: passenger_...
    pub async fn id(&self) -> ID {
        Kind::Passenger.encode(self.0.id).into()
    }

    /// Name as on the identity document.
    async fn full_name(&self) -> &str {
        &self.0.full_name
    }

    /// Kind of the identity document.
    async fn id_type(&self) -> IdType {
        self.0.id_type.into()
    }

    /// Its number with stars for all but the last four characters. The whole number is never shown.
    async fn id_number_masked(&self) -> String {
        self.0.id_number.masked()
    }

    /// Date of birth.
    async fn birth_date(&self) -> Date {
        Date(self.0.birth_date)
    }
}

/// What addPassenger needs.
#[derive(InputObject)]
pub struct AddPassengerInput {
    /// Name as on the identity document, 1 to 100 characters.
    pub full_name: String,
    /// Kind of the identity document.
    pub id_type: IdType,
    /// Its number: 8 to 20 letters and digits of a national identity card, 6 to 9 of a passport. Stored encrypted.
    #[graphql(secret)]
    pub id_number: String,
    /// Date of birth: in the past, at most 130 years ago.
    pub birth_date: Date,
}

/// What updatePassenger needs. What is left out or null stays as it is.
#[derive(InputObject)]
pub struct UpdatePassengerInput {
    /// The passenger.
    pub passenger_id: ID,
    /// New name, 1 to 100 characters.
    pub full_name: Option<String>,
    /// New kind of document. The number must fit it.
    pub id_type: Option<IdType>,
    /// New number.
    #[graphql(secret)]
    pub id_number: Option<String>,
    /// New date of birth.
    pub birth_date: Option<Date>,
}

/// What removePassenger needs.
#[derive(InputObject)]
pub struct RemovePassengerInput {
    /// The passenger.
    pub passenger_id: ID,
}

impl From<AddPassengerInput> for PassengerDraft {
    fn from(input: AddPassengerInput) -> Self {
        Self {
            full_name: input.full_name,
            id_type: input.id_type.into(),
            id_number: input.id_number,
            birth_date: input.birth_date.0,
        }
    }
}

impl UpdatePassengerInput {
    /// Which passenger, and what changes.
    pub fn split(self) -> (ID, PassengerChange) {
        let change = PassengerChange {
            full_name: self.full_name,
            id_type: self.id_type.map(Into::into),
            id_number: self.id_number,
            birth_date: self.birth_date.map(|date| date.0),
        };
        (self.passenger_id, change)
    }
}

/// The passenger was added.
#[derive(SimpleObject)]
pub struct AddPassengerSuccess {
    /// The new passenger.
    pub passenger: Passenger,
}

/// The passenger was changed.
#[derive(SimpleObject)]
pub struct UpdatePassengerSuccess {
    /// The passenger as it is now.
    pub passenger: Passenger,
}

/// The passenger was removed.
#[derive(SimpleObject)]
pub struct RemovePassengerSuccess {
    /// Its id, which names nothing any more.
    pub removed_id: ID,
}

impl From<passenger::Passenger> for AddPassengerSuccess {
    fn from(added: passenger::Passenger) -> Self {
        Self { passenger: Passenger(added) }
    }
}

impl From<passenger::Passenger> for UpdatePassengerSuccess {
    fn from(changed: passenger::Passenger) -> Self {
        Self { passenger: Passenger(changed) }
    }
}

impl From<Uuid> for RemovePassengerSuccess {
    fn from(removed: Uuid) -> Self {
        Self { removed_id: Kind::Passenger.encode(removed).into() }
    }
}
