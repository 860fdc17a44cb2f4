//! Reads the operation from a request. Wrong shapes are refused here, with words, so that the
//! embedded router only ever sees well-formed parameters.

use std::collections::HashMap;

use hive_router::{
    executor::plugins::hooks::on_graphql_params::GraphQLParams,
    sonic_rs::{self, Value},
};
use http::StatusCode;
use ntex::{
    http::{HeaderMap, header},
    web::types::Query,
};
use serde::Deserialize;

use crate::{document, documents::Documents, operation::Operation, refusal::Refusal};

/// The JSON of a POST body, and of `subscribe` on a WebSocket.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<HashMap<String, Value>>,
    extensions: Option<HashMap<String, Value>>,
}

/// The query string of a GET.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Address {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

/// Reads a JSON body.
pub(crate) fn from_json(body: &[u8], documents: &Documents) -> Result<Operation, Refusal> {
    document::check_json_nesting(body)?;
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "BATCHING_NOT_SUPPORTED",
            "One request carries one operation; send operations separately.",
        ));
    }
    let body: Body = sonic_rs::from_slice(body).map_err(|_| {
        Refusal::bad_request(
            "The body must be a JSON object with a string `query`, and optionally `operationName`, `variables` and `extensions`.",
        )
    })?;
    documents.read(checked(body)?)
}

/// Reads the query string of a GET.
pub(crate) fn from_address(query_string: &str, documents: &Documents) -> Result<Operation, Refusal> {
    let address = Query::<Address>::from_query(query_string)
        .map_err(|_| Refusal::bad_request("The query string is not readable."))?
        .into_inner();
    let body = Body {
        query: address.query,
        operation_name: address.operation_name.filter(|name| !name.is_empty()),
        variables: json_object(address.variables, "variables")?,
        extensions: json_object(address.extensions, "extensions")?,
    };
    documents.read(checked(body)?)
}

fn json_object(text: Option<String>, name: &str) -> Result<Option<HashMap<String, Value>>, Refusal> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    document::check_json_nesting(text.as_bytes())?;
    sonic_rs::from_str(&text).map_err(|_| Refusal::bad_request(format!("`{name}` must be a JSON object.")))
}

fn checked(body: Body) -> Result<GraphQLParams, Refusal> {
    let Some(query) = body.query else {
        return Err(without_query(body.extensions.as_ref()));
    };
    Ok(GraphQLParams {
        query: Some(query),
        operation_name: body.operation_name,
        variables: body.variables.unwrap_or_default(),
        extensions: body.extensions,
    })
}

/// Clients that first try a stored query fall back to the full text when they read this code.
fn without_query(extensions: Option<&HashMap<String, Value>>) -> Refusal {
    if extensions.is_some_and(|extensions| extensions.contains_key("persistedQuery")) {
        return Refusal::new(StatusCode::BAD_REQUEST, "PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported");
    }
    Refusal::bad_request("The parameter `query` is missing.")
}

/// A copy; the embedded router takes parameters by value.
pub(crate) fn copy(params: &GraphQLParams) -> GraphQLParams {
    GraphQLParams {
        query: params.query.clone(),
        operation_name: params.operation_name.clone(),
        variables: params.variables.clone(),
        extensions: params.extensions.clone(),
    }
}

/// Only JSON in UTF-8 is read.
pub(crate) fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut pieces = value.split(';').map(|piece| piece.trim().to_ascii_lowercase());
    let media = pieces.next().unwrap_or_default();
    let charset = pieces.find_map(|piece| piece.strip_prefix("charset=").map(|name| name.trim_matches('"').to_owned()));
    if media == "application/json" && charset.is_none_or(|name| name == "utf-8" || name == "utf8") {
        return Ok(());
    }
    Err(Refusal::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "UNSUPPORTED_MEDIA_TYPE",
        "Send the operation as application/json in UTF-8.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Limits, walk::shape::Shape};

    fn documents() -> Documents {
        Documents::new(&Limits::default(), [0; 16], Shape::empty())
    }

    fn code(body: &str) -> Result<(), &'static str> {
        from_json(body.as_bytes(), &documents()).map(drop).map_err(|refusal| refusal.code)
    }

    #[test]
    fn reads_what_the_specification_allows() {
        assert_eq!(code(r#"{"query":"{ a }"}"#), Ok(()));
        assert_eq!(code(r#"{"query":"{ a }","operationName":null,"variables":null,"extensions":null,"other":1}"#), Ok(()));
    }

    #[test]
    fn refuses_other_shapes() {
        assert_eq!(code(r#"[{"query":"{ a }"}]"#), Err("BATCHING_NOT_SUPPORTED"));
        for body in ["", "null", "{", "{}", r#"{"query":1}"#, r#"{"query":"{ a }","variables":"x"}"#, r#"{"query":"{ a }"} x"#] {
            assert_eq!(code(body), Err("BAD_REQUEST"), "{body}");
        }
        assert_eq!(code(r#"{"extensions":{"persistedQuery":{}}}"#), Err("PERSISTED_QUERY_NOT_SUPPORTED"));
    }

    #[test]
    fn reads_a_query_string() {
        let read =
            |text: &str| from_address(text, &documents()).map(|operation| operation.params).map_err(|refusal| refusal.code);
        assert!(read("query=%7B%20a%20%7D&variables=%7B%22a%22%3A1%7D").is_ok_and(|params| params.variables.len() == 1));
        assert!(read("query=%7Ba%7D&variables=7").is_err());
        assert!(read("").is_err());
    }
}
