//! Settings.

use async_graphql::{Enum, InputObject, SimpleObject};
use berth_kernel::graphql::{Locale, TimeZone};

use crate::setting::{self, ChannelsChange, SettingsChange};

/// A group of notifications that is switched as one. May grow.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "setting::Group")]
pub enum NotificationGroup {
    /// What happens to bookings.
    Bookings,
    /// Payments, and money that goes back.
    Payments,
    /// Who gets into the account: new devices, passwords, ended sessions.
    Security,
}

/// How a person wants to be written to. Only visible to that person.
#[derive(SimpleObject)]
pub struct Settings {
    /// Language of letters, text messages and notifications.
    pub locale: Locale,
    /// Times in letters and notifications are on the clocks of this zone.
    pub time_zone: TimeZone,
    /// By which ways the person is told what, one entry per group. Tickets, and the news that money went back, always come by letter to
    /// the address of the booking.
    pub channels: Vec<NotificationChannels>,
}

/// By which ways a group of notifications is told.
#[derive(SimpleObject)]
pub struct NotificationChannels {
    /// The group.
    pub group: NotificationGroup,
    /// In the list of notifications. Always on.
    pub in_app: bool,
    /// By letter to the address of the account. Always on for SECURITY.
    pub email: bool,
    /// By text message to the phone of the profile, if it is written with + and the country. Only some notifications are sent so.
    pub sms: bool,
}

impl From<setting::Settings> for Settings {
    fn from(settings: setting::Settings) -> Self {
        let channels = setting::Group::ALL.into_iter().map(|group| {
            let setting::Channels { email, sms } = settings.channels(group);
            NotificationChannels { group: group.into(), in_app: true, email, sms }
        });
        Self {
            channels: channels.collect(),
            locale: settings.locale.into(),
            time_zone: TimeZone(settings.time_zone.name().to_owned()),
        }
    }
}

/// Settings to change. What is left out or null stays as it is.
#[derive(InputObject)]
pub struct UpdateSettingsInput {
    /// Language of letters, text messages and notifications.
    pub locale: Option<Locale>,
    /// The zone on whose clocks times are written. An unknown name is an error of the request.
    pub time_zone: Option<TimeZone>,
    /// Groups to switch, each at most once.
    pub channels: Option<Vec<NotificationChannelsInput>>,
}

/// A group of notifications to switch. What is left out or null stays as it is.
#[derive(InputObject)]
pub struct NotificationChannelsInput {
    /// The group.
    pub group: NotificationGroup,
    /// By letter to the address of the account. Can't be switched off for SECURITY.
    pub email: Option<bool>,
    /// By text message to the phone of the profile.
    pub sms: Option<bool>,
}

impl From<UpdateSettingsInput> for SettingsChange {
    fn from(input: UpdateSettingsInput) -> Self {
        let change =
            |wish: NotificationChannelsInput| ChannelsChange { group: wish.group.into(), email: wish.email, sms: wish.sms };
        Self {
            locale: input.locale.map(Into::into),
            // The scalar took it, so it is a name of the database of zones.
            time_zone: input.time_zone.and_then(|zone| zone.0.parse().ok()),
            channels: input.channels.unwrap_or_default().into_iter().map(change).collect(),
        }
    }
}

/// The settings were changed.
#[derive(SimpleObject)]
pub struct UpdateSettingsSuccess {
    /// The settings as they are now.
    pub settings: Settings,
}

impl From<setting::Settings> for UpdateSettingsSuccess {
    fn from(settings: setting::Settings) -> Self {
        Self { settings: settings.into() }
    }
}
