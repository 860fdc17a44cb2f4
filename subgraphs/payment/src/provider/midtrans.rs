//! Midtrans's Core API: charge, status, cancel, refund, and its signed notifications.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use berth_kernel::metrics;
use chrono::{DateTime, FixedOffset, Utc};
use reqwest::{Client, Method, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq;
use tracing::Instrument;

use super::{Charge, Notice, NoticeError, Provider, ProviderError, RefundOrder, SeenRefund, Sighting, Truth};
use crate::config::PaymentConfig;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Midtrans writes and reads times on the clocks of Jakarta.
const JAKARTA_SECS: i32 = 7 * 3600;

/// The adapter.
pub struct Midtrans {
    http: Client,
    base_url: String,
    server_key: String,
}

impl Midtrans {
    /// An adapter for the provider's address in the configuration.
    pub fn new(config: &PaymentConfig) -> Result<Self, reqwest::Error> {
        let mut builder = Client::builder().timeout(config.provider_timeout).connect_timeout(CONNECT_TIMEOUT);
        if config.provider_url.starts_with("http://") {
            // Plain HTTP (the sandbox) needs no certificates; a bare machine has none, and the client would refuse to start.
            builder = builder.tls_certs_only([]);
        }
        for call in ["charge", "status", "cancel", "refund"] {
            metrics::provider_begins(call);
        }
        Ok(Self { http: builder.build()?, base_url: config.provider_url.clone(), server_key: config.server_key.clone() })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/v2/{path}", self.base_url);
        self.http.request(method, url).basic_auth(&self.server_key, Some("")).header("accept", "application/json")
    }

    async fn send(name: &str, request: RequestBuilder) -> Result<Answer, ProviderError> {
        let started = Instant::now();
        let answer = Self::ask(request).await;
        metrics::provider_called(name, outcome(&answer), started.elapsed());
        answer
    }

    async fn ask(request: RequestBuilder) -> Result<Answer, ProviderError> {
        let lost = |error: reqwest::Error| ProviderError::Unavailable(error.without_url().to_string());
        let call = tracing::info_span!("provider.call", otel.kind = "client", provider.name = "midtrans");
        let response = request.send().instrument(call).await.map_err(lost)?;
        let http_status = response.status().as_u16();
        let body = response.bytes().await.map_err(lost)?;
        Answer::read(http_status, &body)
    }
}

/// A JSON answer. `status_code` in the body decides; the HTTP status only stands in for it.
#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    status_code: String,
    #[serde(default)]
    status_message: String,
    transaction_id: Option<String>,
    transaction_status: Option<String>,
    fraud_status: Option<String>,
    gross_amount: Option<String>,
    qr_string: Option<String>,
    #[serde(default)]
    refunds: Vec<AnswerRefund>,
}

#[derive(Debug, Deserialize)]
struct AnswerRefund {
    refund_key: Option<String>,
    #[serde(default)]
    refund_amount: String,
}

impl Answer {
    fn read(http_status: u16, body: &[u8]) -> Result<Self, ProviderError> {
        let unreadable = || ProviderError::Unavailable(format!("HTTP {http_status} with an unreadable body"));
        let mut answer: Self = serde_json::from_slice(body).map_err(|_| unreadable())?;
        if answer.status_code.is_empty() {
            answer.status_code = http_status.to_string();
        }
        Ok(answer)
    }

    /// Sorts refusals: 4xx for good, everything else may be repeated.
    fn error(&self) -> ProviderError {
        let text = format!("{} {}", self.status_code, self.status_message);
        match self.status_code.as_str() {
            "404" => ProviderError::NotFound,
            "406" => ProviderError::Duplicate,
            "401" | "402" | "410" | "429" => ProviderError::Unavailable(text),
            code if code.starts_with('4') => ProviderError::Refused(text),
            _ => ProviderError::Unavailable(text),
        }
    }

    fn sighting(self) -> Result<Sighting, ProviderError> {
        let Some(status) = self.transaction_status.as_deref() else { return Err(self.error()) };
        let truth = truth(status, self.fraud_status.as_deref())
            .ok_or_else(|| ProviderError::Unavailable(format!("unknown transaction_status {status}")))?;
        let gross = self.gross_amount.as_deref().and_then(whole);
        let gross = gross.ok_or_else(|| ProviderError::Unavailable("gross_amount is no whole number".to_owned()))?;
        let refunds = self
            .refunds
            .into_iter()
            .filter_map(|refund| Some(SeenRefund { key: refund.refund_key?, amount: whole(&refund.refund_amount)? }));
        Ok(Sighting {
            truth,
            gross,
            refunds: refunds.collect(),
            transaction_id: self.transaction_id,
            qris_payload: self.qr_string.filter(|payload| !payload.is_empty()),
        })
    }

    fn accepted(&self) -> Result<(), ProviderError> {
        if self.status_code.starts_with('2') { Ok(()) } else { Err(self.error()) }
    }
}

/// What an answer comes to: a refusal is an answer, a failure is none that can be used.
fn outcome(answer: &Result<Answer, ProviderError>) -> &'static str {
    match answer {
        Ok(answer) if answer.transaction_status.is_some() => "ok",
        Ok(answer) => match answer.accepted() {
            Ok(()) => "ok",
            Err(ProviderError::Unavailable(_)) => "failed",
            Err(_) => "refused",
        },
        Err(_) => "failed",
    }
}

fn truth(status: &str, fraud: Option<&str>) -> Option<Truth> {
    Some(match status {
        "pending" => Truth::Pending,
        "authorize" => Truth::Authorized,
        // A captured card that waits for a fraud check is not money yet.
        "capture" if fraud == Some("challenge") => Truth::Authorized,
        "capture" | "settlement" | "refund" | "partial_refund" => Truth::Settled,
        "deny" | "failure" | "chargeback" | "partial_chargeback" => Truth::Denied,
        "expire" => Truth::Expired,
        "cancel" => Truth::Cancelled,
        _ => return None,
    })
}

/// `185000.00` as a whole number; a fraction is no number here.
fn whole(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    fraction.bytes().all(|digit| digit == b'0').then(|| whole.parse().ok())?
}

/// `2026-12-24 18:05:00 +0700`
fn jakarta(instant: DateTime<Utc>) -> String {
    match FixedOffset::east_opt(JAKARTA_SECS) {
        Some(offset) => instant.with_timezone(&offset).format("%Y-%m-%d %H:%M:%S %z").to_string(),
        None => instant.format("%Y-%m-%d %H:%M:%S %z").to_string(),
    }
}

fn charge_body(charge: &Charge) -> Value {
    let lifetime_secs = (charge.expires_at - charge.ordered_at).num_seconds().max(1);
    json!({
        "payment_type": "qris",
        "transaction_details": { "order_id": charge.order_id, "gross_amount": charge.amount },
        "qris": { "acquirer": charge.acquirer.as_deref().unwrap_or("gopay") },
        "custom_expiry": { "order_time": jakarta(charge.ordered_at), "expiry_duration": lifetime_secs, "unit": "second" },
        "custom_field1": charge.label,
    })
}

/// Lower-case hex of SHA-512 over the four texts.
pub fn signature(order_id: &str, status_code: &str, gross_amount: &str, server_key: &str) -> String {
    format!("{:x}", Sha512::digest(format!("{order_id}{status_code}{gross_amount}{server_key}")))
}

#[derive(Deserialize)]
struct Notification {
    order_id: String,
    status_code: String,
    gross_amount: String,
    signature_key: String,
}

#[async_trait]
impl Provider for Midtrans {
    fn name(&self) -> &'static str {
        "midtrans"
    }

    async fn charge(&self, charge: &Charge) -> Result<Sighting, ProviderError> {
        let request = self.request(Method::POST, "charge").json(&charge_body(charge));
        let answer = Self::send("charge", request).await?;
        answer.accepted()?;
        answer.sighting()
    }

    async fn status(&self, order_id: &str) -> Result<Sighting, ProviderError> {
        Self::send("status", self.request(Method::GET, &format!("{order_id}/status"))).await?.sighting()
    }

    async fn cancel(&self, order_id: &str) -> Result<(), ProviderError> {
        Self::send("cancel", self.request(Method::POST, &format!("{order_id}/cancel"))).await?.accepted()
    }

    async fn refund(&self, order_id: &str, refund: &RefundOrder) -> Result<(), ProviderError> {
        let body = json!({ "refund_key": refund.key, "amount": refund.amount, "reason": refund.reason });
        Self::send("refund", self.request(Method::POST, &format!("{order_id}/refund")).json(&body)).await?.accepted()
    }

    fn verify(&self, body: &[u8]) -> Result<Notice, NoticeError> {
        let notice: Notification = serde_json::from_slice(body).map_err(|_| NoticeError::Malformed)?;
        let expected = signature(&notice.order_id, &notice.status_code, &notice.gross_amount, &self.server_key);
        if bool::from(expected.as_bytes().ct_eq(notice.signature_key.as_bytes())) {
            Ok(Notice { order_id: notice.order_id })
        } else {
            Err(NoticeError::Signature { order_id: notice.order_id })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VECTOR: &str = "edc076b21793ebe3e17926350f5b8ae67d902fe657b3d0aa31b932d5c127e2375d308a2bc94f3265ac2d80a1f181a79b997ac178\
                          a236fcff35af263fc4d4c231";

    #[test]
    fn the_signature_matches_the_published_vector() {
        assert_eq!(signature("1111", "200", "100000.00", "askvnoibnosifnboseofinbofinfgbiufglnbfg"), VECTOR);
    }

    #[test]
    fn amounts_are_whole() {
        assert_eq!(
            (whole("185000.00"), whole("185000"), whole("185000.50"), whole("x")),
            (Some(185_000), Some(185_000), None, None)
        );
    }

    #[test]
    fn answers_are_sorted() {
        let read = |status: u16, body: &str| Answer::read(status, body.as_bytes()).and_then(Answer::sighting);
        assert_eq!(read(200, r#"{"status_code":"404","status_message":"no"}"#), Err(ProviderError::NotFound));
        assert_eq!(read(406, r#"{"status_code":"406"}"#), Err(ProviderError::Duplicate));
        assert!(matches!(read(400, r#"{"status_code":"400"}"#), Err(ProviderError::Refused(_))));
        assert!(matches!(read(503, "<html>"), Err(ProviderError::Unavailable(_))));
        let settled = read(200, r#"{"status_code":"200","transaction_status":"settlement","gross_amount":"5.00"}"#);
        assert_eq!(settled.map(|sighting| (sighting.truth, sighting.gross)), Ok((Truth::Settled, 5)));
    }

    #[test]
    fn times_are_those_of_jakarta() {
        let instant = DateTime::from_timestamp(1_480_000_000, 0).expect("in range");
        assert_eq!(jakarta(instant), "2016-11-24 22:06:40 +0700");
    }
}
