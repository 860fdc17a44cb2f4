//! Pictures of people over HTTP, as a front end and an attacker meet them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

use anyhow::{Context, ensure};
use berth_tests::{
    access::cast::grant,
    in_both_arms,
    person::Person,
    pictures::{file, get, picture, refusal, send, set},
    process::Arm,
};
use image::ImageFormat;
use reqwest::{Method, header};
use serde_json::{Value, json};

in_both_arms!(a_picture_goes_in_and_out, a_picture_is_its_persons_own, what_is_no_picture_stays_outside);

const ME: &str = "{ me { avatarUrl } }";
const REMOVE: &str = "mutation { removeAvatar { __typename ... on RemoveAvatarSuccess { user { avatarUrl } } } }";
const LIST: &str = "query($search: String) { accounts(search: $search) { nodes { avatarUrl } } }";
const SUSPEND: &str = "mutation($input: SuspendAccountInput!) { suspendAccount(input: $input) { __typename \
     ... on SuspendAccountSuccess { account { avatarUrl } } ... on UserError { code } } }";

async fn shown(person: &Person) -> anyhow::Result<Option<String>> {
    let me = person.client.query(ME, json!({})).await?;
    let url = &me["me"]["avatarUrl"];
    ensure!(url.is_null() || url.is_string(), "{me}");
    Ok(url.as_str().map(|url| url.trim_start_matches(person.client.url()).to_owned()))
}

async fn a_picture_goes_in_and_out(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let person = Person::sign_up(&client, "painted").await?;
    ensure!(shown(&person).await?.is_none());
    let first = set(&person, picture(ImageFormat::Jpeg)?, "image/jpeg").await?;
    ensure!(shown(&person).await?.as_ref() == Some(&first));

    let response = get(&client, &first, None).await?;
    let head = |name: header::HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    ensure!(response.status() == 200 && head(header::CONTENT_TYPE) == "image/jpeg", "{response:?}");
    ensure!(head(header::CACHE_CONTROL) == "public, max-age=31536000, immutable", "{response:?}");
    ensure!(head(header::X_CONTENT_TYPE_OPTIONS) == "nosniff", "{response:?}");
    ensure!(head(header::CONTENT_SECURITY_POLICY).starts_with("default-src 'none';"), "{response:?}");
    let tag = head(header::ETAG).to_owned();
    let image = image::load_from_memory_with_format(&response.bytes().await?, ImageFormat::Jpeg)?.to_rgb8();
    ensure!(image.dimensions() == (256, 256));
    ensure!(image.get_pixel(128, 20).0[0] > 200 && image.get_pixel(128, 230).0[2] > 200, "another picture");
    let again = get(&client, &first, Some(&tag)).await?;
    ensure!(again.status() == 304 && again.headers().contains_key(header::ETAG), "{again:?}");
    ensure!(again.bytes().await?.is_empty());
    let head = client.request(Method::HEAD, &first).send().await?;
    ensure!(head.status() == 200 && head.bytes().await?.is_empty());

    let second = set(&person, picture(ImageFormat::WebP)?, "image/webp").await?;
    ensure!(second != first && shown(&person).await?.as_ref() == Some(&second));
    ensure!(get(&client, &first, Some(&tag)).await?.status() == 404, "a replaced picture is still there");
    let removed = person.client.query(REMOVE, json!({})).await?;
    ensure!(removed["removeAvatar"]["user"] == json!({ "avatarUrl": null }), "{removed}");
    ensure!(get(&client, &second, None).await?.status() == 404, "a removed picture is still there");
    berth.assert_alive()
}

async fn a_picture_is_its_persons_own(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let (siti, budi) = (Person::sign_up(&client, "siti").await?, Person::sign_up(&client, "budi").await?);
    let mut admin = Person::sign_up(&client, "desk").await?;
    grant(&mut berth, &admin.email, "ADMIN")?;
    admin.refresh().await?;
    let own = set(&siti, picture(ImageFormat::Png)?, "image/png").await?;
    let before = file(&client, &own).await?;
    let theirs = set(&budi, picture(ImageFormat::Png)?, "image/png").await?;
    ensure!(theirs != own, "two people share an address");
    budi.client.query(REMOVE, json!({})).await?;
    ensure!(file(&client, &own).await? == before && shown(&siti).await?.as_ref() == Some(&own), "another person changed it");
    ensure!(shown(&budi).await?.is_none());
    let seen = admin.client.query(LIST, json!({ "search": siti.email })).await?;
    ensure!(seen["accounts"]["nodes"] == json!([{ "avatarUrl": format!("{}{own}", client.url()) }]), "{seen}");

    for (token, code) in [(None, "UNAUTHENTICATED"), (Some("made.up.token"), "TOKEN_INVALID")] {
        let sender = token.map_or_else(|| client.anonymous(), |token| client.with_token(token));
        let refused = refusal(send(&sender, "image/png", picture(ImageFormat::Png)?).await?).await?;
        ensure!(refused == (401, code.to_owned()), "{refused:?}");
    }
    admin.client.mutate(SUSPEND, json!({ "accountId": siti.id })).await?.done()?;
    let response = send(&siti.client, "image/png", picture(ImageFormat::Png)?).await?;
    ensure!([401, 403].contains(&response.status().as_u16()), "a suspended person is let in: {response:?}");
    ensure!(file(&client, &own).await? == before);
    client.advance(601).await?;
    let refused = refusal(send(&budi.client, "image/png", picture(ImageFormat::Png)?).await?).await?;
    ensure!(refused == (401, "TOKEN_EXPIRED".to_owned()), "{refused:?}");
    berth.assert_alive()
}

async fn what_is_no_picture_stays_outside(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.setup().env("BERTH_ALLOWED_ORIGINS", "https://shop.example").start().await?;
    let client = berth.client()?;
    let person = Person::sign_up(&client, "sly").await?;
    let png = picture(ImageFormat::Png)?;
    let cases = [
        ("image/png", b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(), 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("text/html", png.clone(), 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("image/png", png[..png.len() / 2].to_vec(), 422, "IMAGE_UNREADABLE"),
        ("image/png", [png.clone(), vec![0; 256 * 1024]].concat(), 413, "BODY_TOO_LARGE"),
    ];
    for (content_type, body, status, code) in cases {
        let refused = refusal(send(&person.client, content_type, body).await?).await?;
        ensure!(refused == (status, code.to_owned()), "{content_type}: {refused:?}");
    }
    let response = send(&person.client, "image/png", png[..40].to_vec()).await?;
    let id = response.headers().get("x-request-id").and_then(|id| id.to_str().ok()).context("no request id")?.to_owned();
    let body: Value = response.json().await?;
    ensure!(body["errors"][0]["extensions"]["requestId"] == id, "{body}");
    ensure!(shown(&person).await?.is_none());

    let asked = client
        .request(Method::OPTIONS, "/me/avatar")
        .header(header::ORIGIN, "https://shop.example")
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
        .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization,content-type")
        .send()
        .await?;
    let allowed = asked.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    ensure!(asked.status() == 204 && allowed.is_some_and(|origin| origin == "https://shop.example"), "{asked:?}");

    let mut statuses = Vec::new();
    for _ in 0..10 {
        statuses.push(send(&person.client, "image/png", png.clone()).await?.status().as_u16());
    }
    ensure!(statuses.contains(&201) && statuses.last() == Some(&429), "{statuses:?}");
    berth.assert_alive()
}
