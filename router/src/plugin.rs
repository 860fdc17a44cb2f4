//! Hooks into the embedded router: who runs a subgraph's request, under which number a plan is kept, and what an error looks
//! like to a client.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use hive_router::{
    executor::{
        executors::common::SubgraphExecutorBoxedArc,
        plugin_context::PluginContext,
        plugin_trait::{RouterPlugin, StartHookPayload},
        plugins::hooks::{
            on_graphql_error::{OnGraphQLErrorHookPayload, OnGraphQLErrorHookResult},
            on_plugin_init::{OnPluginInitPayload, OnPluginInitResult},
            on_query_plan::{OnQueryPlanStartHookPayload, OnQueryPlanStartHookResult},
            on_subgraph_execute::{OnSubgraphExecuteStartHookPayload, OnSubgraphExecuteStartHookResult},
        },
    },
    query_planner::ast::operation::OperationDefinition,
    sonic_rs::Value,
};

use crate::{auth::Viewer, config::Observe, documents::Marker, pipeline::mark_filtered};

/// Who asks, for the hooks of one request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The verified token, if any.
    pub viewer: Option<Viewer>,
    /// Sent to the subgraphs and back to the client.
    pub request_id: String,
    /// Address of the peer, for throttles of the subgraphs.
    pub client: String,
    /// The span that the subgraphs' spans belong to.
    pub trace_parent: Option<String>,
}

/// Makes the context of one request.
pub(crate) fn context(caller: Caller) -> PluginContext {
    let context = PluginContext::default();
    context.insert(caller);
    context
}

/// The hooks of one request.
pub(crate) struct FrontDoor {
    executors: Arc<Executors>,
    marker: Marker,
    observer: Arc<dyn Observe>,
    /// The operation before anything was taken away that its caller may not see.
    pub whole: Option<Arc<OperationDefinition>>,
    /// The operation after that.
    filtered: OnceLock<OperationDefinition>,
}

/// The ways into the subgraphs, by name.
pub(crate) type Executors = HashMap<String, SubgraphExecutorBoxedArc>;

impl FrontDoor {
    pub(crate) fn new(executors: Arc<Executors>, marker: Marker, observer: Arc<dyn Observe>) -> Self {
        Self { executors, marker, observer, whole: None, filtered: OnceLock::new() }
    }
}

#[async_trait::async_trait]
impl RouterPlugin for FrontDoor {
    type Config = ();

    fn plugin_name() -> &'static str {
        "berth"
    }

    fn on_plugin_init(payload: OnPluginInitPayload<Self>) -> OnPluginInitResult<Self> {
        payload.disable_plugin()
    }

    async fn on_query_plan<'exec>(
        &'exec self,
        mut payload: OnQueryPlanStartHookPayload<'exec>,
    ) -> OnQueryPlanStartHookResult<'exec> {
        let asked = payload.filtered_operation_for_plan;
        if !self.whole.as_deref().is_some_and(|whole| std::ptr::eq(whole, asked)) {
            payload.filtered_operation_for_plan = mark_filtered(asked, self.marker, &self.filtered);
        }
        payload.proceed()
    }

    async fn on_subgraph_execute<'exec>(
        &'exec self,
        mut payload: OnSubgraphExecuteStartHookPayload<'exec>,
    ) -> OnSubgraphExecuteStartHookResult<'exec> {
        if let Some(executor) = self.executors.get(payload.subgraph_name) {
            payload.executor = executor.clone();
        }
        payload.proceed()
    }

    fn on_graphql_error<'req>(&'req self, mut payload: OnGraphQLErrorHookPayload<'req>) -> OnGraphQLErrorHookResult<'req> {
        let caller = payload.context.get_ref::<Caller>();
        let signed_in = caller.as_ref().is_some_and(|caller| caller.viewer.is_some());
        let code = payload.error.extensions.code.take().unwrap_or_else(|| "INTERNAL_SERVER_ERROR".to_owned());
        let retryable = match code.as_str() {
            "UNAUTHORIZED_FIELD_OR_TYPE" => {
                let (code, message) = if signed_in {
                    ("FORBIDDEN", "You may not read this.")
                } else {
                    ("UNAUTHENTICATED", "Sign in to read this.")
                };
                payload.error.extensions.code = Some(code.to_owned());
                message.clone_into(&mut payload.error.message);
                false
            }
            // The embedded router's own words name addresses of the inside.
            unreachable if unreachable.starts_with("SUBGRAPH_") || unreachable.starts_with("SUBREQUEST_") => {
                tracing::error!(code = unreachable, "router.subgraph.unusable");
                payload.error.extensions.code = Some("SERVICE_UNAVAILABLE".to_owned());
                "A part of the service does not answer. Try again soon.".clone_into(&mut payload.error.message);
                true
            }
            // Validation rules are named in camel case.
            rule if rule.contains(|letter: char| letter.is_ascii_lowercase()) => {
                payload.error.extensions.code = Some("GRAPHQL_VALIDATION_FAILED".to_owned());
                false
            }
            _ => {
                payload.error.extensions.code = Some(code);
                false
            }
        };
        if let Some(code) = &payload.error.extensions.code {
            self.observer.refused(code);
        }
        let extensions = &mut payload.error.extensions.extensions;
        extensions.entry("retryable".to_owned()).or_insert_with(|| Value::from(retryable));
        if let Some(caller) = caller {
            extensions.entry("requestId".to_owned()).or_insert_with(|| Value::from(caller.request_id.as_str()));
        }
        payload.proceed()
    }
}
