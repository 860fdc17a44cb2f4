//! What the log says about a request that met a fault of ours.

use async_graphql::{PathSegment, Request, Response};
use berth_contracts::Kind;
use uuid::Uuid;

use crate::graphql::Cause;

/// Who asked for what, for the log.
pub(super) struct Asked {
    operation: String,
    user_id: Option<Uuid>,
}

impl Asked {
    /// The operation's name, or its kind: the router names none of those that it plans.
    pub fn of(request: &Request, user_id: Option<Uuid>) -> Self {
        let kinds = ["mutation", "subscription"];
        let kind = kinds.into_iter().find(|kind| request.query.trim_start().starts_with(kind)).unwrap_or("query");
        Self { operation: request.operation_name.clone().unwrap_or_else(|| kind.to_owned()), user_id }
    }

    /// Tells of faults of ours in an answer: each once, with the field that met it.
    pub fn told(&self, response: Response) -> Response {
        for error in &response.errors {
            let Some(cause) = error.source::<Cause>() else { continue };
            let field: Vec<String> = error.path.iter().map(segment).collect();
            let (operation, user_id) = (&self.operation, self.user_id.map(|id| Kind::User.encode(id)));
            tracing::error!(error = cause.0, operation, field = field.join("."), user.id = user_id, "graphql.internal");
        }
        response
    }
}

fn segment(segment: &PathSegment) -> String {
    match segment {
        PathSegment::Field(name) => name.clone(),
        PathSegment::Index(index) => index.to_string(),
    }
}
