//! What an attacker tries from outside: to learn who has an account, to be somebody else, to keep everybody else out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and says what it measured"
)]

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use berth_tests::{
    client::Client,
    documents, in_both_arms,
    person::{PASSWORD, Person, next_number},
    process::Arm,
    timing,
    world::Berth,
};
use futures_util::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};

in_both_arms!(
    time_does_not_tell_who_has_an_account,
    sign_ins_leave_room_for_everybody_else,
    nobody_is_who_a_header_says,
    odd_tokens_are_refused_quickly,
    odd_addresses_and_roles_are_refused
);

mod control {
    use berth_tests::in_one_process;

    use super::the_checker_sees_a_missing_decoy;

    in_one_process!(the_checker_sees_a_missing_decoy);
}

const ME: &str = "{ me { id } }";
const REQUEST_RESET: &str = "mutation($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) { __typename \
     ... on RequestPasswordResetSuccess { accepted } ... on UserError { code } } }";
/// Samples of each kind.
const SAMPLES: u32 = 100;
const SETTLES: Duration = Duration::from_millis(15);
const PARALLEL: usize = 200;

fn nobody() -> String {
    format!("nobody-{}@example.org", next_number())
}

/// Asks in turns about known and unknown addresses, and compares the times.
async fn compare(client: &Client, known: &[Person], document: &str, input: impl Fn(&str) -> Value) -> anyhow::Result<()> {
    let (share, chance) = share_of(client, known, document, input, SAMPLES).await?;
    ensure!((share - 0.5).abs() < chance, "it tells by time who has an account: {share:.3}");
    Ok(())
}

/// How often known addresses take longer than unknown ones, and how far chance may move that from the half.
async fn share_of(
    client: &Client,
    known: &[Person],
    document: &str,
    input: impl Fn(&str) -> Value,
    samples: u32,
) -> anyhow::Result<(f64, f64)> {
    let (mut of_known, mut of_unknown) = (Vec::new(), Vec::new());
    for number in 0..samples {
        let unknown = nobody();
        let known = known[number as usize % known.len()].email.as_str();
        // Each kind goes first half of the time: what the one leaves behind must not count for the other.
        let turns = if number.is_multiple_of(2) { [true, false] } else { [false, true] };
        for is_known in turns {
            let (email, times) = if is_known { (known, &mut of_known) } else { (unknown.as_str(), &mut of_unknown) };
            let asked = Instant::now();
            client.mutate(document, input(email)).await?;
            times.push(asked.elapsed());
            // What is done behind the answer must not slow the next one down.
            tokio::time::sleep(SETTLES).await;
        }
    }
    let (share, chance) = (timing::slower_share(&of_known, &of_unknown), timing::chance(samples, samples));
    of_known.sort_unstable();
    of_unknown.sort_unstable();
    let name = document.split_whitespace().find_map(|word| word.strip_suffix("(input:")).unwrap_or_default();
    let medians = (of_known[of_known.len() / 2], of_unknown[of_unknown.len() / 2]);
    println!("{name}: known slower in {share:.3} of pairs, chance allows 0.5 +- {chance:.3}; medians {medians:?}");
    Ok((share, chance))
}

async fn time_does_not_tell_who_has_an_account(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let known = Person::sign_up_many(&client, "known", 34).await?;
    client.advance(120).await?;
    let wrong = |email: &str| json!({ "email": email, "password": "not the right password 9" });
    compare(&client, &known, documents::SIGN_IN, wrong).await?;
    compare(&client, &known, REQUEST_RESET, |email| json!({ "email": email })).await?;
    let new = |email: &str| json!({ "email": email, "password": PASSWORD });
    compare(&client, &known, documents::SIGN_UP, new).await?;
    berth.assert_alive()
}

/// An unknown address costs no hash.
async fn the_checker_sees_a_missing_decoy(arm: Arm) -> anyhow::Result<()> {
    let berth = arm.setup().sabotage("skip_decoy")?.start().await?;
    let client = berth.client()?;
    let known = Person::sign_up_many(&client, "known", 8).await?;
    client.advance(120).await?;
    let wrong = |email: &str| json!({ "email": email, "password": "not the right password 9" });
    let (share, chance) = share_of(&client, &known, documents::SIGN_IN, wrong, 20).await?;
    ensure!(share - 0.5 > chance, "the checker sees nothing: known are slower in {share:.3}, chance allows 0.5 +- {chance:.3}");
    Ok(())
}

/// The most memory that any process has used, in KiB.
fn peak_memory_kib(berth: &mut Berth) -> anyhow::Result<u64> {
    let mut most = 0;
    for process in berth.processes() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.id().context("no process")?))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        most = most.max(peak.trim().trim_end_matches(" kB").parse()?);
    }
    Ok(most)
}

async fn sign_ins_leave_room_for_everybody_else(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let known = Person::sign_up_many(&client, "known", 10).await?;
    let before = peak_memory_kib(&mut berth)?;
    let over = AtomicBool::new(false);
    let sign_ins = async {
        let one = |number: usize| {
            let email = if number.is_multiple_of(2) { known[number / 2 % known.len()].email.clone() } else { nobody() };
            let client = client.clone();
            async move { client.mutate(documents::SIGN_IN, json!({ "email": email, "password": PASSWORD })).await.map(|_| ()) }
        };
        let done = stream::iter(0..PARALLEL).map(one).buffer_unordered(PARALLEL).collect::<Vec<_>>().await;
        over.store(true, Ordering::SeqCst);
        done.into_iter().collect::<anyhow::Result<Vec<_>>>()
    };
    let looks = async {
        let mut took = Vec::new();
        while !over.load(Ordering::SeqCst) {
            let asked = Instant::now();
            client.query("{ __typename }", Value::Null).await?;
            took.push(asked.elapsed());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        took.sort_unstable();
        Ok::<_, anyhow::Error>(took)
    };
    let begun = Instant::now();
    let (signed_in, took) = tokio::join!(sign_ins, looks);
    let (count, took, grown) = (signed_in?.len(), took?, peak_memory_kib(&mut berth)?.saturating_sub(before));
    let p99 = took[took.len() * 99 / 100];
    println!(
        "{count} sign-ins in {:?}; {} looks, p99 {p99:?}; {} MiB more at the peak",
        begun.elapsed(),
        took.len(),
        grown / 1024
    );
    ensure!(took.len() >= 20, "only {} looks: the sign-ins did not overlap them", took.len());
    ensure!(p99 < Duration::from_millis(100), "p99 of {{ __typename }} is {p99:?}");
    // 200 hashes at once would take 200 x 19 MiB.
    ensure!(grown < 256 * 1024, "{grown} KiB more");
    berth.assert_alive()
}

async fn nobody_is_who_a_header_says(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let (victim, thief) = (Person::sign_up(&client, "victim").await?, Person::sign_up(&client, "thief").await?);
    let names = [
        "x-user-id",
        "x-berth-user",
        "x-berth-viewer",
        "x-berth-client",
        "x-berth-service",
        "x-forwarded-user",
        "x-auth-request-user",
        "remote-user",
        "x-roles",
    ];
    for name in names {
        for value in [victim.id.as_str(), "ADMIN", "router"] {
            let body = json!({ "query": ME });
            let ask = || client.request(Method::POST, "/graphql").header(name, value).json(&body);
            let anonymous: Value = ask().send().await?.json().await?;
            ensure!(anonymous["data"]["me"].is_null(), "{name}: {value} makes somebody of nobody: {anonymous}");
            let signed: Value = ask().bearer_auth(thief.client.token().context("no token")?).send().await?.json().await?;
            ensure!(signed["data"]["me"]["id"] == json!(thief.id), "{name}: {value} changes who asks: {signed}");
        }
    }
    let both = client.request(Method::POST, "/graphql").json(&json!({ "query": ME }));
    let both =
        both.bearer_auth(thief.client.token().context("no token")?).bearer_auth(victim.client.token().context("no token")?);
    ensure!(both.send().await?.status() == 401, "two tokens are taken for one");
    berth.assert_alive()
}

async fn odd_tokens_are_refused_quickly(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let person = Person::sign_up(&client, "genuine").await?;
    let token = person.client.token().context("no token")?;
    let (_, rest) = token.split_once('.').context("no head")?;
    let long = client.with_token(&format!("{token}{}", "A".repeat(16 * 1024))).send(ME, Value::Null).await?;
    ensure!(matches!(long.status, 401 | 431), "16 KB more: {} {}", long.status, long.text);
    let unknown = |number: usize| {
        let head = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": format!("unknown-{number}") });
        client.with_token(&format!("{}.{rest}", URL_SAFE_NO_PAD.encode(head.to_string())))
    };
    let begun = Instant::now();
    let flood = stream::iter(0..2_000).map(|number| {
        let client = unknown(number);
        async move { client.send(ME, Value::Null).await }
    });
    let answers = flood.buffer_unordered(32).collect::<Vec<_>>().await.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    println!("{} tokens of unknown keys in {:?}", answers.len(), begun.elapsed());
    ensure!(answers.iter().all(|answer| answer.status == 401 && answer.error_code() == Some("TOKEN_EXPIRED")));
    ensure!(begun.elapsed() < Duration::from_secs(20), "unknown keys cost {:?}", begun.elapsed());
    ensure!(person.client.query(ME, Value::Null).await?["me"]["id"] == json!(person.id));
    berth.assert_alive()
}

async fn odd_addresses_and_roles_are_refused(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let odd = [
        "a@example.org\r\nBcc: victim@example.org",
        "a@example.org\nSubject: hello",
        "a\r\n@example.org",
        "a@example.org\0",
        "a@example.org,b@example.org",
        "<a@example.org>",
        "a@example.org ;",
        "\u{202e}a@example.org",
    ];
    for email in odd {
        for (document, input) in
            [(documents::SIGN_UP, json!({ "email": email, "password": PASSWORD })), (REQUEST_RESET, json!({ "email": email }))]
        {
            let refused = client.mutate(document, input).await?.refused().with_context(|| format!("{email:?}"))?;
            ensure!(refused.code == "INVALID_INPUT", "{email:?}: {}", refused.code);
        }
    }
    ensure!(client.letters("victim@example.org").await?.is_empty() && client.letters("b@example.org").await?.is_empty());
    let person = Person::sign_up(&client, "climber").await?;
    for field in ["role", "roles", "isAdmin", "tier", "suspendedAt"] {
        for (client, document, input) in [
            (&client, documents::SIGN_UP, json!({ "email": nobody(), "password": PASSWORD, field: "ADMIN" })),
            (&person.client, documents::UPDATE_PROFILE, json!({ "fullName": "Climber", field: "ADMIN" })),
        ] {
            let answer = client.send(document, json!({ "input": input })).await?;
            answer.refusal_code().with_context(|| format!("{field}: {}", answer.text))?;
            ensure!(answer.body["data"].is_null(), "{field} is accepted: {}", answer.text);
        }
    }
    berth.assert_alive()
}
