//! Whose turn it is. A document that asks much occupies a worker for milliseconds, in which nobody else on that worker is
//! answered. Few such documents are let in at a time, and the clients that wait take turns: who sends a hundred waits for a
//! hundred turns, and who sends one for one.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use berth_contracts::Network;
use tokio::sync::oneshot;

/// Documents of one client that may wait.
const WAITING_OF_CLIENT: usize = 32;
/// Documents that may wait of those whose client nobody knows.
const WAITING_OF_UNKNOWN: usize = 512;

/// Lets few in at a time.
pub(crate) struct Gate(Mutex<Inner>);

struct Inner {
    free: usize,
    queues: HashMap<Option<Network>, VecDeque<oneshot::Sender<Pass>>>,
    /// Clients that wait, in the order of their turns.
    turns: VecDeque<Option<Network>>,
}

/// One that was let in; the next one is when this is dropped.
pub(crate) struct Pass(Option<Arc<Gate>>);

/// So much of this client waits that no more may.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Gate {
    pub(crate) fn new(at_once: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Inner { free: at_once.max(1), queues: HashMap::new(), turns: VecDeque::new() })))
    }

    /// Waits for a turn. Who stops waiting loses it.
    pub(crate) async fn enter(self: &Arc<Self>, client: Option<Network>) -> Result<Pass, TooLong> {
        let turn = match self.queue(client)? {
            Turn::Now(pass) => return Ok(pass),
            Turn::Later(turn) => turn,
        };
        turn.await.map_err(|_| TooLong)
    }

    fn queue(self: &Arc<Self>, client: Option<Network>) -> Result<Turn, TooLong> {
        let mut inner = self.lock();
        if inner.free > 0 {
            inner.free -= 1;
            return Ok(Turn::Now(Pass(Some(self.clone()))));
        }
        let queue = inner.queues.entry(client).or_default();
        queue.retain(|waiting| !waiting.is_closed());
        let most = if client.is_some() { WAITING_OF_CLIENT } else { WAITING_OF_UNKNOWN };
        if queue.len() >= most {
            return Err(TooLong);
        }
        let is_first = queue.is_empty();
        let (next, turn) = oneshot::channel();
        queue.push_back(next);
        if is_first && !inner.turns.contains(&client) {
            inner.turns.push_back(client);
        }
        Ok(Turn::Later(turn))
    }

    /// Hands a place on to whoever is next.
    fn leave(self: Arc<Self>) {
        loop {
            let mut inner = self.lock();
            let Some(next) = inner.next() else {
                inner.free += 1;
                return;
            };
            drop(inner);
            match next.send(Pass(Some(self.clone()))) {
                Ok(()) => return,
                // Gone in this very moment: its pass must not come back through this function.
                Err(mut pass) => drop(pass.0.take()),
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Turn {
    Now(Pass),
    Later(oneshot::Receiver<Pass>),
}

impl Inner {
    fn next(&mut self) -> Option<oneshot::Sender<Pass>> {
        while let Some(client) = self.turns.pop_front() {
            let Some(queue) = self.queues.get_mut(&client) else { continue };
            let next = std::iter::from_fn(|| queue.pop_front()).find(|waiting| !waiting.is_closed());
            if queue.is_empty() {
                self.queues.remove(&client);
            } else {
                self.turns.push_back(client);
            }
            if next.is_some() {
                return next;
            }
        }
        None
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(gate) = self.0.take() {
            gate.leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "what a gate takes")]
    fn client(number: u8) -> Option<Network> {
        Some(Network::of([203, 0, 113, number].into()))
    }

    #[tokio::test]
    async fn clients_take_turns() {
        let gate = Gate::new(1);
        let first = gate.enter(client(1)).await.expect("there is room");
        let mut greedy: Vec<_> = (0..3).map(|_| Box::pin(gate.enter(client(1)))).collect();
        assert!(greedy.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        let mut honest = Box::pin(gate.enter(client(2)));
        assert!((&mut honest).now_or_never().is_none());
        drop(first);
        let second = (&mut greedy[0]).now_or_never().expect("its turn").expect("a pass");
        drop(second);
        let third = (&mut honest).now_or_never().expect("the other client's turn").expect("a pass");
        drop(third);
        assert!((&mut greedy[1]).now_or_never().is_some());
    }

    #[tokio::test]
    async fn who_leaves_loses_the_turn_and_blocks_nobody() {
        let gate = Gate::new(1);
        let first = gate.enter(None).await.expect("there is room");
        let mut gone = Box::pin(gate.enter(client(1)));
        assert!((&mut gone).now_or_never().is_none());
        let mut next = Box::pin(gate.enter(client(2)));
        assert!((&mut next).now_or_never().is_none());
        drop(gone);
        drop(first);
        drop((&mut next).now_or_never().expect("its turn").expect("a pass"));
        assert!(gate.enter(client(3)).now_or_never().is_some(), "the place is free again");
    }

    #[tokio::test]
    async fn one_client_may_not_wait_without_end() {
        let gate = Gate::new(1);
        let _first = gate.enter(client(1)).await;
        let mut waiting: Vec<_> = (0..WAITING_OF_CLIENT).map(|_| Box::pin(gate.enter(client(1)))).collect();
        assert!(waiting.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        assert_eq!(gate.enter(client(1)).await.err(), Some(TooLong));
        assert!(Box::pin(gate.enter(client(2))).as_mut().now_or_never().is_none(), "another one may");
    }
}
