//! Secrets and personal data go through Berth in right and in wrong places, with everything logged that can be logged. Every line of
//! every process and every byte that a collector of traces gets is searched for them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context, ensure};
use axum::{Router, body::Bytes, extract::State, routing::post};
use base64::{Engine, engine::general_purpose::STANDARD};
use berth_tests::{
    client::Client,
    documents, in_both_arms,
    live::Socket,
    mailserver::MailServer,
    notices::{self, PATH, SERVER_KEY, signature},
    person::{PASSWORD, Person, fresh_key, id_of},
    process::{Arm, Berth},
    timetable,
};
use reqwest::Method;
use serde_json::{Value, json};

in_both_arms!(nothing_that_is_secret_is_written_down);

const SMTP_PASSWORD: &str = "Smtp-s3cret-of-the-test";
const SMS_TOKEN: &str = "Sms-t0ken-of-the-test-0123456789";
const DOCUMENT: &str = "3171234509876543";
const CARD: &str = "4811111111111114";
const PHONE: &str = "6281299887766";
const NAME: &str = "Geheimnisvolle Reisende";
const ADDRESS: &str = "Jalan Rahasia 77";
const ASK_RESET: &str = "mutation($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) { __typename } }";

/// What must not be found, and what it is.
#[derive(Default)]
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    /// A word that is used once, in this place.
    fn fresh(&mut self, place: &'static str) -> String {
        let word = format!("S3cret-{}-{}", place.replace(' ', "-"), self.0.len());
        self.add(place, &word);
        word
    }

    fn add(&mut self, what: &'static str, secret: &str) {
        self.0.push((what, secret.to_owned()));
    }

    /// A code has six digits, and so has the fraction of a second.
    fn finds(&self, line: &str) -> Vec<&'static str> {
        let whole = |secret: &str| {
            line.match_indices(secret).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                let after = line[at + secret.len()..].chars().next();
                let part_of_more = |sign: char| sign.is_ascii_alphanumeric() || sign == '.' || sign == '-';
                !before.is_some_and(part_of_more) && !after.is_some_and(|sign| sign.is_ascii_alphanumeric())
            })
        };
        let is_there = |secret: &str| if secret.len() == 6 { whole(secret) } else { line.contains(secret) };
        self.0.iter().filter(|(_, secret)| is_there(secret)).map(|(what, _)| *what).collect()
    }
}

/// A collector of traces that keeps what it gets as it came.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Bytes>>>);

impl Collector {
    async fn start() -> anyhow::Result<(Self, String)> {
        let collector = Self::default();
        let keep = |State(collector): State<Self>, body: Bytes| async move { collector.0.lock().unwrap().push(body) };
        let routes = Router::new().route("/v1/traces", post(keep)).with_state(collector.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok((collector, url))
    }

    fn text(&self) -> String {
        self.0.lock().unwrap().iter().map(|body| String::from_utf8_lossy(body).into_owned() + "\n").collect()
    }
}

async fn nothing_that_is_secret_is_written_down(arm: Arm) -> anyhow::Result<()> {
    let (collector, otlp) = Collector::start().await?;
    let mut mail = MailServer::away().await?;
    let setup = notices::setup(arm).env("BERTH_LOG", "trace").env("BERTH_OTLP_URL", &otlp);
    let setup = setup.env("BERTH_SMTP_URL", &mail.url(SMTP_PASSWORD));
    // Nobody listens there: the gateway is away.
    let setup = setup.env("BERTH_SMS_URL", "http://127.0.0.1:9/messages").env("BERTH_SMS_TOKEN", SMS_TOKEN);
    let mut berth = setup.start().await?;
    mail.come().await?;
    let mut secrets = Secrets::default();
    for (what, secret) in [
        ("the SMTP password", SMTP_PASSWORD.to_owned()),
        ("the SMTP login", STANDARD.encode(format!("\0berth\0{SMTP_PASSWORD}"))),
        ("the SMS token", SMS_TOKEN.to_owned()),
        ("the provider's key", SERVER_KEY.to_owned()),
        ("the provider's login", STANDARD.encode(format!("{SERVER_KEY}:"))),
        ("a password", PASSWORD.to_owned()),
        ("a document", DOCUMENT.to_owned()),
        ("a card", CARD.to_owned()),
        ("a phone number", PHONE.to_owned()),
        ("a name", NAME.to_owned()),
        ("an address", ADDRESS.to_owned()),
        ("an e-mail address", "example.org".to_owned()),
        ("a token", "eyJ".to_owned()),
    ] {
        secrets.add(what, &secret);
    }
    let client = berth.client()?;
    let person = sign_up(&client, &mail, &mut secrets).await?;
    wrong_places(&client, &person, &mut secrets).await?;
    wrong_types(&client, &person, &mut secrets).await?;
    sockets(&client, &mut secrets).await?;
    travel(&person, &mail, &mut secrets).await?;
    reset(&client, &mail, &person.email, &mut secrets).await?;
    search(&mut berth, &collector, &secrets).await
}

async fn sign_up(client: &Client, mail: &MailServer, secrets: &mut Secrets) -> anyhow::Result<Person> {
    let email = format!("heimlich-{}@example.org", std::process::id());
    secrets.add("the e-mail address", &email);
    let flow = client.mutate(documents::SIGN_UP, json!({ "email": email, "password": PASSWORD })).await?.done()?;
    let code = mail.code(&email).await?;
    let wrong = if code == "731946" { "731945" } else { "731946" };
    secrets.add("a code", &code);
    secrets.add("a wrong code", wrong);
    client.mutate(documents::VERIFY_OTP, json!({ "flowId": flow["flowId"], "code": wrong })).await?.refused()?;
    let session = client.mutate(documents::VERIFY_OTP, json!({ "flowId": flow["flowId"], "code": code })).await?.done()?;
    let text = |value: &Value| value.as_str().map(str::to_owned).context("no session");
    let token = text(&session["session"]["accessToken"])?;
    let refresh_token = text(&session["session"]["refreshToken"])?;
    secrets.add("the signature of a token", token.rsplit('.').next().unwrap_or_default());
    secrets.add("a refresh token", &refresh_token);
    let mut person = Person { client: client.with_token(&token), email, id: id_of(&session["user"])?, refresh_token };
    let first = person.refresh_token.clone();
    for what in ["the second refresh token", "the third refresh token"] {
        person.refresh().await?;
        secrets.add(what, &person.refresh_token);
    }
    for wrong in [secrets.fresh("refresh token"), first] {
        client.mutate(documents::REFRESH_SESSION, json!({ "refreshToken": wrong })).await?.refused()?;
    }
    // The used token ended the session.
    let again = Person::sign_in(client, &person.email).await?;
    secrets.add("the fourth refresh token", &again.refresh_token);
    Ok(again)
}

/// Secrets where they don't belong: in texts of queries, headers, addresses, bodies that are none.
async fn wrong_places(client: &Client, person: &Person, secrets: &mut Secrets) -> anyhow::Result<()> {
    let email = &person.email;
    let wrong = secrets.fresh("wrong password");
    client.mutate(documents::SIGN_IN, json!({ "email": email, "password": wrong })).await?.refused()?;
    let literal = secrets.fresh("literal");
    let query = format!("mutation {{ signIn(input: {{ email: \"{email}\", password: \"{literal}\" }}) {{ __typename }} }}");
    client.send(&query, Value::Null).await?;
    client.send(&format!("{{ nobody(password: \"{}\") }}", secrets.fresh("unknown field")), Value::Null).await?;
    client.send(&format!("mutation {{ signIn(input: \"{}\"", secrets.fresh("unfinished query")), Value::Null).await?;
    let query = format!("{}?query={{me{{id}}}}&variables={{\"password\":\"{}\"}}", "/graphql", secrets.fresh("address"));
    client.request(Method::GET, &query).header("x-berth-csrf", "1").send().await?;
    let literal = format!("/graphql?query={{nobody(password:\"{}\")}}", secrets.fresh("query in an address"));
    client.request(Method::GET, &literal).header("x-berth-csrf", "1").send().await?;
    for path in [
        format!("/reset-password?token={}", secrets.fresh("token in an address")),
        format!("/{}", secrets.fresh("path")),
        format!("/webhooks/payments/{}", secrets.fresh("provider")),
        format!("/tickets/{}/qr.svg", secrets.fresh("ticket")),
        format!("/avatars/{}", secrets.fresh("avatar")),
        format!("/payments/{}/qr.svg", secrets.fresh("payment")),
    ] {
        for method in [Method::GET, Method::POST] {
            client.request(method, &path).body(secrets.fresh("body of a page")).send().await?;
        }
    }
    let request = client.request(Method::POST, "/graphql").json(&json!({ "query": "{ me { id } }" }));
    let request =
        request.header("authorization", format!("Bearer {}", secrets.fresh("bearer"))).header("cookie", secrets.fresh("cookie"));
    request.header("x-anything", secrets.fresh("header")).header("traceparent", secrets.fresh("trace parent")).send().await?;
    let basic = client.request(Method::POST, "/graphql").basic_auth("berth", Some(secrets.fresh("basic")));
    basic.json(&json!({ "query": "{ me { id } }" })).send().await?;
    client
        .request(Method::POST, "/graphql")
        .header("x-request-id", secrets.fresh("request id of two words") + " x")
        .send()
        .await?;
    for body in [
        format!("{{\"query\": \"{{ me {{ id }} }}\", \"variables\": {{\"password\": \"{}\"", secrets.fresh("unfinished body")),
        format!("\"{}\"", secrets.fresh("a text as body")),
        format!("[{{\"query\":\"{{me{{id}}}}\",\"variables\":{{\"p\":\"{}\"}}}}]", secrets.fresh("a batch")),
        format!("{{\"query\":{{\"password\":\"{}\"}}}}", secrets.fresh("a query that is none")),
        format!("{{\"query\":\"{{me{{id}}}}\",\"variables\":\"{}\"}}", secrets.fresh("variables that are none")),
    ] {
        person.client.send_body(body).await?;
    }
    Ok(())
}

/// Secrets in fields of the right name and of the wrong type.
async fn wrong_types(client: &Client, person: &Person, secrets: &mut Secrets) -> anyhow::Result<()> {
    let email = &person.email;
    for password in
        [json!({ "a": secrets.fresh("object") }), json!([secrets.fresh("list")]), json!([[{ "b": secrets.fresh("nested") }]])]
    {
        client.send(documents::SIGN_IN, json!({ "input": { "email": email, "password": password } })).await?;
    }
    client.send(documents::SIGN_IN, json!({ "input": secrets.fresh("input as a text") })).await?;
    client
        .send(
            documents::SIGN_IN,
            json!({ "input": { "email": email, "password": PASSWORD, "pin": secrets.fresh("unknown input") } }),
        )
        .await?;
    client
        .send(
            documents::SIGN_UP,
            json!({ "input": { "email": secrets.fresh("no address"), "password": secrets.fresh("new password") } }),
        )
        .await?;
    client.send(documents::SIGN_UP, json!({ "input": { "email": email, "password": 4_811_111_111_111_114_u64 } })).await?;
    client
        .send(documents::VERIFY_OTP, json!({ "input": { "flowId": secrets.fresh("flow"), "code": secrets.fresh("code") } }))
        .await?;
    let profile = json!({ "fullName": NAME, "birthDate": "1990-01-01", "phone": format!("+{PHONE}"), "idType": "PASSPORT",
        "idNumber": DOCUMENT, "address": ADDRESS });
    person.client.mutate(documents::UPDATE_PROFILE, profile).await?;
    for input in [
        json!({ "fullName": { "x": secrets.fresh("name") }, "idNumber": 3_171_234_509_876_543_u64 }),
        json!({ "birthDate": secrets.fresh("birth date"), "idNumber": DOCUMENT }),
        json!({ "fullName": format!("{}\u{0}", secrets.fresh("name with a zero")), "address": ADDRESS }),
        json!({ "idType": secrets.fresh("enum"), "idNumber": CARD }),
    ] {
        person.client.send(documents::UPDATE_PROFILE, json!({ "input": input })).await?;
        person.client.send(documents::ADD_PASSENGER, json!({ "input": input })).await?;
    }
    let hold =
        json!({ "input": { "items": [{ "seats": secrets.fresh("item") }], "idempotencyKey": secrets.fresh("key of a hold") } });
    person.client.send(documents::PLACE_HOLD, hold).await?;
    person.client.send(documents::HOLD, json!({ "id": secrets.fresh("id") })).await?;
    person.client.send(documents::HOLD, json!({ "id": [secrets.fresh("id in a list")] })).await?;
    Ok(())
}

async fn sockets(client: &Client, secrets: &mut Secrets) -> anyhow::Result<()> {
    let mut socket = Socket::connect(client.url()).await?;
    let payload = json!({ "Authorization": format!("Bearer {}", secrets.fresh("socket token")), "password": secrets.fresh("socket payload") });
    socket.send(&json!({ "type": "connection_init", "payload": payload })).await?;
    let _refused = socket.receive().await;
    let mut socket = Socket::open(client.url(), None).await?;
    let payload =
        json!({ "query": documents::SIGN_IN, "variables": { "input": { "password": secrets.fresh("socket variable") } } });
    socket.send(&json!({ "id": "1", "type": "subscribe", "payload": payload })).await?;
    let _refused = socket.receive().await;
    let mut socket = Socket::open(client.url(), None).await?;
    socket.send(&json!({ "id": "1", "type": secrets.fresh("socket type"), "payload": secrets.fresh("socket text") })).await?;
    let _refused = socket.receive().await;
    Ok(())
}

/// A journey with its notices, right and wrong.
async fn travel(person: &Person, mail: &MailServer, secrets: &mut Secrets) -> anyhow::Result<()> {
    let train = timetable::demo_train(&person.client, 3).await?;
    let hold = person.hold_best(&train.whole(), 1).await?;
    let key = secrets.fresh("idempotency key");
    let booking = |key: &str, number: &Value| {
        json!({ "holdId": hold.id, "idempotencyKey": key,
            "contact": { "email": person.email, "phone": format!("+{PHONE}"), "address": ADDRESS },
            "passengers": [{ "heldSeatId": hold.items[0], "details": { "fullName": NAME, "idType": "PASSPORT", "idNumber": number,
                "birthDate": "1990-01-01" } }] })
    };
    let wrong = json!({ "input": booking(&key, &json!({ "x": secrets.fresh("document") })) });
    person.client.send(documents::CREATE_BOOKING, wrong).await?;
    let made = person.client.mutate(documents::CREATE_BOOKING, booking(&key, &json!("A1234567"))).await?.done()?;
    secrets.add("a passport", "A1234567");
    let booking_id = id_of(&made["booking"])?;
    let payment_id = id_of(&person.try_pay(&booking_id, &secrets.fresh("key of a payment")).await?.done()?["payment"])?;
    let gross = "100000.00";
    let mut wrong = notices::notification(&payment_id, gross, "settlement");
    let forged = signature(&payment_id, "200", gross, &secrets.fresh("wrong server key"));
    wrong["signature_key"] = json!(forged);
    wrong["masked_card"] = json!(CARD);
    wrong["custom_field1"] = json!(secrets.fresh("custom field"));
    secrets.add("a forged signature", &forged);
    let mut right = notices::notification(&payment_id, gross, "settlement");
    right["masked_card"] = json!(CARD);
    secrets.add("a signature", right["signature_key"].as_str().unwrap_or_default());
    person.provider(&payment_id, "settle").await?;
    for body in [
        wrong.to_string(),
        secrets.fresh("no notice"),
        right.to_string(),
        json!({ "order_id": secrets.fresh("order") }).to_string(),
    ] {
        person.client.request(Method::POST, PATH).header("content-type", "application/json").body(body).send().await?;
    }
    person.await_booking(&booking_id, &["CONFIRMED"], Duration::from_secs(30)).await?;
    mail.letter(&person.email, "icket").await?;
    Ok(())
}

async fn reset(client: &Client, mail: &MailServer, email: &str, secrets: &mut Secrets) -> anyhow::Result<()> {
    mail.answers(Some("451 4.7.1 <{to}> try later"));
    client.mutate(ASK_RESET, json!({ "email": email })).await?.done()?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    mail.answers(None);
    let letter = mail.letter(email, "reset-password").await?;
    let token = letter.text.split("token=").nth(1).context("no token in the letter")?;
    let token: String =
        token.trim_start_matches("3D").chars().take_while(|sign| sign.is_ascii_alphanumeric() || "-_".contains(*sign)).collect();
    ensure!(token.len() > 20, "the token of the letter: {token}");
    secrets.add("the token of a letter", &token);
    let document = "mutation($input: ResetPasswordInput!) { resetPassword(input: $input) { __typename } }";
    let new = secrets.fresh("password that is new");
    for token in [secrets.fresh("reset token"), token] {
        client
            .send(document, json!({ "input": { "token": token, "newPassword": new, "password": new, "key": fresh_key() } }))
            .await?;
    }
    Ok(())
}

async fn search(berth: &mut Berth, collector: &Collector, secrets: &Secrets) -> anyhow::Result<()> {
    berth.assert_calm()?;
    // The last spans leave with the process.
    berth.stop().await?;
    let (log, traces) = (berth.log(), collector.text());
    ensure!(log.lines().count() > 200, "hardly a line was written:\n{log}");
    let mut found = Vec::new();
    for line in log.lines().chain(traces.lines()) {
        for what in secrets.finds(line) {
            found.push(format!("{what}: {}", line.chars().take(600).collect::<String>()));
        }
    }
    found.sort();
    found.dedup_by_key(|found| found.chars().take(40).collect::<String>());
    ensure!(found.is_empty(), "{} kinds of secrets were written down:\n{}", found.len(), found.join("\n"));
    for wanted in ["TRACE", "library.spoke", "booking.moved", "payment.notice"] {
        ensure!(log.contains(wanted), "nothing of {wanted} in the log: it is no trace");
    }
    ensure!(traces.contains("router.request"), "no spans came");
    Ok(())
}
