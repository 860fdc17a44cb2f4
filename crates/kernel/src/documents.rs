//! Known queries: the router sends one text for each of its plans, again and again, and parsing and checking it costs more than
//! running it.
//!
//! async-graphql checks a text together with the values of its variables. Once a text was found good, [`variables`] looks at the
//! values alone; what it does not find good goes through the whole check, which says why.

mod variables;

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use async_graphql::{
    Request, ServerError, ServerResult, ValidationResult, Variables,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextParseQuery, NextValidation},
    parser::types::ExecutableDocument,
};
use async_trait::async_trait;
use moka::sync::Cache;

/// Text of the queries that are remembered, in bytes; the parsed form is about ten times larger.
const REMEMBERED_BYTES: u64 = 2 * 1024 * 1024;

/// The queries of one schema that were seen last; a clone is the same memory.
#[derive(Clone)]
pub struct Documents(Cache<String, Arc<Known>>);

/// A query that can be parsed.
struct Known {
    document: ExecutableDocument,
    /// What the check found once it was found good, with values for all of its variables.
    checked: OnceLock<ValidationResult>,
}

impl Default for Documents {
    fn default() -> Self {
        let weigh = |query: &String, _: &Arc<Known>| u32::try_from(query.len()).unwrap_or(u32::MAX);
        Self(Cache::builder().max_capacity(REMEMBERED_BYTES).weigher(weigh).build())
    }
}

impl Documents {
    /// The request with its query parsed. One that can't be parsed stays as it is: the schema says why.
    pub fn parsed(&self, mut request: Request) -> Request {
        let known = self.0.get(&request.query).or_else(|| {
            let document = request.parsed_query().ok()?.clone();
            let known = Arc::new(Known { document, checked: OnceLock::new() });
            self.0.insert(request.query.clone(), known.clone());
            Some(known)
        });
        let Some(known) = known else { return request };
        request.set_parsed_query(known.document.clone());
        request.data(known)
    }
}

/// Makes a schema check each text once, and then only the values of its variables. For what comes through [`Documents`]; other
/// requests are checked each time.
pub struct CheckOnce;

impl ExtensionFactory for CheckOnce {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Check::default())
    }
}

/// The check of one request.
#[derive(Default)]
struct Check {
    /// Every variable has a value of its type.
    fit: AtomicBool,
}

#[async_trait]
impl Extension for Check {
    async fn parse_query(
        &self,
        context: &ExtensionContext<'_>,
        query: &str,
        variables: &Variables,
        next: NextParseQuery<'_>,
    ) -> ServerResult<ExecutableDocument> {
        let document = next.run(context, query, variables).await?;
        self.fit.store(variables::fit(&context.schema_env.registry, &document, variables), Ordering::Relaxed);
        Ok(document)
    }

    async fn validation(
        &self,
        context: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let known = context.data_opt::<Arc<Known>>().filter(|_| self.fit.load(Ordering::Relaxed));
        let Some(known) = known else { return next.run(context).await };
        if let Some(checked) = known.checked.get() {
            return Ok(*checked);
        }
        let checked = next.run(context).await?;
        Ok(*known.checked.get_or_init(|| checked))
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::{EmptyMutation, EmptySubscription, Object, Schema, Variables};
    use serde_json::{Value, json};

    use super::*;

    struct Query;

    #[Object]
    impl Query {
        async fn twice(&self, number: i32) -> i32 {
            number * 2
        }
    }

    fn schema() -> Schema<Query, EmptyMutation, EmptySubscription> {
        Schema::build(Query, EmptyMutation, EmptySubscription).extension(CheckOnce).finish()
    }

    fn asked(documents: &Documents, query: &str, variables: Value) -> Request {
        documents.parsed(Request::new(query).variables(Variables::from_json(variables)))
    }

    #[tokio::test]
    async fn a_known_query_answers_with_the_variables_of_each_request() {
        let (schema, documents, query) = (schema(), Documents::default(), "query($n: Int!) { twice(number: $n) }");
        for number in [1, 2, 3] {
            let answer = schema.execute(asked(&documents, query, json!({ "n": number }))).await;
            assert_eq!(answer.data.into_json().expect("json"), json!({ "twice": number * 2 }));
        }
        assert!(documents.0.get(query).is_some_and(|known| known.checked.get().is_some()));
    }

    #[tokio::test]
    async fn a_known_query_refuses_variables_that_do_not_fit() {
        let (schema, documents, query) = (schema(), Documents::default(), "query($n: Int!) { twice(number: $n) }");
        assert!(schema.execute(asked(&documents, query, json!({ "n": 1 }))).await.is_ok());
        for variables in [json!({}), json!({ "n": null }), json!({ "n": "two" }), json!({ "n": 5_000_000_000_i64 })] {
            assert_eq!(schema.execute(asked(&documents, query, variables)).await.errors.len(), 1);
        }
    }

    #[tokio::test]
    async fn what_can_not_be_parsed_or_asked_is_refused_each_time() {
        let (schema, documents) = (schema(), Documents::default());
        for query in ["{ twice(", "{ twice }", "{ thrice }"] {
            for _ in 0..2 {
                assert_eq!(schema.execute(asked(&documents, query, json!({}))).await.errors.len(), 1, "{query}");
            }
        }
    }
}
