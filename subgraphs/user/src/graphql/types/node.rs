//! What has an id.

use async_graphql::{ID, Interface};

use super::{passenger::Passenger, user::User};

/// Something with an id that is unique in the whole graph.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "Opaque, unique in the whole graph: user_... Compare it, never read it."))]
pub enum Node {
    /// A user.
    User(User),
    /// A passenger.
    Passenger(Passenger),
}
