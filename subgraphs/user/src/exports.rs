//! Everything that is kept about a person, in one JSON document for that person. A new fact belongs into it as well: into
//! [`Accounts::own_records`], or into the `records` of the service that keeps it. docs/privacy.toml says which facts there are,
//! and a test looks for them in the document.

use base64::{Engine, engine::general_purpose::STANDARD};
use berth_contracts::Kind;
use berth_kernel::{auth::SignedIn, db::Tx};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    account::Account,
    accounts::Accounts,
    audit_entry::{Entry, EntryFilter},
    avatar::Avatar,
    bank_account::BankAccount,
    document::{IdNumber, IdType},
    error::{Error, Refusal},
    identifier,
    notification::{Facts, Kind as Notified, Notice, Notification, say},
    passenger::Passenger,
    passkeys::Passkey,
    setting::{Channels, Settings},
    store::{self, privacy::KeptSession},
};

/// More than any list has.
const ALL: u64 = 1 << 40;
const DAY: TimeDelta = TimeDelta::hours(24);
/// Version of the document's form.
const FORMAT: &str = "berth-personal-data/1";

/// A copy of a person's data.
#[derive(Debug, Clone)]
pub struct Export {
    /// When it was made.
    pub at: DateTime<Utc>,
    /// The JSON text.
    pub document: String,
}

impl Accounts {
    /// Everything that is kept about the signed-in person, who knows the password. The owner gets a letter.
    pub async fn export(&self, person: &SignedIn, password: &str) -> Result<Export, Error> {
        let account = self.prove(person, password).await?;
        let at = self.deps.clock.now();
        self.count_export(&account).await?;
        let mut services = Map::new();
        services.insert("user".to_owned(), self.own_records(&account).await?);
        for (name, neighbour) in self.neighbours()?.all() {
            services.insert(name.to_owned(), neighbour.records(account.id).await?);
        }
        let document = json!({
            "format": FORMAT,
            "createdAt": at,
            "userId": Kind::User.encode(account.id),
            "services": services,
        });
        let document = serde_json::to_string_pretty(&document).map_err(|why| Error::library("writing an export", &why))?;
        Ok(Export { at, document })
    }

    /// Notes the export, if there were not too many of them today.
    async fn count_export(&self, account: &Account) -> Result<(), Error> {
        let (desk, account) = (self.clone(), account.clone());
        self.deps.db.write(move |tx| Box::pin(async move { desk.note_export(tx, &account).await })).await?;
        self.wake_told();
        Ok(())
    }

    async fn note_export(&self, tx: &Tx, account: &Account) -> Result<(), Error> {
        let (now, id) = (self.deps.clock.now(), self.deps.clock.new_key());
        // Takes the account first: of racing exports each sees the ones before.
        if !store::account::take(tx, account.id, now).await? {
            return Err(Error::Stranger);
        }
        let earlier = store::privacy::exports_since(tx, account.id, now - DAY).await?;
        let limit = usize::try_from(self.config.exports_per_day).unwrap_or_default();
        if let Some(oldest) = earlier.len().checked_sub(limit).and_then(|at| earlier.get(at)) {
            return Err(Refusal::RateLimited { retry_after: *oldest + DAY - now }.into());
        }
        store::privacy::note_export(tx, id, account.id, now).await?;
        self.tell(tx, account.id, &Notice::about(Notified::DataExported, id, Facts::default())).await.map(|_| ())
    }

    fn picture(&self, avatar: &Avatar) -> Value {
        json!({
            "url": self.address_of(&avatar.file),
            "createdAt": avatar.created_at,
            "imageBase64": STANDARD.encode(&avatar.image),
        })
    }

    /// What this service keeps about a person.
    async fn own_records(&self, account: &Account) -> Result<Value, Error> {
        let read = self.deps.db.read();
        let passengers = store::passenger::list(read, &self.deps.sealer, account.id, Uuid::nil(), ALL).await?;
        let sessions = store::privacy::sessions(read, account.id).await?;
        let times = store::privacy::times(read, account.id).await?;
        let exports = store::privacy::exports_since(read, account.id, DateTime::UNIX_EPOCH).await?;
        let (kept, protection) = (self.settings(account.id).await?, self.protection(account.id).await?);
        let notifications = self.notifications(account.id, Uuid::max(), false, ALL).await?;
        let about = EntryFilter { subject_id: Some(account.id), ..EntryFilter::default() };
        let acts = store::audit::list_before(read, about, i64::MAX, ALL).await?;
        let profile = &account.profile;
        Ok(json!({
            "email": account.email,
            "phone": store::identifier::of_account(read, account.id, identifier::Kind::Phone).await?,
            "username": store::identifier::of_account(read, account.id, identifier::Kind::Username).await?,
            "createdAt": times.map(|(created_at, _)| created_at),
            "changedAt": times.map(|(_, changed_at)| changed_at),
            "profile": {
                "fullName": profile.full_name,
                "birthDate": profile.birth_date,
                "phone": profile.phone,
                "idType": profile.id_type.map(IdType::word),
                "idNumber": profile.id_number.as_ref().map(IdNumber::as_str),
                "address": profile.address,
                "firstName": profile.first_name,
                "lastName": profile.last_name,
            },
            "avatar": self.avatar_of(account.id).await?.map(|avatar| self.picture(&avatar)),
            "passengers": passengers.iter().map(passenger).collect::<Vec<_>>(),
            "sessions": sessions.iter().map(session).collect::<Vec<_>>(),
            "wantedAddresses": store::contact_change::wanted(read, account.id).await?,
            "bankAccounts": self.bank_accounts(account.id).await?.iter().map(bank_account).collect::<Vec<_>>(),
            "role": account.standing.role.word(),
            "suspendedAt": account.standing.suspended_at,
            "settings": settings(&kept),
            "notifications": notifications.iter().map(|told| notification(told, &kept)).collect::<Vec<_>>(),
            "secondFactor": { "on": protection.totp_enabled, "recoveryCodesLeft": protection.recovery_codes_left },
            "passkeys": self.passkeys(account.id).await?.iter().map(passkey).collect::<Vec<_>>(),
            "actsOfAdmins": acts.iter().map(act).collect::<Vec<_>>(),
            "passwordResetAskedAt": store::privacy::reset_asked_at(read, account.id).await?,
            "exports": exports,
        }))
    }
}

fn bank_account(bank: &BankAccount) -> Value {
    json!({
        "id": Kind::BankAccount.encode(bank.id),
        "bankCode": bank.bank_code,
        "holderName": bank.holder_name,
        "number": bank.number.as_str(),
    })
}

fn passenger(passenger: &Passenger) -> Value {
    json!({
        "id": Kind::Passenger.encode(passenger.id),
        "fullName": passenger.full_name,
        "idType": passenger.id_type.word(),
        "idNumber": passenger.id_number.as_str(),
        "birthDate": passenger.birth_date,
    })
}

fn session(kept: &KeptSession) -> Value {
    json!({
        "id": Kind::Session.encode(kept.session.id),
        "device": kept.session.device,
        "createdAt": kept.session.created_at,
        "lastSeenAt": kept.session.seen_at,
        "expiresAt": kept.session.expires_at,
        "endedAt": kept.ended_at,
    })
}

fn settings(settings: &Settings) -> Value {
    let channels = |channels: Channels| json!({ "email": channels.email, "sms": channels.sms });
    json!({
        "locale": settings.locale.word(),
        "timeZone": settings.time_zone.name(),
        "bookings": channels(settings.bookings),
        "payments": channels(settings.payments),
        "security": channels(settings.security),
    })
}

fn notification(told: &Notification, settings: &Settings) -> Value {
    let said = say(told.kind, settings.locale, &told.facts, settings.time_zone);
    json!({ "kind": told.kind.rule().name, "title": said.title, "body": said.body, "createdAt": told.created_at, "readAt": told.read_at })
}

fn passkey(passkey: &Passkey) -> Value {
    json!({
        "id": Kind::Passkey.encode(passkey.id),
        "name": passkey.name,
        "createdAt": passkey.created_at,
        "lastUsedAt": passkey.used_at,
    })
}

fn act(entry: &Entry) -> Value {
    let at = DateTime::from_timestamp_millis(entry.at_ms);
    json!({ "at": at, "action": entry.action, "details": entry.details })
}
