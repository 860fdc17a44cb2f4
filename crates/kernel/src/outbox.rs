//! Outbox: an event is a row in the transaction of its change. A relay delivers rows in order and deletes them after
//! delivery, so an event arrives at least once even when the process dies in between.

mod relay;

use berth_contracts::event::{Envelope, Event};
use sea_orm::{ConnectionTrait, DbErr, Value};
use uuid::Uuid;

use crate::{
    bus::{Bus, Wake},
    clock::Clock,
    db::{Db, Tx, sql, table},
    failpoint,
    jobs::Background,
    telemetry,
};

pub use relay::deliver_batch;

/// One service's outbox: where changes are announced.
#[derive(Clone)]
pub struct Outbox {
    clock: Clock,
    wake: Wake,
    /// Stands in the rows of this process: its relay delivers them, so that one trip's changes leave in their order.
    owner: Uuid,
}

impl Outbox {
    /// An outbox; its relay must be started with [`Outbox::relay`].
    pub fn new(clock: Clock) -> Self {
        let owner = clock.new_key();
        Self { clock, wake: Wake::alone(), owner }
    }

    /// Writes the event in the caller's transaction. Call [`Outbox::wake`] after the commit.
    pub async fn append(&self, tx: &Tx, event: &Event) -> Result<(), DbErr> {
        self.append_all(tx, std::slice::from_ref(event)).await
    }

    /// Writes several events in the caller's transaction, in one statement. Call [`Outbox::wake`] after the commit.
    pub async fn append_all(&self, tx: &Tx, events: &[Event]) -> Result<(), DbErr> {
        if events.is_empty() {
            return Ok(());
        }
        let trace_parent = telemetry::current_trace_parent();
        let mut rows: Vec<[Value; 4]> = Vec::with_capacity(events.len());
        for event in events {
            let (id, at, trace_parent) = (self.clock.new_key(), self.clock.now(), trace_parent.clone());
            let envelope = Envelope { id, at, trace_parent, event: event.clone() };
            let payload = serde_json::to_string(&envelope).map_err(|error| DbErr::Custom(error.to_string()))?;
            rows.push([envelope.id.into(), event.kind().into(), payload.into(), self.owner.into()]);
        }
        let mut values = Vec::new();
        let rows = table(tx, "v", rows, &mut values);
        // In the order of the rows, as the numbers that they get are the order of delivery.
        let text = format!("INSERT INTO outbox (id, kind, payload, owner) SELECT * FROM {rows}");
        tx.execute_raw(sql(tx, &text, values)).await?;
        failpoint::at("outbox.appended");
        Ok(())
    }

    /// Tells the relay of this process that rows wait. Losing this call only delays delivery.
    pub fn wake(&self) {
        self.wake.notify();
    }

    /// Delivers rows to the bus until the background work stops: those of this process, and those that another one left behind.
    pub async fn relay(self, db: Db, bus: Bus, background: Background) {
        relay::run(self, db, bus, background).await;
    }
}

/// Marks the event as handled by the consumer; `false` when it already was. Call it in the transaction of the effect.
pub async fn first_time(tx: &Tx, consumer: &str, event_id: Uuid, clock: &Clock) -> Result<bool, DbErr> {
    let text = "INSERT INTO inbox (consumer, event_id, at) VALUES ($1, $2, $3) ON CONFLICT (consumer, event_id) DO NOTHING";
    let done = tx.execute_raw(sql(tx, text, [consumer.into(), event_id.into(), clock.now().timestamp_millis().into()])).await?;
    Ok(done.rows_affected() == 1)
}
