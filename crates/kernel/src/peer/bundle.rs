//! Calls that begin at the same moment travel in one request (docs/decisions/0018-bundles.md).
//!
//! A busy front door has several requests in hand whenever it looks at its sockets. One by one, their calls to a service cost a
//! request, a wake-up and two trips through the kernel each; together they cost these once. The answers come back in one stream,
//! each as soon as it is there, so that none waits for a slower one. A call that is alone goes as ever.

use std::{sync::Arc, time::Instant};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use parking_lot::Mutex;
use thread_local::ThreadLocal;
use tokio::sync::oneshot;

use super::{Answer, Call, Failure, Line, Repeat};

/// Where a service takes bundles.
pub const PATH: &str = "/graphql/bundle";
/// Calls of a bundle at most.
const MAX_CALLS: usize = 128;
/// Bytes of a bundle at most: a large call goes alone.
const MAX_BYTES: usize = 256 * 1024;
/// Before each frame stand two numbers of 32 bits, big-endian. Of a call: the lengths of its headers and of its body, which
/// follow. Of an answer: the number of its call, and its length.
const NUMBERS: usize = 8;

/// Sends the calls of a thread to the graph of a service, together where they begin together.
#[derive(Clone)]
pub struct Bundler {
    line: Line,
    /// What waits on each thread: calls that may be repeated, and others, because a lost bundle is lost for all of them.
    waiting: Arc<ThreadLocal<[Arc<Mutex<Bundle>>; 2]>>,
}

/// Calls that leave together.
#[derive(Default)]
struct Bundle {
    frames: BytesMut,
    callers: Vec<Caller>,
    deadline: Option<Instant>,
}

/// Who waits for an answer. Dropped: the bundle was lost.
type Caller = oneshot::Sender<Told>;

enum Told {
    Answer(Bytes),
    /// It was not sent, and goes alone.
    Unsent,
}

impl Bundler {
    /// Over this line.
    pub fn new(line: Line) -> Self {
        Self { line, waiting: Arc::default() }
    }

    /// The line of calls that go alone.
    pub fn line(&self) -> &Line {
        &self.line
    }

    /// Sends a call, with those that this thread sends in the same moment. A call that is lost with its bundle is repeated alone,
    /// if it may be.
    pub async fn send(&self, call: Call<'_>) -> Result<Answer, Failure> {
        let told = tokio::time::timeout_at(call.deadline.into(), self.join(&call)).await;
        match told.map_err(|_| Failure::Late)? {
            Ok(Told::Answer(body)) => Ok(Answer::new(body)),
            Ok(Told::Unsent) => self.line.send(call).await,
            Err(_) if call.repeat == Repeat::Safe => self.line.send(call).await,
            Err(_) => Err(Failure::Lost),
        }
    }

    /// Puts a call into the bundle that waits on this thread.
    fn join(&self, call: &Call<'_>) -> oneshot::Receiver<Told> {
        let (caller, told) = oneshot::channel();
        let [repeatable, others] = self.waiting.get_or_default();
        let waiting = if call.repeat == Repeat::Safe { repeatable } else { others };
        match waiting.lock().add(call, caller) {
            Added::First => {
                tokio::spawn(self.clone().leave(waiting.clone(), call.repeat));
            }
            Added::Later => {}
            Added::Not(caller) => unsent([caller]),
        }
        told
    }

    async fn leave(self, waiting: Arc<Mutex<Bundle>>, repeat: Repeat) {
        // Until whatever else this thread can do now is done.
        tokio::task::yield_now().await;
        let Bundle { frames, callers, deadline } = std::mem::take(&mut *waiting.lock());
        let Some(deadline) = deadline.filter(|_| callers.len() > 1) else { return unsent(callers) };
        let call = Call { method: Method::POST, path: PATH, headers: HeaderMap::new(), body: frames.freeze(), repeat, deadline };
        let mut answers = Answers { rest: BytesMut::new(), callers: callers.into_iter().map(Some).collect() };
        match self.line.stream(&call, |piece| answers.take(&piece)).await {
            Err(Failure::Unreachable | Failure::Open | Failure::LockedOut) => unsent(answers.callers.into_iter().flatten()),
            // An older service knows no bundles; any other refusal of the door, too, is better heard alone.
            Ok(status) if status != http::StatusCode::OK => unsent(answers.callers.into_iter().flatten()),
            Ok(_) | Err(_) => {}
        }
    }
}

fn unsent(callers: impl IntoIterator<Item = Caller>) {
    for caller in callers {
        let _gone = caller.send(Told::Unsent);
    }
}

enum Added {
    First,
    Later,
    /// There is no room.
    Not(Caller),
}

impl Bundle {
    fn add(&mut self, call: &Call<'_>, caller: Caller) -> Added {
        let headers: usize = call.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 2).sum();
        let bytes = NUMBERS + headers + call.body.len();
        let (Ok(headers), Ok(body)) = (u32::try_from(headers), u32::try_from(call.body.len())) else { return Added::Not(caller) };
        if self.callers.len() == MAX_CALLS || self.frames.len() + bytes > MAX_BYTES {
            return Added::Not(caller);
        }
        self.frames.reserve(bytes);
        self.frames.put_u32(headers);
        self.frames.put_u32(body);
        for (name, value) in &call.headers {
            for part in [name.as_str().as_bytes(), b":", value.as_bytes(), b"\n"] {
                self.frames.put_slice(part);
            }
        }
        self.frames.put_slice(&call.body);
        self.deadline = self.deadline.max(Some(call.deadline));
        self.callers.push(caller);
        if self.callers.len() == 1 { Added::First } else { Added::Later }
    }
}

/// Answers on their way back.
struct Answers {
    rest: BytesMut,
    callers: Vec<Option<Caller>>,
}

impl Answers {
    fn take(&mut self, piece: &[u8]) {
        self.rest.extend_from_slice(piece);
        while let Some((number, length)) = numbers(&self.rest).filter(|(_, length)| self.rest.len() - NUMBERS >= *length) {
            self.rest.advance(NUMBERS);
            let answer = self.rest.split_to(length).freeze();
            if let Some(caller) = self.callers.get_mut(number).and_then(Option::take) {
                let _gone = caller.send(Told::Answer(answer));
            }
        }
    }
}

/// The numbers before a frame, once they are there.
fn numbers(mut bytes: &[u8]) -> Option<(usize, usize)> {
    let first = bytes.try_get_u32().ok()?;
    let second = bytes.try_get_u32().ok()?;
    Some((usize::try_from(first).ok()?, usize::try_from(second).ok()?))
}

/// Headers and body of each call in a bundle; `None` when it is none.
pub fn open(mut bundle: Bytes) -> Option<Vec<(HeaderMap, Bytes)>> {
    let mut calls = Vec::new();
    while !bundle.is_empty() {
        let (headers, body) = numbers(&bundle)?;
        bundle.advance(NUMBERS);
        if headers.checked_add(body)? > bundle.len() || calls.len() == MAX_CALLS {
            return None;
        }
        calls.push((read_headers(&bundle.split_to(headers))?, bundle.split_to(body)));
    }
    Some(calls)
}

fn read_headers(text: &[u8]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(8);
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
        headers.append(HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?);
    }
    Some(headers)
}

/// Frames of answers, each with the number of its call.
pub fn close(answers: &[(usize, Vec<u8>)]) -> Bytes {
    let bytes = answers.iter().map(|(_, answer)| NUMBERS + answer.len()).sum();
    let mut frames = BytesMut::with_capacity(bytes);
    for (number, answer) in answers {
        // No answer is as long as 4 GiB; one that were would be lost, and with it its bundle.
        frames.put_u32(u32::try_from(*number).unwrap_or(u32::MAX));
        frames.put_u32(u32::try_from(answer.len()).unwrap_or(u32::MAX));
        frames.put_slice(answer);
    }
    frames.freeze()
}
