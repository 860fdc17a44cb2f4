//! Users and their profiles.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use berth_contracts::Kind;
use berth_kernel::graphql::{Date, Page, PageOf, connection, internal, page, refuse};
use uuid::Uuid;

use super::{
    admin::Role, bank::BankAccount, notification::Notification, passenger::Passenger, passkey::Passkey,
    second_factor::SecondFactor, session::UserSession, setting::Settings,
};
use crate::{
    account::Account,
    document,
    error::Error,
    graphql::{accounts, result::told},
    identifier,
    profile::{self, ProfileChange},
};

/// Kind of an identity document. May grow.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "document::IdType")]
pub enum IdType {
    /// Identity card of a state, such as the Indonesian KTP.
    NationalId,
    /// Passport.
    Passport,
}

/// How complete a profile is.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "profile::Tier")]
pub enum ProfileTier {
    /// Some of the six facts of the profile are missing.
    Basic,
    /// All six facts are set. Never lost again.
    Premium,
}

/// A person with an account. Only visible to that person.
pub struct User(pub Arc<Account>);

/// A person with an account. Only visible to that person.
#[Object]
impl User {
    /// Opaque id: user_...
    pub async fn id(&self) -> ID {
        Kind::User.encode(self.0.id).into()
    }

    /// The proved e-mail address, in lower case. Empty when the person signed up by phone.
    async fn email(&self) -> &str {
        &self.0.email
    }

    /// The proved phone number: + and 8 to 15 digits. Null when the person signed up by e-mail.
    async fn phone(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        accounts(ctx)?.name_of(self.0.id, identifier::Kind::Phone).await.map_err(|fault| internal(&told(&fault)))
    }

    /// The user name, in lower case. Null while none is chosen.
    async fn username(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        accounts(ctx)?.name_of(self.0.id, identifier::Kind::Username).await.map_err(|fault| internal(&told(&fault)))
    }

    /// Address of the person's picture: 256 x 256 pixels, PNG or JPEG, for everybody who knows it. Each picture has another address,
    /// and what is there never changes. Null without a picture. Set over HTTP: POST /me/avatar, see removeAvatar.
    async fn avatar_url(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        accounts(ctx)?.avatar_url(self.0.id).await.map_err(|fault| internal(&told(&fault)))
    }

    /// PREMIUM once all six facts of the profile are set.
    async fn tier(&self) -> ProfileTier {
        self.0.profile.tier().into()
    }

    /// What the person is to Berth. A changed role is in access tokens from the next refreshSession on.
    async fn role(&self) -> Role {
        self.0.standing.role.into()
    }

    /// What the person told of themselves. Null while nothing is told.
    async fn profile(&self) -> Option<Profile> {
        let profile = &self.0.profile;
        if profile.is_empty() { None } else { Some(profile.clone().into()) }
    }

    /// People the person books for, oldest first.
    async fn passengers(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 20, desc = "How many at most: 1 to 100, else the error PAGE_TOO_LARGE.")] first: Option<i32>,
        #[graphql(desc = "Cursor of the last passenger of the page before; else the error INVALID_CURSOR.")] after: Option<
            String,
        >,
    ) -> Result<PageOf<Passenger>> {
        let page = page(first, after)?;
        let (after, wanted) = window(&page, Uuid::nil())?;
        let found = accounts(ctx)?.passengers(self.0.id, after, wanted).await.map_err(|fault| internal(&told(&fault)))?;
        let rows = found.into_iter().map(|passenger| (passenger.id.to_string(), Passenger(passenger))).collect();
        Ok(connection(&page, rows, Some(self.0.passenger_count)))
    }

    /// Bank accounts to which the person is paid out, oldest first: at most 5.
    async fn bank_accounts(&self, ctx: &Context<'_>) -> Result<Vec<BankAccount>> {
        let found = accounts(ctx)?.bank_accounts(self.0.id).await.map_err(|fault| internal(&told(&fault)))?;
        Ok(found.into_iter().map(BankAccount).collect())
    }

    /// Devices that are signed in, newest first.
    async fn sessions(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 20, desc = "How many at most: 1 to 100, else the error PAGE_TOO_LARGE.")] first: Option<i32>,
        #[graphql(desc = "Cursor of the last session of the page before; else the error INVALID_CURSOR.")] after: Option<String>,
    ) -> Result<PageOf<UserSession>> {
        let page = page(first, after)?;
        let (before, wanted) = window(&page, Uuid::max())?;
        let found = accounts(ctx)?.open_sessions(self.0.id, before, wanted).await.map_err(|fault| internal(&told(&fault)))?;
        let rows = found.into_iter().map(|session| (session.id.to_string(), UserSession(session))).collect();
        Ok(connection(&page, rows, None))
    }

    /// What a sign-in by password asks for besides the password.
    async fn second_factor(&self, ctx: &Context<'_>) -> Result<SecondFactor> {
        let found = accounts(ctx)?.protection(self.0.id).await;
        found.map(SecondFactor::from).map_err(|fault| internal(&told(&fault)))
    }

    /// Passkeys that sign in, oldest first. At most 20.
    async fn passkeys(&self, ctx: &Context<'_>) -> Result<Vec<Passkey>> {
        let found = accounts(ctx)?.passkeys(self.0.id).await.map_err(|fault| internal(&told(&fault)))?;
        Ok(found.into_iter().map(Passkey).collect())
    }

    /// How the person wants to be written to.
    async fn settings(&self, ctx: &Context<'_>) -> Result<Settings> {
        accounts(ctx)?.settings(self.0.id).await.map(Settings::from).map_err(|fault| internal(&told(&fault)))
    }

    /// What the person was told, newest first. What was read is forgotten after 180 days.
    async fn notifications(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 20, desc = "How many at most: 1 to 100, else the error PAGE_TOO_LARGE.")] first: Option<i32>,
        #[graphql(desc = "Cursor of the last notification of the page before; else the error INVALID_CURSOR.")] after: Option<
            String,
        >,
        #[graphql(desc = "Whether only those that are unread are listed and counted.", default_with = "Some(false)")] unread_only: Option<bool>,
    ) -> Result<PageOf<Notification>> {
        let (page, unread_only) = (page(first, after)?, unread_only.unwrap_or(false));
        let (before, wanted) = window(&page, Uuid::max())?;
        let (desk, id) = (accounts(ctx)?, self.0.id);
        let listed = async {
            let rows = desk.notifications(id, before, unread_only, wanted).await?;
            Ok((rows, desk.count_notifications(id, unread_only).await?, desk.settings(id).await?))
        };
        let (rows, total, settings) = listed.await.map_err(|fault: Error| internal(&told(&fault)))?;
        let rows = rows.into_iter().map(|row| (row.id.to_string(), Notification::show(&row, &settings))).collect();
        Ok(connection(&page, rows, i32::try_from(total).ok()))
    }

    /// How many notifications are unread.
    async fn unread_notification_count(&self, ctx: &Context<'_>) -> Result<i32> {
        let count = accounts(ctx)?.count_notifications(self.0.id, true).await.map_err(|fault| internal(&told(&fault)))?;
        Ok(i32::try_from(count).unwrap_or(i32::MAX))
    }
}

/// Where a page of a list that is ordered by key begins, and how many rows tell whether there is another one.
fn window(page: &Page, begin: Uuid) -> Result<(Uuid, u64)> {
    let cursor = page.after.as_deref().map_or(Ok(begin), str::parse);
    let cursor = cursor.map_err(|_| refuse("INVALID_CURSOR", "after is not a cursor of this list"))?;
    Ok((cursor, u64::try_from(page.first + 1).unwrap_or(u64::MAX)))
}

/// What a person told of themselves. Each fact is null while it is not set.
#[derive(SimpleObject)]
pub struct Profile {
    /// Name as on the identity document.
    pub full_name: Option<String>,
    /// Date of birth.
    pub birth_date: Option<Date>,
    /// Phone number: +6281234567890, or 081234567890 as dialled within the country.
    pub phone: Option<String>,
    /// Kind of the identity document.
    pub id_type: Option<IdType>,
    /// Its number with stars for all but the last four characters. The whole number is never shown.
    pub id_number_masked: Option<String>,
    /// Postal address.
    pub address: Option<String>,
    /// First name, as people call them.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
}

impl From<profile::Profile> for Profile {
    fn from(profile: profile::Profile) -> Self {
        Self {
            full_name: profile.full_name,
            birth_date: profile.birth_date.map(Date),
            phone: profile.phone,
            id_type: profile.id_type.map(IdType::from),
            id_number_masked: profile.id_number.map(|number| number.masked()),
            address: profile.address,
            first_name: profile.first_name,
            last_name: profile.last_name,
        }
    }
}

/// Facts to set. What is left out or null stays as it is.
#[derive(InputObject)]
pub struct UpdateProfileInput {
    /// Name as on the identity document, 1 to 100 characters.
    pub full_name: Option<String>,
    /// Date of birth: in the past, at most 130 years ago.
    pub birth_date: Option<Date>,
    /// Phone number: + and 8 to 15 digits, or 0 and 7 to 14 more. Spaces, dots, hyphens and brackets are dropped.
    pub phone: Option<String>,
    /// Kind of the identity document. The number must fit it.
    pub id_type: Option<IdType>,
    /// Its number: 8 to 20 letters and digits of a national identity card, 6 to 9 of a passport. Stored encrypted.
    #[graphql(secret)]
    pub id_number: Option<String>,
    /// Postal address, 1 to 500 characters.
    pub address: Option<String>,
    /// First name, as people call them, 1 to 100 characters.
    pub first_name: Option<String>,
    /// Last name, 1 to 100 characters.
    pub last_name: Option<String>,
}

impl From<UpdateProfileInput> for ProfileChange {
    fn from(input: UpdateProfileInput) -> Self {
        Self {
            full_name: input.full_name,
            birth_date: input.birth_date.map(|date| date.0),
            phone: input.phone,
            id_type: input.id_type.map(Into::into),
            id_number: input.id_number,
            address: input.address,
            first_name: input.first_name,
            last_name: input.last_name,
        }
    }
}

/// The profile was changed.
#[derive(SimpleObject)]
pub struct UpdateProfileSuccess {
    /// The user with the changed profile.
    pub user: User,
}

impl From<Account> for UpdateProfileSuccess {
    fn from(account: Account) -> Self {
        Self { user: User(Arc::new(account)) }
    }
}

/// What setUsername needs.
#[derive(InputObject)]
pub struct SetUsernameInput {
    /// 3 to 30 letters a to z, digits, dots and underscores; a letter first, no dot at the end or beside another one. Capitals don't
    /// matter. Null takes the name away.
    pub username: Option<String>,
}

/// The user name was set.
#[derive(SimpleObject)]
pub struct SetUsernameSuccess {
    /// The user with the new name.
    pub user: User,
}

impl From<Account> for SetUsernameSuccess {
    fn from(account: Account) -> Self {
        Self { user: User(Arc::new(account)) }
    }
}
