//! One request to one of a service's replicas.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use thread_local::ThreadLocal;

use super::{Replica, Replicas, Standing};
use crate::{
    metrics, random,
    service::{REFUSED_HEADER, SERVICE_HEADER, ServiceSigner},
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
    /// Nothing ran: no replica that was asked takes this process's credential.
    #[error("no replica takes the credential of this process")]
    LockedOut,
}

impl Failure {
    /// Its name in metrics.
    pub const fn outcome(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Late => "timeout",
            Self::LockedOut => "locked_out",
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

impl Line {
    /// A line to a service at these base URLs.
    pub fn new(signer: ServiceSigner, service: &str, urls: &[String]) -> Result<Self, reqwest::Error> {
        metrics::calls_begin(service);
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

    /// How the other processes receive this one.
    pub fn standing(&self) -> &Standing {
        self.signer.standing()
    }

    /// Sends a request; a replica that can't be reached, or does not know this process, is passed over at once.
    pub async fn send(&self, call: Call<'_>) -> Result<Answer, Failure> {
        let mut tries = 0;
        loop {
            let failure = match self.try_once(&call, tries).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let again = match call.repeat {
                Repeat::Safe => !matches!(failure, Failure::Open | Failure::LockedOut),
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
            let patience = self.patience(call, tries).ok_or(Failure::Late)?;
            let sent = tokio::time::timeout(patience, self.one(replica.base(), call)).await;
            match self.noted(replica, sent.unwrap_or(Err(Failure::Late))) {
                // Nothing ran there, so this is no second time.
                Err(passed_over @ (Failure::Unreachable | Failure::LockedOut)) => failure = passed_over,
                sent => return sent,
            }
        }
        Err(failure)
    }

    /// Sends a request once, to the replica whose turn it is, and hands on the pieces of its answer as they come. Pieces of an
    /// answer whose status is not 200 are dropped.
    pub(super) async fn stream(&self, call: &Call<'_>, mut take: impl FnMut(Bytes)) -> Result<StatusCode, Failure> {
        let replica = self.replicas.in_turn().next().ok_or(Failure::Open)?;
        let patience = self.patience(call, 0).ok_or(Failure::Late)?;
        let streamed = async {
            let mut response = self.open(replica.base(), call).await?;
            while let Some(piece) = response.chunk().await.map_err(|_| Failure::Lost)? {
                if response.status() == StatusCode::OK {
                    take(piece);
                }
            }
            Ok(response.status())
        };
        self.noted(replica, tokio::time::timeout(patience, streamed).await.unwrap_or(Err(Failure::Late)))
    }

    /// A replica does not take the credential of this process: others are asked, and this process asks itself why.
    pub fn locked_out(&self, replica: &Replica) {
        replica.refused();
        self.standing().doubt();
    }

    /// Tells the breaker of a replica what came of a request to it.
    fn noted<T>(&self, replica: &Replica, sent: Result<T, Failure>) -> Result<T, Failure> {
        match &sent {
            Ok(_) => replica.answered(),
            Err(Failure::LockedOut) => self.locked_out(replica),
            Err(_) => replica.failed(),
        }
        sent
    }

    /// How long a replica may take. One that says nothing may only cost half of the time when another can be asked.
    fn patience(&self, call: &Call<'_>, tries: u32) -> Option<Duration> {
        let left = call.deadline.saturating_duration_since(Instant::now());
        let is_first_of_several = tries == 0 && call.repeat == Repeat::Safe && self.replicas.is_several();
        (!left.is_zero()).then_some(if is_first_of_several { left / 2 } else { left })
    }

    async fn one(&self, base: &str, call: &Call<'_>) -> Result<Answer, Failure> {
        let response = self.open(base, call).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut answer = http::Response::new(response.bytes().await.map_err(|_| Failure::Lost)?);
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }

    /// Sends a request, and waits for the head of its answer.
    async fn open(&self, base: &str, call: &Call<'_>) -> Result<reqwest::Response, Failure> {
        let response = self.ask(base, call).await?;
        if response.headers().contains_key(REFUSED_HEADER) {
            return Err(Failure::LockedOut);
        }
        if response.status() == StatusCode::SERVICE_UNAVAILABLE { Err(Failure::Unready) } else { Ok(response) }
    }

    /// The head of an answer, whatever it says.
    pub(super) async fn ask(&self, base: &str, call: &Call<'_>) -> Result<reqwest::Response, Failure> {
        let http = self.http.get_or_try(client).map_err(|_| Failure::Unreachable)?;
        let request = http.request(call.method.clone(), format!("{base}{}", call.path));
        let mut headers = call.headers.clone();
        if let Ok(credential) = HeaderValue::from_str(&self.credential()) {
            headers.insert(SERVICE_HEADER, credential);
        }
        let sent = request.headers(headers).body(call.body.clone()).send().await;
        sent.map_err(|error| if error.is_connect() { Failure::Unreachable } else { Failure::Lost })
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

fn pause(tries: u32) -> Duration {
    let [share] = random::bytes::<1>();
    PAUSE.saturating_mul(1 << tries.min(4)).mul_f64(1.0 - f64::from(share) / 512.0)
}
