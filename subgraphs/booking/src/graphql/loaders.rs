//! Batches of one request. Bookings and tickets are only ever loaded for their owner.

use std::{collections::HashMap, sync::Arc};

use async_graphql::dataloader::Loader;
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{Bookings, booking::Booking, place::Part, sabotage, store, ticket::Ticket};

/// What a request may take from the database.
pub(crate) struct Shelf {
    pub bookings: Bookings,
    pub viewer: Option<Uuid>,
}

/// A booking of the viewer.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct BookingKey(pub Uuid);

/// A ticket of the viewer.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TicketKey(pub Uuid);

/// The parts of a booking that was loaded for its owner.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PartsOf(pub Uuid);

/// The tickets of a booking that was loaded for its owner.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TicketsOf(pub Uuid);

type Batch<K, V> = Result<HashMap<K, V>, Arc<DbErr>>;

impl Loader<BookingKey> for Shelf {
    type Value = Booking;
    type Error = Arc<DbErr>;

    async fn load(&self, keys: &[BookingKey]) -> Batch<BookingKey, Booking> {
        let Some(viewer) = self.viewer else { return Ok(HashMap::new()) };
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let mut rows = store::booking::list_owned(self.bookings.deps.db.read(), viewer, &ids).await?;
        if sabotage::skips_owner() {
            for id in ids {
                rows.extend(store::booking::find(self.bookings.deps.db.read(), id).await?);
            }
        }
        Ok(rows.into_iter().map(|booking| (BookingKey(booking.id), booking)).collect())
    }
}

impl Loader<TicketKey> for Shelf {
    type Value = Ticket;
    type Error = Arc<DbErr>;

    async fn load(&self, keys: &[TicketKey]) -> Batch<TicketKey, Ticket> {
        let Some(viewer) = self.viewer else { return Ok(HashMap::new()) };
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let rows = store::ticket::list_owned(self.bookings.deps.db.read(), viewer, &ids).await?;
        Ok(rows.into_iter().map(|ticket| (TicketKey(ticket.id), ticket)).collect())
    }
}

impl Loader<PartsOf> for Shelf {
    type Value = Vec<Part>;
    type Error = Arc<DbErr>;

    async fn load(&self, keys: &[PartsOf]) -> Batch<PartsOf, Vec<Part>> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let mut parts: HashMap<PartsOf, Vec<Part>> = HashMap::new();
        for part in store::part::list(self.bookings.deps.db.read(), &ids).await? {
            parts.entry(PartsOf(part.booking_id)).or_default().push(part);
        }
        Ok(parts)
    }
}

impl Loader<TicketsOf> for Shelf {
    type Value = Vec<Ticket>;
    type Error = Arc<DbErr>;

    async fn load(&self, keys: &[TicketsOf]) -> Batch<TicketsOf, Vec<Ticket>> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let mut tickets: HashMap<TicketsOf, Vec<Ticket>> = HashMap::new();
        for ticket in store::ticket::list_of(self.bookings.deps.db.read(), &ids).await? {
            tickets.entry(TicketsOf(ticket.booking_id)).or_default().push(ticket);
        }
        Ok(tickets)
    }
}
