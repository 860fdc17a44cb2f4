//! What the log says about a request that met a fault of ours.

use async_graphql::{PathSegment, Response};
use berth_contracts::Kind;
use uuid::Uuid;

use crate::graphql::Cause;

/// Who asked for what, for the log.
pub(super) struct Asked {
    pub operation: Option<String>,
    pub user_id: Option<Uuid>,
}

impl Asked {
    /// Tells of faults of ours in an answer: each once, with the field that met it.
    pub fn told(&self, response: Response) -> Response {
        for error in &response.errors {
            let Some(cause) = error.source::<Cause>() else { continue };
            let field: Vec<String> = error.path.iter().map(segment).collect();
            let (operation, user_id) = (self.operation.as_deref(), self.user_id.map(|id| Kind::User.encode(id)));
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
