//! Subscriptions.

use std::time::Duration;

use async_graphql::{Context, ID, Result, Subscription as GraphSubscription};
use berth_contracts::{
    Kind,
    event::{Envelope, Event},
};
use berth_kernel::{
    auth::SignedIn,
    bus::{Live, News},
    graphql::{authenticated, internal, refuse, signed_in},
};
use futures_util::{Stream, stream};
use uuid::Uuid;

use super::types::Payment;
use crate::{Payments, error::chain};

/// Subscriptions of the payment service.
pub struct Subscription;

/// How often the end of the viewer's token is looked for, and at most missed.
const TOKEN_CHECK: Duration = Duration::from_secs(1);

#[GraphSubscription]
impl Subscription {
    /// A payment of yours: its present state first, then each change. Ends with the error `TOKEN_EXPIRED` when the access token does:
    /// subscribe again with a new one. `NOT_FOUND` when there is no such payment of yours.
    #[graphql(directive = authenticated::apply())]
    async fn payment_status(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "A payment_ id.")] payment_id: ID,
    ) -> Result<impl Stream<Item = Result<Payment>> + use<>> {
        let viewer = signed_in(ctx)?.clone();
        let payments = ctx.data::<Payments>()?.clone();
        // Listening comes before reading, so that no change falls between the two.
        let live = payments.deps.bus.live();
        let id = Kind::Payment.decode(&payment_id).map_err(|_| not_found())?;
        let watch = Watch { payments, viewer, id, live, version: 0, over: false };
        if watch.read().await?.is_none() {
            return Err(not_found());
        }
        Ok(stream::unfold(watch, Watch::next))
    }
}

fn not_found() -> async_graphql::Error {
    refuse("NOT_FOUND", "there is no such payment of yours")
}

struct Watch {
    payments: Payments,
    viewer: SignedIn,
    id: Uuid,
    live: Live,
    version: i64,
    over: bool,
}

impl Watch {
    async fn next(mut self) -> Option<(Result<Payment>, Self)> {
        if self.over {
            return None;
        }
        let item = self.news().await;
        self.over = item.is_err();
        Some((item, self))
    }

    /// The next state that was not shown yet.
    async fn news(&mut self) -> Result<Payment> {
        loop {
            if self.viewer.expires_at <= self.payments.deps.clock.now() {
                return Err(refuse("TOKEN_EXPIRED", "the access token has expired: subscribe again with a new one"));
            }
            if let Some(payment) = self.read().await?.filter(|payment| payment.version > self.version) {
                self.version = payment.version;
                return Ok(Payment(payment));
            }
            self.wait().await;
        }
    }

    async fn read(&self) -> Result<Option<crate::payment::Payment>> {
        self.payments.find(self.viewer.user_id, self.id).await.map_err(|error| internal(&chain(&error)))
    }

    /// Until the payment changed, some events were missed, or it is time to look at the token.
    async fn wait(&mut self) {
        let checked = tokio::time::sleep(TOKEN_CHECK);
        tokio::pin!(checked);
        loop {
            tokio::select! {
                () = &mut checked => {
                    if self.viewer.expires_at <= self.payments.deps.clock.now() {
                        return;
                    }
                    checked.as_mut().reset(tokio::time::Instant::now() + TOKEN_CHECK);
                }
                heard = self.live.next() => match heard {
                    Some(News::Event(envelope)) if !concerns(&envelope, self.id) => {}
                    Some(_) => return,
                    // The bus is gone; the row is still worth a look now and then.
                    None => return tokio::time::sleep(TOKEN_CHECK).await,
                },
            }
        }
    }
}

fn concerns(envelope: &Envelope, id: Uuid) -> bool {
    matches!(&envelope.event, Event::PaymentChanged { payment_id, .. } if *payment_id == id)
}
