//! Queries. A nullable field that fails is null beside its error; the other fields of the answer stay.

use async_graphql::{Context, ID, MergedObject, Object, Result};
use berth_contracts::{Kind, id::TripKey};
use berth_kernel::graphql::{authenticated, internal, signed_in, viewer};

use super::{
    bookings,
    entity::Entities,
    loaders::{BookingKey, TicketKey},
    shelf,
    types::{Booking, Hold, Node, Passenger, Payment, Station, Ticket, Trip, User},
};

/// Everything that can be read.
#[derive(MergedObject, Default)]
pub struct Query(Lookups, Entities);

/// Single things by their id.
#[derive(Default)]
pub(crate) struct Lookups;

#[Object]
impl Lookups {
    /// One of your bookings. Null when there is none with this id or it belongs to somebody else.
    #[graphql(directive = authenticated::apply())]
    async fn booking(&self, ctx: &Context<'_>, #[graphql(desc = "Id of the booking.")] id: ID) -> Option<Result<Booking>> {
        match signed_in(ctx) {
            Ok(_) => own_booking(ctx, &id).await.transpose(),
            Err(refusal) => Some(Err(refusal)),
        }
    }

    /// One of your tickets. Null when there is none with this id or it belongs to somebody else.
    #[graphql(directive = authenticated::apply())]
    async fn ticket(&self, ctx: &Context<'_>, #[graphql(desc = "Id of the ticket.")] id: ID) -> Option<Result<Ticket>> {
        match signed_in(ctx) {
            Ok(_) => own_ticket(ctx, &id).await.transpose(),
            Err(refusal) => Some(Err(refusal)),
        }
    }

    /// Anything by its id. Null for an id that can't be read, and for a booking, ticket or user that is not yours. Things of other
    /// kinds are looked up by the subgraph that owns them when more than their id is asked for.
    async fn node(&self, ctx: &Context<'_>, #[graphql(desc = "Id of the thing.")] id: ID) -> Option<Result<Node>> {
        find_node(ctx, id).await.transpose()
    }
}

async fn find_node(ctx: &Context<'_>, id: ID) -> Result<Option<Node>> {
    let known = |kind: Kind| kind.decode(&id).is_ok();
    Ok(match id.split_once('_').map(|(prefix, _)| prefix) {
        Some("booking") => own_booking(ctx, &id).await?.map(|booking| Node::Booking(Box::new(booking))),
        Some("ticket") => own_ticket(ctx, &id).await?.map(|ticket| Node::Ticket(Box::new(ticket))),
        Some("user") => viewer_as_user(ctx, &id).map(Node::User),
        Some("passenger") => known(Kind::Passenger).then_some(Node::Passenger(Passenger { id })),
        Some("station") => known(Kind::Station).then_some(Node::Station(Station { id })),
        Some("trip") => TripKey::decode(&id).ok().map(|_| Node::Trip(Trip { id })),
        Some("hold") => known(Kind::Hold).then_some(Node::Hold(Hold { id })),
        Some("payment") => known(Kind::Payment).then_some(Node::Payment(Payment { id })),
        _ => None,
    })
}

/// The viewer's booking with this id.
pub(super) async fn own_booking(ctx: &Context<'_>, id: &ID) -> Result<Option<Booking>> {
    let Ok(key) = Kind::Booking.decode(id) else { return Ok(None) };
    let found = shelf(ctx).load_one(BookingKey(key)).await.map_err(|error| internal(&error))?;
    Ok(found.map(|booking| Booking::show(booking, bookings(ctx).deps.clock.now())))
}

/// The viewer's ticket with this id.
pub(super) async fn own_ticket(ctx: &Context<'_>, id: &ID) -> Result<Option<Ticket>> {
    let Ok(key) = Kind::Ticket.decode(id) else { return Ok(None) };
    let found = shelf(ctx).load_one(TicketKey(key)).await.map_err(|error| internal(&error))?;
    Ok(found.map(|ticket| Ticket::show(ticket, bookings(ctx))))
}

/// The user with this id, if it is the viewer.
pub(super) fn viewer_as_user(ctx: &Context<'_>, id: &ID) -> Option<User> {
    let key = Kind::User.decode(id).ok()?;
    (viewer(ctx).user_id() == Some(key)).then(|| User { id: id.clone(), key })
}
