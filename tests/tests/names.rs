//! Other names than an e-mail address, as a front end uses them: through the public addresses and the caught text messages.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::time::Duration;

use anyhow::ensure;
use berth_tests::{client::Client, documents, eventually, in_both_arms, process::Arm};
use serde_json::{Value, json};

in_both_arms!(somebody_signs_up_by_phone);

const NUMBER: &str = "+628990001122";
const PASSWORD: &str = "correct horse battery staple 7";
const BY_PHONE: &str = "mutation($input: SignUpByPhoneInput!) { signUpByPhone(input: $input) { __typename
  ... on SignUpSuccess { flowId } ... on UserError { code message path } } }";

async fn somebody_signs_up_by_phone(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let flow = client.mutate(BY_PHONE, json!({ "phone": "+62 899-000-1122", "password": PASSWORD })).await?.done()?;
    let code = texted_code(&client).await?;
    let session = client.mutate(documents::VERIFY_OTP, json!({ "flowId": flow["flowId"], "code": code })).await?.done()?;
    let (token, id) = (session["session"]["accessToken"].as_str().unwrap(), &session["user"]["id"]);
    let me = client.with_token(token).query("{ me { id email phone } }", Value::Null).await?;
    ensure!(me["me"] == json!({ "id": id, "email": "", "phone": NUMBER }), "{me}");
    let again = client.mutate(documents::SIGN_IN, json!({ "email": NUMBER, "password": PASSWORD })).await?.done()?;
    ensure!(again["user"]["id"] == *id, "{again}");
    let (status, page) = client.get("/stop-change").await?;
    ensure!(status == 200 && page.contains("stopContactChange"), "the page of a link that stops a change: {status}");
    berth.assert_alive()
}

async fn texted_code(client: &Client) -> anyhow::Result<String> {
    let path = format!("/dev/sms.json?to={}", NUMBER.replace('+', "%2B"));
    eventually("the text message", Duration::from_secs(20), || async {
        let messages: Value = serde_json::from_str(&client.get(&path).await?.1)?;
        let text = messages[0]["text"].as_str().and_then(|text| text.split_whitespace().next());
        Ok(text.filter(|word| word.len() == 6).map(str::to_owned))
    })
    .await
}
