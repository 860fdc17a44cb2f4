//! Subscriptions.

use std::{collections::VecDeque, time::Duration};

use async_graphql::{Context, Error, ID, Result, Subscription as GraphqlSubscription};
use berth_contracts::{Kind, event::Event};
use berth_kernel::{
    auth::SignedIn,
    bus::Live,
    graphql::{authenticated, internal, refuse, signed_in, token_expired},
};
use chrono::{DateTime, Utc};
use futures_util::{Stream, stream};
use uuid::Uuid;

use super::{accounts, result::told, types::notification::Notification};
use crate::{accounts::Accounts, error, notification::Trail};

/// How often list and token are looked at although no event came: events may be lost.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Everything that can be watched.
pub struct Subscription;

/// Everything that can be watched.
#[GraphqlSubscription]
impl Subscription {
    /// Your notifications as they come, each once. With sinceId first those that came after that one. To miss nothing, subscribe with
    /// the id of the newest one you have. Ends with the error `TOKEN_EXPIRED` when the access token ends.
    #[graphql(directive = authenticated::apply())]
    async fn notification_received(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The newest notification you have; else the error INVALID_CURSOR.")] since_id: Option<ID>,
    ) -> Result<impl Stream<Item = Result<Notification>> + use<>> {
        let person = signed_in(ctx)?;
        let accounts = accounts(ctx)?.clone();
        let since = since_id.map(|id| Kind::Notification.decode(&id)).transpose();
        let since = since.map_err(|_| refuse("INVALID_CURSOR", "sinceId is not the id of a notification"))?;
        // Listen first, then read: nothing falls between the two.
        let news = accounts.news();
        let trail = accounts.watch_notifications(person.user_id, since).await.map_err(|error| fault(&error))?;
        Ok(Watch::new(accounts, person, trail, news).stream())
    }
}

/// One subscriber's view of their list.
struct Watch {
    accounts: Accounts,
    viewer: Uuid,
    token_ends: DateTime<Utc>,
    trail: Trail,
    news: Live,
    /// Read, but not shown yet.
    ready: VecDeque<Notification>,
    ended: bool,
}

impl Watch {
    fn new(accounts: Accounts, person: &SignedIn, trail: Trail, news: Live) -> Self {
        let (viewer, token_ends) = (person.user_id, person.expires_at);
        Self { accounts, viewer, token_ends, trail, news, ready: VecDeque::new(), ended: false }
    }

    fn stream(self) -> impl Stream<Item = Result<Notification>> {
        stream::unfold(self, |mut watch| async move {
            let next = watch.next().await?;
            watch.ended = next.is_err();
            Some((next, watch))
        })
    }

    async fn next(&mut self) -> Option<Result<Notification>> {
        if self.ended {
            return None;
        }
        loop {
            if self.accounts.now() >= self.token_ends {
                return Some(Err(token_expired()));
            }
            if let Some(next) = self.ready.pop_front() {
                return Some(Ok(next));
            }
            match self.look().await {
                Ok(()) if self.ready.is_empty() => self.wait().await,
                Ok(()) => {}
                Err(error) => return Some(Err(fault(&error))),
            }
        }
    }

    /// Takes what is new, in the words of the present settings.
    async fn look(&mut self) -> Result<(), error::Error> {
        let fresh = self.accounts.fresh_notifications(self.viewer, &mut self.trail).await?;
        if !fresh.is_empty() {
            let settings = self.accounts.settings(self.viewer).await?;
            self.ready.extend(fresh.into_iter().map(|row| Notification::show(&row, &settings)));
        }
        Ok(())
    }

    /// Until something may have come: news for this person, lost news, the end of the token, or a while.
    async fn wait(&mut self) {
        let left = (self.token_ends - self.accounts.now()).to_std().unwrap_or_default();
        let viewer = self.viewer;
        let concerns = |event: &Event| matches!(event, Event::NotificationSent { user_id, .. } if *user_id == viewer);
        self.news.wait(left.min(LOOK_EVERY), concerns).await;
    }
}

fn fault(error: &error::Error) -> Error {
    internal(&told(error))
}
