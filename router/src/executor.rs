//! The way into a subgraph that the app provides: the bytes that the embedded router would have sent
//! go to a task instead, on the app's runtime where a subgraph needs it.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use hive_router::executor::{
    executors::{
        common::{SubgraphExecutionRequest, SubgraphExecutor},
        error::SubgraphExecutorError,
        http::build_request_body,
    },
    plugin_context::PluginRequestState,
    response::{graphql_error::GraphQLError, subgraph_response::SubgraphResponse},
};
use tokio::{
    runtime::Handle,
    task::{JoinError, JoinHandle},
};

use crate::{budget, config::SubgraphCall};

/// Time of a request that nobody limits.
const UNLIMITED: Duration = Duration::from_mins(1);
/// Time that a mutation has after its caller was told that it took too long.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A task; a query ends when this is dropped.
struct Running<T> {
    task: JoinHandle<T>,
    mutation: bool,
}

impl<T> Future for Running<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.task).poll(context)
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        if !self.mutation {
            self.task.abort();
        }
    }
}

/// The same work, counted for the request in hand.
fn measured<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let used = budget::current().unwrap_or_default();
    budget::timed(used, work)
}

/// Runs a subgraph's requests.
pub(crate) struct OwnWay {
    name: String,
    endpoint: http::Uri,
    subgraph: Arc<dyn SubgraphCall>,
    runtime: Handle,
}

impl OwnWay {
    pub(crate) fn new(name: String, endpoint: http::Uri, subgraph: Arc<dyn SubgraphCall>, runtime: Handle) -> Self {
        Self { name, endpoint, subgraph, runtime }
    }

    /// The answer of the subgraph, or why there is none. A query ends when its caller leaves or its time is over. A mutation
    /// goes on for a while: it is not cut in the middle because a client closed its connection.
    async fn call(
        &self,
        headers: http::HeaderMap,
        body: Bytes,
        mutation: bool,
        timeout: Option<Duration>,
    ) -> Result<Bytes, &'static str> {
        let subgraph = self.subgraph.clone();
        let anywhere = subgraph.runs_anywhere();
        let work = async move {
            if mutation { subgraph.execute_mutation(headers, body).await } else { subgraph.execute(headers, body).await }
        };
        let limit = timeout.unwrap_or(UNLIMITED);
        let work = tokio::time::timeout(if mutation { limit + LAST_WORDS } else { limit }, measured(work));
        // Staying on this thread saves waking another one, twice.
        let task = Running { task: if anywhere { tokio::spawn(work) } else { self.runtime.spawn(work) }, mutation };
        let joined = tokio::time::timeout(limit, task).await.map_err(|_| "timeout")?;
        joined.map_err(|_| "the task ended early")?.map_err(|_| "timeout")
    }

    fn unavailable(&self, reason: &str) -> SubgraphResponse<'static> {
        tracing::error!(subgraph = self.name, reason, "router.subgraph.unanswered");
        SubgraphResponse {
            errors: Some(vec![GraphQLError::from_message_and_code("unavailable", "SUBGRAPH_REQUEST_TIMEOUT")]),
            ..SubgraphResponse::default()
        }
    }
}

#[async_trait]
impl SubgraphExecutor for OwnWay {
    fn executor_name(&self) -> &'static str {
        "berth"
    }

    fn endpoint(&self) -> &http::Uri {
        &self.endpoint
    }

    async fn execute<'a>(
        &self,
        request: SubgraphExecutionRequest<'a>,
        timeout: Option<Duration>,
        _: Option<&'a PluginRequestState<'a>>,
    ) -> Result<SubgraphResponse<'static>, SubgraphExecutorError> {
        let body = Bytes::from(build_request_body(&request)?);
        let mutation = request.query.starts_with("mutation");
        match self.call(request.headers, body, mutation, timeout).await {
            Ok(answer) => SubgraphResponse::deserialize_from_bytes(answer, request.custom_scalar_paths),
            Err(reason) => Ok(self.unavailable(reason)),
        }
    }

    /// Never called: the embedded router opens subscriptions by WebSocket, without asking its hooks.
    async fn subscribe<'a>(
        &self,
        _: SubgraphExecutionRequest<'a>,
        _: Option<Duration>,
    ) -> Result<BoxStream<'static, Result<SubgraphResponse<'static>, SubgraphExecutorError>>, SubgraphExecutorError> {
        Err(SubgraphExecutorError::WebSocketArbiterChannelClosed)
    }
}
