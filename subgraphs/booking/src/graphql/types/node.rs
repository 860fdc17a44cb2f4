//! `Node`, and stubs of what other subgraphs own.

use async_graphql::{ID, Interface, SimpleObject};

use super::{Booking, Ticket, User};

/// Anything that has an id of its own and can be fetched by it with node(id).
#[derive(Interface)]
#[graphql(field(name = "id", ty = "&ID", desc = "Opaque id, unique over the whole graph, stable for ever."))]
pub(crate) enum Node {
    Booking(Box<Booking>),
    Ticket(Box<Ticket>),
    User(User),
    Passenger(Passenger),
    Station(Station),
    Trip(Trip),
    Hold(Hold),
    Payment(Payment),
}

macro_rules! stub {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, SimpleObject)]
        #[graphql(unresolvable = "id")]
        pub(crate) struct $name {
            /// Opaque id.
            pub id: ID,
        }
    };
}

stub!(
    /// A passenger of a user's list. Everything but its id comes from the user subgraph.
    Passenger
);
stub!(
    /// A station. Everything but its id comes from the inventory subgraph.
    Station
);
stub!(
    /// A trip: one run on one service date. Everything but its id comes from the inventory subgraph.
    Trip
);
stub!(
    /// One call of a trip at a station. Everything but its id comes from the inventory subgraph.
    TripStop
);
stub!(
    /// A hold on seats. Everything but its id comes from the inventory subgraph.
    Hold
);
stub!(
    /// A payment. Everything but its id comes from the payment subgraph.
    Payment
);
