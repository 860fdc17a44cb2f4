//! What happens to transactions: ordered, paid, expired, cancelled, denied, given back. Each change and its notification are one write.

use std::sync::Arc;

use berth_kernel::{clock::Clock, db::Tx};
use chrono::{DateTime, Utc};

use super::{
    Error, Sandbox, answer, store,
    transaction::{Refund, Status, Transaction},
};
use crate::qris::{Merchant, Qris, SIMULATION};

/// An order as it comes in.
#[derive(Debug, Clone)]
pub struct Order {
    /// The merchant's name of it.
    pub order_id: String,
    /// Whole rupiah.
    pub gross_amount: i64,
    /// Whose QR code.
    pub acquirer: String,
    /// What the payer is shown.
    pub label: Option<String>,
    /// When it expires.
    pub expires_at: DateTime<Utc>,
}

/// The code's bill number has at most 25 characters.
const MAX_BILL_CHARS: usize = 25;

fn merchant() -> Merchant {
    Merchant {
        guid: SIMULATION.to_owned(),
        pan: "936009990000000017".to_owned(),
        merchant_id: "000000000000001".to_owned(),
        criteria: "UMI".to_owned(),
        national_id: "ID1020000000001".to_owned(),
        category: "4112".to_owned(),
        name: "BERTH SANDBOX".to_owned(),
        city: "JAKARTA".to_owned(),
        postal_code: "10110".to_owned(),
    }
}

fn qr_string(order: &Order) -> Result<String, Error> {
    let bill = order.label.as_deref().unwrap_or(&order.order_id).chars().take(MAX_BILL_CHARS).collect();
    let amount = u64::try_from(order.gross_amount).map_err(|_| Error::Invalid("gross_amount must be positive"))?;
    let qris = Qris { merchant: merchant(), amount, bill, terminal: "A01".to_owned() };
    qris.payload().map_err(|_| Error::Invalid("the order does not fit into a QR code"))
}

impl Sandbox {
    /// Takes an order.
    pub(crate) async fn order(&self, order: Order) -> Result<Transaction, Error> {
        let new = Transaction {
            transaction_id: self.clock.new_key(),
            status: Status::Pending,
            qr_string: qr_string(&order)?,
            order_id: order.order_id,
            gross_amount: order.gross_amount,
            acquirer: order.acquirer,
            label: order.label,
            created_at: self.clock.now(),
            expires_at: order.expires_at,
            settled_at: None,
            version: 1,
        };
        let changes = self.changes();
        let inserted = self.db.write(move |tx| {
            Box::pin(async move {
                if !store::insert(tx, &new).await? {
                    return Err(Error::Duplicate);
                }
                changes.notify(tx, &new).await?;
                Ok(new)
            })
        });
        let new = inserted.await?;
        self.wake.notify();
        Ok(new)
    }

    /// The newest order of a payment.
    pub(crate) async fn newest(&self, payment_id: &str) -> Result<Transaction, Error> {
        store::find_newest(self.db.read(), payment_id).await?.ok_or(Error::NotFound)
    }

    /// A transaction with what was given back of it.
    pub(crate) async fn look(&self, order_id: &str) -> Result<(Transaction, Vec<Refund>), Error> {
        let found = store::find(self.db.read(), order_id).await?.ok_or(Error::NotFound)?;
        let refunds = store::list_refunds(self.db.read(), order_id).await?;
        Ok((found, refunds))
    }

    /// Moves a transaction to a state. Being there already is no change.
    pub(crate) async fn move_to(&self, order_id: String, next: Status) -> Result<Transaction, Error> {
        let changes = self.changes();
        let moved = self.db.write(move |tx| Box::pin(async move { changes.move_to(tx, &order_id, next).await }));
        let moved = moved.await?;
        self.wake.notify();
        Ok(moved)
    }

    /// Gives money back; the same key again is no second refund.
    pub(crate) async fn give_back(&self, order_id: String, refund: Refund) -> Result<(Transaction, Vec<Refund>), Error> {
        let changes = self.changes();
        let given = self.db.write(move |tx| Box::pin(async move { changes.give_back(tx, &order_id, refund).await }));
        let given = given.await?;
        self.wake.notify();
        Ok(given)
    }

    /// Sends every notification of an order once more.
    pub(crate) async fn resend(&self, order_id: String) -> Result<u64, Error> {
        let now = self.clock.now();
        let resent =
            self.db.write(move |tx| Box::pin(async move { store::resend(tx, &order_id, now).await.map_err(Error::from) }));
        let count = resent.await?;
        self.wake.notify();
        Ok(count)
    }

    /// Writes down what the deadline has ended, and notifies.
    pub(crate) async fn expire_due(&self) -> Result<(), Error> {
        for overdue in store::list_overdue(self.db.read(), self.clock.now()).await? {
            match self.move_to(overdue.order_id, Status::Expire).await {
                Ok(_) | Err(Error::NotModifiable) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn changes(&self) -> Changes {
        Changes { clock: self.clock.clone(), server_key: Arc::clone(&self.server_key) }
    }
}

/// The steps inside a write.
struct Changes {
    clock: Clock,
    server_key: Arc<str>,
}

impl Changes {
    async fn move_to(&self, tx: &Tx, order_id: &str, next: Status) -> Result<Transaction, Error> {
        let mut found = store::find(tx, order_id).await?.ok_or(Error::NotFound)?;
        if found.status == next {
            return Ok(found);
        }
        // Past the deadline only what may follow an expiry may happen, whether or not the expiry is written down.
        let from = if next == Status::Expire { found.status } else { found.status_at(self.clock.now()) };
        if !from.may_become(next) {
            return Err(Error::NotModifiable);
        }
        found.status = next;
        if next == Status::Settlement {
            found.settled_at = Some(self.clock.now());
        }
        self.save(tx, &mut found).await?;
        Ok(found)
    }

    async fn give_back(&self, tx: &Tx, order_id: &str, refund: Refund) -> Result<(Transaction, Vec<Refund>), Error> {
        let mut found = store::find(tx, order_id).await?.ok_or(Error::NotFound)?;
        let mut refunds = store::list_refunds(tx, order_id).await?;
        if refunds.iter().any(|known| known.refund_key == refund.refund_key) {
            return Ok((found, refunds));
        }
        let total = refunds.iter().map(|known| known.amount).sum::<i64>().saturating_add(refund.amount);
        let next = if total == found.gross_amount { Status::Refund } else { Status::PartialRefund };
        if refund.amount <= 0 || total > found.gross_amount || !found.status.may_become(next) {
            return Err(Error::NotModifiable);
        }
        found.status = next;
        store::insert_refund(tx, order_id, &refund).await?;
        refunds.push(refund);
        self.save(tx, &mut found).await?;
        Ok((found, refunds))
    }

    async fn save(&self, tx: &Tx, changed: &mut Transaction) -> Result<(), Error> {
        if !store::save(tx, changed).await? {
            return Err(Error::NotModifiable);
        }
        self.notify(tx, changed).await
    }

    async fn notify(&self, tx: &Tx, changed: &Transaction) -> Result<(), Error> {
        let refunds = store::list_refunds(tx, &changed.order_id).await?;
        let body = answer::notification(changed, &refunds, &self.server_key).to_string();
        store::insert_notification(tx, self.clock.new_key(), &changed.order_id, &body, self.clock.now()).await?;
        Ok(())
    }
}
