//! What the sandbox writes on the wire, in Midtrans's words.

use chrono::{DateTime, FixedOffset, Utc};
use serde_json::{Value, json};

use super::transaction::{Refund, Status, Transaction};
use crate::provider::midtrans::signature;

/// Midtrans's clocks are those of Jakarta.
const JAKARTA_SECS: i32 = 7 * 3600;

fn local(instant: DateTime<Utc>) -> String {
    let format = "%Y-%m-%d %H:%M:%S";
    match FixedOffset::east_opt(JAKARTA_SECS) {
        Some(offset) => instant.with_timezone(&offset).format(format).to_string(),
        None => instant.format(format).to_string(),
    }
}

/// The fields that every answer about a transaction has. The QR code is told once, in the answer to the charge.
pub fn transaction(transaction: &Transaction, status: Status, refunds: &[Refund]) -> Value {
    let mut answer = json!({
        "status_code": if status == Status::Expire { "407" } else { status.code() },
        "status_message": "Success, transaction is found",
        "transaction_id": transaction.transaction_id,
        "order_id": transaction.order_id,
        "merchant_id": "SANDBOX",
        "gross_amount": transaction.gross_text(),
        "currency": "IDR",
        "payment_type": "qris",
        "acquirer": transaction.acquirer,
        "transaction_time": local(transaction.created_at),
        "transaction_status": status.name(),
        "fraud_status": "accept",
        "expiry_time": local(transaction.expires_at),
        "custom_field1": transaction.label,
    });
    if let Some(settled_at) = transaction.settled_at {
        answer["settlement_time"] = json!(local(settled_at));
    }
    if !refunds.is_empty() {
        answer["refund_amount"] = json!(format!("{}.00", refunds.iter().map(|refund| refund.amount).sum::<i64>()));
        answer["refunds"] = refunds.iter().enumerate().map(|(index, refund)| refund_line(index, refund)).collect();
    }
    answer
}

fn refund_line(index: usize, refund: &Refund) -> Value {
    json!({
        "refund_chargeback_id": index + 1,
        "refund_key": refund.refund_key,
        "refund_amount": format!("{}.00", refund.amount),
        "reason": refund.reason,
        "created_at": local(refund.at),
    })
}

/// The answer to a charge.
pub fn charged(new: &Transaction) -> Value {
    let mut answer = transaction(new, new.status, &[]);
    answer["status_message"] = json!("QRIS transaction is created");
    answer["qr_string"] = json!(new.qr_string);
    answer
}

/// A notification, signed. The signature leaves the status out, as Midtrans's does.
pub fn notification(changed: &Transaction, refunds: &[Refund], server_key: &str) -> Value {
    let mut body = transaction(changed, changed.status, refunds);
    let (code, gross) = (changed.status.code(), changed.gross_text());
    body["status_code"] = json!(code);
    body["status_message"] = json!("midtrans payment notification");
    body["signature_key"] = json!(signature(&changed.order_id, code, &gross, server_key));
    body
}
