//! `POST /graphql/bundle`: several calls of the router in one request, each with its own headers, answered as soon as it is there.

use std::{convert::Infallible, future::ready, time::Instant};

use async_graphql::Executor;
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream::FuturesUnordered};

use super::{Door, credential, forbidden, refusal};
use crate::{metrics, peer::bundle};

/// Answers that leave together at most.
const TOGETHER: usize = 64;

pub(super) async fn answer<E: Executor>(State(door): State<Door<E>>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err(error) = door.lock.admit(credential(&headers)) {
        return forbidden(error);
    }
    let Some(calls) = bundle::open(body) else {
        return refusal(StatusCode::BAD_REQUEST, "BAD_REQUEST", "the body is no bundle of calls");
    };
    let begin = |(number, (headers, body)): (usize, (HeaderMap, Bytes))| {
        let door = door.clone();
        // A task each: they share the machine's cores, and none is cut in the middle when the router goes away.
        tokio::spawn(async move {
            let started = Instant::now();
            let answer = door.answer(&headers, &body).await;
            metrics::answered(door.lock.service(), StatusCode::OK.as_u16(), started.elapsed());
            (number, answer)
        })
    };
    let answers: FuturesUnordered<_> = calls.into_iter().enumerate().map(begin).collect();
    // A task that ended without an answer leaves its call without one.
    let answers = answers.filter_map(|ended| ready(ended.ok()));
    let frames = answers.ready_chunks(TOGETHER).map(|answers| Ok::<_, Infallible>(bundle::close(&answers)));
    Body::from_stream(frames).into_response()
}
