//! Letters wait as long as they are worth something, and what was given up can be sent again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::time::Duration;

use anyhow::{Context, ensure};
use berth_tests::{
    client::Client,
    documents, eventually, in_both_arms,
    mailserver::MailServer,
    person::{PASSWORD, Person},
    process::{Arm, Berth},
    timetable,
};
use reqwest::Method;
use serde_json::json;

const WITHIN: Duration = Duration::from_secs(90);
const SMTP_PASSWORD: &str = "smtp-password-of-the-test";
const ASK_RESET: &str = "mutation($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) { __typename } }";

in_both_arms!(letters_wait_for_their_server_and_are_sent_again, a_code_ends_with_its_validity);

/// A command of an operator: whether it went well, and what it said.
fn operator(berth: &mut Berth, arguments: &[&str]) -> anyhow::Result<(bool, String)> {
    let output = berth.process("worker", 0)?.run(arguments)?;
    let said = if output.status.success() { &output.stdout } else { &output.stderr };
    Ok((output.status.success(), String::from_utf8_lossy(said).into_owned()))
}

fn listed(berth: &mut Berth, failed: bool) -> anyhow::Result<Vec<Vec<String>>> {
    let arguments: &[&str] = if failed { &["letters", "list", "--failed"] } else { &["letters", "list"] };
    let (well, text) = operator(berth, arguments)?;
    ensure!(well, "{text}");
    Ok(text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
}

async fn sign_up(client: &Client, name: &str) -> anyhow::Result<(String, String)> {
    let email = format!("{name}-{}@example.org", std::process::id());
    let flow = client.mutate(documents::SIGN_UP, json!({ "email": email, "password": PASSWORD })).await?.done()?;
    Ok((email, flow["flowId"].as_str().context("no flow")?.to_owned()))
}

/// What the process that sends letters measures.
async fn measured(berth: &mut Berth, line: &str) -> anyhow::Result<()> {
    let url = format!("{}/metrics", berth.process("worker", 0)?.url());
    eventually(line, WITHIN, || async {
        let text = reqwest::get(&url).await?.text().await?;
        ensure!(
            text.lines().any(|known| known == line),
            "{}",
            text.lines().filter(|line| line.contains("letters")).collect::<String>()
        );
        Ok(Some(()))
    })
    .await
}

async fn logged(berth: &Berth, words: &[&str]) -> anyhow::Result<String> {
    eventually(&format!("a line with {words:?}"), WITHIN, || async {
        Ok(berth.log().lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned))
    })
    .await
}

async fn letters_wait_for_their_server_and_are_sent_again(arm: Arm) -> anyhow::Result<()> {
    let mut server = MailServer::away().await?;
    let mut berth = arm.setup().env("BERTH_SMTP_URL", &server.url(SMTP_PASSWORD)).start().await?;
    let client = berth.client()?;

    // Away: one state, told once; no letter spends its tries on it.
    let (email, flow) = sign_up(&client, "waiter").await?;
    let (_, _) = sign_up(&client, "another").await?;
    let line = logged(&berth, &["post.server.down"]).await?;
    ensure!(line.to_lowercase().contains("connect"), "the reason: {line}");
    measured(&mut berth, "berth_letters{service=\"user\",state=\"waiting\"} 2").await?;
    let waiting = listed(&mut berth, false)?;
    ensure!(waiting.len() == 2, "{waiting:?}");
    for letter in &waiting {
        ensure!(letter[0].starts_with("letter_") && letter[2..5] == ["user", "mail", "code"], "{letter:?}");
        ensure!(letter[5].starts_with("due ") && letter[6] == "0", "{letter:?}");
    }
    server.come().await?;
    let code = server.code(&email).await?;
    let input = json!({ "flowId": flow, "code": code });
    let session = client.mutate(documents::VERIFY_OTP, input).await?.done()?;
    let mut person = Person {
        client: client.with_token(session["session"]["accessToken"].as_str().context("no token")?),
        email: email.clone(),
        id: String::new(),
        refresh_token: String::new(),
    };
    logged(&berth, &["post.server.up"]).await?;
    let downs = berth.log().lines().filter(|line| line.contains("post.server.down")).count();
    ensure!(downs <= 2, "{downs} lines about one absence");

    refused_for_good(&mut berth, &server, &mut person).await?;
    refused_because_of_us(&mut berth, &server, &email).await?;
    let log = berth.log();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("@example.org") || line.contains(SMTP_PASSWORD)).collect();
    ensure!(told.is_empty(), "addresses or the password in the log: {told:#?}");
    berth.assert_alive()
}

/// No such recipient: given up at once and kept. Sent again, put off, and taken at last.
async fn refused_for_good(berth: &mut Berth, server: &MailServer, person: &mut Person) -> anyhow::Result<()> {
    server.answers(Some("550 5.1.1 <{to}>: user unknown"));
    let train = timetable::demo_train(&person.client, 3).await?;
    let seats = timetable::free_seats(&person.client, &train.whole(), 1).await?;
    person.buy(&train.whole(), &[&seats[0]]).await?;
    let line = logged(berth, &["post.given_up", "5.1.1", "refused"]).await?;
    let id = line.split(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_').find(|word| word.starts_with("letter_"));
    let id = id.context("no id in the line")?.to_owned();
    let failed = listed(berth, true)?;
    let letter = failed.iter().find(|letter| letter[0] == id).with_context(|| format!("{id} is not in {failed:?}"))?;
    ensure!(letter[2..6] == ["booking", "mail", "paper", "given up"], "{letter:?}");
    ensure!(letter[7].contains("550") && letter[7].contains("user unknown") && !letter[7].contains('@'), "{letter:?}");
    measured(berth, "berth_letters{service=\"booking\",state=\"given_up\"} 1").await?;

    server.answers(Some("451 4.7.1 greylisted"));
    let (well, said) = operator(berth, &["letters", "resend", "--failed"])?;
    ensure!(well && said.contains("sent again"), "{said}");
    logged(berth, &["post.retry", &id, "4.7.1 greylisted"]).await?;
    server.answers(None);
    server.letter(&person.email, "icket").await?;
    let failed = listed(berth, true)?;
    ensure!(failed.iter().all(|letter| letter[0] != id), "{failed:?}");
    let (well, said) = operator(berth, &["letters", "resend", &id])?;
    ensure!(!well && said.contains("there is no letter"), "a letter that was sent: {said}");
    let (well, said) = operator(berth, &["letters", "resend", "letter_x"])?;
    ensure!(!well && !said.contains("panicked"), "{said}");
    Ok(())
}

/// Who does not relay for us may do so once we have the right password: nothing is given up.
async fn refused_because_of_us(berth: &mut Berth, server: &MailServer, email: &str) -> anyhow::Result<()> {
    server.answers(Some("554 5.7.1 <{to}>: relay access denied"));
    let client = berth.client()?;
    client.mutate(ASK_RESET, json!({ "email": email })).await?.done()?;
    logged(berth, &["post.retry", "relay access denied"]).await?;
    ensure!(listed(berth, true)?.iter().all(|letter| !letter[7].contains("relay")), "given up for a fault of ours");
    server.answers(None);
    server.letter(email, "reset-password").await?;
    Ok(())
}

async fn a_code_ends_with_its_validity(arm: Arm) -> anyhow::Result<()> {
    let server = MailServer::away().await?;
    let mut berth = arm.setup().env("BERTH_SMTP_URL", &server.url(SMTP_PASSWORD)).start().await?;
    let client = berth.client()?;
    sign_up(&client, "late").await?;
    logged(&berth, &["post.server.down"]).await?;
    client.advance(3600).await?;
    logged(&berth, &["post.given_up", "too old"]).await?;
    let failed = listed(&mut berth, true)?;
    ensure!(failed.len() == 1 && failed[0][4] == "code" && failed[0][5] == "given up", "{failed:?}");
    let (well, said) = operator(&mut berth, &["letters", "resend", &failed[0][0]])?;
    ensure!(!well && said.contains("is forgotten"), "{said}");
    let (well, said) = operator(&mut berth, &["letters", "resend", "--failed"])?;
    ensure!(well && said.contains("0 sent again, 1 not"), "{said}");
    let (status, _) = client.get("/health").await?;
    ensure!(
        status == 200 && client.request(Method::GET, "/readiness").send().await?.status() == 200,
        "letters make nobody unready"
    );
    berth.assert_alive()
}
