//! How somebody wants to be written to: language, clocks, and by which ways they are told what.

use berth_contracts::Locale;
use chrono_tz::Tz;

use crate::error::Invalid;

/// A group of notifications that is switched as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    /// Bookings.
    Bookings,
    /// Payments and refunds.
    Payments,
    /// Who gets into the account.
    Security,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Bookings, Self::Payments, Self::Security];
}

/// By which ways a group is told, besides the list of notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channels {
    /// By letter.
    pub email: bool,
    /// By text message.
    pub sms: bool,
}

/// An account's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Language of letters and notifications.
    pub locale: Locale,
    /// Whose clocks their times are on.
    pub time_zone: Tz,
    /// Ways for bookings.
    pub bookings: Channels,
    /// Ways for payments.
    pub payments: Channels,
    /// Ways for security. Letters are always on.
    pub security: Channels,
}

impl Default for Settings {
    fn default() -> Self {
        let usual = Channels { email: true, sms: false };
        Self { locale: Locale::default(), time_zone: Tz::UTC, bookings: usual, payments: usual, security: usual }
    }
}

/// What to set for a group.
#[derive(Debug, Clone, Copy)]
pub struct ChannelsChange {
    /// The group.
    pub group: Group,
    /// By letter; `None`: as it is.
    pub email: Option<bool>,
    /// By text message; `None`: as it is.
    pub sms: Option<bool>,
}

/// What to set. What is `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct SettingsChange {
    /// Language.
    pub locale: Option<Locale>,
    /// Time zone.
    pub time_zone: Option<Tz>,
    /// Ways, by group.
    pub channels: Vec<ChannelsChange>,
}

impl Settings {
    /// The usual settings in a language.
    pub fn in_locale(locale: Locale) -> Self {
        Self { locale, ..Self::default() }
    }

    /// The ways of a group.
    pub fn channels(&self, group: Group) -> Channels {
        match group {
            Group::Bookings => self.bookings,
            Group::Payments => self.payments,
            Group::Security => self.security,
        }
    }

    /// The settings with a change.
    pub fn changed(mut self, change: &SettingsChange) -> Result<Self, Invalid> {
        let refuse = |why| Err(Invalid { field: "channels", why });
        for (at, wish) in change.channels.iter().enumerate() {
            if change.channels[..at].iter().any(|before| before.group == wish.group) {
                return refuse("a group stands in the list once");
            }
            if wish.group == Group::Security && wish.email == Some(false) {
                return refuse("letters about the security of the account can't be switched off");
            }
            let own = match wish.group {
                Group::Bookings => &mut self.bookings,
                Group::Payments => &mut self.payments,
                Group::Security => &mut self.security,
            };
            *own = Channels { email: wish.email.unwrap_or(own.email), sms: wish.sms.unwrap_or(own.sms) };
        }
        self.locale = change.locale.unwrap_or(self.locale);
        self.time_zone = change.time_zone.unwrap_or(self.time_zone);
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(group: Group, email: Option<bool>, sms: Option<bool>) -> SettingsChange {
        SettingsChange { channels: vec![ChannelsChange { group, email, sms }], ..SettingsChange::default() }
    }

    #[test]
    fn what_is_left_out_stays() {
        let changed = Settings::default().changed(&wish(Group::Payments, Some(false), None)).expect("fine");
        assert_eq!(changed.payments, Channels { email: false, sms: false });
        let changed = changed.changed(&wish(Group::Payments, None, Some(true))).expect("fine");
        assert_eq!(changed.payments, Channels { email: false, sms: true });
        assert_eq!((changed.bookings, changed.locale), (Channels { email: true, sms: false }, Locale::En));
    }

    #[test]
    fn security_letters_stay_on() {
        assert!(Settings::default().changed(&wish(Group::Security, Some(false), None)).is_err());
        assert!(Settings::default().changed(&wish(Group::Security, Some(true), Some(true))).expect("fine").security.sms);
    }

    #[test]
    fn a_group_is_named_once() {
        let one = ChannelsChange { group: Group::Bookings, email: Some(true), sms: None };
        let twice = SettingsChange { channels: vec![one, one], ..SettingsChange::default() };
        assert!(Settings::default().changed(&twice).is_err());
    }
}
