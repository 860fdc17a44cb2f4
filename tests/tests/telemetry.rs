//! What operators see of a journey: lines without secrets, one trace over everything. Metrics: watching.rs.
#![allow(clippy::expect_used, clippy::print_stdout, reason = "a test may stop at the first surprise")]

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context, ensure};
use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use berth_tests::{
    client::Client,
    documents, eventually,
    person::{PASSWORD, Person, fresh_key, one_time_password},
    timetable,
    world::Arm,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use reqwest::Method;
use serde_json::json;

const WITHIN: Duration = Duration::from_secs(20);

berth_tests::in_both_arms!(a_journey_leaves_no_secret_in_the_log, a_booking_is_one_trace);

async fn a_journey_leaves_no_secret_in_the_log(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.setup().env("BERTH_LOG", "info,berth=debug,sqlx=warn").start().await?;
    let client = berth.client()?;
    let mut person = Person::sign_up(&client, "rina").await?;
    let code = one_time_password(&client, &person.email).await?;
    let first = person.refresh_token.clone();
    buy(&client, &person).await?;
    person.refresh().await?;
    person.refresh().await?;
    // A refresh token whose successor was used is worth a line: it must tell of the request, not of the token.
    let answer = refresh_again(&client, &first, "req-logs-1").await?;
    ensure!(answer == "req-logs-1", "the answer came as {answer}");
    let log = eventually("a line about the used token", WITHIN, || async {
        Ok(Some(berth.log()).filter(|log| log.contains("session.token_reused")))
    })
    .await?;
    let line = log.lines().find(|line| line.contains("session.token_reused")).unwrap_or_default();
    ensure!(line.contains("request.id=req-logs-1"), "{line}");
    let token = person.client.token().context("a token")?.to_owned();
    let signature = token.rsplit('.').next().unwrap_or_default().to_owned();
    let secrets =
        [PASSWORD, &code, &token, &signature, &first, &person.refresh_token, &person.email, "example.org", "317501010190", "eyJ"];
    let told: Vec<&str> = log.lines().filter(|line| secrets.iter().any(|secret| line.contains(secret))).collect();
    ensure!(log.lines().count() > 5, "hardly a line was written:\n{log}");
    ensure!(told.is_empty(), "secrets in the log: {told:#?}");
    berth.assert_alive()
}

async fn buy(client: &Client, person: &Person) -> anyhow::Result<()> {
    let train = timetable::demo_train(client, 3).await?;
    let segment = train.segment(0, 2);
    let seats = timetable::free_seats(client, &segment, 2).await?;
    person.buy(&segment, &[&seats[0], &seats[1]]).await?;
    Ok(())
}

/// The request id of the answer.
async fn refresh_again(client: &Client, token: &str, request_id: &str) -> anyhow::Result<String> {
    let body = json!({ "query": documents::REFRESH_SESSION, "variables": { "input": { "refreshToken": token } } });
    let request = client.request(Method::POST, "/graphql").header("x-request-id", request_id).json(&body);
    let response = request.send().await?;
    let id = response.headers().get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    ensure!(response.status().is_success(), "{}", response.text().await?);
    Ok(id)
}

/// A collector: service and name of every span, by trace.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<(String, String, String)>>>);

impl Collector {
    async fn start() -> anyhow::Result<(Self, String)> {
        let collector = Self::default();
        let routes = Router::new().route("/v1/traces", post(collect)).with_state(collector.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok((collector, url))
    }

    fn spans_of(&self, trace_id: &str) -> BTreeSet<(String, String)> {
        let seen = self.0.lock().expect("no test panics while it holds this");
        seen.iter().filter(|(trace, ..)| trace == trace_id).map(|(_, service, name)| (service.clone(), name.clone())).collect()
    }
}

async fn collect(State(collector): State<Collector>, body: Bytes) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else { return StatusCode::BAD_REQUEST };
    let mut seen = collector.0.lock().expect("no test panics while it holds this");
    for resource in request.resource_spans {
        let attributes = resource.resource.map(|resource| resource.attributes).unwrap_or_default();
        let service = attributes.into_iter().find(|attribute| attribute.key == "service.name");
        let service = service.map(|attribute| format!("{:?}", attribute.value)).unwrap_or_default();
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let trace: String = span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
            seen.push((trace, service.clone(), span.name));
        }
    }
    StatusCode::OK
}

async fn a_booking_is_one_trace(arm: Arm) -> anyhow::Result<()> {
    let (collector, url) = Collector::start().await?;
    let berth = arm.setup().env("BERTH_OTLP_URL", &url).start().await?;
    let client = berth.client()?;
    let person = Person::sign_up(&client, "tracer").await?;
    let train = timetable::demo_train(&client, 3).await?;
    let segment = train.segment(0, 2);
    let seats = timetable::free_seats(&client, &segment, 1).await?;
    let hold = person.hold(&segment, &[&seats[0]]).await?;
    let trace_id = format!("{:032x}", 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128 + u128::from(std::process::id()));
    book(&person, &hold.id, &hold.items[0], &format!("00-{trace_id}-00f067aa0ba902b7-01")).await?;
    let wanted = match arm {
        Arm::Embedded => {
            vec![("everything", "router.request"), ("everything", "graph.request"), ("everything", "database.write")]
        }
        Arm::Fleet => vec![
            ("router", "router.request"),
            ("booking", "graph.request"),
            ("booking", "peer.call"),
            ("inventory", "peer.request"),
            ("booking", "database.write"),
        ],
    };
    let spans = eventually("the spans of the booking", WITHIN, || async {
        let spans = collector.spans_of(&trace_id);
        let seen = |(role, name): &(&str, &str)| {
            spans.iter().any(|(service, span)| service.contains(&format!("berth-{role}")) && span == name)
        };
        ensure!(wanted.iter().all(seen), "{wanted:?} of {spans:?}");
        Ok(Some(spans))
    })
    .await?;
    println!("one trace: {spans:?}");
    Ok(())
}

async fn book(person: &Person, hold_id: &str, seat: &str, trace_parent: &str) -> anyhow::Result<()> {
    let details = json!({ "fullName": "Passenger One", "idType": "NATIONAL_ID", "idNumber": "3175010101900001", "birthDate": "1990-01-01" });
    let input = json!({
        "holdId": hold_id, "passengers": [{ "heldSeatId": seat, "details": details }],
        "contact": { "email": person.email }, "idempotencyKey": fresh_key(),
    });
    let body = json!({ "query": documents::CREATE_BOOKING, "variables": { "input": input } });
    let request = person.client.request(Method::POST, "/graphql").bearer_auth(person.client.token().unwrap_or_default());
    let text = request.header("traceparent", trace_parent).json(&body).send().await?.text().await?;
    ensure!(text.contains("CreateBookingSuccess"), "{text}");
    Ok(())
}
