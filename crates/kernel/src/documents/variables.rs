//! The values of a query's variables against their types, as the specification's "Coercing Variable Values" has it.

use async_graphql::{
    Value, Variables,
    parser::types::{DocumentOperations, ExecutableDocument},
    registry::{MetaInputValue, MetaType, MetaTypeName, Registry},
};

/// Whether each variable of the only operation has a value, and one of its type. `false` is no verdict: a variable that may be
/// left out or be null, or a document of several operations, has to go through the whole check.
pub fn fit(registry: &Registry, document: &ExecutableDocument, variables: &Variables) -> bool {
    let DocumentOperations::Single(operation) = &document.operations else { return false };
    operation.node.variable_definitions.iter().all(|definition| {
        let (name, of) = (&definition.node.name.node, &definition.node.var_type.node);
        variables.get(name).is_some_and(|value| *value != Value::Null && is_of(registry, &of.to_string(), value))
    })
}

fn is_of(registry: &Registry, type_name: &str, value: &Value) -> bool {
    match (MetaTypeName::create(type_name), value) {
        (MetaTypeName::NonNull(_), Value::Null) => false,
        (MetaTypeName::NonNull(inner), value) => is_of(registry, inner, value),
        (_, Value::Null) => true,
        (MetaTypeName::List(inner), Value::List(items)) => items.iter().all(|item| is_of(registry, inner, item)),
        (MetaTypeName::List(inner), value) => is_of(registry, inner, value),
        (MetaTypeName::Named(name), value) => registry.types.get(name).is_some_and(|of| is_one_of(registry, of, value)),
    }
}

fn is_one_of(registry: &Registry, of: &MetaType, value: &Value) -> bool {
    match (of, value) {
        (MetaType::Scalar { is_valid, .. }, value) => is_valid.as_ref().is_none_or(|is_valid| is_valid(value)),
        (MetaType::Enum { enum_values, .. }, Value::String(name)) => enum_values.contains_key(name),
        (MetaType::Enum { enum_values, .. }, Value::Enum(name)) => enum_values.contains_key(name.as_str()),
        (MetaType::InputObject { input_fields, oneof, .. }, Value::Object(given)) => {
            let fits = |field: &MetaInputValue| match given.get(field.name.as_str()) {
                Some(value) => is_of(registry, &field.ty, value),
                None => field.default_value.is_some() || !field.ty.ends_with('!'),
            };
            let is_one = given.len() == 1 && given.values().all(|value| *value != Value::Null);
            (!oneof || is_one)
                && given.keys().all(|name| input_fields.contains_key(name.as_str()))
                && input_fields.values().all(fits)
        }
        _ => false,
    }
}
