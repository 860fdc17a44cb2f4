//! The schema as the walk needs it: which fields give objects, and how many.

use std::collections::HashMap;

use hive_router::graphql_tools::{
    parser::schema::Definition,
    static_graphql::schema::{Document, Field, InputValue, Type, TypeDefinition, Value},
};

/// Items of a page that nothing is said about, as docs/API-STYLE.md promises.
const PAGE: u64 = 20;
/// The longest page there is; more is refused by whoever makes it.
pub(crate) const LONGEST_PAGE: u64 = 100;
/// Items of a list that is no page: the stops of a trip, the seats of a car.
const LIST: u64 = 5;
/// The arguments that say how long a page is.
pub(crate) const PAGE_ARGUMENTS: [&str; 2] = ["first", "last"];

/// A type of the schema.
pub(crate) type TypeId = usize;

/// The types that have fields.
pub(crate) struct Shape {
    ids: HashMap<String, TypeId>,
    types: Vec<TypeShape>,
    roots: [Option<TypeId>; 3],
}

/// The kind of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Query,
    Mutation,
    Subscription,
}

#[derive(Default)]
struct TypeShape {
    fields: HashMap<String, FieldShape>,
    /// How many object types it may be.
    possible: u64,
}

/// A field of the schema.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FieldShape {
    /// The type of the objects that it gives; `None` where it gives none.
    pub of: Option<TypeId>,
    /// It gives a list.
    pub list: bool,
    /// Items when the request does not say how many; `None` where it can't say.
    pub page: Option<u64>,
}

impl FieldShape {
    /// Items of the list, when it is one; `page` is what the connection around it holds.
    pub(crate) fn size(self, own_page: Option<u64>, page: Option<u64>) -> u64 {
        if self.list { own_page.or(page).unwrap_or(LIST) } else { 1 }
    }
}

impl Shape {
    /// Reads a schema.
    pub(crate) fn new(schema: &Document) -> Self {
        let mut shape = Self { ids: HashMap::new(), types: Vec::new(), roots: [None; 3] };
        for definition in type_definitions(schema) {
            if matches!(definition, TypeDefinition::Object(_) | TypeDefinition::Interface(_) | TypeDefinition::Union(_)) {
                let next = shape.types.len();
                shape.ids.insert(name_of(definition).to_owned(), next);
                shape.types.push(TypeShape { possible: 1, ..TypeShape::default() });
            }
        }
        for definition in type_definitions(schema) {
            shape.enter(definition, schema);
        }
        shape.roots = ["Query", "Mutation", "Subscription"].map(|name| shape.ids.get(name).copied());
        shape
    }

    /// Knows no type.
    #[cfg(test)]
    pub(crate) fn empty() -> Self {
        Self { ids: HashMap::new(), types: Vec::new(), roots: [None; 3] }
    }

    fn enter(&mut self, definition: &TypeDefinition, schema: &Document) {
        let Some(id) = self.id(name_of(definition)) else { return };
        let (fields, possible) = match definition {
            TypeDefinition::Object(object) => (object.fields.as_slice(), 1),
            TypeDefinition::Interface(interface) => (interface.fields.as_slice(), implementers(schema, &interface.name)),
            TypeDefinition::Union(union) => (&[][..], union.types.len() as u64),
            _ => return,
        };
        let fields = fields.iter().map(|field| (field.name.clone(), self.field_shape(field))).collect();
        self.types[id] = TypeShape { fields, possible: possible.max(1) };
    }

    fn field_shape(&self, field: &Field) -> FieldShape {
        let (name, list) = inner(&field.field_type);
        let mut arguments = field.arguments.iter().filter(|argument| PAGE_ARGUMENTS.contains(&argument.name.as_str()));
        let page = arguments.next().map(|first| arguments.chain([first]).find_map(default).unwrap_or(PAGE));
        FieldShape { of: self.id(name), list, page }
    }

    /// The type with this name.
    pub(crate) fn id(&self, name: &str) -> Option<TypeId> {
        self.ids.get(name).copied()
    }

    /// The type at the root of operations of this kind.
    pub(crate) fn root(&self, kind: Kind) -> Option<TypeId> {
        self.roots[kind as usize]
    }

    /// A field of a type.
    pub(crate) fn field(&self, of: Option<TypeId>, name: &str) -> Option<FieldShape> {
        self.types.get(of?)?.fields.get(name).copied()
    }

    /// How many object types a value of this type may be.
    pub(crate) fn possible(&self, of: Option<TypeId>) -> u64 {
        of.and_then(|of| self.types.get(of)).map_or(1, |of| of.possible)
    }
}

fn type_definitions(schema: &Document) -> impl Iterator<Item = &TypeDefinition> {
    schema.definitions.iter().filter_map(|definition| match definition {
        Definition::TypeDefinition(definition) => Some(definition),
        _ => None,
    })
}

fn name_of(definition: &TypeDefinition) -> &str {
    match definition {
        TypeDefinition::Scalar(of) => &of.name,
        TypeDefinition::Object(of) => &of.name,
        TypeDefinition::Interface(of) => &of.name,
        TypeDefinition::Union(of) => &of.name,
        TypeDefinition::Enum(of) => &of.name,
        TypeDefinition::InputObject(of) => &of.name,
    }
}

fn implementers(schema: &Document, interface: &str) -> u64 {
    let implements = |definition: &&TypeDefinition| match definition {
        TypeDefinition::Object(object) => object.implements_interfaces.iter().any(|name| name == interface),
        _ => false,
    };
    type_definitions(schema).filter(implements).count() as u64
}

fn inner(of: &Type) -> (&str, bool) {
    match of {
        Type::NamedType(name) => (name, false),
        Type::ListType(of) => (inner(of).0, true),
        Type::NonNullType(of) => inner(of),
    }
}

fn default(argument: &InputValue) -> Option<u64> {
    match &argument.default_value {
        Some(Value::Int(number)) => number.as_i64().and_then(|number| u64::try_from(number).ok()),
        _ => None,
    }
}
