//! The way of an operation through the embedded router: validate, normalise, then its own planner and executor.
//!
//! Its own entry point looks documents up by unkeyed hashes of 64 bits and never compares texts, so whoever finds two texts
//! with one hash decides what others run. Here what belongs to a text is kept with the text ([`crate::documents`]), and the
//! one index of the embedded router that is left, that of its plans, gets numbers made with a secret.

use std::sync::{Arc, OnceLock};

use futures_util::future::LocalBoxFuture;
use hive_router::{
    RouterSharedState, SchemaState,
    executor::{
        headers::response::ResponseHeaderSink,
        hooks::{on_graphql_params::GraphQLParams, on_supergraph_load::Supergraph},
        plugin_context::{PluginContext, PluginRequestState},
        request_context::RequestContextExt,
    },
    graphql_tools::validation::{validate::ValidationPlan, validate::validate},
    pipeline::{
        error::{ClientPipelineError, PipelineError},
        execute_planned_request,
        header::ResponseMode,
        long_lived_client_limit::{LongLivedClientGuard, LongLivedClientLimitReached, try_reserve_long_lived_client},
        normalize::{GraphQLNormalizationPayload, normalize_request_with_cache},
        parser::GraphQLParserPayload,
    },
    query_planner::{
        ast::operation::{OperationDefinition, VariableDefinition},
        consumer_schema::ConsumerSchema,
        state::supergraph_state::{OperationKind, TypeNode},
    },
    telemetry::traces::spans::graphql::GraphQLOperationSpan,
};
use http::Method;
use ntex::web::{HttpRequest, HttpResponse, test::TestRequest};

use crate::{
    config::RouterError,
    documents::{Known, Marker},
    operation::Operation,
    plugin::FrontDoor,
    walk::shape::Kind,
};

/// One call into the embedded router.
pub(crate) struct Call<'a> {
    pub request: &'a HttpRequest,
    pub operation: Operation,
    pub context: Arc<PluginContext>,
    pub hooks: FrontDoor,
    pub mode: &'a ResponseMode,
}

type Answered = Result<HttpResponse, PipelineError>;

/// Runs an operation on one graph.
pub(crate) type Run = Arc<dyn for<'a> Fn(Call<'a>) -> LocalBoxFuture<'a, Answered> + Send + Sync>;

/// The way through the embedded router with this graph, which lives as long as `graph` does.
pub(crate) async fn run(
    shared: &Arc<RouterSharedState>,
    schema: &Arc<SchemaState>,
    graph: &Supergraph,
) -> Result<Run, RouterError> {
    let probe = TestRequest::default().to_http_request();
    probe.extensions_mut().insert(graph.snapshot());
    let selected = schema.select_supergraph(&probe).await.map_err(|error| RouterError::Engine(error.to_string()))?;
    let selected = Arc::new(selected.ok_or_else(|| RouterError::Engine("it has no graph".to_owned()))?);
    let (shared, schema) = (shared.clone(), schema.clone());
    Ok(Arc::new(move |call: Call<'_>| {
        let (shared, schema, selected) = (shared.clone(), schema.clone(), selected.clone());
        Box::pin(async move {
            let Call { request, operation, context, mut hooks, mode } = call;
            valid(&operation.known, &selected.snapshot.planner.consumer_schema, &shared.validation_plan)?;
            let known = operation.known();
            let normalised = if let Some(normalised) = known.normalised.get() {
                normalised.clone()
            } else {
                let (params, parsed) = parsed(&operation);
                let made = normalize_request_with_cache(&selected.snapshot, &selected.runtime, &schema, &params, &parsed).await?;
                known.normalised.get_or_init(|| Arc::new(marked(&made, known.mark))).clone()
            };
            allowed(request, known.kind, mode)?;
            let slot = match slot(known.kind, &shared) {
                Ok(slot) => slot,
                Err(full) => return Ok(full.into()),
            };
            hooks.whole = Some(normalised.operation_for_plan.clone());
            let request_context = request.read_request_context()?;
            let state = PluginRequestState {
                plugins: Arc::new(vec![Box::new(hooks)]),
                router_http_request: request.into(),
                context,
                request_context: request_context.clone(),
            };
            let answer = execute_planned_request(
                request.method(),
                request.uri(),
                request.headers().clone(),
                request.match_info().into(),
                operation.params,
                &normalised,
                &selected,
                &shared,
                &schema,
                GraphQLOperationSpan::new(),
                Some(state),
                &request_context,
                mode,
                None,
                ResponseHeaderSink::default(),
                None,
            )
            .await?;
            answer.into_response(mode, &shared.telemetry_context.metrics, slot)
        })
    }))
}

/// Refuses a document that does not fit the schema; each is looked at once.
fn valid(known: &Known, schema: &ConsumerSchema, plan: &ValidationPlan) -> Result<(), PipelineError> {
    let invalid = known.invalid.get_or_init(|| Arc::new(validate(&schema.document, &known.document, plan)));
    if invalid.is_empty() { Ok(()) } else { Err(ClientPipelineError::ValidationErrors(invalid.clone()).into()) }
}

/// Refuses what does not go with the request's method or with the answer that it accepts.
fn allowed(request: &HttpRequest, kind: Kind, mode: &ResponseMode) -> Result<(), PipelineError> {
    match kind {
        Kind::Mutation if *request.method() == Method::GET => Err(ClientPipelineError::MutationNotAllowedOverHttpGet.into()),
        Kind::Subscription if !mode.can_stream() => Err(ClientPipelineError::SubscriptionsNotSupported.into()),
        _ => Ok(()),
    }
}

/// A place among those who watch, for an operation that does.
fn slot(kind: Kind, shared: &RouterSharedState) -> Result<Option<LongLivedClientGuard>, LongLivedClientLimitReached> {
    if kind == Kind::Subscription { try_reserve_long_lived_client(shared) } else { Ok(None) }
}

/// What the embedded router's own reader would have made of an operation, but under a number that nobody can choose.
fn parsed(operation: &Operation) -> (GraphQLParams, GraphQLParserPayload) {
    let known = operation.known();
    let payload = GraphQLParserPayload {
        parsed_operation: Arc::new(operation.alone()),
        minified_document: Arc::default(),
        operation_name: known.name.clone(),
        operation_type: match known.kind {
            Kind::Query => OperationKind::Query,
            Kind::Mutation => OperationKind::Mutation,
            Kind::Subscription => OperationKind::Subscription,
        },
        cache_key: number(known.mark),
        cache_key_string: String::new(),
        hive_operation_hash: Arc::default(),
    };
    (GraphQLParams::default(), payload)
}

/// The operation with its plan under a number that nobody can choose.
fn marked(normalised: &GraphQLNormalizationPayload, mark: u128) -> GraphQLNormalizationPayload {
    GraphQLNormalizationPayload {
        operation_for_plan_hash: number(mark),
        normalized_operation_hash: number(mark),
        ..normalised.clone()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the embedded router has 64 bits for it")]
fn number(mark: u128) -> u64 {
    mark as u64
}

/// An operation of which the embedded router took away what the caller may not see. It would look its plan up by an unkeyed
/// hash of what is left; a variable that nothing uses makes that number one that nobody can choose.
pub(crate) fn mark_filtered<'h>(
    filtered: &OperationDefinition,
    marker: Marker,
    slot: &'h OnceLock<OperationDefinition>,
) -> &'h OperationDefinition {
    slot.get_or_init(|| {
        let mark = marker.mark(&filtered.to_string(), None);
        let mut marked = filtered.clone();
        marked.variable_definitions.get_or_insert_default().push(VariableDefinition {
            name: format!("berth_{mark:032x}"),
            variable_type: TypeNode::Named("Boolean".to_owned()),
            default_value: None,
        });
        marked
    })
}
