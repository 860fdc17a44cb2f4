//! How the other processes receive this one, and what time they have.
//!
//! Every few seconds a process asks each replica of each service that is elsewhere for the time, with its own credential. When more refuse
//! than accept it, this process is the one that is wrong: its keys, or its clock. Then it is unready, admits nobody, and holds its
//! timed work, so that what others can do is left to them. Outcasts have no say.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use chrono::TimeDelta;
use futures_util::future::join_all;
use http::{HeaderMap, HeaderName, Method};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Call, Line, Repeat};
use crate::{
    agreed_time::{AgreedTime, Sample},
    clock::Clock,
    jobs::Background,
    server::{credential, forbidden},
    service::{CredentialError, REFUSED_HEADER, ServiceVerifier},
};

/// Where a service tells the time to whoever has a credential, and why not to others.
pub const PATH: &str = "/peer/time";
/// The agreed time in milliseconds since 1970, in every answer to that question.
const TIME_MS: HeaderName = HeaderName::from_static("x-berth-time-ms");
/// How often a process asks.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// How soon it asks again after a refusal: longer than a verifier waits before it reads its keys again.
const ASK_AGAIN: Duration = Duration::from_millis(1_200);
const ASK_WITHIN: Duration = Duration::from_secs(1);
/// Before it serves, a process waits less: the others may be about to start as well.
const FIRST_WITHIN: Duration = Duration::from_millis(250);
/// One round may meet processes that have not read new keys yet.
const ROUNDS: u32 = 2;
/// A machine that is further off is not fit to serve: a little more, and it is locked out.
const FAR_OFF: TimeDelta = TimeDelta::minutes(1);

/// What is known of a process's place among the others. A clone knows the same.
#[derive(Clone, Default)]
pub struct Standing(Arc<Inner>);

#[derive(Default)]
struct Inner {
    is_outcast: AtomicBool,
    known: Mutex<Known>,
    doubts: Notify,
}

#[derive(Default)]
struct Known {
    /// What the others say, while more of them refuse than accept.
    refusal: Option<Box<str>>,
    /// How far the machine's clock is behind the agreed time, where that was measured.
    off: Option<TimeDelta>,
}

impl Standing {
    /// Whether the others refuse this process.
    pub fn is_outcast(&self) -> bool {
        self.0.is_outcast.load(SeqCst)
    }

    /// How far the machine's clock is behind the agreed time, where that was measured.
    pub fn off(&self) -> Option<TimeDelta> {
        self.0.known.lock().off
    }

    /// Notes how far the machine's clock is behind the agreed time.
    pub fn measured(&self, off: TimeDelta) {
        self.0.known.lock().off = Some(off);
    }

    /// Why this process is not fit to serve, if it is not.
    pub fn problem(&self) -> Option<String> {
        let known = self.0.known.lock();
        let clock = known.off.filter(|off| off.abs() > FAR_OFF).map(told);
        match (&known.refusal, clock) {
            (Some(code), Some(clock)) => Some(format!("the other processes refuse this one ({code}): {clock}")),
            (Some(code), None) => Some(format!(
                "the other processes refuse this one ({code}): it must have the fleet's keys directory, and the right time"
            )),
            (None, clock) => clock,
        }
    }

    /// Somebody refused this process: time to ask all of them.
    pub(super) fn doubt(&self) {
        self.0.doubts.notify_one();
    }

    fn judge(&self, refusal: Option<&str>) {
        self.0.known.lock().refusal = refusal.map(Into::into);
        if self.0.is_outcast.swap(refusal.is_some(), SeqCst) != refusal.is_some() {
            match self.problem() {
                Some(problem) if refusal.is_some() => tracing::error!(problem, "standing.lost"),
                _ => tracing::info!("standing.regained"),
            }
        }
    }
}

/// How far a clock is off, in words.
fn told(off: TimeDelta) -> String {
    let direction = if off < TimeDelta::zero() { "ahead of" } else { "behind" };
    format!("the clock of this machine is {} s {direction} the fleet's", (off.num_milliseconds().abs() + 500) / 1_000)
}

/// The route that tells the time. It answers those too whom nobody knows, and says to them what is wrong.
pub fn routes(services: ServiceVerifier) -> Router {
    let answer = move |headers: HeaderMap| std::future::ready(tell(&services, &headers));
    Router::new().route(PATH, get(answer))
}

fn tell(services: &ServiceVerifier, headers: &HeaderMap) -> Response {
    let known = services.recognise(credential(headers));
    let mut answer = known.map_or_else(forbidden, |_| StatusCode::NO_CONTENT.into_response());
    answer.headers_mut().insert(TIME_MS, services.agreed_now().timestamp_millis().into());
    answer
}

/// What one replica said.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Accepted,
    Refused(Box<str>),
    /// It is away, an outcast itself, or of a release that does not know the question.
    Silent,
}

impl Word {
    fn refusal(&self) -> Option<&str> {
        match self {
            Self::Refused(code) => Some(code),
            Self::Accepted | Self::Silent => None,
        }
    }
}

/// Asks the other processes: at once, so that who is wrong knows it before it serves, and again and again until the background work
/// stops. `time` learns from them where there is no database to learn from.
pub async fn follow(
    lines: Vec<Line>,
    standing: Standing,
    machine: Clock,
    time: Option<Arc<AgreedTime>>,
    background: &Background,
) {
    let own = background.clone();
    let mut watch = Watch { lines, standing, machine, time, background: own.clone(), rounds_refused: 0 };
    if watch.look(FIRST_WITHIN).await == Look::Refused {
        tokio::time::sleep(ASK_AGAIN).await;
        watch.look(ASK_WITHIN).await;
    }
    background.spawn(async move {
        while !own.is_stopped() {
            let looked = watch.look(ASK_WITHIN).await;
            let pause = if looked == Look::Accepted { ASK_EVERY } else { ASK_AGAIN };
            tokio::select! {
                () = own.stopped() => {}
                () = tokio::time::sleep(pause) => {}
                () = doubts(&watch.standing), if looked == Look::Accepted => {}
            }
        }
    });
}

/// What a round of questions came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Accepted,
    Refused,
    Silent,
}

struct Watch {
    lines: Vec<Line>,
    standing: Standing,
    machine: Clock,
    time: Option<Arc<AgreedTime>>,
    background: Background,
    rounds_refused: u32,
}

impl Watch {
    async fn look(&mut self, patience: Duration) -> Look {
        let (words, samples) = ask_all(&self.lines, &self.machine, patience).await;
        if let Some(time) = &self.time {
            time.hear(samples);
        }
        let refusal = verdict(&words);
        self.rounds_refused = if refusal.is_some() { self.rounds_refused + 1 } else { 0 };
        if self.rounds_refused == 0 || self.rounds_refused >= ROUNDS {
            self.standing.judge(refusal);
            self.background.hold(refusal.is_some());
        }
        match refusal {
            Some(_) => Look::Refused,
            None if words.contains(&Word::Accepted) => Look::Accepted,
            None => Look::Silent,
        }
    }
}

/// A refusal that some call met. Verifiers are given time to read their keys.
async fn doubts(standing: &Standing) {
    standing.0.doubts.notified().await;
    tokio::time::sleep(ASK_AGAIN / 4).await;
}

/// Why this process is refused: more say no than yes. Where as many say both, each side works with its own.
fn verdict(words: &[Word]) -> Option<&str> {
    let accepted = words.iter().filter(|word| **word == Word::Accepted).count();
    let refusals: Vec<&str> = words.iter().filter_map(Word::refusal).collect();
    refusals.first().copied().filter(|_| refusals.len() > accepted)
}

async fn ask_all(lines: &[Line], machine: &Clock, patience: Duration) -> (Vec<Word>, Vec<Sample>) {
    let replicas = lines
        .iter()
        .flat_map(|line| line.replicas().all().iter().map(move |replica| ask(line, replica.base(), machine, patience)));
    let (words, samples): (Vec<_>, Vec<_>) = join_all(replicas).await.into_iter().unzip();
    (words, samples.into_iter().flatten().collect())
}

async fn ask(line: &Line, base: &str, machine: &Clock, patience: Duration) -> (Word, Option<Sample>) {
    let deadline = Instant::now() + patience;
    let body = bytes::Bytes::new();
    let call = Call { method: Method::GET, path: PATH, headers: HeaderMap::new(), body, repeat: Repeat::Safe, deadline };
    let started = Sample::begin(machine);
    let Ok(Ok(response)) = tokio::time::timeout(patience, line.ask(base, &call)).await else { return (Word::Silent, None) };
    let text = |name: &HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok());
    let sample = text(&TIME_MS).and_then(|ms| started.end(ms.parse().ok()?));
    let refused = response.headers().get(REFUSED_HEADER).and_then(|code| code.to_str().ok());
    let word = match refused {
        Some(code) if code == CredentialError::Outcast.code() => Word::Silent,
        Some(code) => Word::Refused(code.into()),
        None if response.status() == StatusCode::NO_CONTENT => Word::Accepted,
        None => Word::Silent,
    };
    (word, sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_refused_by_more_than_accept_is_an_outcast() {
        let refused = || Word::Refused("SERVICE_CREDENTIAL_INVALID".into());
        assert_eq!(verdict(&[refused(), Word::Silent]), Some("SERVICE_CREDENTIAL_INVALID"));
        assert_eq!(verdict(&[refused(), Word::Accepted]), None, "then it may be the other one that is wrong");
        assert!(verdict(&[refused(), Word::Accepted, refused()]).is_some(), "another one is as wrong as this");
        assert_eq!(verdict(&[Word::Silent]), None, "nobody is there yet");
        assert_eq!(verdict(&[]), None);
    }

    #[test]
    fn the_problem_names_the_clock_and_the_keys() {
        let standing = Standing::default();
        assert_eq!(standing.problem(), None);
        standing.measured(TimeDelta::seconds(-30));
        assert_eq!(standing.problem(), None);
        standing.measured(TimeDelta::seconds(-600));
        assert_eq!(standing.problem().as_deref(), Some("the clock of this machine is 600 s ahead of the fleet's"));
        standing.judge(Some("SERVICE_CREDENTIAL_EXPIRED"));
        assert!(standing.is_outcast());
        assert!(standing.problem().is_some_and(|text| text.contains("EXPIRED") && text.contains("600 s ahead")));
        standing.measured(TimeDelta::zero());
        assert!(standing.problem().is_some_and(|text| text.contains("keys directory")));
        standing.judge(None);
        assert_eq!((standing.problem(), standing.is_outcast()), (None, false));
    }
}
