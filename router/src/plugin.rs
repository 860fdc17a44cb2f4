//! Hooks into the embedded router: who runs a subgraph's request, which operation of a document is
//! meant, and what an error looks like to a client.

use std::{collections::HashMap, sync::Arc};

use hive_router::{
    executor::{
        executors::common::SubgraphExecutorBoxedArc,
        plugin_context::PluginContext,
        plugin_trait::{RouterPlugin, StartHookPayload},
        plugins::hooks::{
            on_graphql_error::{OnGraphQLErrorHookPayload, OnGraphQLErrorHookResult},
            on_graphql_params::{GraphQLParams, OnGraphQLParamsStartHookPayload, OnGraphQLParamsStartHookResult},
            on_graphql_validation::{OnGraphQLValidationStartHookPayload, OnGraphQLValidationStartHookResult},
            on_plugin_init::{OnPluginInitPayload, OnPluginInitResult},
            on_subgraph_execute::{OnSubgraphExecuteStartHookPayload, OnSubgraphExecuteStartHookResult},
        },
    },
    graphql_tools::validation::utils::ValidationError,
    sonic_rs::Value,
};

use crate::{auth::Viewer, rules};

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

/// Marks a request whose answer is the same for everybody.
pub(crate) struct Public;

/// Parameters that were read before the embedded router was called.
struct Read(Option<GraphQLParams>);

/// The operation of the document that the client asks for.
struct Chosen(Option<String>);

/// Makes the context of one request.
pub(crate) fn context(params: GraphQLParams, caller: Caller) -> PluginContext {
    let context = PluginContext::default();
    context.insert(Chosen(params.operation_name.clone()));
    context.insert(Read(Some(params)));
    context.insert(caller);
    context
}

/// The hooks.
pub(crate) struct FrontDoor {
    pub executors: HashMap<String, SubgraphExecutorBoxedArc>,
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

    async fn on_graphql_params<'exec>(
        &'exec self,
        mut payload: OnGraphQLParamsStartHookPayload<'exec>,
    ) -> OnGraphQLParamsStartHookResult<'exec> {
        let read = payload.context.get_mut::<Read>().and_then(|mut read| read.0.take());
        payload.graphql_params = read;
        payload.proceed()
    }

    /// Left alone, the embedded router runs the first operation when the client names none.
    async fn on_graphql_validation<'exec>(
        &'exec self,
        mut payload: OnGraphQLValidationStartHookPayload<'exec>,
    ) -> OnGraphQLValidationStartHookResult<'exec> {
        if rules::is_public(&payload.document) {
            payload.context.insert(Public);
        }
        let chosen = payload.context.get_ref::<Chosen>().and_then(|chosen| chosen.0.clone());
        if let Some(message) = rules::choice_problem(&payload.document, chosen.as_deref()) {
            payload.errors =
                Some(Arc::new(vec![ValidationError { locations: vec![], message, error_code: "OPERATION_RESOLUTION_FAILURE" }]));
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
                tracing::error!(code = unreachable, "subgraph.answer.unusable");
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
        let extensions = &mut payload.error.extensions.extensions;
        extensions.entry("retryable".to_owned()).or_insert_with(|| Value::from(retryable));
        if let Some(caller) = caller {
            extensions.entry("requestId".to_owned()).or_insert_with(|| Value::from(caller.request_id.as_str()));
        }
        payload.proceed()
    }
}
