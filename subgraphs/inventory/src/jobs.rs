//! Background work of inventory. Nothing here is needed for correctness: a hold is dead at its deadline by itself.

use std::time::Duration;

use berth_kernel::{bus::Wake, idempotency};
use sea_orm::DbErr;

use crate::holds::Holds;

/// How soon after its deadline a hold's seats are seen free by live views.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
const FORGET_EVERY: Duration = Duration::from_mins(10);

/// Starts the jobs; they end with the service. Without `sweep`, live views learn late that a hold expired.
pub fn start(holds: &Holds, sweep: bool) {
    let (deps, sweeper) = (holds.deps.clone(), holds.clone());
    if sweep {
        let expire = move || {
            let holds = sweeper.clone();
            async move { holds.expire_due().await.map(|_| ()) }
        };
        deps.background.every("ExpireHolds", SWEEP_EVERY, Wake::alone(), expire);
    }
    let background = deps.background.clone();
    let forget = move || {
        let deps = deps.clone();
        async move {
            let clock = deps.clock.clone();
            let forgotten = deps.db.write(move |tx| Box::pin(async move { idempotency::forget_expired(tx, &clock).await }));
            forgotten.await.map(|_: u64| ()).map_err(|error: DbErr| error)
        }
    };
    background.every("ForgetIdempotencyKeys", FORGET_EVERY, Wake::alone(), forget);
}
