//! One booking service on a real SQLite file, or on the PostgreSQL of `BERTH_TEST_POSTGRES_URL`, between three peers that do what the test tells them.

#![allow(dead_code, reason = "each suite uses its own part of the world")]

pub mod peers;

use std::{path::Path, sync::Arc};

use async_graphql::{Request, Variables};
use berth_booking::{BookingConfig, BookingSchema, Bookings};
use berth_contracts::{Kind, peer::BookingPeer};
use berth_kernel::{
    Deps,
    auth::{SignKey, SignedIn, Viewer},
    bus::Bus,
    clock::Clock,
    db::{Db, sql},
    jobs::Background,
    mail::{Caught, Mail},
    outbox,
    seal::Sealer,
    server::Prepare,
    sms::Sms,
};
use berth_migrations::BookingMigrator;
use chrono::TimeDelta;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use peers::{Inventory, Payments, Users};

pub struct World {
    pub bookings: Bookings,
    pub schema: BookingSchema,
    pub prepare: Prepare,
    pub deps: Deps,
    pub clock: Clock,
    pub mail: Arc<Mail>,
    pub key: SignKey,
    pub inventory: Arc<Inventory>,
    pub payments: Arc<Payments>,
    pub users: Arc<Users>,
    pub ani: Uuid,
    folder: TempDir,
    /// Schema on PostgreSQL.
    schema_name: String,
}

impl World {
    pub async fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let clock = Clock::system();
        let mail = Arc::new(Mail::catcher(&folder.path().join("mail.jsonl")));
        let inventory = Arc::new(Inventory::new(clock.clone()));
        let (payments, users) = (Arc::new(Payments::default()), Arc::new(Users::default()));
        let key = SignKey::generate();
        let peers = (Arc::clone(&inventory), Arc::clone(&payments), Arc::clone(&users));
        let schema_name = format!("booking_{}", clock.new_key().simple());
        let deps = open(folder.path(), &schema_name, &clock, &mail).await;
        deps.db.migrate::<BookingMigrator>().await.expect("migrates");
        let bookings = wire(&deps, &key, &peers);
        let (schema, prepare) = (bookings.schema(), bookings.prepare());
        let ani = clock.new_key();
        Self { bookings, schema, prepare, deps, clock, mail, key, inventory, payments, users, ani, folder, schema_name }
    }

    /// The process dies and starts again: a new service on the same file.
    pub async fn restart(&mut self) {
        self.deps = open(self.folder.path(), &self.schema_name, &self.clock, &self.mail).await;
        let peers = (Arc::clone(&self.inventory), Arc::clone(&self.payments), Arc::clone(&self.users));
        self.bookings = wire(&self.deps, &self.key, &peers);
        (self.schema, self.prepare) = (self.bookings.schema(), self.bookings.prepare());
    }

    /// A service of another process over the same database. SQLite has one process, so there it shares the connections.
    pub async fn another_process(&self) -> Bookings {
        let peers = (Arc::clone(&self.inventory), Arc::clone(&self.payments), Arc::clone(&self.users));
        let deps = match std::env::var("BERTH_TEST_POSTGRES_URL") {
            Ok(_) => open(self.folder.path(), &self.schema_name, &self.clock, &self.mail).await,
            Err(_) => self.deps.clone(),
        };
        wire(&deps, &self.key, &peers)
    }

    /// How often a booking's row was changed.
    pub async fn revision(&self, key: Uuid) -> i64 {
        self.number("SELECT revision AS number FROM booking WHERE id = $1", vec![key.into()]).await
    }

    /// The state that a booking's row has now.
    pub async fn stored_state(&self, key: Uuid) -> String {
        let read = self.deps.db.read();
        let row = read.query_one_raw(sql(read, "SELECT state FROM booking WHERE id = $1", [key.into()])).await;
        row.expect("reads").map_or_else(|| "PENDING_PAYMENT".to_owned(), |row| row.try_get("", "state").expect("a state"))
    }

    /// How many rows a table has.
    pub async fn rows(&self, table: &str) -> i64 {
        self.number(&format!("SELECT COUNT(*) AS number FROM {table}"), Vec::new()).await
    }

    async fn number(&self, text: &str, values: Vec<sea_orm::Value>) -> i64 {
        let read = self.deps.db.read();
        let row = read.query_one_raw(sql(read, text, values)).await.expect("reads").expect("a row");
        row.try_get("", "number").expect("a number")
    }

    pub fn peer(&self) -> Arc<dyn BookingPeer> {
        self.bookings.peer()
    }

    pub fn viewer(&self, user_id: Option<Uuid>) -> Viewer {
        let ends = self.clock.now() + TimeDelta::minutes(10);
        Viewer(user_id.map(|user_id| SignedIn {
            user_id,
            session_id: Uuid::nil(),
            roles: vec!["USER".to_owned()],
            expires_at: ends,
        }))
    }

    pub fn request(&self, viewer: &Viewer, query: &str, variables: Value) -> Request {
        let request = Request::new(query).variables(Variables::from_json(variables));
        (self.prepare)(request, viewer).data(viewer.clone())
    }

    /// The whole response for a viewer.
    pub async fn ask(&self, user_id: Option<Uuid>, query: &str, variables: Value) -> Value {
        let request = self.request(&self.viewer(user_id), query, variables);
        serde_json::to_value(self.schema.execute(request).await).expect("json")
    }

    /// The data for Ani; errors fail the test.
    pub async fn data(&self, query: &str, variables: Value) -> Value {
        let answer = self.ask(Some(self.ani), query, variables).await;
        assert_eq!(answer.get("errors"), None, "{answer:#}");
        answer["data"].clone()
    }

    pub async fn create(&self, input: Value) -> Value {
        self.data(CREATE, json!({ "input": input })).await["createBooking"].clone()
    }

    /// A booking of one seat: its id and key.
    pub async fn booked(&self) -> (String, Uuid) {
        let hold = self.inventory.place(self.ani, 1);
        let made = self.create(order(&hold.encoded(), "first")).await;
        let id = made["booking"]["id"].as_str().unwrap_or_else(|| panic!("{made:#}")).to_owned();
        let key = Kind::Booking.decode(&id).expect("an id");
        (id, key)
    }

    pub async fn cancel(&self, id: &str, key: &str) -> Value {
        self.data(CANCEL, json!({ "input": { "bookingId": id, "idempotencyKey": key } })).await["cancelBooking"].clone()
    }

    pub async fn status(&self, id: &str) -> String {
        let data = self.data("query($id: ID!) { booking(id: $id) { status } }", json!({ "id": id })).await;
        data["booking"]["status"].as_str().expect("a status").to_owned()
    }

    pub async fn tickets(&self, id: &str) -> Vec<Value> {
        let query =
            "query($id: ID!) { booking(id: $id) { tickets { id number qr qrUrl status passengerName validFrom validUntil } } }";
        self.data(query, json!({ "id": id })).await["booking"]["tickets"].as_array().expect("a list").clone()
    }

    /// Sends all letters and tells what Ani's address got, newest first.
    pub async fn letters(&self) -> Vec<Caught> {
        self.deps.post.send_due(&self.deps.db).await.expect("sends");
        self.mail.caught(Some("ani@example.id"))
    }

    /// The reconciler's work until nothing is due, with the clock moved on between rounds.
    pub async fn settle(&self) {
        for _ in 0..12 {
            self.bookings.reconcile().await.expect("reconciles");
            self.clock.advance(TimeDelta::seconds(61));
        }
    }

    /// Hands all outbox rows to the bus.
    pub async fn publish(&self) {
        while outbox::deliver_batch(&self.deps.db, &self.deps.bus).await.expect("delivers") > 0 {}
    }
}

async fn open(folder: &Path, schema: &str, clock: &Clock, mail: &Arc<Mail>) -> Deps {
    let db = match std::env::var("BERTH_TEST_POSTGRES_URL") {
        Ok(url) => Db::open_postgres(&url, schema, 5).await.expect("opens"),
        Err(_) => Db::open_sqlite(&folder.join("booking.db")).await.expect("opens"),
    };
    Deps::new(
        db,
        clock.clone(),
        Bus::local(),
        Arc::clone(mail),
        Arc::new(Sms::off()),
        Sealer::new([7; 32]),
        Background::default(),
    )
}

type Peers = (Arc<Inventory>, Arc<Payments>, Arc<Users>);

fn wire(deps: &Deps, key: &SignKey, (inventory, payments, users): &Peers) -> Bookings {
    let config = BookingConfig::new("http://127.0.0.1:4000/", key.clone());
    let bookings = Bookings::new(deps.clone(), config, Arc::clone(inventory) as _, Arc::clone(users) as _);
    bookings.set_payment(Arc::clone(payments) as _);
    bookings
}

pub const CREATE: &str = "mutation($input: CreateBookingInput!) { createBooking(input: $input) { __typename
    ... on CreateBookingSuccess { booking { id code status total { amount amountMinor currency } expiresAt createdAt
        contact { email phone address } tickets { id }
        parts { id kind status title price { amount } passengerName seat { car seat travelClass } trip { id } from { id } to { id } } } }
    ... on HoldAlreadyBookedError { bookingId }
    ... on UserError { code message path } } }";

pub const CANCEL: &str = "mutation($input: CancelBookingInput!) { cancelBooking(input: $input) { __typename
    ... on CancelBookingSuccess { booking { id status parts { status } } } ... on UserError { code path } } }";

/// An input for every seat of a hold: `hold` is its id and those of its seats.
pub fn order((hold, seats): &(String, Vec<String>), key: &str) -> Value {
    let passenger = |(at, seat): (usize, &String)| {
        json!({ "heldSeatId": seat, "details": { "fullName": format!("Ani Sari {at}"), "idType": "NATIONAL_ID",
            "idNumber": "3174012345678901", "birthDate": "1990-02-03" } })
    };
    let passengers: Vec<Value> = seats.iter().enumerate().map(passenger).collect();
    json!({ "holdId": hold, "passengers": passengers, "contact": { "email": "ani@example.id", "phone": "+62 812 3456 789" },
        "idempotencyKey": key })
}
