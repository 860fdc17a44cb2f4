//! What a browser is told about every answer, and to whom the pages of development answer at all.
#![allow(clippy::expect_used, clippy::print_stdout, reason = "a test may stop at the first surprise")]

use std::time::Duration;

use anyhow::{Context, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use berth_tests::{
    client::Client,
    documents, eventually, in_both_arms,
    notices::Payer,
    person::{PASSWORD, Person},
    process::Arm,
};
use reqwest::{Method, Response, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

in_both_arms!(
    every_answer_has_a_policy,
    no_cache_keeps_what_a_token_got,
    development_pages_answer_this_machine_only,
    other_sites_press_no_button,
    links_of_letters_lead_home,
    other_origins_read_nothing,
);

/// Pages, files and answers of every kind, wrong ones too.
const PATHS: [&str; 22] = [
    "/",
    "/graphiql",
    "/graphiql/graphiql.js",
    "/graphiql/editor.worker.js",
    "/graphiql/nothing",
    "/graphql",
    "/dev/mail",
    "/dev/mail.json",
    "/dev/letters",
    "/dev/sms",
    "/dev/sms.json",
    "/dev/clock",
    "/dev/nothing",
    "/reset-password",
    "/stop-change",
    "/.well-known/jwks.json",
    "/nothing",
    "/sandbox/pay/nothing",
    "/tickets/nothing/qr.svg",
    "/avatars/nothing.png",
    "/webhooks/payments/nothing",
    "/readiness",
];
/// Where styles come from elsewhere: an editor that writes its own, and letters in frames.
const FOREIGN_STYLES: [&str; 2] = ["/graphiql", "/dev/letters"];

async fn get(client: &Client, path: &str, headers: &[(&str, &str)]) -> anyhow::Result<Response> {
    let mut request = client.request(Method::GET, path).header(header::ACCEPT, "text/html, */*;q=0.5");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Ok(request.send().await?)
}

fn head<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The sources that a policy allows for something.
fn allowed<'p>(policy: &'p str, directive: &str) -> Vec<&'p str> {
    let of = |name: &str| policy.split(';').map(str::trim).find_map(|part| part.strip_prefix(name)?.strip_prefix(' '));
    of(directive).or_else(|| of("default-src")).unwrap_or("*").split(' ').collect()
}

async fn every_answer_has_a_policy(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let payer = Payer::new(&client).await?;
    let of_a_payment = [format!("/sandbox/pay/{}", payer.payment_id), format!("/payments/{}/qr.svg", payer.payment_id)];
    for path in PATHS.into_iter().chain(of_a_payment.iter().map(String::as_str)) {
        let response = get(&client, path, &[]).await?;
        check(path, &response)?;
        let policy = head(&response, "content-security-policy").to_owned();
        if head(&response, "content-type").starts_with("text/html") {
            ensure!(response.status() == 200, "{path}: {}", response.status());
            check_page(path, &policy, &response.text().await?)?;
        }
    }
    let refused = client.request(Method::POST, "/graphql").body("{").send().await?;
    check("a refusal", &refused)?;
    berth.assert_alive()
}

fn check(path: &str, response: &Response) -> anyhow::Result<()> {
    let policy = head(response, "content-security-policy");
    ensure!(allowed(policy, "default-src") == ["'none'"], "{path}: {policy}");
    ensure!(allowed(policy, "frame-ancestors") == ["'none'"], "{path}: {policy}");
    ensure!(allowed(policy, "base-uri") == ["'none'"], "{path}: {policy}");
    let scripts = allowed(policy, "script-src");
    ensure!(scripts.iter().all(|source| matches!(*source, "'none'" | "'self'") || is_hash(source)), "{path}: {policy}");
    ensure!(head(response, "x-frame-options") == "DENY", "{path}: {response:?}");
    ensure!(head(response, "x-content-type-options") == "nosniff", "{path}: {response:?}");
    ensure!(matches!(head(response, "referrer-policy"), "no-referrer" | "same-origin"), "{path}: {response:?}");
    ensure!(!response.headers().contains_key("strict-transport-security"), "{path} is reached by plain HTTP");
    Ok(())
}

fn is_hash(source: &str) -> bool {
    source.starts_with("'sha256-")
}

/// What stands in the page itself is what its policy allows, and nothing else stands there.
fn check_page(path: &str, policy: &str, html: &str) -> anyhow::Result<()> {
    for (tag, directive) in [("script", "script-src"), ("style", "style-src")] {
        let sources = allowed(policy, directive);
        for rest in html.split(&format!("<{tag}>")).skip(1) {
            let (text, _) = rest.split_once(&format!("</{tag}>")).with_context(|| format!("{path}: an open {tag}"))?;
            let hash = format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
            let foreign = tag == "style" && FOREIGN_STYLES.contains(&path) && sources.contains(&"'unsafe-inline'");
            ensure!(foreign || sources.contains(&hash.as_str()), "{path}: a {tag} that no browser takes: {policy}");
        }
    }
    let bare = html.split("srcdoc=").next().unwrap_or_default();
    ensure!(!bare.contains(" style=") && !bare.contains(" onclick=") && !bare.contains("javascript:"), "{path}: {html}");
    Ok(())
}

async fn no_cache_keeps_what_a_token_got(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.setup().env("BERTH_PUBLIC_URL", "https://tickets.example").start().await?;
    let client = berth.client()?;
    let payer = Payer::new(&client).await?;
    let token = format!("Bearer {}", payer.person.client.token().context("a token")?);
    let paths = [
        "/graphql?query=%7Bme%7Bid%7D%7D".to_owned(),
        format!("/payments/{}/qr.svg", payer.payment_id),
        "/.well-known/jwks.json".to_owned(),
        "/nothing".to_owned(),
    ];
    for path in &paths {
        let response = client.request(Method::GET, path).header(header::AUTHORIZATION, &token).send().await?;
        ensure!(head(&response, "cache-control") == "no-store", "{path}: {response:?}");
        ensure!(head(&response, "strict-transport-security") == "max-age=31536000", "{path}: {response:?}");
    }
    let picture = client.request(Method::POST, "/me/avatar").header(header::AUTHORIZATION, &token).send().await?;
    ensure!(head(&picture, "cache-control") == "no-store", "{picture:?}");
    // Who signs in has no token yet, and gets one.
    let signed_in = client
        .request(Method::POST, "/graphql")
        .json(&json!({ "query": documents::SIGN_IN, "variables": { "input": { "email": payer.person.email, "password": PASSWORD } } }))
        .send()
        .await?;
    ensure!(head(&signed_in, "cache-control") == "no-store", "{signed_in:?}");
    ensure!(signed_in.text().await?.contains("accessToken"));
    berth.assert_alive()
}

async fn development_pages_answer_this_machine_only(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.setup().env("BERTH_PUBLIC_URL", "https://tickets.example/").start().await?;
    let client = berth.client()?;
    let port = berth.address()?.port();
    let pages =
        ["/dev/mail", "/dev/mail.json", "/dev/sms.json", "/dev/clock", "/dev/nothing", "/graphiql", "/sandbox/pay/nothing"];
    for path in pages {
        for host in
            ["localhost", &format!("localhost:{port}"), "[::1]:1", "berth.localhost", "tickets.example", "Tickets.Example:443"]
        {
            let status = get(&client, path, &[("host", host)]).await?.status();
            ensure!(status == 200 || (status == 404 && path.ends_with("nothing")), "{path} for {host}: {status}");
        }
        for host in [
            "evil.example",
            "evil.example:4000",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.7",
            "localhost@evil.example",
        ] {
            let response = get(&client, path, &[("host", host)]).await?;
            let status = response.status();
            let body: Value = response.json().await.unwrap_or_default();
            let code = &body["errors"][0]["extensions"]["code"];
            ensure!(status == 421 && code == "MISDIRECTED_REQUEST", "{path} for {host}: {status} {body}");
        }
    }
    // The graph and the pages of links are public: they say the same to everybody who has no token.
    for path in ["/", "/reset-password", "/graphql?query=%7B__typename%7D"] {
        let status = get(&client, path, &[("host", "evil.example")]).await?.status();
        ensure!(status == 200, "{path}: {status}");
    }
    berth.assert_alive()
}

/// A page of another site can send forms here, though not read the answer.
async fn other_sites_press_no_button(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let payer = Payer::new(&client).await?;
    let own = berth.url();
    let pay = format!("/sandbox/payments/{}/settle", payer.payment_id);
    let foreign = [
        vec![("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")],
        vec![("sec-fetch-site", "same-site")],
        vec![("origin", "https://evil.example")],
        vec![("origin", "null")],
    ];
    for path in ["/dev/clock?advance_secs=3600", &pay] {
        for headers in &foreign {
            let (status, body) = post(&client, path, headers).await?;
            ensure!(status == 403 && body.contains("FOREIGN_SITE"), "{path} with {headers:?}: {status} {body}");
        }
    }
    let payment = payer.person.payment(&payer.payment_id).await?;
    ensure!(payment["status"] == "PENDING", "{payment}");
    let (status, body) =
        post(&client, &pay, &[("sec-fetch-site", "same-origin"), ("origin", "null"), ("accept", "text/html")]).await?;
    ensure!(status == 200 && body.contains("settlement"), "its own page: {status} {body}");
    let (status, body) = post(&client, "/dev/clock?advance_secs=1", &[("origin", own.as_str())]).await?;
    ensure!(status == 200, "its own page: {status} {body}");
    berth.assert_alive()
}

async fn post(client: &Client, path: &str, headers: &[(&str, &str)]) -> anyhow::Result<(u16, String)> {
    let mut request = client.request(Method::POST, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await?;
    Ok((response.status().as_u16(), response.text().await?))
}

const REQUEST_RESET: &str = "mutation($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) { __typename } }";

/// The link of a letter is made of the public URL, whatever the request that caused it is addressed to.
async fn links_of_letters_lead_home(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.setup().env("BERTH_PUBLIC_URL", "https://tickets.example").start().await?;
    let client = berth.client()?;
    let person = Person::sign_up(&client, "linked").await?;
    let body = json!({ "query": REQUEST_RESET, "variables": { "input": { "email": person.email } } });
    let mut request = client.request(Method::POST, "/graphql").json(&body).header(header::HOST, "evil.example");
    for (name, value) in [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "http"),
        ("x-original-url", "https://evil.example/"),
        ("forwarded", "host=evil.example;proto=http"),
    ] {
        request = request.header(name, value);
    }
    ensure!(request.send().await?.status() == 200);
    let text = eventually("the letter with the link", Duration::from_secs(20), || async {
        let letters = client.letters(&person.email).await?;
        let mut texts = letters.iter().filter_map(|letter| letter["text"].as_str());
        Ok(texts.find(|text| text.contains("#token=")).map(str::to_owned))
    })
    .await?;
    ensure!(text.contains("https://tickets.example/reset-password#token=") && !text.contains("evil"), "{text}");
    berth.assert_alive()
}

/// No route beside the graph is open to pages of other origins either, and nothing of the inside is in the public graph.
async fn other_origins_read_nothing(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.setup().env("BERTH_ALLOWED_ORIGINS", "https://shop.example").start().await?;
    let client = berth.client()?;
    let asked = [
        (Method::GET, "/graphql?query=%7B__typename%7D"),
        (Method::OPTIONS, "/graphql"),
        (Method::OPTIONS, "/me/avatar"),
        (Method::POST, "/me/avatar"),
        (Method::POST, "/webhooks/payments/midtrans"),
        (Method::OPTIONS, "/webhooks/payments/midtrans"),
        (Method::GET, "/dev/mail.json"),
        (Method::GET, "/metrics"),
    ];
    for (method, path) in asked {
        for origin in ["https://evil.example", "null", "https://shop.example.evil.example", "http://shop.example"] {
            let request = client.request(method.clone(), path).header(header::ORIGIN, origin);
            let response = request.header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST").send().await?;
            let told = head(&response, "access-control-allow-origin");
            ensure!(told.is_empty() && !response.headers().contains_key("access-control-allow-credentials"), "{path}: {told}");
        }
    }
    let known = client.request(Method::OPTIONS, "/me/avatar").header(header::ORIGIN, "https://shop.example");
    let known = known.header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST").send().await?;
    ensure!(head(&known, "access-control-allow-origin") == "https://shop.example", "{known:?}");
    for inside in
        ["{ _service { sdl } }", "{ _entities(representations: []) { __typename } }", "{ __type(name: \"_Any\") { name } }"]
    {
        let answer = client.send(inside, Value::Null).await?;
        let empty = answer.body["data"]["__type"].is_null();
        ensure!(
            answer.error_code() == Some("GRAPHQL_VALIDATION_FAILED") || (inside.contains("_Any") && empty),
            "{inside}: {}",
            answer.text
        );
    }
    berth.assert_alive()
}
