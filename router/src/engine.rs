//! The embedded router: its configuration, its start, and one call into it.

use std::{collections::HashMap, sync::Arc};

use hive_router::{
    PluginRegistry, RouterSharedState,
    background_tasks::BackgroundTasksManager,
    config::HiveRouterConfig,
    configure_app_from_config,
    executor::{
        executors::common::SubgraphExecutor,
        hooks::on_supergraph_load::{Supergraph, SupergraphOptions},
        plugin_context::PluginContext,
        request_context::{RequestContextExt, SharedRequestContext},
        response::graphql_error::GraphQLError,
    },
    invoke_shutdown_hooks,
    pipeline::{
        error::handle_pipeline_error,
        header::{RequestAccepts, ResponseMode},
        long_lived_client_limit::try_reserve_long_lived_client,
        timeout::handle_timeout,
    },
    telemetry::{TelemetryContext, traces::set_tracing_enabled},
};
use jsonwebtoken::{Algorithm, Header, TokenData};
use ntex::web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::{
    auth::{self, Viewer},
    config::{Observe, RouterConfig, RouterError, Subgraph},
    documents::Documents,
    executor::OwnWay,
    operation::Operation,
    pipeline::{self, Call, Run},
    plugin::{self, Caller, Executors, FrontDoor},
    refusal,
    walk::shape::Shape,
};

/// The embedded router, shared by all workers.
#[derive(Clone)]
pub(crate) struct Engine {
    shared: Arc<RouterSharedState>,
    /// The graph lives as long as this.
    graph: Arc<Supergraph>,
    executors: Arc<Executors>,
    observer: Arc<dyn Observe>,
    /// What clients send, read.
    pub documents: Arc<Documents>,
    run: Run,
}

/// What one call gave.
pub(crate) struct Answer {
    pub response: HttpResponse,
    /// The answer is the same for everybody.
    pub public: bool,
}

impl Engine {
    /// Starts the embedded router. Must run on an ntex system.
    pub(crate) async fn start(config: &RouterConfig, runtime: &Handle) -> Result<(Self, BackgroundTasksManager), RouterError> {
        set_tracing_enabled(false);
        let hive: HiveRouterConfig = serde_json::from_value(settings(config)).map_err(engine_error)?;
        let hive = hive.into_static();
        let telemetry = TelemetryContext::from_propagation_config(&hive.telemetry.tracing.propagation, &hive.log);
        let mut tasks = BackgroundTasksManager::new();
        let (mut shared, schema) =
            configure_app_from_config(hive, telemetry, &mut tasks, PluginRegistry::new()).await.map_err(engine_error)?;
        let executors = Arc::new(executors(config, runtime)?);
        let graph = Supergraph::from_sdl("berth", &config.supergraph_sdl, graph_options(hive)).map_err(engine_error)?;
        let documents =
            Arc::new(Documents::new(&config.limits, config.document_key, Shape::new(&graph.planner.consumer_schema.document)));
        let state = Arc::get_mut(&mut shared).ok_or_else(|| RouterError::Engine("its state is already shared".to_owned()))?;
        state.plugins =
            Some(Arc::new(vec![Box::new(FrontDoor::new(executors.clone(), documents.marker, config.observer.clone()))]));
        let run = pipeline::run(&shared, &schema, &graph).await?;
        Ok((Self { shared, graph: Arc::new(graph), executors, observer: config.observer.clone(), documents, run }, tasks))
    }

    /// Settings of the embedded router.
    pub(crate) fn hive_config(&self) -> &'static HiveRouterConfig {
        self.shared.router_config
    }

    /// Runs one operation. The request's method, path, Accept and headers count; its body does not.
    pub(crate) async fn run(&self, request: &mut HttpRequest, operation: Operation, caller: Caller) -> Answer {
        if let Some(viewer) = &caller.viewer {
            let ticket = request.headers().get(auth::TICKET).and_then(|ticket| ticket.to_str().ok()).unwrap_or_default();
            self.introduce(ticket, viewer).await;
        }
        let public = operation.known().public;
        let context = Arc::new(plugin::context(caller));
        request.extensions_mut().insert(context.clone());
        request.write_request_context(SharedRequestContext::default());
        let response = self.call(request, operation, context).await;
        Answer { response, public }
    }

    /// Tells the embedded router whom a ticket stands for: it reads its own keys only once, and ours change.
    async fn introduce(&self, ticket: &str, viewer: &Viewer) {
        let cache = &self.shared.jwt_claims_cache;
        if cache.contains_key(ticket) {
            return;
        }
        if let Ok(claims) = serde_json::from_value(Value::clone(&viewer.claims)) {
            let known = TokenData { header: Header::new(Algorithm::EdDSA), claims };
            cache.insert(ticket.to_owned(), Arc::new(known)).await;
        }
    }

    async fn call(&self, request: &HttpRequest, operation: Operation, context: Arc<PluginContext>) -> HttpResponse {
        let mode = match request.negotiate(false) {
            Ok(mode) => mode,
            Err(error) => return handle_pipeline_error(error, request, &self.shared, &ResponseMode::default()),
        };
        let hooks = FrontDoor::new(self.executors.clone(), self.documents.marker, self.observer.clone());
        let handled = (self.run)(Call { request, operation, context, hooks, mode: &mode });
        match handle_timeout(handled, &self.shared).await {
            Ok(response) => response,
            Err(error) => handle_pipeline_error(error, request, &self.shared, &mode),
        }
    }

    /// Takes one of the places for HTTP streams; `None` when all are taken.
    pub(crate) fn reserve_stream(&self) -> Option<impl Send + 'static> {
        try_reserve_long_lived_client(&self.shared).ok()
    }

    /// Ends every stream, so that clients reconnect elsewhere.
    pub(crate) fn close_streams(&self) {
        let mut error = GraphQLError::from_message_and_code(refusal::RESTARTING_TEXT, refusal::RESTARTING);
        error.extensions.extensions.insert("retryable".to_owned(), true.into());
        self.shared.active_subscriptions.close_all_with_error(vec![error]);
    }

    /// Lets the embedded router end its own tasks.
    pub(crate) async fn stop(self, mut tasks: BackgroundTasksManager) {
        drop(self.graph);
        tasks.graceful_shutdown().await;
        invoke_shutdown_hooks(&self.shared).await;
    }
}

fn engine_error(error: impl std::fmt::Display) -> RouterError {
    RouterError::Engine(error.to_string())
}

fn graph_options(hive: &HiveRouterConfig) -> SupergraphOptions {
    let mut options = SupergraphOptions::default();
    options.traffic_shaping = (&hive.traffic_shaping).into();
    options.override_subgraph_urls = hive.override_subgraph_urls.clone();
    options.headers = hive.headers.clone();
    options.subscriptions = (&hive.subscriptions).into();
    options.error_masking = hive.error_masking.clone();
    options
}

fn executors(config: &RouterConfig, runtime: &Handle) -> Result<Executors, RouterError> {
    let mut executors = HashMap::new();
    for subgraph in &config.subgraphs {
        let endpoint: http::Uri = subgraph.url.parse().map_err(engine_error)?;
        if let Some(local) = &subgraph.executor {
            let local = OwnWay::new(subgraph.name.clone(), endpoint, local.clone(), runtime.clone());
            executors.insert(subgraph.name.clone(), local.to_boxed_arc());
        }
    }
    Ok(executors)
}

fn settings(config: &RouterConfig) -> Value {
    let limits = &config.limits;
    json!({
        "supergraph": { "source": "plugin" },
        "http": { "graphql_endpoint": "/graphql" },
        "laboratory": { "enabled": false },
        "introspection": config.introspection,
        "jwt": {
            "enabled": true,
            // It never looks for a key: see `introduce`.
            "jwks_providers": [],
            "issuers": [config.jwt_issuer],
            "audiences": [config.jwt_audience],
            "allowed_algorithms": ["EdDSA"],
            "require_authentication": false,
            "scopes_claim": "roles",
            "lookup_locations": [{ "source": "header", "name": auth::TICKET.as_str() }],
        },
        "headers": { "all": { "request": [
            { "propagate": { "named": ["authorization", "x-request-id", "x-berth-client", "traceparent", "accept-language"] } },
            { "insert": { "name": "x-berth-service", "value": config.service_secret } },
        ] } },
        "override_subgraph_urls": { "subgraphs": urls(&config.subgraphs) },
        "traffic_shaping": traffic(config),
        // What is normalised is kept with its text.
        "cache": { "supergraph": { "normalization": { "max_entries": 0 }, "query_plans": { "max_entries": 256 } } },
        "subscriptions": {
            "enabled": true,
            "broadcast_capacity": 256,
            "subgraph_buffer_capacity": 1024,
            "websocket": { "subgraphs": socket_paths(&config.subgraphs) },
        },
        // The walk has refused what is too large; the embedded router's own rules would count again.
        "limits": {
            "max_request_body_size": format!("{}B", limits.body_bytes),
            "max_request_header_size": format!("{}B", limits.header_bytes * 2),
        },
        // Subgraphs mask their own faults; what they say is meant for the client.
        "error_masking": { "enabled": false },
        "authorization": { "directives": { "enabled": true, "unauthorized": { "mode": "filter" } } },
    })
}

fn traffic(config: &RouterConfig) -> Value {
    let limits = &config.limits;
    let execution = format!("{}ms", limits.execution.as_millis());
    json!({
        "max_connections_per_host": 512,
        "all": {
            "request_timeout": execution,
            "dedupe_enabled": false,
            // A pooled socket carries the token of whoever opened it.
            "websocket": { "reuse_connections": false, "execute_mode": "http" },
            "compression": { "response": { "accept_encoding": { "publish": false } } },
        },
        "router": {
            "request_timeout": execution,
            "max_long_lived_clients": limits.live_clients,
            // Would keep upstream subscriptions open for ever, and let a read join one that began
            // before the caller's own change. `live` shares feeds instead.
            "dedupe": { "enabled": false },
        },
    })
}

fn urls(subgraphs: &[Subgraph]) -> Value {
    subgraphs.iter().map(|subgraph| (subgraph.name.clone(), json!({ "url": subgraph.url }))).collect()
}

/// Subscriptions go by WebSocket to the same path as queries.
fn socket_paths(subgraphs: &[Subgraph]) -> Value {
    subgraphs
        .iter()
        .map(|subgraph| {
            let path = subgraph.url.parse::<http::Uri>().map_or_else(|_| "/graphql".to_owned(), |url| url.path().to_owned());
            (subgraph.name.clone(), json!({ "path": path }))
        })
        .collect()
}
