//! Wakes: work that waits for its interval is told to begin at once, in whichever process it runs.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Weak},
};

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

/// Wakes work by its name. Losing a wake only delays: the work also has its interval.
#[derive(Clone)]
pub struct Wake {
    own: Arc<Notify>,
    of_bus: Option<(&'static str, Arc<Wakes>)>,
}

impl Wake {
    pub(super) fn new(name: &'static str, wakes: Arc<Wakes>) -> Self {
        let own = Arc::new(Notify::new());
        wakes.enter(name, &own);
        Self { own, of_bus: Some((name, wakes)) }
    }

    /// A wake that nobody else knows.
    pub fn alone() -> Self {
        Self { own: Arc::new(Notify::new()), of_bus: None }
    }

    /// The work is begun at once, or again when it is just running.
    pub fn notify(&self) {
        match &self.of_bus {
            None => self.own.notify_one(),
            Some((name, wakes)) => {
                wakes.here(name);
                wakes.elsewhere(name);
            }
        }
    }

    /// Waits until the work is wanted. Safe to drop while it waits.
    pub async fn wanted(&self) {
        self.own.notified().await;
    }
}

/// All wakes of a bus in this process.
#[derive(Default)]
pub(super) struct Wakes {
    known: RwLock<HashMap<&'static str, Vec<Weak<Notify>>>>,
    /// Names to be told to the other processes: a name that waits already is not added, so a flood of wakes is one message.
    leaving: Mutex<BTreeSet<&'static str>>,
    told: Notify,
}

impl Wakes {
    fn enter(&self, name: &'static str, wake: &Arc<Notify>) {
        let mut known = self.known.write();
        let wakes = known.entry(name).or_default();
        wakes.retain(|other| other.strong_count() > 0);
        wakes.push(Arc::downgrade(wake));
    }

    /// Wakes the work of this process.
    pub fn here(&self, name: &str) {
        let known = self.known.read();
        known.get(name).into_iter().flatten().filter_map(Weak::upgrade).for_each(|wake| wake.notify_one());
    }

    fn elsewhere(&self, name: &'static str) {
        if self.leaving.lock().insert(name) {
            self.told.notify_one();
        }
    }

    /// The names that the other processes must hear, as soon as there are any.
    pub async fn leaving(&self) -> BTreeSet<&'static str> {
        loop {
            let names = std::mem::take(&mut *self.leaving.lock());
            if !names.is_empty() {
                return names;
            }
            self.told.notified().await;
        }
    }
}
