//! How a request came over its connection. When a proxy and we disagree about where a request ends, its last bytes are the beginning
//! of the next one for one of us: so somebody smuggles a request past the other. The HTTP library refuses most of what can be read
//! in two ways; the rest is settled here.

use std::{cell::RefCell, collections::VecDeque};

use http::{StatusCode, Version};
use ntex::{
    http::{Payload, header},
    web::{DefaultError, WebRequest},
};

use crate::refusal::Refusal;

/// How many ended connections are remembered: what follows on one is read right after its last answer, or never.
const REMEMBERED: usize = 256;

/// Connections of a worker whose last request came. The HTTP library says `connection: close`, and goes on to read what was sent
/// together with that request.
#[derive(Default)]
pub(crate) struct Ended(RefCell<VecDeque<usize>>);

impl Ended {
    /// Refuses what follows the last request of a connection, and what does not say once to whom it is addressed.
    pub(crate) fn check(&self, request: &WebRequest<DefaultError>) -> Result<(), Refusal> {
        if self.0.borrow().contains(&request.head().id) {
            return Err(Refusal::bad_request("Nothing may follow the last request of a connection."));
        }
        let hosts = request.headers().get_all(header::HOST).count();
        if hosts == 1 || (hosts == 0 && request.version() == Version::HTTP_10) {
            return Ok(());
        }
        Err(Refusal::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", "A request has one Host header."))
    }

    /// Notes that nothing may follow this request.
    pub(crate) fn note(&self, request: &WebRequest<DefaultError>) {
        let (mut known, id) = (self.0.borrow_mut(), request.head().id);
        if known.front() != Some(&id) {
            known.truncate(REMEMBERED - 1);
            known.push_front(id);
        }
    }
}

/// Whether nothing that follows on the connection may be read as a request: its end is told by anything but a length.
///
/// A request that wants another protocol ends never; it is answered as if it had not asked, and as if it had no body.
pub(crate) fn is_last(request: &mut WebRequest<DefaultError>) -> bool {
    let endless = request.head().upgrade();
    if endless {
        request.set_payload(Payload::None);
    }
    endless || request.headers().contains_key(header::TRANSFER_ENCODING)
}
