//! One test's world: service, sandbox and a booking service of the test's own, on ports and files of their own.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_graphql::{Request, Variables};
use async_trait::async_trait;
use axum::Router;
use berth_contracts::{
    Currency, Kind, Money,
    peer::{BookingPeer, Payable, PeerError, PeerResult},
};
use berth_kernel::{
    Deps,
    auth::{SignedIn, Viewer},
    bus::Bus,
    clock::Clock,
    db::{Db, now_ms, sql},
    jobs::Background,
    mail::Mail,
    seal::Sealer,
    sms::Sms,
};
use berth_migrations::{PaymentMigrator, SandboxMigrator};
use berth_payment::{
    PaymentConfig, PaymentSchema, Payments, Polling, Sandbox,
    provider::{
        Charge, Notice, NoticeError, Provider, ProviderError, RefundOrder, Sighting,
        midtrans::{Midtrans, signature},
    },
};
use chrono::TimeDelta;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use uuid::Uuid;

pub const SERVER_KEY: &str = "SB-test-server-key";
pub const PRICE: i64 = 185_000;

/// Bookings in memory: the other side of the peer trait.
#[derive(Default)]
pub struct Bookings {
    pub all: Mutex<HashMap<Uuid, Payable>>,
    pub told: Mutex<Vec<Uuid>>,
}

#[async_trait]
impl BookingPeer for Bookings {
    async fn payable(&self, user_id: Uuid, booking_id: Uuid) -> PeerResult<Payable> {
        let found = self.all.lock().unwrap().get(&booking_id).cloned();
        found.filter(|booking| booking.user_id == user_id).ok_or(PeerError::NotFound)
    }

    async fn payment_started(&self, booking_id: Uuid) -> PeerResult<Payable> {
        self.all.lock().unwrap().get(&booking_id).cloned().ok_or(PeerError::NotFound)
    }

    async fn payment_changed(&self, booking_id: Uuid) -> PeerResult<()> {
        self.told.lock().unwrap().push(booking_id);
        Ok(())
    }
}

/// What goes wrong on the way to the provider, once each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    ChargeNeverArrives,
    ChargeAnswerLost,
    RefundAnswerLost,
    StatusUnanswered,
    CancelUnanswered,
}

/// The real adapter, on a line that fails when told to.
pub struct Line {
    real: Midtrans,
    pub faults: Mutex<Vec<Fault>>,
}

impl Line {
    fn hit(&self, fault: Fault) -> bool {
        let mut faults = self.faults.lock().unwrap();
        let at = faults.iter().position(|planned| *planned == fault);
        at.map(|at| faults.remove(at)).is_some()
    }
}

fn lost() -> ProviderError {
    ProviderError::Unavailable("the line is cut".to_owned())
}

#[async_trait]
impl Provider for Line {
    fn name(&self) -> &'static str {
        self.real.name()
    }

    async fn charge(&self, charge: &Charge) -> Result<Sighting, ProviderError> {
        if self.hit(Fault::ChargeNeverArrives) {
            return Err(lost());
        }
        let answer = self.real.charge(charge).await;
        if answer.is_ok() && self.hit(Fault::ChargeAnswerLost) { Err(lost()) } else { answer }
    }

    async fn status(&self, order_id: &str) -> Result<Sighting, ProviderError> {
        if self.hit(Fault::StatusUnanswered) { Err(lost()) } else { self.real.status(order_id).await }
    }

    async fn cancel(&self, order_id: &str) -> Result<(), ProviderError> {
        if self.hit(Fault::CancelUnanswered) { Err(lost()) } else { self.real.cancel(order_id).await }
    }

    async fn refund(&self, order_id: &str, refund: &RefundOrder) -> Result<(), ProviderError> {
        let answer = self.real.refund(order_id, refund).await;
        if self.hit(Fault::RefundAnswerLost) { Err(lost()) } else { answer }
    }

    fn verify(&self, body: &[u8]) -> Result<Notice, NoticeError> {
        self.real.verify(body)
    }
}

/// How a world differs from the usual one.
pub struct Plan {
    pub webhooks: bool,
    pub polls: bool,
    pub start: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self { webhooks: true, polls: false, start: true }
    }
}

pub struct World {
    pub payments: Payments,
    pub bookings: Arc<Bookings>,
    pub line: Arc<Line>,
    pub clock: Clock,
    pub deps: Deps,
    pub public: String,
    pub http: reqwest::Client,
    pub user_id: Uuid,
    schema: PaymentSchema,
    config: PaymentConfig,
    schema_name: String,
    sandbox_db: Db,
    dir: TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.deps.background.stop();
    }
}

async fn serve(listener: TcpListener, routes: Router) {
    axum::serve(listener, routes).await.unwrap();
}

fn config(provider_url: &str, public: &str, plan: &Plan) -> PaymentConfig {
    let mut config = PaymentConfig::new(provider_url, SERVER_KEY, public);
    config.tick = Duration::from_millis(20);
    config.retries = vec![TimeDelta::milliseconds(100)];
    config.provider_timeout = Duration::from_secs(2);
    if plan.polls {
        config.polling = Polling {
            after_creation: [100, 200, 400, 800, 1600, 3200].map(TimeDelta::milliseconds).to_vec(),
            after_expiry: [100, 500, 1000, 2000, 4000, 8000].map(TimeDelta::milliseconds).to_vec(),
            afterwards: TimeDelta::milliseconds(200),
        };
    }
    config
}

/// SQLite, or a schema of its own on the PostgreSQL of `BERTH_TEST_POSTGRES_URL`.
async fn database(dir: &TempDir, schema_name: &str) -> Db {
    match std::env::var("BERTH_TEST_POSTGRES_URL") {
        Ok(url) => Db::open_postgres(&url, schema_name, 5).await.unwrap(),
        Err(_) => Db::open_sqlite(&dir.path().join("payment.sqlite")).await.unwrap(),
    }
}

impl World {
    pub async fn new() -> Self {
        Self::with(Plan::default()).await
    }

    pub async fn with(plan: Plan) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (clock, background) = (Clock::system(), Background::default());
        let schema_name = format!("payment_{}", clock.new_key().simple());
        let db = database(&dir, &schema_name).await;
        db.migrate::<PaymentMigrator>().await.unwrap();
        let sandbox_db = Db::open_sqlite(&dir.path().join("sandbox.sqlite")).await.unwrap();
        sandbox_db.migrate::<SandboxMigrator>().await.unwrap();
        let mail = Arc::new(Mail::catcher(&dir.path().join("mail.jsonl")));
        let deps =
            Deps::new(db, clock.clone(), Bus::local(), mail, Arc::new(Sms::off()), Sealer::new([7; 32]), background.clone());
        let (provider_port, public_port) =
            (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let provider_url = format!("http://{}", provider_port.local_addr().unwrap());
        let public = format!("http://{}", public_port.local_addr().unwrap());
        let hook =
            if plan.webhooks { format!("{public}/webhooks/payments/sandbox") } else { "http://127.0.0.1:9/blocked".to_owned() };
        let sandbox = Sandbox::new(sandbox_db.clone(), clock.clone(), SERVER_KEY, &hook).unwrap();
        let config = config(&provider_url, &public, &plan);
        let line = Arc::new(Line { real: Midtrans::new(&config).unwrap(), faults: Mutex::default() });
        let bookings = Arc::new(Bookings::default());
        let payments = Payments::with_provider(deps.clone(), config.clone(), bookings.clone(), line.clone());
        tokio::spawn(serve(provider_port, sandbox.provider_routes()));
        tokio::spawn(serve(public_port, payments.public_routes().merge(sandbox.public_routes())));
        if plan.start {
            deps.start();
            payments.start();
            sandbox.start(&background);
        }
        let (schema, user_id) = (payments.schema(), clock.new_key());
        let http = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
        Self { payments, bookings, line, clock, deps, public, http, user_id, schema, config, schema_name, sandbox_db, dir }
    }

    /// The service of another process over the same database: connections and queues of its own.
    pub async fn another_process(&self) -> Payments {
        let deps = Deps { db: database(&self.dir, &self.schema_name).await, ..self.deps.clone() };
        Payments::with_provider(deps, self.config.clone(), self.bookings.clone(), self.line.clone())
    }

    /// createPayment as the world's user, by another process's schema; `None`: by this one's.
    pub async fn create_at(&self, schema: Option<&PaymentSchema>, input: Value) -> Value {
        let request = self.request(self.viewer(self.user_id), CREATE, json!({ "input": input }));
        let answer = serde_json::to_value(schema.unwrap_or(&self.schema).execute(request).await).unwrap();
        assert!(answer.get("errors").is_none(), "{answer}");
        answer["data"]["createPayment"].clone()
    }

    /// Every order of a payment at the provider, with its status there.
    pub async fn orders_of(&self, id: &str) -> Vec<(String, String)> {
        let read = self.sandbox_db.read();
        let text = "SELECT order_id, status FROM sandbox_transaction WHERE order_id = $1 OR order_id LIKE $2";
        let rows = read.query_all_raw(sql(read, text, [id.into(), format!("{id}-%").into()])).await.unwrap();
        rows.iter().map(|row| (row.try_get("", "order_id").unwrap(), row.try_get("", "status").unwrap())).collect()
    }

    /// The key of a booking's only payment.
    pub async fn payment_of(&self, booking_id: Uuid) -> Uuid {
        self.payments.peer().payments(booking_id).await.unwrap()[0].payment_id
    }

    /// A process takes a payment's turn and dies.
    pub async fn leave_turn(&self, payment_id: Uuid, lease_ms: i64) {
        let holder = self.clock.new_key();
        let write = self.deps.db.write(move |tx| {
            Box::pin(async move {
                let text =
                    format!("INSERT INTO payment_turn (payment_id, holder, until_ms) VALUES ($1, $2, {} + $3)", now_ms(tx));
                tx.execute_raw(sql(tx, &text, [payment_id.into(), holder.into(), lease_ms.into()])).await.map(|_| ())
            })
        });
        let () = write.await.unwrap();
    }

    /// The service anew over the same database, as after a restart.
    pub fn restarted(&self) -> Payments {
        Payments::with_provider(self.deps.clone(), self.config.clone(), self.bookings.clone(), self.line.clone())
    }

    /// The same after the workers of this world were stopped.
    pub fn reborn(&self) -> Payments {
        let deps = Deps { background: Background::default(), ..self.deps.clone() };
        Payments::with_provider(deps, self.config.clone(), self.bookings.clone(), self.line.clone())
    }

    pub fn fail(&self, fault: Fault) {
        self.line.faults.lock().unwrap().push(fault);
    }

    /// A booking of the world's user that waits for its money.
    pub fn booking(&self) -> Uuid {
        let booking_id = self.clock.new_key();
        let booking = Payable {
            booking_id,
            user_id: self.user_id,
            code: "BK-2H7QK9".to_owned(),
            total: Money::from_major(PRICE, Currency::IDR).unwrap(),
            status: "PENDING_PAYMENT".to_owned(),
            pay_until: Some(self.clock.now() + TimeDelta::minutes(15)),
        };
        self.bookings.all.lock().unwrap().insert(booking_id, booking);
        booking_id
    }

    pub fn change_booking(&self, booking_id: Uuid, change: impl FnOnce(&mut Payable)) {
        change(self.bookings.all.lock().unwrap().get_mut(&booking_id).unwrap());
    }

    pub fn viewer(&self, user_id: Uuid) -> Viewer {
        let expires_at = self.clock.now() + TimeDelta::minutes(10);
        Viewer(Some(SignedIn { user_id, session_id: self.clock.new_key(), roles: vec![], expires_at }))
    }

    pub fn request(&self, viewer: Viewer, query: &str, variables: Value) -> Request {
        let request = Request::new(query).variables(Variables::from_json(variables));
        (self.payments.prepare())(request, &viewer).data(viewer)
    }

    pub async fn ask(&self, viewer: Viewer, query: &str, variables: Value) -> Value {
        serde_json::to_value(self.schema.execute(self.request(viewer, query, variables)).await).unwrap()
    }

    pub fn watch(
        &self,
        viewer: Viewer,
        query: &str,
        variables: Value,
    ) -> impl futures_util::Stream<Item = async_graphql::Response> + Send + use<> {
        self.schema.execute_stream(self.request(viewer, query, variables))
    }

    /// createPayment as the world's user; answers the result.
    pub async fn create(&self, booking_id: Uuid, key: &str) -> Value {
        let input = json!({ "bookingId": Kind::Booking.encode(booking_id), "method": { "qris": {} }, "idempotencyKey": key });
        self.create_with(input).await
    }

    pub async fn create_with(&self, input: Value) -> Value {
        let answer = self.ask(self.viewer(self.user_id), CREATE, json!({ "input": input })).await;
        assert!(answer.get("errors").is_none(), "{answer}");
        answer["data"]["createPayment"].clone()
    }

    /// A PENDING payment of a new booking: booking and payment.
    pub async fn pending(&self) -> (Uuid, String) {
        let booking_id = self.booking();
        let created = self.create(booking_id, &booking_id.to_string()).await;
        assert_eq!(created["payment"]["status"], "PENDING", "{created}");
        (booking_id, created["payment"]["id"].as_str().unwrap().to_owned())
    }

    /// A PAID payment of a new booking.
    pub async fn paid(&self) -> (Uuid, String) {
        let (booking_id, id) = self.pending().await;
        assert_eq!(self.act(&id, "settle").await.0, 200);
        self.reaches(&id, "PAID").await;
        (booking_id, id)
    }

    pub async fn payment(&self, id: &str) -> Value {
        let query = "query($id: ID!) { payment(id: $id) { id status refunded { amount } paidAt history { status note } } }";
        self.ask(self.viewer(self.user_id), query, json!({ "id": id })).await["data"]["payment"].clone()
    }

    pub async fn history(&self, id: &str) -> Vec<String> {
        let payment = self.payment(id).await;
        payment["history"].as_array().unwrap().iter().map(|line| line["status"].as_str().unwrap().to_owned()).collect()
    }

    pub async fn reaches(&self, id: &str, status: &str) {
        eventually(&format!("{id} reaches {status}"), || async { self.payment(id).await["status"] == status }).await;
    }

    /// What the person does at the sandbox.
    pub async fn act(&self, id: &str, action: &str) -> (u16, Value) {
        self.post(&format!("/sandbox/payments/{id}/{action}"), String::new()).await
    }

    pub async fn post(&self, path: &str, body: String) -> (u16, Value) {
        let response = self.http.post(format!("{}{path}", self.public)).body(body).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap_or_default())
    }

    pub async fn notify(&self, body: &str) -> (u16, Value) {
        self.post("/webhooks/payments/midtrans", body.to_owned()).await
    }

    pub async fn get(&self, path: &str) -> (u16, String) {
        let response = self.http.get(format!("{}{path}", self.public)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// The newest order of a payment at the sandbox, as its code's page names it.
    pub async fn order_of(&self, id: &str) -> String {
        let payment = self.payments.find(self.user_id, Self::key_of(id)).await.unwrap().unwrap();
        payment.order_id()
    }

    pub fn key_of(id: &str) -> Uuid {
        Kind::Payment.decode(id).unwrap()
    }

    /// Debits equal credits, and this much (whole rupiah) is held in this many entries.
    pub async fn assert_ledger(&self, id: &str, held: i64, entries: i64) {
        let balance = self.payments.balance(Self::key_of(id)).await.unwrap();
        assert_eq!((balance.debits, balance.held, balance.entries), (balance.credits, held * 100, entries), "{balance:?}");
    }
}

pub const CREATE: &str = "mutation($input: CreatePaymentInput!) { createPayment(input: $input) { __typename \
    ... on CreatePaymentSuccess { payment { id status method amount { amount currency } expiresAt qris { payload imageUrl simulated } history { status } booking { id } } } \
    ... on PaymentPendingError { payment { id } } ... on AlreadyPaidError { payment { id } } \
    ... on UserError { code message path } } }";

/// A notice as Midtrans would sign it.
pub fn notice(order_id: &str, status: &str, code: &str) -> String {
    let gross = format!("{PRICE}.00");
    let signature = signature(order_id, code, &gross, SERVER_KEY);
    json!({
        "order_id": order_id, "status_code": code, "gross_amount": gross, "signature_key": signature, "transaction_status": status,
        // Two notices of the same status are two bodies.
        "nonce": Clock::system().new_key(),
    })
    .to_string()
}

pub async fn eventually<F, Fut>(what: &str, condition: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = bool>,
{
    for _ in 0..750 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not within 15 s: {what}");
}
