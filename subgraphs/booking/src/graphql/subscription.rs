//! Subscriptions.

use std::time::Duration;

use async_graphql::{Context, ID, Result, Subscription as GraphqlSubscription};
use berth_contracts::{Kind, event::Event};
use berth_kernel::{
    auth::SignedIn,
    bus::Live,
    graphql::{authenticated, refuse, signed_in, token_expired},
};
use chrono::{DateTime, Utc};
use futures_util::{Stream, stream};
use uuid::Uuid;

use super::{bookings, fault, types::Booking};
use crate::{Bookings, booking};

/// How often the row and the token are looked at although no event came: events may be lost.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Everything that can be watched.
pub struct Subscription;

/// Everything that can be watched.
#[GraphqlSubscription]
impl Subscription {
    /// One of your bookings: first as it is now, then after each change of its status or deadline. Ends with the error `TOKEN_EXPIRED`
    /// when the access token ends; starts with the error `NOT_FOUND` when the booking does not exist or belongs to somebody else.
    #[graphql(directive = authenticated::apply())]
    async fn booking_status(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Id of the booking.")] booking_id: ID,
    ) -> Result<impl Stream<Item = Result<Booking>> + use<>> {
        let person = signed_in(ctx)?;
        let service = bookings(ctx).clone();
        let absent = || refuse("NOT_FOUND", "there is no such booking, or it is not yours");
        let key = Kind::Booking.decode(&booking_id).map_err(|_| absent())?;
        // Listen first, then read: nothing falls between the two.
        let news = service.deps.bus.live();
        let found = service.find(person.user_id, key).await.map_err(|error| fault(&error))?;
        found.ok_or_else(absent)?;
        Ok(Watch::new(service, person, key, news).stream())
    }
}

/// One subscriber's view of one booking.
struct Watch {
    service: Bookings,
    viewer: Uuid,
    token_ends: DateTime<Utc>,
    key: Uuid,
    news: Live,
    /// What the subscriber saw last.
    shown: Option<(booking::Status, DateTime<Utc>)>,
    ended: bool,
}

impl Watch {
    fn new(service: Bookings, person: &SignedIn, key: Uuid, news: Live) -> Self {
        Self { service, viewer: person.user_id, token_ends: person.expires_at, key, news, shown: None, ended: false }
    }

    fn stream(self) -> impl Stream<Item = Result<Booking>> {
        stream::unfold(self, |mut watch| async move {
            let next = watch.next().await?;
            watch.ended = next.is_err();
            Some((next, watch))
        })
    }

    /// The next state that differs from the last one shown.
    async fn next(&mut self) -> Option<Result<Booking>> {
        if self.ended {
            return None;
        }
        loop {
            if self.service.deps.clock.now() >= self.token_ends {
                return Some(Err(token_expired()));
            }
            match self.look().await {
                Ok(Some(booking)) => return Some(Ok(booking)),
                Ok(None) => self.wait().await,
                Err(error) => return Some(Err(error)),
            }
        }
    }

    async fn look(&mut self) -> Result<Option<Booking>> {
        let found = self.service.find(self.viewer, self.key).await.map_err(|error| fault(&error))?;
        let now = self.service.deps.clock.now();
        let Some(booking) = found else { return Ok(None) };
        let seen = Some((booking.status(now), booking.expires_at));
        if self.shown == seen {
            return Ok(None);
        }
        self.shown = seen;
        Ok(Some(Booking::show(booking, now)))
    }

    /// Until something may have changed: news of this booking, lost news, the end of the token, or a while.
    async fn wait(&mut self) {
        let left = (self.token_ends - self.service.deps.clock.now()).to_std().unwrap_or_default();
        let key = self.key;
        let concerns = |event: &Event| matches!(event, Event::BookingChanged { booking_id, .. } if *booking_id == key);
        self.news.wait(left.min(LOOK_EVERY), concerns).await;
    }
}
