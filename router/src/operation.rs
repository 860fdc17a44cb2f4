//! The operation that a request asks for, read and counted. Every transport (POST, GET, event streams, multipart, `WebSocket`)
//! gets it from [`crate::params`], before anything of it runs.

use std::sync::Arc;

use hive_router::{
    executor::plugins::hooks::on_graphql_params::GraphQLParams,
    graphql_tools::static_graphql::query::{Definition, Document},
};

use crate::{
    documents::{Known, KnownOperation},
    params,
    walk::{Counts, shape::Kind},
};

/// What a request asks for.
pub(crate) struct Operation {
    /// Its parameters as the embedded router takes them.
    pub params: GraphQLParams,
    /// What the walk counted, for whoever decides how much a client may ask.
    pub counts: Counts,
    /// Its document.
    pub known: Arc<Known>,
    /// Which operation of the document it is.
    pub at: usize,
}

impl Operation {
    /// What is known of it.
    pub(crate) fn known(&self) -> &KnownOperation {
        &self.known.operations[self.at]
    }

    /// Whether it watches something.
    pub(crate) fn is_subscription(&self) -> bool {
        self.known().kind == Kind::Subscription
    }

    /// Its document without the operations that are not meant.
    pub(crate) fn alone(&self) -> Document {
        let mut at = 0;
        let mut document = self.known.document.clone();
        document.definitions.retain(|definition| {
            if matches!(definition, Definition::Fragment(_)) {
                return true;
            }
            at += 1;
            at == self.at + 1
        });
        document
    }

    /// A copy; the embedded router takes parameters by value.
    pub(crate) fn copy(&self) -> Self {
        Self { params: params::copy(&self.params), counts: self.counts, known: self.known.clone(), at: self.at }
    }
}
