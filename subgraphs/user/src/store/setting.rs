//! Settings of accounts. An account without a row has the usual ones.

use berth_contracts::Locale;
use berth_kernel::db::{Tx, sql};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Value};
use uuid::Uuid;

use crate::setting::{Channels, Settings};

#[derive(FromQueryResult)]
struct Row {
    locale: String,
    time_zone: String,
    bookings_email: i32,
    bookings_sms: i32,
    payments_email: i32,
    payments_sms: i32,
    security_sms: i32,
}

impl Row {
    fn read(self) -> Result<Settings, DbErr> {
        let channels = |email: i32, sms: i32| Channels { email: email != 0, sms: sms != 0 };
        Ok(Settings {
            locale: Locale::from_word(&self.locale).ok_or_else(|| super::unreadable("a language"))?,
            time_zone: self.time_zone.parse().map_err(|_| super::unreadable("a time zone"))?,
            bookings: channels(self.bookings_email, self.bookings_sms),
            payments: channels(self.payments_email, self.payments_sms),
            security: channels(1, self.security_sms),
        })
    }
}

/// The settings of an account.
pub async fn find(connection: &impl ConnectionTrait, account_id: Uuid) -> Result<Settings, DbErr> {
    let text = "SELECT locale, time_zone, bookings_email, bookings_sms, payments_email, payments_sms, security_sms FROM settings \
                WHERE account_id = $1";
    let row = Row::find_by_statement(sql(connection, text, [account_id.into()])).one(connection).await?;
    row.map_or_else(|| Ok(Settings::default()), Row::read)
}

/// Writes the settings of an account.
pub async fn put(tx: &Tx, account_id: Uuid, settings: &Settings) -> Result<(), DbErr> {
    let text = "INSERT INTO settings (account_id, locale, time_zone, bookings_email, bookings_sms, payments_email, payments_sms, \
                security_sms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (account_id) DO UPDATE SET \
                locale = excluded.locale, time_zone = excluded.time_zone, bookings_email = excluded.bookings_email, \
                bookings_sms = excluded.bookings_sms, payments_email = excluded.payments_email, \
                payments_sms = excluded.payments_sms, security_sms = excluded.security_sms";
    let flag = |on: bool| Value::from(i32::from(on));
    let values: [Value; 8] = [
        account_id.into(),
        settings.locale.word().into(),
        settings.time_zone.name().into(),
        flag(settings.bookings.email),
        flag(settings.bookings.sms),
        flag(settings.payments.email),
        flag(settings.payments.sms),
        flag(settings.security.sms),
    ];
    tx.execute_raw(sql(tx, text, values)).await.map(|_| ())
}
