//! What a process of Berth does: everything, or one or more of these.

use std::{fmt, net::SocketAddr, str::FromStr};

use serde::{Deserialize, Serialize};

/// One of the four services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// Accounts.
    User,
    /// Trips, seats, holds.
    Inventory,
    /// Bookings and tickets.
    Booking,
    /// Payments.
    Payment,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::User, Self::Inventory, Self::Booking, Self::Payment];

    /// Its name: of its subgraph, its schema in PostgreSQL, its SQLite file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Inventory => "inventory",
            Self::Booking => "booking",
            Self::Payment => "payment",
        }
    }
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// The public front door.
    Router,
    /// One service: its subgraph, its peer calls, its relay.
    Service(Service),
    /// Background work: of the services beside it, or of all four.
    Worker,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Router,
        Self::Service(Service::User),
        Self::Service(Service::Inventory),
        Self::Service(Service::Booking),
        Self::Service(Service::Payment),
        Self::Worker,
    ];

    /// Its name, as `--role` takes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Router => "router",
            Self::Service(service) => service.name(),
            Self::Worker => "worker",
        }
    }

    /// Where it listens when nothing else is said: the ports of `supergraph.yaml`, and those beside them.
    pub fn default_address(self) -> SocketAddr {
        let port = match self {
            Self::Router => 4000,
            Self::Service(Service::User) => 4101,
            Self::Service(Service::Inventory) => 4102,
            Self::Service(Service::Booking) => 4103,
            Self::Service(Service::Payment) => 4104,
            Self::Worker => 4105,
        };
        SocketAddr::from(([127, 0, 0, 1], port))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| format!("there is no role {text:?}"))
    }
}

/// The roles of one process. None named: everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles(Vec<Role>);

impl Roles {
    /// Reads a list separated by commas; an empty one is everything.
    pub fn parse(text: &str) -> Result<Self, String> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let mut roles = names.map(Role::from_str).collect::<Result<Vec<_>, _>>()?;
        roles.sort_unstable();
        roles.dedup();
        Ok(Self(roles))
    }

    /// Whether this process does everything: then its parts call each other directly.
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it has the role.
    pub fn has(&self, role: Role) -> bool {
        self.is_everything() || self.0.contains(&role)
    }

    /// The services whose doors are here.
    pub fn doors(&self) -> Vec<Service> {
        Service::ALL.into_iter().filter(|service| self.has(Role::Service(*service))).collect()
    }

    /// The services whose background work is done here.
    pub fn background(&self) -> Vec<Service> {
        match (self.has(Role::Worker), self.doors()) {
            (false, _) => Vec::new(),
            (true, doors) if doors.is_empty() => Service::ALL.to_vec(),
            (true, doors) => doors,
        }
    }

    /// The services whose databases this process opens.
    pub fn opened(&self) -> Vec<Service> {
        let mut opened = self.doors();
        opened.extend(self.background());
        opened.sort_unstable();
        opened.dedup();
        opened
    }

    /// The roles that were named.
    pub fn named(&self) -> &[Role] {
        &self.0
    }

    /// The role whose address `--listen` is.
    pub fn front(&self) -> Option<Role> {
        match self.0.as_slice() {
            _ if self.has(Role::Router) => Some(Role::Router),
            [only] => Some(*only),
            _ => None,
        }
    }

    /// As whom this process asks its peers: as its first role that is not the front door, if there is one.
    pub fn peer_caller(&self) -> Role {
        self.0.iter().copied().find(|role| *role != Role::Router).unwrap_or(Role::Router)
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|role| role.name()).collect();
        f.write_str(if names.is_empty() { "everything".to_owned() } else { names.join("+") }.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(services: &[Service]) -> Vec<&'static str> {
        services.iter().map(|service| service.name()).collect()
    }

    #[test]
    fn nothing_named_is_everything() {
        let all = Roles::parse("").unwrap();
        assert!(all.is_everything() && all.has(Role::Worker));
        assert_eq!(names(&all.doors()), ["user", "inventory", "booking", "payment"]);
        assert_eq!(all.front(), Some(Role::Router));
    }

    #[test]
    fn a_worker_works_for_the_services_beside_it_or_for_all() {
        let alone = Roles::parse("worker").unwrap();
        assert_eq!((names(&alone.doors()), alone.background().len(), alone.opened().len()), (vec![], 4, 4));
        let beside = Roles::parse("worker, booking").unwrap();
        assert_eq!((names(&beside.doors()), names(&beside.background())), (vec!["booking"], vec!["booking"]));
        assert_eq!(beside.front(), None);
        assert!(Roles::parse("booking").unwrap().background().is_empty());
    }

    #[test]
    fn unknown_roles_are_refused() {
        assert!(Roles::parse("router,seats").is_err());
    }
}
