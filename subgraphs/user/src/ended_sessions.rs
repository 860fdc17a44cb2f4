//! Telling whoever verifies access tokens which sessions were ended: their tokens are refused from then on
//! ([`berth_kernel::ended`]). Each change that ends sessions notes them in its transaction, and tells after its commit.

use berth_contracts::peer::EndedSession;
use berth_kernel::ended::{self, EndedSessions};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::DbErr;

use crate::{accounts::Accounts, store};

/// Answered at most.
const AT_MOST: u64 = 100_000;
/// How far back this process looks for what it has just ended itself.
const JUST_NOW: TimeDelta = TimeDelta::minutes(1);

impl Accounts {
    /// The sessions that were ended after `since` and of which tokens may still live, oldest first.
    pub(crate) async fn sessions_ended(&self, since: DateTime<Utc>) -> Result<Vec<EndedSession>, DbErr> {
        let from = since.max(ended::matters_from(self.deps.clock.now()));
        store::ended_session::list(self.deps.db.read(), from, AT_MOST).await
    }

    /// After a commit that ended sessions: this process refuses their tokens before it answers, the others are woken.
    pub(crate) async fn tell_ended(&self) {
        match self.sessions_ended(self.deps.clock.now() - JUST_NOW).await {
            Ok(ended) => self.ended.learn(ended),
            Err(error) => tracing::warn!(error = %error, "sessions.ended.unread"),
        }
        self.endings.notify();
    }

    /// What this process knows of ended sessions.
    pub(crate) fn ended_sessions(&self) -> EndedSessions {
        self.ended.clone()
    }
}
