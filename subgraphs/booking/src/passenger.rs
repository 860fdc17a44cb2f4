//! Who travels on which held seat: rules for details, and the match of passengers and seats.

use std::collections::HashSet;

use berth_contracts::peer::PassengerCopy;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Refusal;

const MAX_NAME: usize = 100;
const MAX_NUMBER: usize = 32;

/// The details of one passenger, as given or as copied from the owner's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassengerDetails {
    /// Name as on the document.
    pub full_name: String,
    /// `NATIONAL_ID` or `PASSPORT`.
    pub id_type: Option<String>,
    /// Number of the document.
    pub id_number: Option<String>,
    /// Date of birth.
    pub birth_date: Option<NaiveDate>,
}

/// Who sits on a held seat: a passenger of the owner's list or details; exactly one of both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seating {
    /// The held seat; `None` when its id can't be read.
    pub held_seat_id: Option<Uuid>,
    /// A passenger of the list; an id that can't be read stands as the nil key, which nobody has.
    pub passenger_id: Option<Uuid>,
    /// Details given now.
    pub details: Option<PassengerDetails>,
}

impl PassengerDetails {
    /// The details with surrounding blanks removed, if acceptable; otherwise which field is wrong and why.
    pub fn checked(self, today: NaiveDate) -> Result<Self, (&'static str, &'static str)> {
        let full_name = self.full_name.trim().to_owned();
        let letters = full_name.chars().count();
        if letters == 0 || letters > MAX_NAME || full_name.chars().any(char::is_control) {
            return Err(("fullName", "a name has 1 to 100 characters on one line"));
        }
        let id_number = self.id_number.map(|number| number.trim().to_owned()).filter(|number| !number.is_empty());
        if id_number.as_deref().is_some_and(|number| !is_document_number(number)) {
            return Err(("idNumber", "a document number has at most 32 letters, digits, blanks, dots, slashes and dashes"));
        }
        if id_number.is_some() && self.id_type.is_none() {
            return Err(("idType", "idNumber needs an idType beside it"));
        }
        if self
            .birth_date
            .is_some_and(|date| date > today || NaiveDate::from_ymd_opt(1900, 1, 1).is_some_and(|first| date < first))
        {
            return Err(("birthDate", "a date of birth lies between 1900-01-01 and today"));
        }
        Ok(Self { full_name, id_number, ..self })
    }
}

impl From<PassengerCopy> for PassengerDetails {
    fn from(copy: PassengerCopy) -> Self {
        Self {
            full_name: copy.full_name,
            id_type: Some(copy.id_type),
            id_number: Some(copy.id_number),
            birth_date: Some(copy.birth_date),
        }
    }
}

fn is_document_number(number: &str) -> bool {
    number.len() <= MAX_NUMBER && number.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" -./".contains(&byte))
}

/// Checks each seating by itself: exactly one of passenger and details, and the details acceptable.
pub fn check_each(seatings: Vec<Seating>, today: NaiveDate) -> Result<Vec<Seating>, Refusal> {
    let check = |(at, mut seating): (usize, Seating)| {
        let at = at.to_string();
        if seating.passenger_id.is_some() == seating.details.is_some() {
            return Err(Refusal::passenger(&["passengers", &at], "give exactly one of passengerId and details"));
        }
        if let Some(details) = seating.details.take() {
            let fine = details.checked(today);
            let fine = fine.map_err(|(field, why)| Refusal::invalid(&["passengers", &at, "details", field], why))?;
            seating.details = Some(fine);
        }
        Ok(seating)
    };
    seatings.into_iter().enumerate().map(check).collect()
}

/// Checks all seatings against the held seats: each seat once, none left over.
pub fn check_cover(seatings: &[Seating], held: &[Uuid]) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    for (at, seating) in seatings.iter().enumerate() {
        let at = at.to_string();
        let Some(seat) = seating.held_seat_id.filter(|seat| held.contains(seat)) else {
            return Err(Refusal::passenger(&["passengers", &at, "heldSeatId"], "this is no seat of the hold"));
        };
        if !seen.insert(seat) {
            return Err(Refusal::passenger(&["passengers", &at, "heldSeatId"], "this seat was given to another passenger"));
        }
    }
    if seen.len() < held.len() {
        return Err(Refusal::passenger(&["passengers"], "every held seat needs exactly one passenger"));
    }
    Ok(())
}

/// `A. S.` for Ani Sari: enough for a look at a document, too little to be worth reading from a photo.
pub fn initials(full_name: &str) -> String {
    let first = full_name.split_whitespace().filter_map(|word| word.chars().next()).take(4);
    let letters: Vec<String> = first.map(|letter| format!("{}.", letter.to_uppercase())).collect();
    letters.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn details(name: &str) -> PassengerDetails {
        PassengerDetails { full_name: name.to_owned(), id_type: None, id_number: None, birth_date: None }
    }

    fn today() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, 21).expect("a date")
    }

    #[test]
    fn details_have_limits() {
        assert_eq!(details("  Ani Sari ").checked(today()).expect("fine").full_name, "Ani Sari");
        let faults = [
            details(" "),
            details(&"x".repeat(101)),
            details("Ani\nSari"),
            PassengerDetails { id_number: Some("3174".to_owned()), ..details("Ani") },
            PassengerDetails { id_number: Some("<>".to_owned()), id_type: Some("PASSPORT".to_owned()), ..details("Ani") },
            PassengerDetails { birth_date: NaiveDate::from_ymd_opt(2026, 11, 22), ..details("Ani") },
            PassengerDetails { birth_date: NaiveDate::from_ymd_opt(1899, 12, 31), ..details("Ani") },
        ];
        let fields: Vec<_> = faults.into_iter().map(|fault| fault.checked(today()).err().map(|fault| fault.0)).collect();
        let wanted = ["fullName", "fullName", "fullName", "idType", "idNumber", "birthDate", "birthDate"];
        assert_eq!(fields, wanted.map(Some));
    }

    #[test]
    fn every_seat_has_one_passenger() {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let on = |seat: Uuid| Seating { held_seat_id: Some(seat), passenger_id: None, details: Some(details("Ani")) };
        assert!(check_cover(&[on(two), on(one)], &[one, two]).is_ok());
        assert!(check_cover(&[on(one)], &[one, two]).is_err());
        assert!(check_cover(&[on(one), on(one)], &[one, two]).is_err());
        assert!(check_cover(&[on(one), on(two)], &[one]).is_err());
    }

    #[test]
    fn exactly_one_of_passenger_and_details() {
        let neither = Seating { held_seat_id: None, passenger_id: None, details: None };
        let both = Seating { passenger_id: Some(Uuid::nil()), details: Some(details("Ani")), ..neither.clone() };
        assert!(check_each(vec![neither], today()).is_err());
        assert!(check_each(vec![both], today()).is_err());
    }

    #[test]
    fn initials_stand_for_a_name() {
        assert_eq!(initials("ani  sari Dewi"), "A. S. D.");
    }
}
