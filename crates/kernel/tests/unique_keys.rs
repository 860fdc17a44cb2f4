//! I16: 100,000 keys from many clocks at the same time differ, as those of several processes must.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{collections::HashSet, thread};

use berth_kernel::clock::Clock;
use uuid::Uuid;

const CLOCKS: usize = 8;
const KEYS: usize = 100_000;

#[test]
fn a_hundred_thousand_keys_differ() {
    let makers: Vec<_> = (0..CLOCKS)
        .map(|_| {
            thread::spawn(|| {
                let clock = Clock::system();
                (0..KEYS / CLOCKS).map(|_| clock.new_key()).collect::<Vec<Uuid>>()
            })
        })
        .collect();
    let keys: Vec<Uuid> = makers.into_iter().flat_map(|maker| maker.join().unwrap()).collect();
    let distinct: HashSet<Uuid> = keys.iter().copied().collect();
    assert_eq!((keys.len(), distinct.len()), (KEYS, KEYS));
}
