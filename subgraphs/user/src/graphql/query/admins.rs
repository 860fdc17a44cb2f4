//! What admins read. `@requiresScopes` stops others at the front door; the use cases ask again.

use async_graphql::{Context, ID, Object, Result};
use berth_contracts::Kind;
use berth_kernel::graphql::{PageOf, authenticated, connection, connection_of, page, refuse, signed_in, span};
use uuid::Uuid;

use crate::{
    account_card::{CardFilter, Search, Stretch},
    audit_entry::EntryFilter,
    graphql::{
        accounts,
        result::answer_query,
        types::{
            admin::{Account, Role},
            audit::{AuditAction, AuditEntry},
        },
    },
};

/// What admins read.
#[derive(Default)]
pub(crate) struct AdminQueries;

#[Object]
impl AdminQueries {
    /// For admins: all accounts, newest first. Others get null and the error FORBIDDEN.
    #[graphql(directive = authenticated::apply(), requires_scopes = "ADMIN")]
    #[allow(clippy::too_many_arguments, reason = "the filters of a list")]
    async fn accounts(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many at most from the begin on: 1 to 100, 20 when neither first nor last is given; else the error PAGE_TOO_LARGE. \
                    Both first and last are the error INVALID_PAGE."
        )]
        first: Option<i32>,
        #[graphql(desc = "Cursor of the last account of the page before; else the error INVALID_CURSOR.")] after: Option<String>,
        #[graphql(desc = "How many at most from the end on: 1 to 100, to go back with before.")] last: Option<i32>,
        #[graphql(desc = "Cursor of the first account of the page behind; else the error INVALID_CURSOR.")] before: Option<
            String,
        >,
        #[graphql(desc = "Only accounts of this role.")] role: Option<Role>,
        #[graphql(desc = "Only suspended accounts, or only others.")] suspended: Option<bool>,
        #[graphql(
            desc = "Only accounts with this text in their address or name, capitals don't matter: 1 to 100 characters, else the \
                    error INVALID_INPUT."
        )]
        search: Option<String>,
    ) -> Result<Option<PageOf<Account>>> {
        let person = signed_in(ctx)?;
        let span = span(first, after, last, before)?;
        let stretch = Stretch {
            newer_than: position(span.before.as_deref(), "before", Uuid::nil())?,
            older_than: position(span.after.as_deref(), "after", Uuid::max())?,
            from_the_end: span.backward,
            count: span.wanted(),
        };
        let search = answer_query(search.as_deref().map(Search::parse).transpose().map_err(Into::into))?;
        let filter = CardFilter { role: role.map(Into::into), suspended, search };
        let found = answer_query(accounts(ctx)?.accounts_listed(person, &filter, stretch).await)?;
        let rows = found.into_iter().map(|account| (account.id.to_string(), Account(account))).collect();
        Ok(Some(connection_of(&span, rows)))
    }

    /// For admins: an account by its id. Null when there is none. Others get the error FORBIDDEN.
    #[graphql(directive = authenticated::apply(), requires_scopes = "ADMIN")]
    async fn account(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Id of the account: user_...")] id: ID,
    ) -> Result<Option<Account>> {
        let person = signed_in(ctx)?;
        let found = accounts(ctx)?.account_listed(person, Kind::User.decode(&id).ok()).await;
        Ok(answer_query(found)?.map(Account))
    }

    /// For admins: what admins and the operator did to accounts, newest first. Others get the error FORBIDDEN.
    #[graphql(directive = authenticated::apply(), requires_scopes = "ADMIN")]
    async fn audit_entries(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 20, desc = "How many at most: 1 to 100, else the error PAGE_TOO_LARGE.")] first: Option<i32>,
        #[graphql(desc = "Cursor of the last entry of the page before; else the error INVALID_CURSOR.")] after: Option<String>,
        #[graphql(desc = "Only what this admin did.")] actor_id: Option<ID>,
        #[graphql(desc = "Only what was done to this account.")] subject_id: Option<ID>,
        #[graphql(desc = "Only acts of this kind.")] action: Option<AuditAction>,
    ) -> Result<Option<PageOf<AuditEntry>>> {
        let person = signed_in(ctx)?;
        let page = page(first, after)?;
        let before = page.after.as_deref().map_or(Ok(i64::MAX), str::parse);
        let before = before.map_err(|_| refuse("INVALID_CURSOR", "after is not a cursor of this list"))?;
        // A malformed id names nobody: no entry has the nil key.
        let key = |id: ID| Kind::User.decode(&id).unwrap_or_default();
        let filter = EntryFilter { actor_id: actor_id.map(key), subject_id: subject_id.map(key), action: action.map(Into::into) };
        let wanted = u64::try_from(page.first + 1).unwrap_or(u64::MAX);
        let found = answer_query(accounts(ctx)?.audit_entries(person, filter, before, wanted).await)?;
        let rows = found.into_iter().map(|entry| (entry.seq.to_string(), AuditEntry(entry))).collect();
        Ok(Some(connection(&page, rows, None)))
    }
}

/// The account that a cursor stands for.
fn position(cursor: Option<&str>, argument: &str, open: Uuid) -> Result<Uuid> {
    cursor.map_or(Ok(open), str::parse).map_err(|_| refuse("INVALID_CURSOR", format!("{argument} is not a cursor of this list")))
}
