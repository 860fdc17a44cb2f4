//! Events as an HTTP stream: server-sent events, Apollo's multipart protocol, or incremental delivery.
//!
//! The embedded router starts each part with its boundary, so a multipart client sees the end of an
//! event only when the next one begins. Here each part ends with the boundary of the next.

use std::{convert::Infallible, time::Duration};

use futures_util::{Stream, StreamExt, stream};
use hive_router::pipeline::{
    header::{RequestAccepts, StreamContentType},
    multipart_subscribe::{APOLLO_MULTIPART_HTTP_CONTENT_TYPE, INCREMENTAL_DELIVERY_CONTENT_TYPE},
    sse::SSE_HEADER,
};
use ntex::{
    http::{Response, header},
    util::{Bytes, BytesMut},
    web::{HttpRequest, HttpResponse},
};

use crate::live::Event;

/// Silence after which a sign of life is sent.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Sse,
    Apollo,
    Incremental,
}

impl Form {
    /// The stream that a client accepts.
    pub(crate) fn accepted(request: &HttpRequest) -> Option<Self> {
        Some(match request.negotiate(false).ok()?.stream_content_type()? {
            StreamContentType::SSE => Self::Sse,
            StreamContentType::ApolloMultipartHTTP => Self::Apollo,
            StreamContentType::IncrementalDelivery => Self::Incremental,
        })
    }

    /// An answer that lasts as long as the events do.
    pub(crate) fn response(self, events: impl Stream<Item = Event> + Unpin + 'static) -> HttpResponse {
        let mut response = Response::build(http::StatusCode::OK);
        response.set_header(header::CONTENT_TYPE, self.content_type());
        response.set_header(header::CACHE_CONTROL, "no-store");
        response.streaming(Box::pin(self.frames(events)))
    }

    fn frames(self, events: impl Stream<Item = Event> + Unpin + 'static) -> impl Stream<Item = Result<Bytes, Infallible>> {
        let start = stream::iter([Ok(Bytes::from_static(self.start()))]);
        start.chain(stream::unfold(Some(events), move |events| async move {
            let mut events = events?;
            let frame = match tokio::time::timeout(HEARTBEAT, events.next()).await {
                Ok(Some(event)) => self.frame(&event),
                Ok(None) => return Some((Ok(Bytes::from_static(self.end())), None)),
                Err(_) => Bytes::from_static(self.heartbeat()),
            };
            Some((Ok(frame), Some(events)))
        }))
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Sse => SSE_HEADER,
            Self::Apollo => APOLLO_MULTIPART_HTTP_CONTENT_TYPE,
            Self::Incremental => INCREMENTAL_DELIVERY_CONTENT_TYPE,
        }
    }

    fn start(self) -> &'static [u8] {
        match self {
            // opens the stream for clients that wait for a first byte
            Self::Sse => b":\n\n",
            Self::Apollo => b"--graphql",
            Self::Incremental => b"---",
        }
    }

    /// What stands before and after the JSON of an event.
    fn around(self) -> (&'static [u8], &'static [u8]) {
        match self {
            Self::Sse => (b"event: next\ndata: ", b"\n\n"),
            Self::Apollo => (b"\r\nContent-Type: application/json\r\n\r\n{\"payload\":", b"}\r\n--graphql"),
            Self::Incremental => (b"\r\nContent-Type: application/json\r\n\r\n", b"\r\n---"),
        }
    }

    fn frame(self, event: &[u8]) -> Bytes {
        let (before, after) = self.around();
        let mut frame = BytesMut::with_capacity(before.len() + event.len() + after.len());
        for part in [before, event, after] {
            frame.extend_from_slice(part);
        }
        frame.freeze()
    }

    fn heartbeat(self) -> &'static [u8] {
        match self {
            Self::Sse => b":\n\n",
            Self::Apollo => b"\r\nContent-Type: application/json\r\n\r\n{}\r\n--graphql",
            Self::Incremental => b"",
        }
    }

    fn end(self) -> &'static [u8] {
        match self {
            Self::Sse => b"event: complete\ndata: \n\n",
            Self::Apollo | Self::Incremental => b"--\r\n",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(form: Form) -> String {
        let events = stream::iter(["1", "2"].map(|event| Event::from_static(event.as_bytes())));
        let frames: Vec<_> = futures_util::FutureExt::now_or_never(Box::pin(form.frames(events)).collect()).unwrap_or_default();
        frames.iter().flatten().map(|frame| String::from_utf8_lossy(frame).into_owned()).collect()
    }

    #[tokio::test]
    async fn each_event_is_whole_when_it_is_sent() {
        assert_eq!(written(Form::Sse), ":\n\nevent: next\ndata: 1\n\nevent: next\ndata: 2\n\nevent: complete\ndata: \n\n");
        let part = "\r\nContent-Type: application/json\r\n\r\n";
        assert_eq!(
            written(Form::Apollo),
            format!("--graphql{part}{{\"payload\":1}}\r\n--graphql{part}{{\"payload\":2}}\r\n--graphql--\r\n")
        );
        assert_eq!(written(Form::Incremental), format!("---{part}1\r\n---{part}2\r\n-----\r\n"));
    }
}
