//! Places for connections and streams: so many in all, so many for one client.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use berth_contracts::Network;

/// Places of one kind.
pub(crate) struct Places {
    in_all: usize,
    of_client: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    in_all: usize,
    of_client: HashMap<Network, usize>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// All are taken.
    InAll,
    /// This client has as many as one may have.
    OfClient,
}

/// A place; free again when this is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    client: Option<Network>,
}

impl Places {
    pub(crate) fn new(in_all: usize, of_client: usize) -> Arc<Self> {
        Arc::new(Self { in_all, of_client, taken: Mutex::default() })
    }

    /// Takes a place. A client that nobody knows has no bound of its own.
    pub(crate) fn take(self: &Arc<Self>, client: Option<Network>) -> Result<Place, Full> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.in_all >= self.in_all {
            return Err(Full::InAll);
        }
        if let Some(client) = client {
            let own = taken.of_client.entry(client).or_default();
            if *own >= self.of_client {
                return Err(Full::OfClient);
            }
            *own += 1;
        }
        taken.in_all += 1;
        Ok(Place { places: self.clone(), client })
    }

    fn free(&self, client: Option<Network>) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.in_all = taken.in_all.saturating_sub(1);
        let Some(client) = client else { return };
        if let Some(own) = taken.of_client.get_mut(&client) {
            *own -= 1;
            if *own == 0 {
                taken.of_client.remove(&client);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.free(self.client);
    }
}

impl Full {
    /// As metrics name it.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::InAll => "full",
            Self::OfClient => "client",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "what places take")]
    fn client(address: &str) -> Option<Network> {
        Some(Network::of(address.parse().expect("an address")))
    }

    #[test]
    fn a_client_has_its_share_and_no_more() {
        let places = Places::new(4, 2);
        let [ann, ben] = [client("203.0.113.1"), client("203.0.113.2")];
        let first = places.take(ann).ok();
        let second = places.take(ann).ok();
        assert!(first.is_some() && second.is_some());
        assert_eq!(places.take(ann).err(), Some(Full::OfClient));
        let others = [places.take(ben).ok(), places.take(None).ok()];
        assert!(others.iter().all(Option::is_some));
        assert_eq!(places.take(None).err(), Some(Full::InAll));
        drop(first);
        assert!(places.take(ann).is_ok(), "a place that was given back is free");
        drop((second, others));
        assert!(places.taken.lock().expect("a lock").of_client.is_empty(), "nobody is remembered who has none");
    }
}
