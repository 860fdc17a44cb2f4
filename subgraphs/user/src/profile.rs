//! The profile of an account: six facts and the tier they make, and what people are called.

use chrono::{DateTime, NaiveDate, Utc};

use crate::{
    document::{IdNumber, IdType},
    error::Invalid,
    person,
};

/// How complete a profile is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// Something is missing.
    Basic,
    /// All six facts are known.
    Premium,
}

/// What an account says about its owner.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// Name as on the document.
    pub full_name: Option<String>,
    /// Date of birth.
    pub birth_date: Option<NaiveDate>,
    /// Phone number.
    pub phone: Option<String>,
    /// Kind of the document.
    pub id_type: Option<IdType>,
    /// Its number.
    pub id_number: Option<IdNumber>,
    /// Postal address.
    pub address: Option<String>,
    /// First name, as people call them.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
}

/// A wanted change of a profile. What is absent stays.
#[derive(Debug, Clone, Default)]
pub struct ProfileChange {
    /// New name.
    pub full_name: Option<String>,
    /// New date of birth.
    pub birth_date: Option<NaiveDate>,
    /// New phone number.
    pub phone: Option<String>,
    /// New kind of document.
    pub id_type: Option<IdType>,
    /// New number, as written.
    pub id_number: Option<String>,
    /// New address.
    pub address: Option<String>,
    /// New first name.
    pub first_name: Option<String>,
    /// New last name.
    pub last_name: Option<String>,
}

impl Profile {
    /// Facts can be changed but not emptied, so a PREMIUM profile stays PREMIUM.
    pub fn tier(&self) -> Tier {
        let complete = self.full_name.is_some()
            && self.birth_date.is_some()
            && self.phone.is_some()
            && self.id_type.is_some()
            && self.id_number.is_some()
            && self.address.is_some();
        if complete { Tier::Premium } else { Tier::Basic }
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The profile after the change.
    pub fn changed(self, change: ProfileChange, now: DateTime<Utc>) -> Result<Self, Invalid> {
        let id_type = change.id_type.or(self.id_type);
        let id_number = document(id_type, change.id_number.as_deref(), self.id_number)?;
        let at = |field| move |why| Invalid { field, why };
        let full_name = change.full_name.map(|text| person::full_name(&text)).transpose().map_err(at("fullName"))?;
        let birth_date = change.birth_date.map(|date| person::birth_date(date, now)).transpose().map_err(at("birthDate"))?;
        let phone = change.phone.map(|text| person::phone(&text)).transpose().map_err(at("phone"))?;
        let address = change.address.map(|text| person::address(&text)).transpose().map_err(at("address"))?;
        let first_name = change.first_name.map(|text| person::full_name(&text)).transpose().map_err(at("firstName"))?;
        let last_name = change.last_name.map(|text| person::full_name(&text)).transpose().map_err(at("lastName"))?;
        Ok(Self {
            full_name: full_name.or(self.full_name),
            birth_date: birth_date.or(self.birth_date),
            phone: phone.or(self.phone),
            id_type,
            id_number,
            address: address.or(self.address),
            first_name: first_name.or(self.first_name),
            last_name: last_name.or(self.last_name),
        })
    }
}

/// The number after a change: a new one is read as its kind asks; an old one must still fit its kind.
fn document(kind: Option<IdType>, new: Option<&str>, old: Option<IdNumber>) -> Result<Option<IdNumber>, Invalid> {
    match (kind, new, old) {
        (Some(kind), Some(text), _) => IdNumber::parse(kind, text).map(Some).map_err(|why| Invalid { field: "idNumber", why }),
        (None, Some(_), _) => Err(Invalid { field: "idType", why: "idNumber can't be read without idType" }),
        (Some(kind), None, Some(number)) => {
            let unfit = |_| Invalid { field: "idType", why: "the stored idNumber does not fit this idType: send both" };
            number.fitting(kind).map(Some).map_err(unfit)
        }
        (_, None, old) => Ok(old),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-12-24T11:00:00Z".parse().expect("a time")
    }

    #[test]
    fn six_facts_make_premium() {
        let some = ProfileChange {
            full_name: Some("Siti".to_owned()),
            birth_date: NaiveDate::from_ymd_opt(1990, 1, 2),
            phone: Some("+6281234567890".to_owned()),
            id_type: Some(IdType::NationalId),
            ..ProfileChange::default()
        };
        let profile = Profile::default().changed(some, now()).expect("fine");
        assert_eq!(profile.tier(), Tier::Basic);
        let rest = ProfileChange {
            id_number: Some("3174012345671234".to_owned()),
            address: Some("Jl. Merdeka 1".to_owned()),
            ..ProfileChange::default()
        };
        let profile = profile.changed(rest, now()).expect("fine");
        assert_eq!(profile.tier(), Tier::Premium);
        assert_eq!(profile.clone().changed(ProfileChange::default(), now()), Ok(profile));
    }

    #[test]
    fn a_number_needs_its_kind() {
        let number = ProfileChange { id_number: Some("3174012345671234".to_owned()), ..ProfileChange::default() };
        assert_eq!(Profile::default().changed(number.clone(), now()).expect_err("refused").field, "idType");
        let national = ProfileChange { id_type: Some(IdType::NationalId), ..number };
        let profile = Profile::default().changed(national, now()).expect("fine");
        let passport = ProfileChange { id_type: Some(IdType::Passport), ..ProfileChange::default() };
        assert_eq!(profile.changed(passport, now()).expect_err("refused").field, "idType");
    }
}
