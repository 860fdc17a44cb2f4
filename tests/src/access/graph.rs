//! What the matrix must cover, read from the public schema.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use async_graphql_parser::{
    parse_query, parse_schema,
    types::{
        BaseType, DocumentOperations, InputValueDefinition, Selection, Type, TypeDefinition, TypeKind, TypeSystemDefinition,
    },
};
use serde_json::Value;

use super::{Matrix, Row};

const ROOTS: [&str; 3] = ["Query", "Mutation", "Subscription"];

/// Names of types, and what they are.
struct Types(BTreeMap<String, TypeDefinition>);

/// A root field, the paths of all ids that it takes, and the kinds of nodes that it finds.
type Wanted = BTreeMap<String, BTreeSet<String>>;

impl Types {
    fn read(sdl: &str) -> anyhow::Result<Self> {
        let definitions = parse_schema(sdl)?.definitions.into_iter();
        Ok(Self(
            definitions
                .filter_map(|definition| match definition {
                    TypeSystemDefinition::Type(definition) => Some((definition.node.name.node.to_string(), definition.node)),
                    _ => None,
                })
                .collect(),
        ))
    }

    fn wanted(&self) -> Wanted {
        let mut wanted = Wanted::new();
        for root in ROOTS {
            let Some(TypeKind::Object(object)) = self.0.get(root).map(|definition| &definition.kind) else { continue };
            for field in &object.fields {
                let mut ids = BTreeSet::new();
                for argument in &field.node.arguments {
                    self.ids(&argument.node, "", &mut Vec::new(), &mut ids);
                }
                wanted.insert(format!("{root}.{}", field.node.name.node), ids);
            }
        }
        wanted
    }

    /// The paths of ids in an argument or in a field of an input.
    fn ids(&self, value: &InputValueDefinition, above: &str, inside: &mut Vec<String>, found: &mut BTreeSet<String>) {
        let path = if above.is_empty() { value.name.node.to_string() } else { format!("{above}.{}", value.name.node) };
        let name = named(&value.ty.node);
        if name == "ID" {
            found.insert(path);
        } else if let Some(TypeKind::InputObject(input)) = self.0.get(name).map(|definition| &definition.kind)
            && !inside.iter().any(|outer| outer == name)
        {
            inside.push(name.to_owned());
            input.fields.iter().for_each(|field| self.ids(&field.node, &path, inside, found));
            inside.pop();
        }
    }

    /// The kinds of things that `node` finds.
    fn nodes(&self) -> BTreeSet<String> {
        let implements = |definition: &TypeDefinition| match &definition.kind {
            TypeKind::Object(object) => object.implements.iter().any(|name| name.node == "Node"),
            _ => false,
        };
        self.0.iter().filter(|(_, definition)| implements(definition)).map(|(name, _)| name.clone()).collect()
    }
}

fn named(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name.as_str(),
        BaseType::List(inner) => named(inner),
    }
}

/// The paths at which a row gives a value, and the types that it asks for by name.
fn given(row: &Row) -> anyhow::Result<(BTreeSet<String>, BTreeSet<String>)> {
    let document = row.document(|_| "x".to_owned());
    let parsed = parse_query(&document).with_context(|| format!("{}: {document}", row.field))?;
    let DocumentOperations::Single(operation) = parsed.operations else { anyhow::bail!("{}: not one operation", row.field) };
    let (mut paths, mut types) = (BTreeSet::new(), BTreeSet::new());
    for selection in operation.node.selection_set.node.items {
        let Selection::Field(field) = selection.node else { continue };
        for (name, value) in field.node.arguments {
            let value = value.node.into_const().context("a variable")?.into_json()?;
            note(&value, name.node.as_str(), &mut paths);
        }
        for inner in field.node.selection_set.node.items {
            if let Selection::InlineFragment(fragment) = inner.node {
                types.extend(fragment.node.type_condition.map(|condition| condition.node.on.node.to_string()));
            }
        }
    }
    Ok((paths, types))
}

fn note(value: &Value, path: &str, paths: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| note(value, &format!("{path}.{name}"), paths)),
        Value::Array(items) => items.iter().for_each(|item| note(item, path, paths)),
        Value::Null => {}
        _ => {
            paths.insert(path.to_owned());
        }
    }
}

/// What of the schema has no row, and which rows have nothing in the schema.
pub fn gaps(sdl: &str, matrix: &Matrix) -> anyhow::Result<Vec<String>> {
    let types = Types::read(sdl)?;
    let mut wanted = types.wanted();
    let (mut nodes, mut asked, mut found) = (types.nodes(), BTreeSet::new(), Vec::new());
    for row in matrix.rows() {
        let (paths, named) = given(row)?;
        match wanted.get_mut(&row.field) {
            Some(ids) => ids.retain(|id| !paths.contains(id)),
            None => found.push(format!("{} has a row and is not in the schema", row.field)),
        }
        if row.field == "Query.node" {
            nodes.retain(|node| !named.contains(node));
        }
        asked.insert(row.field.as_str());
    }
    for (field, ids) in &wanted {
        if !asked.contains(field.as_str()) {
            found.push(format!("{field} has no row"));
        }
        found.extend(ids.iter().map(|id| format!("{field}: no row gives the id {id}")));
    }
    found.extend(nodes.iter().map(|node| format!("Query.node: no row asks for a {node}")));
    Ok(found)
}
