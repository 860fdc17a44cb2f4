//! Pictures of people, as a front end sends and shows them.

use std::io::Cursor;

use anyhow::Context;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use reqwest::{Method, Response, header};
use serde_json::Value;

use crate::{client::Client, person::Person};

/// A picture file: the upper half of one colour, the lower half of another.
pub fn picture(format: ImageFormat) -> anyhow::Result<Vec<u8>> {
    let image = RgbImage::from_fn(300, 200, |_, y| if y < 100 { Rgb([250, 10, 10]) } else { Rgb([10, 10, 250]) });
    let mut file = Cursor::new(Vec::new());
    DynamicImage::from(image).write_to(&mut file, format)?;
    Ok(file.into_inner())
}

/// Sends a file as the client's picture.
pub async fn send(client: &Client, content_type: &str, file: Vec<u8>) -> anyhow::Result<Response> {
    let mut request = client.request(Method::POST, "/me/avatar").header(header::CONTENT_TYPE, content_type).body(file);
    if let Some(token) = client.token() {
        request = request.bearer_auth(token);
    }
    Ok(request.send().await?)
}

/// Status and code of a refusal.
pub async fn refusal(response: Response) -> anyhow::Result<(u16, String)> {
    let status = response.status().as_u16();
    let body: Value = response.json().await?;
    let code = body["errors"][0]["extensions"]["code"].as_str().with_context(|| format!("no code: {body}"))?;
    Ok((status, code.to_owned()))
}

/// Gives a person a picture; answers the path of its address.
pub async fn set(person: &Person, file: Vec<u8>, content_type: &str) -> anyhow::Result<String> {
    let response = send(&person.client, content_type, file).await?;
    anyhow::ensure!(response.status() == 201, "HTTP {}: {}", response.status(), response.text().await?);
    let body: Value = response.json().await?;
    let url = body["avatarUrl"].as_str().with_context(|| body.to_string())?;
    let path = url.strip_prefix(person.client.url()).with_context(|| format!("{url} is not of {}", person.client.url()))?;
    Ok(path.to_owned())
}

/// What is at the address of a picture, as a browser without a token gets it that knows `tag` already.
pub async fn get(client: &Client, path: &str, tag: Option<&str>) -> anyhow::Result<Response> {
    let request = client.request(Method::GET, path);
    let request = tag.into_iter().fold(request, |request, tag| request.header(header::IF_NONE_MATCH, tag));
    Ok(request.send().await?)
}

/// The file at the address of a picture.
pub async fn file(client: &Client, path: &str) -> anyhow::Result<Vec<u8>> {
    let response = get(client, path, None).await?.error_for_status()?;
    Ok(response.bytes().await?.to_vec())
}
