//! Sending notifications, and sending them again when they are not taken.

use chrono::TimeDelta;
use futures_util::{StreamExt, stream};
use reqwest::header::CONTENT_TYPE;

use super::{
    Error, Sandbox,
    store::{self, Notification},
};

/// Pauses before the repeats; after the last one the sandbox gives up. Midtrans waits minutes to hours instead.
const PAUSES_SECS: [i64; 6] = [1, 2, 5, 15, 60, 120];
const AT_ONCE: usize = 8;
/// Longer than sending takes, so that no other process sends it meanwhile.
const LEASE: TimeDelta = TimeDelta::seconds(15);

/// How often Midtrans repeats after an answer like this.
const fn repeats(http_status: Option<u16>) -> usize {
    match http_status {
        Some(200..=299) => 0,
        Some(500) => 1,
        Some(400 | 404) => 2,
        Some(503) => 4,
        _ => PAUSES_SECS.len(),
    }
}

impl Sandbox {
    /// Sends what is due.
    pub(crate) async fn deliver_due(&self) -> Result<(), Error> {
        loop {
            let due = store::list_due_notifications(self.db.read(), self.clock.now()).await?;
            if due.is_empty() {
                return Ok(());
            }
            let sent: Vec<Result<(), Error>> =
                stream::iter(due).map(|notification| self.deliver(notification)).buffer_unordered(AT_ONCE).collect().await;
            sent.into_iter().collect::<Result<(), Error>>()?;
        }
    }

    async fn deliver(&self, notification: Notification) -> Result<(), Error> {
        let (claimed, again_at) = (notification.clone(), self.clock.now() + LEASE);
        let ours = self.db.write(move |tx| {
            Box::pin(async move { store::claim_notification(tx, &claimed, again_at).await.map_err(Error::from) })
        });
        if !ours.await? {
            return Ok(());
        }
        let body = notification.body.clone();
        let request = self.http.post(&*self.notification_url).header(CONTENT_TYPE, "application/json").body(body);
        let http_status = request.send().await.ok().map(|response| response.status().as_u16());
        let attempt = usize::try_from(notification.attempts).unwrap_or(usize::MAX);
        let pause = PAUSES_SECS.get(attempt).filter(|_| attempt < repeats(http_status));
        let again_at = pause.map(|secs| self.clock.now() + TimeDelta::seconds(*secs));
        if !matches!(http_status, Some(200..=299)) {
            tracing::warn!(notification.id = %notification.id, http.status = http_status, attempt, "sandbox.notification.not_taken");
        }
        let marked = self
            .db
            .write(move |tx| Box::pin(async move { store::mark_sent(tx, &notification, again_at).await.map_err(Error::from) }));
        marked.await
    }
}
