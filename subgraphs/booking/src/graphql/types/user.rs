//! What booking adds to a user.

use async_graphql::{
    ComplexObject, Context, ID, Result, SimpleObject,
    connection::{Connection, EmptyFields},
};
use berth_kernel::graphql::{Total, authenticated, connection, page};
use uuid::Uuid;

use super::{Booking, BookingFilter, Ticket, TicketWhen};
use crate::{
    booking::Status,
    graphql::{bookings, fault, position},
    store::Position,
};

/// A person with an account. Here: what they booked.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct User {
    /// Opaque id.
    pub id: ID,
    #[graphql(skip)]
    pub key: Uuid,
}

#[ComplexObject]
impl User {
    /// The bookings of this person, newest first. Only the person sees them.
    #[graphql(directive = authenticated::apply())]
    async fn bookings(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many at most, 1 to 100; more is refused with PAGE_TOO_LARGE.", default_with = "Some(20)")]
        first: Option<i32>,
        #[graphql(desc = "Cursor of the last item of the page before.")] after: Option<String>,
        #[graphql(desc = "Which bookings; all without it.")] filter: Option<BookingFilter>,
    ) -> Result<Connection<String, Booking, Total, EmptyFields>> {
        let page = page(first, after)?;
        let statuses: Vec<Status> =
            filter.and_then(|filter| filter.statuses).unwrap_or_default().into_iter().map(Status::from).collect();
        let (service, after) = (bookings(ctx), position(&page)?);
        let listed = service.list(self.key, &statuses, after, page.first as u64 + 1).await;
        let (rows, total) = listed.map_err(|error| fault(&error))?;
        let now = service.deps.clock.now();
        let place = |row: &crate::booking::Booking| Position { at_ms: row.created_at.timestamp_millis(), id: row.id };
        let rows = rows.into_iter().map(|row| (place(&row).text(), Booking::show(row, now))).collect();
        Ok(connection(&page, rows, i32::try_from(total).ok()))
    }

    /// The tickets of this person. Only the person sees them.
    #[graphql(directive = authenticated::apply())]
    async fn tickets(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many at most, 1 to 100; more is refused with PAGE_TOO_LARGE.", default_with = "Some(20)")]
        first: Option<i32>,
        #[graphql(desc = "Cursor of the last item of the page before, of the same list.")] after: Option<String>,
        #[graphql(desc = "Which tickets, by the time of their journey.", default_with = "Some(TicketWhen::All)")] when: Option<
            TicketWhen,
        >,
    ) -> Result<Connection<String, Ticket, Total, EmptyFields>> {
        let page = page(first, after)?;
        let when = when.unwrap_or(TicketWhen::All).into();
        let (service, after) = (bookings(ctx), position(&page)?);
        let listed = service.list_tickets(self.key, when, after, page.first as u64 + 1).await;
        let (rows, total) = listed.map_err(|error| fault(&error))?;
        let place = |row: &crate::ticket::Ticket| Position { at_ms: row.valid_from.timestamp_millis(), id: row.id };
        let rows = rows.into_iter().map(|row| (place(&row).text(), Ticket::show(row, service))).collect();
        Ok(connection(&page, rows, i32::try_from(total).ok()))
    }
}
