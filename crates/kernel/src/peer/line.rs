//! One request to one of a service's replicas.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use thread_local::ThreadLocal;

use super::Replicas;
use crate::{
    random,
    service::{SERVICE_HEADER, ServiceSigner},
};

/// Further tries of a call that may be repeated.
const MORE_TRIES: u32 = 2;
/// First pause before a further try; it doubles, and is shortened at random by up to half.
const PAUSE: Duration = Duration::from_millis(40);

/// When a request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// It does no harm twice: also after a lost connection or 503.
    Safe,
    /// Only when nothing was sent, because no connection could be made.
    Unsent,
}

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No replica was tried: the breakers of all are open.
    #[error("no replica has answered for a while")]
    Open,
    /// No connection could be made.
    #[error("no replica can be reached")]
    Unreachable,
    /// The connection was lost before the answer was whole.
    #[error("the connection was lost")]
    Lost,
    /// It did not answer in time.
    #[error("no answer in time")]
    Late,
    /// It is about to stop or can't work.
    #[error("it answers 503")]
    Unready,
}

impl Failure {
    /// Its name in metrics.
    pub const fn outcome(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Late => "timeout",
            Self::Unreachable | Self::Lost | Self::Unready => "failed",
        }
    }
}

/// An answer: its status, headers and whole body.
pub type Answer = http::Response<Bytes>;

/// A request to send.
pub struct Call<'a> {
    /// The method.
    pub method: Method,
    /// Path and query under the base URL.
    pub path: &'a str,
    /// Headers; the credential is added.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// When it may be sent again.
    pub repeat: Repeat,
    /// When an answer is of no use any more.
    pub deadline: Instant,
}

/// The line to a service: pooled connections, a fresh credential in every request.
#[derive(Clone)]
pub struct Line {
    /// One a thread: a connection belongs to the runtime that opened it, and some threads have a runtime of their own.
    http: Arc<ThreadLocal<reqwest::Client>>,
    signer: ServiceSigner,
    replicas: Replicas,
}

enum Sent {
    Answer(Answer),
    /// Nothing was sent.
    Refused,
    Failed(Failure),
}

impl Line {
    /// A line to a service at these base URLs.
    pub fn new(signer: ServiceSigner, service: &str, urls: &[String]) -> Result<Self, reqwest::Error> {
        let http = Arc::new(ThreadLocal::new());
        http.get_or_try(client)?;
        Ok(Self { http, signer, replicas: Replicas::new(service, urls) })
    }

    /// The service's replicas.
    pub fn replicas(&self) -> &Replicas {
        &self.replicas
    }

    /// A credential for the service.
    pub fn credential(&self) -> Arc<str> {
        self.signer.credential(self.replicas.service())
    }

    /// Sends a request; a replica that can't be reached is passed over at once.
    pub async fn send(&self, call: Call<'_>) -> Result<Answer, Failure> {
        let mut tries = 0;
        loop {
            let failure = match self.try_once(&call, tries).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let again = match call.repeat {
                Repeat::Safe => failure != Failure::Open,
                Repeat::Unsent => failure == Failure::Unreachable,
            };
            let pause = pause(tries);
            if !again || tries >= MORE_TRIES || Instant::now() + pause >= call.deadline {
                return Err(failure);
            }
            tokio::time::sleep(pause).await;
            tries += 1;
        }
    }

    async fn try_once(&self, call: &Call<'_>, tries: u32) -> Result<Answer, Failure> {
        let mut failure = Failure::Open;
        for replica in self.replicas.in_turn() {
            let left = call.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::Late);
            }
            // A replica that says nothing may only cost half of the time when another can be asked.
            let is_first_of_several = tries == 0 && call.repeat == Repeat::Safe && self.replicas.is_several();
            let patience = if is_first_of_several { left / 2 } else { left };
            let sent = tokio::time::timeout(patience, self.one(replica.base(), call)).await;
            match sent.unwrap_or(Sent::Failed(Failure::Late)) {
                Sent::Answer(answer) => {
                    replica.answered();
                    return Ok(answer);
                }
                Sent::Refused => {
                    replica.failed();
                    failure = Failure::Unreachable;
                }
                Sent::Failed(failure) => {
                    replica.failed();
                    return Err(failure);
                }
            }
        }
        Err(failure)
    }

    async fn one(&self, base: &str, call: &Call<'_>) -> Sent {
        let Ok(http) = self.http.get_or_try(client) else { return Sent::Refused };
        let request = http.request(call.method.clone(), format!("{base}{}", call.path));
        let mut headers = call.headers.clone();
        if let Ok(credential) = HeaderValue::from_str(&self.credential()) {
            headers.insert(SERVICE_HEADER, credential);
        }
        match request.headers(headers).body(call.body.clone()).send().await {
            Ok(response) if response.status() == StatusCode::SERVICE_UNAVAILABLE => Sent::Failed(Failure::Unready),
            Ok(response) => read(response).await.map_or(Sent::Failed(Failure::Lost), Sent::Answer),
            Err(error) if error.is_connect() => Sent::Refused,
            Err(_) => Sent::Failed(Failure::Lost),
        }
    }
}

fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .http1_only()
        .tcp_nodelay(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(1))
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(256)
        .build()
}

async fn read(response: reqwest::Response) -> Option<Answer> {
    let (status, headers) = (response.status(), response.headers().clone());
    let mut answer = http::Response::new(response.bytes().await.ok()?);
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    Some(answer)
}

fn pause(tries: u32) -> Duration {
    let [share] = random::bytes::<1>();
    PAUSE.saturating_mul(1 << tries.min(4)).mul_f64(1.0 - f64::from(share) / 512.0)
}
