//! The way into a subgraph of this process: the bytes that would have gone over the wire go to a
//! task on the app's runtime instead.

use std::{sync::Arc, time::Duration};

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
use tokio::runtime::Handle;

use crate::config::InProcess;

/// Runs a subgraph's requests on the app's runtime.
pub(crate) struct LocalSubgraph {
    name: String,
    endpoint: http::Uri,
    subgraph: Arc<dyn InProcess>,
    runtime: Handle,
}

impl LocalSubgraph {
    pub(crate) fn new(name: String, endpoint: http::Uri, subgraph: Arc<dyn InProcess>, runtime: Handle) -> Self {
        Self { name, endpoint, subgraph, runtime }
    }

    /// The answer of the subgraph, or why there is none. The task goes on when the caller leaves: a
    /// mutation is never cut in the middle because a client closed its connection.
    async fn call(&self, headers: http::HeaderMap, body: Bytes, timeout: Option<Duration>) -> Result<Bytes, &'static str> {
        let subgraph = self.subgraph.clone();
        let task = self.runtime.spawn(async move { subgraph.execute(headers, body).await });
        let joined = match timeout {
            Some(limit) => tokio::time::timeout(limit, task).await.map_err(|_| "timeout")?,
            None => task.await,
        };
        joined.map_err(|_| "the task ended early")
    }

    fn unavailable(&self, reason: &str) -> SubgraphResponse<'static> {
        tracing::error!(subgraph = self.name, reason, "a subgraph of this process gave no answer");
        SubgraphResponse {
            errors: Some(vec![GraphQLError::from_message_and_code("unavailable", "SUBGRAPH_REQUEST_TIMEOUT")]),
            ..SubgraphResponse::default()
        }
    }
}

#[async_trait]
impl SubgraphExecutor for LocalSubgraph {
    fn executor_name(&self) -> &'static str {
        "in-process"
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
        match self.call(request.headers, body, timeout).await {
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
