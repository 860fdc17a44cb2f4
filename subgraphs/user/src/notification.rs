//! A notification, and the one catalogue of them: what is told, of which group it is, and whether it also goes out by letter or text
//! message. The words are in `notification/words.rs`.
//!
//! A new one: a variant of [`Kind`], a line in [`RULES`], its words, and who tells it: an event ([`Notice::of`]), or a use case of
//! this service by `Accounts::tell`.

mod words;

use std::collections::HashSet;

use berth_contracts::{Money, event::Event};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::setting::Group;

pub use words::{Said, say};

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A booking is confirmed, its tickets are there.
    BookingConfirmed,
    /// A booking was not paid in time.
    BookingExpired,
    /// A booking was cancelled.
    BookingCancelled,
    /// A booking takes longer than it should; people look at it.
    BookingDelayed,
    /// A payment was refused.
    PaymentFailed,
    /// A payment was not made in time.
    PaymentExpired,
    /// All of a payment went back.
    PaymentRefunded,
    /// A part of a payment went back.
    PaymentPartlyRefunded,
    /// Somebody signed in on a device that was not seen before.
    SignedIn,
    /// The password was changed.
    PasswordChanged,
    /// A session was ended because a refresh token was used twice.
    SessionEnded,
    /// Signing in asks for a second factor from now on.
    SecondFactorOn,
    /// Signing in asks for no second factor any more.
    SecondFactorOff,
    /// Recovery codes were made anew.
    RecoveryCodesRenewed,
    /// A recovery code opened a session.
    RecoveryCodeUsed,
    /// A passkey was added.
    PasskeyAdded,
    /// A passkey was removed.
    PasskeyRemoved,
    /// A bank account was added.
    BankAccountAdded,
    /// Somebody took a copy of all data about the person.
    DataExported,
}

/// When a notification is also a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByLetter {
    /// When its owner has letters of the group switched on.
    IfWanted,
    /// Always: it is about who gets into the account.
    Always,
}

/// How a kind is told.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The kind.
    pub kind: Kind,
    /// Its name, as stored and as in the graph.
    pub name: &'static str,
    /// The group whose settings count.
    pub group: Group,
    /// Whether it is a letter as well. Not when another service writes one about the same: booking sends the tickets, and the news
    /// that money went back.
    pub letter: Option<ByLetter>,
    /// Whether it is a text message as well, for who switched these on.
    pub sms: bool,
    /// Whether it is no longer true once the booking is confirmed. Events may come late.
    pub until_confirmed: bool,
}

const fn rule(kind: Kind, name: &'static str, group: Group, letter: Option<ByLetter>, sms: bool) -> Rule {
    Rule { kind, name, group, letter, sms, until_confirmed: false }
}

const fn until_confirmed(rule: Rule) -> Rule {
    Rule { until_confirmed: true, ..rule }
}

const WANTED: Option<ByLetter> = Some(ByLetter::IfWanted);
const ALWAYS: Option<ByLetter> = Some(ByLetter::Always);

/// The catalogue.
pub const RULES: [Rule; 19] = [
    rule(Kind::BookingConfirmed, "BOOKING_CONFIRMED", Group::Bookings, None, true),
    until_confirmed(rule(Kind::BookingExpired, "BOOKING_EXPIRED", Group::Bookings, WANTED, true)),
    rule(Kind::BookingCancelled, "BOOKING_CANCELLED", Group::Bookings, None, false),
    until_confirmed(rule(Kind::BookingDelayed, "BOOKING_DELAYED", Group::Bookings, None, false)),
    until_confirmed(rule(Kind::PaymentFailed, "PAYMENT_FAILED", Group::Payments, WANTED, true)),
    until_confirmed(rule(Kind::PaymentExpired, "PAYMENT_EXPIRED", Group::Payments, None, false)),
    rule(Kind::PaymentRefunded, "PAYMENT_REFUNDED", Group::Payments, None, true),
    rule(Kind::PaymentPartlyRefunded, "PAYMENT_PARTLY_REFUNDED", Group::Payments, WANTED, true),
    rule(Kind::SignedIn, "SIGNED_IN", Group::Security, ALWAYS, true),
    rule(Kind::PasswordChanged, "PASSWORD_CHANGED", Group::Security, ALWAYS, true),
    rule(Kind::SessionEnded, "SESSION_ENDED", Group::Security, ALWAYS, true),
    rule(Kind::SecondFactorOn, "SECOND_FACTOR_ON", Group::Security, ALWAYS, true),
    rule(Kind::SecondFactorOff, "SECOND_FACTOR_OFF", Group::Security, ALWAYS, true),
    rule(Kind::RecoveryCodesRenewed, "RECOVERY_CODES_RENEWED", Group::Security, ALWAYS, false),
    rule(Kind::RecoveryCodeUsed, "RECOVERY_CODE_USED", Group::Security, ALWAYS, true),
    rule(Kind::PasskeyAdded, "PASSKEY_ADDED", Group::Security, ALWAYS, true),
    rule(Kind::PasskeyRemoved, "PASSKEY_REMOVED", Group::Security, ALWAYS, false),
    rule(Kind::BankAccountAdded, "BANK_ACCOUNT_ADDED", Group::Security, ALWAYS, true),
    rule(Kind::DataExported, "DATA_EXPORTED", Group::Security, ALWAYS, true),
];

impl Kind {
    /// How it is told.
    pub fn rule(self) -> &'static Rule {
        // Every kind has its line: a test counts them.
        RULES.iter().find(|rule| rule.kind == self).unwrap_or(&RULES[0])
    }

    /// Reads a stored name.
    pub fn parse(name: &str) -> Option<Self> {
        RULES.iter().find(|rule| rule.name == name).map(|rule| rule.kind)
    }
}

/// What the words need, and where the notification leads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The booking it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booking_id: Option<Uuid>,
    /// That booking's code for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booking_code: Option<String>,
    /// The payment it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<Uuid>,
    /// Money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// The name of a device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// When it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<DateTime<Utc>>,
    /// The number of a bank account, masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_number: Option<String>,
}

impl Facts {
    /// Facts for people who look at the words.
    pub fn example(at: DateTime<Utc>) -> Self {
        Self {
            booking_id: Some(Uuid::nil()),
            booking_code: Some("BK7QK9".to_owned()),
            payment_id: Some(Uuid::nil()),
            amount: Some(Money::new(18_500_000, berth_contracts::Currency::IDR)),
            device: Some("Siti's phone".to_owned()),
            at: Some(at),
            account_number: Some("********6789".to_owned()),
        }
    }
}

/// Something to tell somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What.
    pub kind: Kind,
    /// What it is about: a second notice with the same cause is not told.
    pub cause: String,
    /// What the words need.
    pub facts: Facts,
}

impl Notice {
    /// What an event of another service tells whom; `None` when it is news to nobody.
    pub fn of(event: &Event) -> Option<(Uuid, Self)> {
        match event {
            Event::BookingChanged { booking_id, user_id, status, code } => {
                let kind = match status.as_str() {
                    "CONFIRMED" => Kind::BookingConfirmed,
                    "EXPIRED" => Kind::BookingExpired,
                    "CANCELLED" => Kind::BookingCancelled,
                    "NEEDS_ATTENTION" => Kind::BookingDelayed,
                    _ => return None,
                };
                let facts = Facts { booking_id: Some(*booking_id), booking_code: code.clone(), ..Facts::default() };
                Some((*user_id, Self::about(kind, *booking_id, facts)))
            }
            Event::PaymentChanged { payment_id, booking_id, user_id, status, amount, booking_code } => {
                let kind = match status.as_str() {
                    "FAILED" => Kind::PaymentFailed,
                    "EXPIRED" => Kind::PaymentExpired,
                    "REFUNDED" => Kind::PaymentRefunded,
                    "PARTIALLY_REFUNDED" => Kind::PaymentPartlyRefunded,
                    _ => return None,
                };
                let facts = Facts {
                    booking_id: Some(*booking_id),
                    booking_code: booking_code.clone(),
                    payment_id: Some(*payment_id),
                    amount: Some(*amount),
                    ..Facts::default()
                };
                Some((*user_id, Self::about(kind, *payment_id, facts)))
            }
            _ => None,
        }
    }

    /// A notice of a kind that one thing causes once.
    pub fn about(kind: Kind, thing: Uuid, facts: Facts) -> Self {
        Self { kind, cause: cause(kind, thing), facts }
    }

    /// The cause of a notice that makes this one untrue, if there is one.
    pub fn overtaken_by(&self) -> Option<String> {
        let booking = self.facts.booking_id.filter(|_| self.kind.rule().until_confirmed);
        booking.map(|booking_id| cause(Kind::BookingConfirmed, booking_id))
    }
}

fn cause(kind: Kind, thing: Uuid) -> String {
    format!("{}:{thing}", kind.rule().name)
}

/// A notification in somebody's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Key; later ones have greater keys, but for the clocks of several processes.
    pub id: Uuid,
    /// What is told.
    pub kind: Kind,
    /// What the words need.
    pub facts: Facts,
    /// When it was told.
    pub created_at: DateTime<Utc>,
    /// When its owner marked it as read.
    pub read_at: Option<DateTime<Utc>>,
}

/// How far the making of two keys may be out of order: transactions and clocks of several processes.
const DISORDER: TimeDelta = TimeDelta::seconds(60);
/// Rows that a watcher takes at a time.
pub const TRAIL_STEP: u64 = 100;

/// What a watcher of a list has seen: everything up to a key, and some of what is younger.
#[derive(Debug, Clone)]
pub struct Trail {
    floor: Uuid,
    seen: HashSet<Uuid>,
}

impl Trail {
    /// Nothing of what comes from now on was seen. Mark what is there already with [`Trail::fresh`].
    pub fn from_now(now: DateTime<Utc>) -> Self {
        Self { floor: first_key(now - DISORDER), seen: HashSet::new() }
    }

    /// Everything up to this key was seen.
    pub fn after(key: Uuid) -> Self {
        Self { floor: key, seen: HashSet::new() }
    }

    /// Rows with greater keys are asked for.
    pub fn floor(&self) -> Uuid {
        self.floor
    }

    /// Those of the oldest rows above the floor that were not seen yet; they count as seen now.
    pub fn fresh(&mut self, rows: Vec<Notification>, now: DateTime<Utc>) -> Vec<Notification> {
        let last = rows.last().map(|row| row.id).filter(|_| rows.len() as u64 >= TRAIL_STEP);
        let fresh = rows.into_iter().filter(|row| self.seen.insert(row.id)).collect();
        // A full page means that there is more: go on behind it. Else stay where late ones may still come.
        self.floor = self.floor.max(last.unwrap_or_else(|| first_key(now - DISORDER)));
        self.seen.retain(|key| *key > self.floor);
        fresh
    }
}

/// Not greater than any key made at this instant or later.
fn first_key(at: DateTime<Utc>) -> Uuid {
    Uuid::from_u128(u128::try_from(at.timestamp_millis()).unwrap_or(0) << 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(at: DateTime<Utc>, number: u128) -> Notification {
        let id = Uuid::from_u128(first_key(at).as_u128() + number);
        Notification { id, kind: Kind::BookingConfirmed, facts: Facts::default(), created_at: at, read_at: None }
    }

    #[test]
    fn every_kind_has_its_line_and_its_name() {
        let names: HashSet<_> = RULES.iter().map(|rule| rule.name).collect();
        let kinds: HashSet<_> = RULES.iter().map(|rule| rule.kind).collect();
        assert_eq!((names.len(), kinds.len()), (RULES.len(), RULES.len()));
        assert!(RULES.iter().all(|rule| Kind::parse(rule.name) == Some(rule.kind) && rule.kind.rule().kind == rule.kind));
    }

    #[test]
    fn letters_about_the_way_in_cannot_be_switched_off() {
        let of_security = RULES.iter().filter(|rule| rule.group == Group::Security);
        assert!(of_security.clone().count() > 0 && of_security.clone().all(|rule| rule.letter == ALWAYS));
        assert!(RULES.iter().all(|rule| rule.letter != ALWAYS || rule.group == Group::Security));
    }

    #[test]
    fn a_watcher_sees_each_once_also_one_with_a_smaller_key() {
        let start = DateTime::from_timestamp_millis(1_800_000_000_000).expect("an instant");
        let mut trail = Trail::from_now(start);
        let (old, one, late) = (made(start, 5), made(start, 9), made(start, 7));
        trail.fresh(vec![old.clone()], start);
        assert_eq!(trail.fresh(vec![old.clone(), one.clone()], start), std::slice::from_ref(&one));
        assert_eq!(trail.fresh(vec![old, late.clone(), one], start), [late]);
        trail.fresh(Vec::new(), start + TimeDelta::hours(1));
        assert!(trail.seen.is_empty() && trail.floor > made(start, 9).id);
    }

    #[test]
    fn a_watcher_that_comes_back_takes_page_after_page() {
        let start = DateTime::from_timestamp_millis(1_800_000_000_000).expect("an instant");
        let all: Vec<_> = (1..=250).map(|number| made(start, number)).collect();
        let (mut trail, mut got) = (Trail::after(all[9].id), Vec::new());
        for _ in 0..4 {
            let page = all.iter().filter(|row| row.id > trail.floor()).take(100).cloned().collect();
            got.extend(trail.fresh(page, start));
        }
        assert_eq!(got, all[10..]);
    }
}
