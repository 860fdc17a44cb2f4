//! Background work. Nothing depends on it: codes and sessions end by their own times; this only frees the space.

use std::{sync::Arc, time::Duration};

use berth_kernel::{bus::Wake, idempotency};
use chrono::TimeDelta;
use sea_orm::DbErr;

use crate::{accounts::Accounts, events::Teller, store};

const INTERVAL: Duration = Duration::from_mins(10);
/// Ended sign-ups stay for the day in which their letters count.
const KEEP_FLOWS: TimeDelta = TimeDelta::hours(24);
/// Changes of addresses that came to nothing can be stopped for so long.
const KEEP_CHANGES: TimeDelta = TimeDelta::hours(24);
/// Exports stay for the day in which they are counted.
const KEEP_EXPORTS: TimeDelta = TimeDelta::hours(24);
/// Ended sessions stay, so that their tokens are told from unknown ones.
const KEEP_SESSIONS: TimeDelta = TimeDelta::days(7);
/// Long after the last token of an ended session is over.
const KEEP_ENDINGS: TimeDelta = TimeDelta::hours(1);
/// Notifications stay for so long after they were read.
const KEEP_READ: TimeDelta = TimeDelta::days(180);

impl Accounts {
    /// Starts the clean-up and the telling of events. Inside a Tokio runtime.
    pub fn start(&self) {
        self.deps.bus.register(Arc::new(Teller(self.clone())));
        let accounts = self.clone();
        let work = move || {
            let accounts = accounts.clone();
            async move { accounts.forget_ended().await }
        };
        self.deps.background.every("user.forget_ended", INTERVAL, Wake::alone(), work);
    }

    /// Forgets sign-ups, links for new passwords, sessions and idempotency rows that are over.
    pub async fn forget_ended(&self) -> Result<(), DbErr> {
        let clock = self.deps.clock.clone();
        let forget = self.deps.db.write(move |tx| {
            Box::pin(async move {
                let now = clock.now();
                let flows = store::flow::forget(tx, now - KEEP_FLOWS).await?;
                store::reset::forget(tx, now).await?;
                store::contact_change::forget(tx, now - KEEP_CHANGES).await?;
                store::privacy::forget_exports(tx, now - KEEP_EXPORTS).await?;
                store::second_factor::forget(tx, now).await?;
                store::passkey::forget(tx, now).await?;
                store::work::forget(tx, now).await?;
                let sessions = store::session::forget(tx, now - KEEP_SESSIONS).await?;
                store::ended_session::forget(tx, now - KEEP_ENDINGS).await?;
                store::notification::forget(tx, now - KEEP_READ).await?;
                idempotency::forget_expired(tx, &clock).await?;
                Ok::<_, DbErr>((flows, sessions))
            })
        });
        let (flows, sessions) = forget.await?;
        if flows + sessions > 0 {
            tracing::info!(flows, sessions, "user.forgot_ended");
        }
        Ok(())
    }
}
