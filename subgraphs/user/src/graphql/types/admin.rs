//! Accounts as admins see them.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use berth_contracts::Kind;
use berth_kernel::graphql::{DateTime, in_utc};
use uuid::Uuid;

use crate::{account_card::AccountCard, graphql::accounts, role};

/// What somebody is to Berth. May grow.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "role::Role")]
pub enum Role {
    /// Books for themselves and others.
    User,
    /// Sells through Berth.
    Organizer,
    /// Administers the accounts of others.
    Admin,
}

/// Somebody's account as an admin sees it. Identity documents, dates of birth, addresses, passengers and bookings stay with their
/// owner.
pub struct Account(pub AccountCard);

/// Somebody's account as an admin sees it. Identity documents, dates of birth, addresses, passengers and bookings stay with their
/// owner.
#[Object]
impl Account {
    /// Opaque id, that of the user: user_...
    async fn id(&self) -> ID {
        self.0.public_id().into()
    }

    /// The e-mail address, in lower case. Empty when the person signed up by phone.
    async fn email(&self) -> &str {
        &self.0.email
    }

    /// What the person is to Berth.
    async fn role(&self) -> Role {
        self.0.standing.role.into()
    }

    /// Since when the account is suspended. Null when it is not.
    async fn suspended_at(&self) -> Option<DateTime> {
        self.0.standing.suspended_at.map(in_utc)
    }

    /// When the account was made.
    async fn created_at(&self) -> DateTime {
        in_utc(self.0.created_at)
    }

    /// Name, as the person told it. Null while it is not told.
    async fn full_name(&self) -> &Option<String> {
        &self.0.full_name
    }

    /// Phone number, as the person told it. Null while it is not told.
    async fn phone(&self) -> &Option<String> {
        &self.0.phone
    }

    /// Address of the person's picture. Null without one.
    async fn avatar_url(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        let desk = accounts(ctx)?;
        Ok(self.0.avatar_file.as_deref().map(|file| desk.address_of(file)))
    }
}

/// What createAccount needs.
#[derive(InputObject)]
pub struct CreateAccountInput {
    /// E-mail address of the person, at most 254 characters. The link that sets the password goes there.
    pub email: String,
    /// Their role.
    #[graphql(default_with = "Role::User")]
    pub role: Role,
}

/// What changeRole needs.
#[derive(InputObject)]
pub struct ChangeRoleInput {
    /// Whose role.
    pub account_id: ID,
    /// The new role.
    pub role: Role,
}

/// What suspendAccount needs.
#[derive(InputObject)]
pub struct SuspendAccountInput {
    /// Which account.
    pub account_id: ID,
    /// Why, for the audit log, 1 to 500 characters. The person does not see it. It is kept for good: write nothing secret.
    pub reason: Option<String>,
}

/// What reinstateAccount needs.
#[derive(InputObject)]
pub struct ReinstateAccountInput {
    /// Which account.
    pub account_id: ID,
}

/// What revokeAccountSessions needs.
#[derive(InputObject)]
pub struct RevokeAccountSessionsInput {
    /// Which account.
    pub account_id: ID,
}

/// What removeAccount needs.
#[derive(InputObject)]
pub struct RemoveAccountInput {
    /// Which account.
    pub account_id: ID,
}

/// The account is gone.
#[derive(SimpleObject)]
pub struct RemoveAccountSuccess {
    /// Id of the account that was deleted.
    pub removed_id: ID,
}

impl From<Uuid> for RemoveAccountSuccess {
    fn from(id: Uuid) -> Self {
        Self { removed_id: Kind::User.encode(id).into() }
    }
}

macro_rules! success {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(SimpleObject)]
        pub struct $name {
            /// The account as it is now.
            pub account: Account,
        }

        impl From<AccountCard> for $name {
            fn from(account: AccountCard) -> Self {
                Self { account: Account(account) }
            }
        }
    };
}

success!(
    /// The account was made, and the link is on its way.
    CreateAccountSuccess
);
success!(
    /// The account has the role.
    ChangeRoleSuccess
);
success!(
    /// The account is suspended.
    SuspendAccountSuccess
);
success!(
    /// The account is not suspended any more.
    ReinstateAccountSuccess
);

/// The account has no open session any more.
#[derive(SimpleObject)]
pub struct RevokeAccountSessionsSuccess {
    /// The account.
    pub account: Account,
    /// How many sessions were ended.
    pub ended: i32,
}

impl From<(AccountCard, u64)> for RevokeAccountSessionsSuccess {
    fn from((account, ended): (AccountCard, u64)) -> Self {
        Self { account: Account(account), ended: i32::try_from(ended).unwrap_or(i32::MAX) }
    }
}
