//! What an operation asks of the graph: fields of one name in one place are one field, as the executor sees them. Only for
//! operations whose written-out size was found to be within its limit, because here it is written out.

use std::collections::HashMap;

use hive_router::graphql_tools::static_graphql::query::{Field, Selection, SelectionSet, TypeCondition, Value};

use super::{
    shape::{FieldShape, LONGEST_PAGE, PAGE_ARGUMENTS, Shape, TypeId},
    sums::{Fragments, is_introspection},
};

/// Objects of introspection that count as one: they are in memory.
const INTROSPECTION_UNIT: u64 = 30;

/// What was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Merged {
    /// Fields for each type that they may be asked of.
    pub selections: u64,
    /// Fields of the widest set.
    pub widest_set: u64,
    /// Pairs of fields of one name in one place: validation compares each of them.
    pub repeats: u64,
    /// Lists of introspection inside each other.
    pub introspection_lists: u64,
    /// Objects that the answer may hold.
    pub cost: u64,
    /// A variable says how long a page is.
    pub varies: bool,
}

/// The length of the page that a variable asks for; `None` where it says nothing.
pub(crate) type PageOf<'v> = &'v dyn Fn(&str) -> Option<u64>;

/// Looks at an operation.
pub(crate) fn merge(shape: &Shape, fragments: &Fragments, root: Option<TypeId>, set: &SelectionSet, page_of: PageOf) -> Merged {
    let mut merger = Merger { shape, fragments, page_of, found: Merged::default(), introspected: 0 };
    merger.level(&[Part { set, of: root, copies: 1, bound: 1 }], Place { times: 1, page: None, lists: None });
    let introspected = merger.introspected.div_ceil(INTROSPECTION_UNIT);
    Merged { cost: merger.found.cost.saturating_add(introspected), ..merger.found }
}

struct Merger<'a> {
    shape: &'a Shape,
    fragments: &'a Fragments<'a>,
    page_of: PageOf<'a>,
    found: Merged,
    introspected: u64,
}

/// A selection set of a field.
#[derive(Clone, Copy)]
struct Part<'a> {
    set: &'a SelectionSet,
    of: Option<TypeId>,
    /// Object types for which the embedded router writes the field out.
    copies: u64,
    /// Object types that the value of the field may have.
    bound: u64,
}

/// Where in the answer a field stands.
#[derive(Clone, Copy)]
struct Place {
    /// How many objects there may be.
    times: u64,
    /// Items of the connection around it.
    page: Option<u64>,
    /// Lists around it, in introspection.
    lists: Option<u64>,
}

/// A field and what it is asked of.
struct Asked<'a> {
    field: &'a Field,
    of: Option<TypeId>,
    copies: u64,
}

impl<'a> Merger<'a> {
    fn level(&mut self, parts: &[Part<'a>], place: Place) {
        let mut asked = Vec::new();
        for part in parts {
            self.flatten(*part, &mut asked);
        }
        self.found.widest_set = self.found.widest_set.max(asked.len() as u64);
        let mut names: HashMap<&str, usize> = HashMap::new();
        let mut groups: Vec<Vec<Asked<'a>>> = Vec::new();
        for asked in asked {
            self.found.selections = self.found.selections.saturating_add(asked.copies);
            let name = asked.field.alias.as_ref().unwrap_or(&asked.field.name);
            let group = *names.entry(name).or_insert(groups.len());
            if group == groups.len() {
                groups.push(Vec::new());
            }
            groups[group].push(asked);
        }
        for group in groups {
            let others = group.len() as u64 - 1;
            self.found.repeats = self.found.repeats.saturating_add(group.len() as u64 * others / 2);
            self.field(&group, place);
        }
    }

    /// The fields of a selection set, with its fragments.
    fn flatten(&self, part: Part<'a>, into: &mut Vec<Asked<'a>>) {
        for selection in &part.set.items {
            match selection {
                Selection::Field(field) => {
                    let copies = part.copies.saturating_mul(self.possible(part));
                    into.push(Asked { field, of: part.of, copies });
                }
                Selection::InlineFragment(inline) => {
                    self.flatten(self.narrowed(part, &inline.selection_set, inline.type_condition.as_ref()), into);
                }
                Selection::FragmentSpread(spread) => {
                    let Some(fragment) = self.fragments.get(spread.fragment_name.as_str()) else { continue };
                    self.flatten(self.narrowed(part, &fragment.selection_set, Some(&fragment.type_condition)), into);
                }
            }
        }
    }

    /// A fragment inside a selection set.
    fn narrowed(&self, part: Part<'a>, set: &'a SelectionSet, condition: Option<&TypeCondition>) -> Part<'a> {
        let of = condition.map_or(part.of, |TypeCondition::On(name)| self.shape.id(name));
        Part { set, of, bound: self.possible(part), ..part }
    }

    /// How many object types the value may still have.
    fn possible(&self, part: Part) -> u64 {
        self.shape.possible(part.of).min(part.bound)
    }

    /// Fields of one name in one place.
    fn field(&mut self, group: &[Asked<'a>], place: Place) {
        let mut size = 0;
        let mut page = None;
        let mut gives_objects = false;
        let mut parts = Vec::with_capacity(group.len());
        let mut lists = place.lists;
        for Asked { field, of, copies } in group {
            let shape = self.shape.field(*of, &field.name);
            let own = shape.and_then(|shape| self.page(field, shape));
            gives_objects |= shape.map_or(!field.selection_set.items.is_empty(), |shape| shape.of.is_some());
            size = size.max(shape.map_or(1, |shape| shape.size(own, place.page)));
            page = page.max(own);
            if is_introspection(&field.name) {
                lists = Some(lists.unwrap_or(0));
            }
            if !field.selection_set.items.is_empty() {
                let of = shape.and_then(|shape| shape.of);
                parts.push(Part { set: &field.selection_set, of, copies: *copies, bound: self.shape.possible(of) });
            }
        }
        let Some(first) = group.first() else { return };
        if let Some(around) = lists {
            return self.introspection(&first.field.name, &parts, Place { lists: Some(around), ..place });
        }
        if !gives_objects {
            return;
        }
        let times = place.times.saturating_mul(size);
        self.found.cost = self.found.cost.saturating_add(times);
        self.level(&parts, Place { times, page, lists });
    }

    fn introspection(&mut self, name: &str, parts: &[Part<'a>], place: Place) {
        if parts.is_empty() {
            return;
        }
        let multiplies = matches!(name, "fields" | "interfaces" | "possibleTypes" | "inputFields");
        let size = match name {
            "types" => 100,
            "fields" => 6,
            "args" | "inputFields" | "enumValues" | "interfaces" | "possibleTypes" => 2,
            _ => 1,
        };
        let lists = place.lists.unwrap_or(0) + u64::from(multiplies);
        self.found.introspection_lists = self.found.introspection_lists.max(lists);
        let times = place.times.saturating_mul(size);
        self.introspected = self.introspected.saturating_add(times);
        self.level(parts, Place { times, page: None, lists: Some(lists) });
    }

    /// How many items a field is asked for.
    fn page(&mut self, field: &Field, shape: FieldShape) -> Option<u64> {
        let unasked = shape.page?;
        let asked = field.arguments.iter().filter(|(name, _)| PAGE_ARGUMENTS.contains(&name.as_str()));
        let longest = asked.filter_map(|(_, value)| self.number(value)).max();
        Some(longest.unwrap_or(unasked).min(LONGEST_PAGE))
    }

    fn number(&mut self, value: &Value) -> Option<u64> {
        match value {
            Value::Int(number) => Some(number.as_i64().map_or(LONGEST_PAGE, |number| u64::try_from(number).unwrap_or(0))),
            Value::Variable(name) => {
                self.found.varies = true;
                (self.page_of)(name)
            }
            _ => None,
        }
    }
}
