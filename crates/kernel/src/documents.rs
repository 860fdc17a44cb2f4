//! Parsed queries: the router sends one text for each of its plans, again and again, and parsing it costs more than running it.

use std::sync::Arc;

use async_graphql::{Request, parser::types::ExecutableDocument};
use moka::sync::Cache;

/// Text of the queries that are remembered, in bytes; the parsed form is about ten times larger.
const REMEMBERED_BYTES: u64 = 2 * 1024 * 1024;

/// The queries of one schema that were seen last; a clone is the same memory.
#[derive(Clone)]
pub struct Documents(Cache<String, Arc<ExecutableDocument>>);

impl Default for Documents {
    fn default() -> Self {
        let weigh = |query: &String, _: &Arc<ExecutableDocument>| u32::try_from(query.len()).unwrap_or(u32::MAX);
        Self(Cache::builder().max_capacity(REMEMBERED_BYTES).weigher(weigh).build())
    }
}

impl Documents {
    /// The request with its query parsed. One that can't be parsed stays as it is: the schema says why.
    pub fn parsed(&self, mut request: Request) -> Request {
        if let Some(known) = self.0.get(&request.query) {
            request.set_parsed_query(ExecutableDocument::clone(&known));
        } else if let Ok(document) = request.parsed_query() {
            let document = Arc::new(document.clone());
            self.0.insert(request.query.clone(), document);
        }
        request
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::{EmptyMutation, EmptySubscription, Object, Schema, Variables};
    use serde_json::json;

    use super::*;

    struct Query;

    #[Object]
    impl Query {
        async fn twice(&self, number: i32) -> i32 {
            number * 2
        }
    }

    #[tokio::test]
    async fn a_known_query_answers_with_the_variables_of_each_request() {
        let (schema, documents) = (Schema::new(Query, EmptyMutation, EmptySubscription), Documents::default());
        for number in [1, 2, 3] {
            let asked = Request::new("query($n: Int!) { twice(number: $n) }");
            let asked = documents.parsed(asked.variables(Variables::from_json(json!({ "n": number }))));
            assert_eq!(schema.execute(asked).await.data.into_json().expect("json"), json!({ "twice": number * 2 }));
        }
        assert!(documents.0.contains_key("query($n: Int!) { twice(number: $n) }"));
    }

    #[tokio::test]
    async fn what_can_not_be_parsed_is_refused_each_time() {
        let (schema, documents) = (Schema::new(Query, EmptyMutation, EmptySubscription), Documents::default());
        for _ in 0..2 {
            let answer = schema.execute(documents.parsed(Request::new("{ twice("))).await;
            assert_eq!(answer.errors.len(), 1);
        }
    }
}
