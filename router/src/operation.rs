//! The operation that a request asks for, read and counted. Every transport (POST, GET, event streams, multipart, `WebSocket`)
//! gets it from [`crate::params`], before anything of it runs.

use hive_router::executor::plugins::hooks::on_graphql_params::GraphQLParams;

use crate::walk::Counts;

/// What a request asks for.
pub(crate) struct Operation {
    /// Its parameters as the embedded router takes them.
    pub params: GraphQLParams,
    /// What the walk counted, for whoever decides how much a client may ask.
    pub counts: Counts,
}
