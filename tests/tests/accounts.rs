//! Devices, passwords and links, as a front end uses them: through the public addresses, the mail and the page of the link.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::time::Duration;

use anyhow::{Context, ensure};
use berth_tests::{
    client::Client,
    documents, eventually, in_both_arms,
    person::{PASSWORD, Person, next_number},
    process::Arm,
};
use reqwest::Method;
use serde_json::{Value, json};

in_both_arms!(
    a_lost_device_is_signed_out,
    a_forgotten_password_is_replaced_by_a_link,
    the_first_letter_is_in_the_language_of_the_browser
);

const NEW_PASSWORD: &str = "an even newer battery staple 8";
const SESSIONS: &str = "{ me { sessions { nodes { id device current } } } }";
const REVOKE: &str = "mutation($input: RevokeSessionInput!) { revokeSession(input: $input) { __typename \
     ... on RevokeSessionSuccess { revokedId } ... on UserError { code } } }";
const REQUEST: &str = "mutation($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) { __typename \
     ... on RequestPasswordResetSuccess { accepted } ... on UserError { code } } }";
const RESET: &str = "mutation($input: ResetPasswordInput!) { resetPassword(input: $input) { __typename \
     ... on ResetPasswordSuccess { reset } ... on UserError { code } } }";

async fn a_lost_device_is_signed_out(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let mut lost = Person::sign_up(&client, "forgetful").await?;
    let here = Person::sign_in(&client, &lost.email).await?;
    let data = here.client.query(SESSIONS, json!({})).await?;
    let listed = data["me"]["sessions"]["nodes"].as_array().context("no list")?;
    ensure!(listed.len() == 2 && listed[0]["current"] == true && listed[1]["current"] == false, "{data}");
    let stranger = Person::sign_up(&client, "stranger").await?;
    let input = json!({ "sessionId": listed[1]["id"] });
    ensure!(stranger.client.mutate(REVOKE, input.clone()).await?.refused()?.code == "NOT_FOUND");
    ensure!(here.client.mutate(REVOKE, input).await?.done()?["revokedId"] == listed[1]["id"]);
    let refused = lost.refresh().await.err().context("the lost device goes on")?;
    ensure!(format!("{refused:#}").contains("SESSION_REVOKED"), "{refused:#}");
    berth.assert_alive()
}

async fn a_forgotten_password_is_replaced_by_a_link(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let person = Person::sign_up(&client, "forgetful").await?;
    ensure!(client.mutate(REQUEST, json!({ "email": "nobody@example.org" })).await?.done()?["accepted"] == true);
    ensure!(client.mutate(REQUEST, json!({ "email": person.email })).await?.done()?["accepted"] == true);
    let link = mailed_link(&client, &person.email).await?;
    let (page, token) = link.split_once("#token=").context("a link without a token")?;
    let (status, html) =
        client.get(page.strip_prefix(client.url()).with_context(|| format!("a link to elsewhere: {page}"))?).await?;
    ensure!(status == 200 && html.contains("resetPassword"), "the page of the link answers {status}");
    let input = json!({ "token": token, "newPassword": NEW_PASSWORD });
    ensure!(client.mutate(RESET, input.clone()).await?.done()?["reset"] == true);
    ensure!(client.mutate(RESET, input).await?.refused()?.code == "RESET_TOKEN_INVALID");
    ensure!(Person::sign_in(&client, &person.email).await.is_err(), "the old password still works");
    let signed_in = json!({ "email": person.email, "password": NEW_PASSWORD });
    client.mutate(documents::SIGN_IN, signed_in).await?.done()?;
    berth.assert_alive()
}

async fn the_first_letter_is_in_the_language_of_the_browser(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    for (header, greeting) in [("id-ID,id;q=0.9,en;q=0.8", "lang=\"id\""), ("de,en;q=0.5", "lang=\"en\"")] {
        let email = format!("reader-{}@example.org", next_number());
        let body = json!({ "query": documents::SIGN_UP, "variables": { "input": { "email": email, "password": PASSWORD } } });
        let request = client.request(Method::POST, "/graphql").header("accept-language", header).json(&body);
        let answer: Value = request.send().await?.json().await?;
        ensure!(answer["data"]["signUp"]["__typename"] == "SignUpSuccess", "{answer}");
        let html = eventually("the letter", Duration::from_secs(20), || async {
            Ok(client.letters(&email).await?.first().and_then(|letter| letter["html"].as_str().map(str::to_owned)))
        })
        .await?;
        ensure!(html.contains(greeting), "{header}: {html}");
    }
    berth.assert_alive()
}

async fn mailed_link(client: &Client, email: &str) -> anyhow::Result<String> {
    let link =
        |letter: &Value| letter["text"].as_str()?.split_whitespace().find(|word| word.contains("#token=")).map(str::to_owned);
    eventually("the letter with the link", Duration::from_secs(20), || async {
        Ok(client.letters(email).await?.iter().find_map(link))
    })
    .await
}
