//! The front door of Berth: the only process part that the public talks to.
//!
//! It embeds `hive-router` as a library and adds what a public endpoint needs around it:
//!
//! | file | what it decides |
//! | --- | --- |
//! | [`config`](RouterConfig) | addresses, keys, limits, how a subgraph is reached |
//! | `server` | the listener, workers, start and graceful stop |
//! | `door` | which part answers a request: GraphQL, GraphiQL, WebSocket, or the routes of the app |
//! | `http_graphql` | GraphQL over HTTP: negotiation, body, status codes |
//! | `websocket`, `protocol` | GraphQL over WebSocket (`graphql-transport-ws`) |
//! | `live`, `framing` | one upstream per live feed, however many people watch it; events as HTTP streams |
//! | `client` | the network address that a request comes from |
//! | `auth` | access tokens: `EdDSA` only, refused before anything runs |
//! | `documents`, `operation` | what clients send, read once and kept by its whole text |
//! | `document`, `walk`, `rules` | what a document holds, and its limits |
//! | `engine`, `pipeline`, `plugin`, `executor` | the embedded router, the way through it, its hooks, and the way into a subgraph |
//! | `graphiql`, `public` | the bundled explorer; the bridge to [`PublicRoutes`] |
//!
//! # How to start it
//!
//! ntex workers are single-threaded runtimes of their own; sockets and database pools belong to the
//! tokio runtime that opened them. So the front door lives on its own threads and every subgraph
//! call and public route is spawned on the `runtime` handle that the app passes in:
//!
//! ```no_run
//! # use std::sync::Arc;
//! # async fn run(config: berth_router::RouterConfig, routes: Arc<dyn berth_router::PublicRoutes>)
//! # -> Result<(), berth_router::RouterError> {
//! // inside a multi-thread tokio runtime
//! let router = berth_router::start(config, routes, tokio::runtime::Handle::current()).await?;
//! let address = router.address();
//! // ... wait for a signal ...
//! router.stop().await
//! # }
//! ```
//!
//! The embedded router never installs a tracing subscriber here: only its own entry point does, and
//! that is not used. The app owns the subscriber; everything below logs through `tracing`.
#![recursion_limit = "256"]

mod auth;
mod client;
mod config;
mod document;
mod documents;
mod door;
mod engine;
mod executor;
mod framing;
mod graphiql;
mod headers;
mod hosts;
mod http_graphql;
mod live;
mod negotiation;
mod operation;
mod params;
mod pipeline;
mod plugin;
mod protocol;
mod public;
mod refusal;
mod rules;
mod server;
mod walk;
mod websocket;
mod wire;

pub use config::{
    Asked, Limits, NO_ANSWER, NowSecs, Observe, PublicRoutes, RouterConfig, RouterError, Sessions, Subgraph, SubgraphCall,
    Unending, Unobserved,
};
/// The allocator that the embedded router is measured with, for the app's `#[global_allocator]`.
pub use hive_router::RouterGlobalAllocator;
pub use server::{RunningRouter, serve, start};
