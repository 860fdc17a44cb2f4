//! Leaving, and a copy of one's data.

use async_graphql::{InputObject, SimpleObject};
use berth_kernel::graphql::{DateTime, in_utc};

use crate::exports::Export;

/// What deleteAccount needs.
#[derive(InputObject)]
pub struct DeleteAccountInput {
    /// The password of the account.
    #[graphql(secret)]
    pub password: String,
}

/// What exportPersonalData needs.
#[derive(InputObject)]
pub struct ExportPersonalDataInput {
    /// The password of the account.
    #[graphql(secret)]
    pub password: String,
}

/// The account is gone.
#[derive(SimpleObject)]
pub struct DeleteAccountSuccess {
    /// Always true.
    pub deleted: bool,
}

/// A copy of everything that is kept about you.
#[derive(SimpleObject)]
pub struct ExportPersonalDataSuccess {
    /// A JSON document as text: services { user booking inventory payment }, each with what it keeps. Numbers of identity documents
    /// are in full. Show it to nobody else.
    pub document: String,
    /// When it was made.
    pub created_at: DateTime,
}

impl From<Export> for ExportPersonalDataSuccess {
    fn from(export: Export) -> Self {
        Self { document: export.document, created_at: in_utc(export.at) }
    }
}
