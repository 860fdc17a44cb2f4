//! A user service on a real database in a folder of its own, with a clock that moves and letters that are caught.

use std::{env, fs, sync::Arc};

use berth_kernel::{
    Deps,
    auth::{SignKey, TokenSigner, TokenVerifier},
    bus::Bus,
    clock::Clock,
    db::{Db, sql},
    jobs::Background,
    mail::{Caught, Mail},
    seal::Sealer,
    server::Door,
    sms::{CaughtText, Sms},
};
use berth_migrations::UserMigrator;
use berth_user::{HashCost, User, UserConfig, UserSchema};
use sea_orm::{ConnectionTrait, DatabaseBackend};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Mutex;

/// A password that is long enough.
pub const PASSWORD: &str = "correct horse battery";

pub const SIGN_UP: &str = "mutation($input: SignUpInput!) { r: signUp(input: $input) { __typename \
     ... on SignUpSuccess { flowId expiresAt } ... on UserError { code message path } ... on RateLimitedError { retryAfterMs } } }";
pub const VERIFY: &str = "mutation($input: VerifyOtpInput!) { r: verifyOtp(input: $input) { __typename \
     ... on SessionSuccess { session { accessToken refreshToken expiresAt refreshExpiresAt } user { id email tier } } \
     ... on UserError { code message path } ... on OtpInvalidError { attemptsLeft } } }";
pub const RESEND: &str = "mutation($input: ResendOtpInput!) { r: resendOtp(input: $input) { __typename \
     ... on ResendOtpSuccess { flowId expiresAt } ... on UserError { code path } ... on RateLimitedError { retryAfterMs } } }";
pub const SIGN_IN: &str = "mutation($input: SignInInput!) { r: signIn(input: $input) { __typename \
     ... on SessionSuccess { session { accessToken refreshToken expiresAt } user { id email } } \
     ... on UserError { code message path } ... on RateLimitedError { retryAfterMs } } }";
pub const REFRESH: &str = "mutation($input: RefreshSessionInput!) { r: refreshSession(input: $input) { __typename \
     ... on SessionSuccess { session { accessToken refreshToken } user { id email } } ... on UserError { code path } } }";
pub const ADD_PASSENGER: &str = "mutation($input: AddPassengerInput!) { r: addPassenger(input: $input) { __typename \
     ... on AddPassengerSuccess { passenger { id fullName idType idNumberMasked birthDate } } \
     ... on UserError { code path } ... on PassengerLimitError { limit } } }";

pub struct World {
    pub user: User,
    pub clock: Clock,
    pub db: Db,
    pub deps: Deps,
    door: Door<UserSchema>,
    mail: Arc<Mail>,
    sms: Arc<Sms>,
    folder: TempDir,
    sending: Mutex<()>,
}

/// Somebody signed in.
#[derive(Debug, Clone)]
pub struct Person {
    pub id: String,
    pub access: String,
    pub refresh: String,
}

impl Person {
    pub fn of(result: &Value) -> Self {
        assert_eq!(result["__typename"], "SessionSuccess", "{result}");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        Self {
            id: text(&result["user"]["id"]),
            access: text(&result["session"]["accessToken"]),
            refresh: text(&result["session"]["refreshToken"]),
        }
    }
}

impl World {
    pub async fn new() -> Self {
        Self::with(cheap()).await
    }

    pub async fn with(config: UserConfig) -> Self {
        Self::on(config, Bus::local()).await
    }

    /// A replica on a bus.
    pub async fn on(config: UserConfig, bus: Bus) -> Self {
        let folder = TempDir::new().expect("a folder");
        let clock = Clock::system();
        let db = match postgres() {
            Some(url) => Db::open_postgres(&url, &format!("user_{}", clock.new_key().simple()), 4).await,
            None => Db::open_sqlite(&folder.path().join("user.db")).await,
        };
        let db = db.expect("a database");
        db.migrate::<UserMigrator>().await.expect("tables");
        let mail = Arc::new(Mail::catcher(&folder.path().join("mail.jsonl")));
        let sms = Arc::new(Sms::catcher(&folder.path().join("sms.jsonl")));
        let sealer = Sealer::new([7; 32]);
        let deps = Deps::new(db.clone(), clock.clone(), bus, Arc::clone(&mail), Arc::clone(&sms), sealer, Background::default());
        let key = SignKey::generate();
        let user = User::new(deps.clone(), config, TokenSigner::new(key.clone(), clock.clone()));
        let verifier = TokenVerifier::new(&[key], clock.clone());
        let door = Door::new(user.schema(), user.prepare(), verifier, "between services");
        Self { user, clock, db, deps, door, mail, sms, folder, sending: Mutex::new(()) }
    }

    /// The whole response.
    pub async fn respond(&self, access: Option<&str>, query: &str, variables: Value) -> Value {
        let authorization = access.map(|token| format!("Bearer {token}"));
        let body = json!({ "query": query, "variables": variables }).to_string();
        let answer = self.door.execute(authorization.as_deref(), body.as_bytes()).await;
        serde_json::from_slice(&answer).expect("JSON")
    }

    /// The whole response to a client at a network address.
    pub async fn respond_to(&self, client: &str, query: &str, variables: Value) -> Value {
        self.respond_with("x-berth-client", client, query, variables).await
    }

    /// The whole response to a request with this header.
    pub async fn respond_with(&self, name: &'static str, value: &str, query: &str, variables: Value) -> Value {
        self.respond_with_all(&[(name, value.to_owned())], query, variables).await
    }

    /// The whole response to a request with these headers.
    pub async fn respond_with_all(&self, sent: &[(&'static str, String)], query: &str, variables: Value) -> Value {
        let mut headers = http::HeaderMap::new();
        for (name, value) in sent {
            headers.insert(*name, value.parse().expect("a header"));
        }
        let body = json!({ "query": query, "variables": variables }).to_string();
        serde_json::from_slice(&self.door.answer(&headers, body.as_bytes()).await).expect("JSON")
    }

    /// The data of a response without errors.
    pub async fn data(&self, access: Option<&str>, query: &str, variables: Value) -> Value {
        let mut response = self.respond(access, query, variables).await;
        assert!(response.get("errors").is_none(), "{response}");
        response["data"].take()
    }

    /// The field `r` of a mutation with one input.
    pub async fn result(&self, access: Option<&str>, query: &str, input: Value) -> Value {
        self.data(access, query, json!({ "input": input })).await["r"].take()
    }

    /// Sends what waits, one caller after the other: on PostgreSQL several senders share the letters, and who finds none left has
    /// not yet seen the others' sent.
    async fn send(&self) {
        let _turn = self.sending.lock().await;
        self.deps.post.send_due(&self.db).await.expect("sends");
    }

    /// Letters that were sent by now, newest first.
    pub async fn letters(&self, to: &str) -> Vec<Caught> {
        self.send().await;
        self.mail.caught(Some(to))
    }

    /// Text messages that were sent by now, newest first.
    pub async fn texts(&self, to: &str) -> Vec<CaughtText> {
        self.send().await;
        self.sms.caught(Some(to))
    }

    /// The code of the newest letter, found as a program finds it.
    pub async fn code(&self, to: &str) -> String {
        let letters = self.letters(to).await;
        let letter = &letters.first().expect("a letter").letter;
        let in_text = six_digits(&letter.text);
        assert_eq!((six_digits(&letter.subject), six_digits(&letter.html)), (in_text.clone(), in_text.clone()));
        in_text.expect("six digits")
    }

    pub async fn start_sign_up(&self, email: &str) -> String {
        let result = self.result(None, SIGN_UP, json!({ "email": email, "password": PASSWORD })).await;
        assert_eq!(result["__typename"], "SignUpSuccess", "{result}");
        result["flowId"].as_str().expect("a text").to_owned()
    }

    pub async fn verify(&self, flow_id: &str, code: &str) -> Value {
        self.result(None, VERIFY, json!({ "flowId": flow_id, "code": code })).await
    }

    /// Somebody new, signed up and signed in.
    pub async fn person(&self, email: &str) -> Person {
        let flow_id = self.start_sign_up(email).await;
        let code = self.code(email).await;
        Person::of(&self.verify(&flow_id, &code).await)
    }

    pub async fn sign_in(&self, email: &str, password: &str) -> Value {
        self.result(None, SIGN_IN, json!({ "email": email, "password": password })).await
    }

    pub async fn refresh(&self, token: &str) -> Value {
        self.result(None, REFRESH, json!({ "refreshToken": token })).await
    }

    /// How many rows a table has.
    pub async fn user_rows(&self, table: &str) -> i64 {
        let statement = sql(self.db.read(), &format!("SELECT COUNT(*) AS count FROM {table}"), []);
        let row = self.db.read().query_one_raw(statement).await.expect("a row").expect("a row");
        row.try_get("", "count").expect("a number")
    }

    /// Everything that the database keeps: the bytes of its files, or every row of the tables with secrets.
    pub async fn bytes_at_rest(&self) -> Vec<u8> {
        if self.db.backend() == DatabaseBackend::Sqlite {
            let files = fs::read_dir(self.folder.path()).expect("a folder").map(|entry| entry.expect("a file").path());
            let of_database = files.filter(|path| path.to_string_lossy().contains("user.db"));
            return of_database.flat_map(|path| fs::read(path).expect("bytes")).collect();
        }
        let mut bytes = Vec::new();
        for table in [
            "account",
            "sign_up",
            "session",
            "refresh_token",
            "passenger",
            "letter",
            "bank_account",
            "second_factor",
            "recovery_code",
            "passkey",
            "passkey_challenge",
        ] {
            let statement = sql(self.db.read(), &format!("SELECT t::text AS line FROM {table} t"), []);
            for row in self.db.read().query_all_raw(statement).await.expect("rows") {
                bytes.extend(row.try_get::<String>("", "line").expect("a text").into_bytes());
            }
        }
        bytes
    }
}

/// The rules, with cheap hashes.
pub fn cheap() -> UserConfig {
    let hash_cost = HashCost { memory_kib: 64, passes: 1, lanes: 1 };
    UserConfig { hash_cost, ..UserConfig::default() }
}

/// The PostgreSQL server of the suite's second run.
fn postgres() -> Option<String> {
    if crate::ON_POSTGRES { env::var("BERTH_TEST_POSTGRES_URL").ok() } else { None }
}

/// The first run of exactly six digits, as `\b\d{6}\b` finds it.
pub fn six_digits(text: &str) -> Option<String> {
    let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    words.into_iter().find(|word| word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit())).map(str::to_owned)
}

/// Another code than this one.
pub fn other_code(code: &str) -> &'static str {
    if code == "000000" { "000001" } else { "000000" }
}
