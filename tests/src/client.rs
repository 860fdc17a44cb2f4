//! GraphQL over HTTP, and the plain addresses beside it.

use std::{fmt, time::Duration};

use anyhow::{Context, bail};
use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::world::CLOCK_SPREADS_WITHIN;

/// A client of one Berth, with or without a token. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
}

/// An answer of `/graphql`.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The JSON body; null when it is none.
    pub body: Value,
    /// The body as it came.
    pub text: String,
}

/// A refusal that is data.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// Its type in the graph.
    pub type_name: String,
    /// Its stable code.
    pub code: String,
    /// The whole object.
    pub body: Value,
}

/// What a mutation ended in.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The success member of the union.
    Done(Value),
    /// A typed refusal.
    Refused(Refusal),
}

/// Our own fault: an error where data was expected.
#[derive(Debug, Clone)]
pub struct Fault {
    /// HTTP status.
    pub status: u16,
    /// `extensions.code` of the first error; empty when there is none.
    pub code: String,
    /// The answer as it came.
    pub text: String,
}

impl Fault {
    /// The fault that an answer with this status and text is.
    pub fn of(status: u16, text: String) -> Self {
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        let code = [&body["errors"][0]["extensions"]["code"], &body["extensions"]["code"], &body["code"]]
            .into_iter()
            .find_map(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        Self { status, code, text }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}: {}", self.status, self.text)
    }
}

impl std::error::Error for Fault {}

/// What kind of bad end this is: the code of a typed error, `UNTYPED`, `CONNECT` when nobody listens, `LOST` when the
/// connection broke before the answer, or `LATE` when what was waited for had not come yet.
pub fn kind_of(error: &anyhow::Error) -> String {
    if let Some(fault) = error.downcast_ref::<Fault>() {
        return if fault.code.is_empty() { format!("UNTYPED HTTP {}", fault.status) } else { fault.code.clone() };
    }
    let kind = match error.downcast_ref::<reqwest::Error>() {
        Some(broken) if broken.is_connect() => "CONNECT",
        Some(_) => "LOST",
        None => "LATE",
    };
    kind.to_owned()
}

impl Outcome {
    /// The success, or an error that tells of the refusal.
    pub fn done(self) -> anyhow::Result<Value> {
        match self {
            Self::Done(value) => Ok(value),
            Self::Refused(refusal) => bail!("refused: {} {}", refusal.type_name, refusal.body),
        }
    }

    /// The refusal, or an error that tells of the success.
    pub fn refused(self) -> anyhow::Result<Refusal> {
        match self {
            Self::Refused(refusal) => Ok(refusal),
            Self::Done(value) => bail!("expected a refusal, got {value}"),
        }
    }
}

impl Answer {
    /// The data, when there is no error.
    pub fn data(self) -> anyhow::Result<Value> {
        if self.body.get("errors").is_some_and(|errors| !errors.is_null()) || self.body.get("data").is_none_or(Value::is_null) {
            return Err(Fault::of(self.status, self.text).into());
        }
        let mut body = self.body;
        Ok(body["data"].take())
    }

    /// `extensions.code` of the first error.
    pub fn error_code(&self) -> Option<&str> {
        self.body["errors"][0]["extensions"]["code"].as_str()
    }

    /// The answer must be an error with a code that is the client's fault, not ours: answers the code.
    pub fn refusal_code(&self) -> anyhow::Result<String> {
        let code =
            self.error_code().with_context(|| format!("expected a typed error, got HTTP {} {}", self.status, self.text))?;
        if matches!(code, "SERVICE_UNAVAILABLE" | "INTERNAL_SERVER_ERROR" | "INTERNAL" | "") {
            bail!("expected a refusal, got our own fault: {}", self.text);
        }
        Ok(code.to_owned())
    }
}

impl Client {
    /// A client of the Berth at this address.
    pub fn new(url: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .tcp_nodelay(true)
            .pool_max_idle_per_host(256)
            .connect_timeout(Duration::from_secs(5))
            .build()?;
        Ok(Self { http, url: url.to_owned(), token: None })
    }

    /// The same client with a token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same client without a token.
    #[must_use]
    pub fn anonymous(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    /// The token.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The address of Berth.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A request to any path, without the token.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).timeout(Duration::from_secs(30))
    }

    /// A `POST /graphql` without a time limit, for streams.
    pub fn stream(&self, accept: &str, query: &str, variables: &Value) -> reqwest::RequestBuilder {
        let request = self.http.post(format!("{}/graphql", self.url)).header(header::ACCEPT, accept);
        self.signed(request).json(&json!({ "query": query, "variables": variables }))
    }

    fn signed(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends one operation.
    pub async fn send(&self, query: &str, variables: Value) -> anyhow::Result<Answer> {
        let request = self.request(Method::POST, "/graphql").json(&json!({ "query": query, "variables": variables }));
        answer(self.signed(request).send().await?).await
    }

    /// Sends a body as it is.
    pub async fn send_body(&self, body: impl Into<reqwest::Body>) -> anyhow::Result<Answer> {
        let request = self.request(Method::POST, "/graphql").header(header::CONTENT_TYPE, "application/json").body(body);
        answer(self.signed(request).send().await?).await
    }

    /// Sends a query and takes its data; an error is an error.
    pub async fn query(&self, query: &str, variables: Value) -> anyhow::Result<Value> {
        self.send(query, variables).await?.data()
    }

    /// Sends a mutation of one field. An error is our own fault or a lost answer; everything else is an [`Outcome`].
    pub async fn mutate(&self, document: &str, input: Value) -> anyhow::Result<Outcome> {
        let mut data = self.query(document, json!({ "input": input })).await?;
        let fields = data.as_object_mut().context("no object")?;
        let (_, body) = std::mem::take(fields).into_iter().next().context("an empty answer")?;
        let type_name = body["__typename"].as_str().context("no __typename")?.to_owned();
        if type_name.ends_with("Success") {
            return Ok(Outcome::Done(body));
        }
        let code = body["code"]
            .as_str()
            .filter(|code| !code.is_empty())
            .with_context(|| format!("an untyped refusal: {body}"))?
            .to_owned();
        Ok(Outcome::Refused(Refusal { type_name, code, body }))
    }

    /// A GET of any path: status and text.
    pub async fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let response = self.request(Method::GET, path).send().await?;
        Ok((response.status().as_u16(), response.text().await?))
    }

    /// A POST without a body to any path: status and text.
    pub async fn post(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let response = self.request(Method::POST, path).send().await?;
        Ok((response.status().as_u16(), response.text().await?))
    }

    /// Moves the clock of all of Berth.
    pub async fn advance(&self, secs: i64) -> anyhow::Result<()> {
        let (status, text) = self.post(&format!("/dev/clock?advance_secs={secs}")).await?;
        anyhow::ensure!(status / 100 == 2, "/dev/clock: HTTP {status} {text}");
        tokio::time::sleep(CLOCK_SPREADS_WITHIN).await;
        Ok(())
    }

    /// The letters that were caught for an address, newest first.
    pub async fn letters(&self, to: &str) -> anyhow::Result<Vec<Value>> {
        let to = to.replace('+', "%2B").replace('@', "%40");
        let response = self.request(Method::GET, &format!("/dev/mail.json?to={to}")).send().await?;
        let body: Value = response.json().await?;
        Ok(body.as_array().context("the letters are no list")?.clone())
    }
}

async fn answer(response: reqwest::Response) -> anyhow::Result<Answer> {
    let status = response.status().as_u16();
    let text = response.text().await?;
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Ok(Answer { status, body, text })
}
