//! GraphQL over HTTP through the front door.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::time::Duration;

use berth_router::Limits;
use serde_json::{Value, json};
use support::{Rig, Way, claims, code, confused, forged, now, read, signed, token};

const THREE_FETCHES: &str = "query Q($id: ID!) { trip(id: $id) { name fan { name favourite { name } } } }";

async fn text(rig: &Rig, body: &Value, token: Option<&str>) -> String {
    let mut request = rig.post(body).header("x-request-id", "same");
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    request.send().await.unwrap().text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_the_same_bytes_in_process_and_over_http() {
    let local = Rig::start(Way::InProcess).await;
    let remote = Rig::start(Way::Http).await;
    let token = token("ann");
    let bodies = [
        json!({ "query": THREE_FETCHES, "variables": { "id": "1" } }),
        json!({ "query": THREE_FETCHES, "variables": { "id": "none" } }),
        json!({ "query": "{ me { id name favourite { id name fan { name } } } whoami }" }),
        json!({ "query": "mutation { rename(name: \"b\\u2014c\") { name } }" }),
        json!({ "query": "{ fail trip(id: 1) { id } }" }),
        json!({ "query": "{ audit }" }),
        json!({ "query": "{ nothing }" }),
        json!({ "query": "{ __schema { queryType { name } } }" }),
    ];
    for body in &bodies {
        for token in [None, Some(token.as_str())] {
            assert_eq!(text(&local, body, token).await, text(&remote, body, token).await, "{body}");
        }
    }
    let answer = text(&local, &bodies[0], None).await;
    let expected = json!({ "data": { "trip": {
        "name": "Trip \u{2014} 1 \"quoted\"",
        "fan": { "name": "Name of fan", "favourite": { "name": "Trip \u{2014} 7 \"quoted\"" } },
    } } });
    assert_eq!(serde_json::from_str::<Value>(&answer).unwrap(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn get_reads_and_never_writes() {
    let rig = Rig::start(Way::InProcess).await;
    let get = |query: &str| rig.client.get(rig.url(&format!("/graphql?query={query}"))).header("accept", "application/json");
    let (status, body) = read(get("%7Bwhoami%7D")).await;
    assert_eq!((status, &body["data"]["whoami"]), (200, &json!("nobody")));
    let (status, body) = read(get("mutation%7Brename(name:%22x%22)%7Bid%7D%7D")).await;
    assert_eq!((status, code(&body)), (405, "MUTATION_NOT_ALLOWED_OVER_HTTP_GET"));
    let (status, body) = read(rig.client.put(rig.url("/graphql")).body("{}")).await;
    assert_eq!((status, code(&body)), (405, "METHOD_NOT_ALLOWED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_tokens_stop_before_execution() {
    let rig = Rig::start(Way::InProcess).await;
    let good = claims("ann");
    let mut expired = good.clone();
    expired["exp"] = json!(now() - 1);
    let mut issuer = good.clone();
    issuer["iss"] = json!("someone");
    let mut audience = good.clone();
    audience["aud"] = json!("other");
    let mut nobody = good.clone();
    nobody.as_object_mut().unwrap().remove("sub");
    let cases = [
        (signed("at+jwt", &expired), "TOKEN_EXPIRED"),
        (signed("at+jwt", &issuer), "TOKEN_INVALID"),
        (signed("at+jwt", &audience), "TOKEN_INVALID"),
        (signed("at+jwt", &nobody), "TOKEN_INVALID"),
        (signed("JWT", &good), "TOKEN_INVALID"),
        (confused(&good), "TOKEN_INVALID"),
        (forged(&json!({ "alg": "none", "typ": "at+jwt", "kid": "k1" }), &good, false), "TOKEN_INVALID"),
        (forged(&json!({ "alg": "none", "typ": "at+jwt" }), &good, true), "TOKEN_INVALID"),
        (forged(&json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "k1" }), &good, false), "TOKEN_INVALID"),
        (forged(&json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "k2" }), &good, true), "TOKEN_EXPIRED"),
        (forged(&json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "k2" }), &issuer, true), "TOKEN_INVALID"),
        ("nonsense".to_owned(), "TOKEN_INVALID"),
    ];
    for (token, expected) in cases {
        let (status, body) = rig.query("{ whoami slow(ms: 1) }", Some(&token)).await;
        assert_eq!((status, code(&body)), (401, expected), "{token}");
        assert!(body.get("data").is_none());
    }
    let basic = rig.post(&json!({ "query": "{ whoami }" })).header("authorization", "Basic YTpi");
    assert_eq!(read(basic).await.0, 401);
    let (_, body) = rig.query("{ executions }", Some(&token("ann"))).await;
    assert_eq!(body["data"]["executions"], json!(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn guarded_fields_need_their_viewer() {
    let rig = Rig::start(Way::InProcess).await;
    let (status, body) = rig.query("{ me { id } whoami }", None).await;
    assert_eq!((status, code(&body)), (200, "UNAUTHENTICATED"));
    assert_eq!(body["data"], json!({ "me": null, "whoami": "nobody" }));
    let (_, body) = rig.query("{ me { id } }", Some(&token("ann"))).await;
    assert_eq!(body["data"]["me"]["id"], json!("ann"));
    let (_, body) = rig.query("{ audit }", Some(&token("ann"))).await;
    assert_eq!(code(&body), "FORBIDDEN");
    let mut admin = claims("root");
    admin["roles"] = json!(["ADMIN"]);
    let (_, body) = rig.query("{ audit }", Some(&signed("at+jwt", &admin))).await;
    assert_eq!(body["data"]["audit"], json!("all"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_limit_has_its_code() {
    let rig = Rig::start(Way::InProcess).await;
    let deep = (0..7).fold("id".to_owned(), |inner, _| format!("fan {{ favourite {{ {inner} }} }}"));
    let aliases: String = (0..31).map(|number| format!(" a{number}: id")).collect();
    let roots: String = (0..16).map(|number| format!(" a{number}: whoami")).collect();
    let directives = " @include(if: true)".repeat(21);
    let introspection = "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }";
    let cases = [
        (format!("{{ trip(id: 1) {{ {deep} }} }}"), "MAX_DEPTH_EXCEEDED"),
        (format!("{{ trip(id: 1) {{{aliases} }} }}"), "MAX_ALIASES_EXCEEDED"),
        (format!("{{{roots} }}"), "MAX_ROOT_FIELDS_EXCEEDED"),
        (format!("{{ whoami{directives} }}"), "MAX_DIRECTIVES_EXCEEDED"),
        (format!("{{ whoami }} #{}", "x".repeat(16 * 1024)), "QUERY_TOO_LARGE"),
        (format!("{{ {} }}", "whoami ".repeat(2_000)), "TOKEN_LIMIT_EXCEEDED"),
        ("{ a".repeat(100), "MAX_DEPTH_EXCEEDED"),
        (introspection.to_owned(), "INTROSPECTION_DEPTH_EXCEEDED"),
        ("{ _entities(representations: []) { __typename } }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
    ];
    for (query, expected) in &cases {
        let (status, body) = rig.query(query, None).await;
        let got = body["errors"].as_array().unwrap().iter().any(|error| error["extensions"]["code"] == json!(expected));
        assert!(got, "{expected}: {body}");
        assert_eq!(status, 200, "{expected}");
        assert!(body["errors"][0]["extensions"]["requestId"].is_string(), "{body}");
    }
    let large = rig.post(&json!({ "query": "{ whoami }", "variables": { "x": "y".repeat(256 * 1024) } }));
    let (status, body) = read(large).await;
    assert_eq!((status, code(&body)), (413, "BODY_TOO_LARGE"));
    let headers = rig.post(&json!({ "query": "{ whoami }" })).header("x-filler", "z".repeat(33 * 1024));
    let (status, body) = read(headers).await;
    assert_eq!((status, code(&body)), (431, "HEADERS_TOO_LARGE"));
    let batch = rig.post(&json!([{ "query": "{ whoami }" }, { "query": "{ whoami }" }]));
    let (status, body) = read(batch).await;
    assert_eq!((status, code(&body)), (400, "BATCHING_NOT_SUPPORTED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_operation_ends_with_a_code() {
    for way in [Way::InProcess, Way::Http] {
        let rig =
            Rig::with(way, |config| config.limits = Limits { execution: Duration::from_millis(300), ..Limits::default() }).await;
        let started = std::time::Instant::now();
        let (_, body) = rig.query("{ slow(ms: 3000) }", None).await;
        assert!(started.elapsed() < Duration::from_secs(2));
        assert!(["SERVICE_UNAVAILABLE", "GATEWAY_TIMEOUT"].contains(&code(&body)), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_are_typed() {
    let rig = Rig::start(Way::InProcess).await;
    let post =
        |kind: &'static str, body: &'static str| rig.client.post(rig.url("/graphql")).header("content-type", kind).body(body);
    let cases = [
        (post("application/json", "{"), 400, "BAD_REQUEST"),
        (post("application/json", "{}"), 400, "BAD_REQUEST"),
        (post("application/json", "{\"query\":7}"), 400, "BAD_REQUEST"),
        (post("text/plain", "{\"query\":\"{ whoami }\"}"), 415, "UNSUPPORTED_MEDIA_TYPE"),
        (post("multipart/form-data; boundary=x", "--x--"), 415, "UNSUPPORTED_MEDIA_TYPE"),
        (post("application/json; charset=latin1", "{\"query\":\"{ whoami }\"}"), 415, "UNSUPPORTED_MEDIA_TYPE"),
        (post("application/json", "{\"query\":\"{\"}"), 200, "GRAPHQL_PARSE_FAILED"),
        (post("application/json", "{\"query\":\"query A { whoami } query B { whoami }\"}"), 200, "OPERATION_RESOLUTION_FAILURE"),
        (
            post("application/json", "{\"query\":\"query A { whoami }\",\"operationName\":\"B\"}"),
            200,
            "OPERATION_RESOLUTION_FAILURE",
        ),
        (post("application/json", "{\"query\":\"{ whoami }\"}").header("accept", "image/png"), 406, "NOT_ACCEPTABLE"),
    ];
    for (request, status, expected) in cases {
        let (got, body) = read(request).await;
        assert_eq!((got, code(&body)), (status, expected), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_chosen_headers_reach_a_subgraph() {
    for way in [Way::InProcess, Way::Http] {
        let rig = Rig::start(way).await;
        let request = rig
            .post(&json!({ "query": "{ headers }" }))
            .header("x-request-id", "req-1")
            .header("x-berth-service", "forged")
            .header("x-berth-client", "10.0.0.1")
            .header("cookie", "a=b");
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["x-request-id"], "req-1");
        let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        let expected = json!(["x-request-id: req-1", "x-berth-client: 127.0.0.1", "authorization: -", "cookie: -"]);
        assert_eq!(body["data"]["headers"], expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_subgraphs_pass_and_their_absence_is_masked() {
    let rig = Rig::start(Way::InProcess).await;
    let (_, body) = rig.query("{ fail }", None).await;
    assert_eq!(body["errors"][0]["message"], json!("Something of ours broke."));
    assert_eq!((code(&body), &body["errors"][0]["extensions"]["retryable"]), ("INTERNAL", &json!(true)));
    let rig = Rig::with(Way::Http, |config| config.subgraphs[0].url = "http://127.0.0.1:9/graphql".into()).await;
    let (_, body) = rig.query("{ trip(id: 1) { name } whoami }", None).await;
    assert_eq!(code(&body), "SERVICE_UNAVAILABLE");
    assert_eq!(body["data"], json!({ "trip": null, "whoami": "nobody" }));
    assert!(!body.to_string().contains("127.0.0.1"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_never_share_an_answer() {
    let rig = Rig::with(Way::InProcess, |config| config.workers = Some(1)).await;
    let ann = token("ann");
    let same = (0..3).map(|_| rig.query("{ stations }", Some(&ann)));
    futures_util::future::join_all(same).await;
    assert_eq!(rig.live.executions.swap(0, std::sync::atomic::Ordering::SeqCst), 3, "a read never joins an older one");
    let tokens: Vec<_> = (0..8).map(|number| token(&format!("user{number}"))).collect();
    let private = tokens.iter().map(|token| rig.query("{ whoami slow(ms: 100) }", Some(token)));
    for (number, (_, body)) in futures_util::future::join_all(private).await.into_iter().enumerate() {
        assert_eq!(body["data"]["whoami"], json!(format!("user{number}")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_else_belongs_to_the_app() {
    let rig = Rig::start(Way::InProcess).await;
    let response = rig.client.post(rig.url("/webhooks/payments/x?a=b")).body("12345").send().await.unwrap();
    assert_eq!(response.status(), 202);
    assert_eq!(response.headers()["x-page"], "yes");
    assert_eq!(response.text().await.unwrap(), "POST /webhooks/payments/x?a=b 5 true");
    let large = rig.client.post(rig.url("/webhooks/x")).body("x".repeat(300 * 1024));
    assert_eq!(read(large).await.0, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_explorer_is_for_browsers_and_can_be_off() {
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let rig = Rig::start(Way::InProcess).await;
    for path in ["/graphiql", "/graphql"] {
        let page = rig.client.get(rig.url(path)).header("accept", browser).send().await.unwrap();
        assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
        let page = page.text().await.unwrap();
        assert!(page.contains("/graphiql/graphiql.js") && !page.contains("https://"), "{page}");
    }
    for name in ["graphiql.js", "graphql.worker.js", "json.worker.js", "editor.worker.js"] {
        let script = rig.client.get(rig.url(&format!("/graphiql/{name}"))).send().await.unwrap();
        assert_eq!(script.headers()["content-type"], "text/javascript; charset=utf-8", "{name}");
    }
    assert_eq!(rig.client.get(rig.url("/graphiql/../secret")).send().await.unwrap().status(), 202);
    assert_eq!(rig.client.get(rig.url("/graphiql/other")).send().await.unwrap().status(), 404);
    let off = Rig::with(Way::InProcess, |config| config.graphiql = false).await;
    assert_eq!(off.client.get(off.url("/graphiql")).send().await.unwrap().status(), 404);
    let closed = Rig::with(Way::InProcess, |config| config.introspection = false).await;
    assert_eq!(code(&closed.query("{ __schema { queryType { name } } }", None).await.1), "INTROSPECTION_DISABLED");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_listed_origins_may_read() {
    let rig = Rig::start(Way::InProcess).await;
    let allowed = |response: &reqwest::Response| response.headers().get("access-control-allow-origin").cloned();
    let with_origin = |origin: &'static str| rig.post(&json!({ "query": "{ whoami }" })).header("origin", origin);
    assert_eq!(allowed(&with_origin("https://shop.example").send().await.unwrap()).unwrap(), "https://shop.example");
    assert_eq!(allowed(&with_origin("https://evil.example").send().await.unwrap()), None);
    let preflight = rig
        .client
        .request(reqwest::Method::OPTIONS, rig.url("/graphql"))
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "POST");
    let response = preflight.send().await.unwrap();
    assert_eq!((response.status().as_u16(), allowed(&response).is_some()), (204, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_gracefully() {
    let rig = Rig::start(Way::InProcess).await;
    let slow = rig.post(&json!({ "query": "{ slow(ms: 700) }" })).send();
    let stop = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        rig.router.stop().await
    };
    let (answer, stopped) = tokio::join!(slow, stop);
    assert_eq!(answer.unwrap().text().await.unwrap(), "{\"data\":{\"slow\":700}}");
    stopped.unwrap();
}
