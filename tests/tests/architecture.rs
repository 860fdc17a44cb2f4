//! The house rules that a compiler cannot see: who may import whom, which layer touches which library, and how long a file
//! or a function may grow. The picture of the house is docs/ARCHITECTURE.md.
#![allow(clippy::expect_used, clippy::panic, clippy::type_complexity, reason = "a test may stop at the first surprise")]

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{CargoOpt, MetadataCommand};
use syn::{spanned::Spanned, visit::Visit};

const LONGEST_FILE: usize = 500;
const LONGEST_FUNCTION: usize = 70;

/// Each crate of ours, and the crates of ours that it may depend on. A new crate must be entered here.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("berth-contracts", &[]),
    ("berth-kernel", &["berth-contracts"]),
    ("berth-migrations", &[]),
    ("berth-user", SUBGRAPH),
    ("berth-inventory", SUBGRAPH),
    ("berth-booking", SUBGRAPH),
    ("berth-payment", SUBGRAPH),
    ("berth-router", &["berth-contracts"]),
    (
        "berth",
        &[
            "berth-contracts",
            "berth-kernel",
            "berth-migrations",
            "berth-user",
            "berth-inventory",
            "berth-booking",
            "berth-payment",
            "berth-router",
        ],
    ),
    ("berth-tests", &[]),
];
const SUBGRAPH: &[&str] = &["berth-contracts", "berth-kernel", "berth-migrations"];

/// A library, the only places that may name it, and what of it may be named everywhere.
const MAY_NAME: &[(&str, fn(&Source) -> bool, &[&str])] = &[
    (
        "sea_orm",
        |file| file.is_under("store") || file.is_under("error") || file.is_in(&["crates/kernel", "migrations"]),
        &["DbErr", "ConnectionTrait", "TransactionTrait"],
    ),
    ("async_graphql", |file| file.is_under("graphql") || file.is_in(&["crates/kernel", "app"]), &[]),
    ("hive_router", |file| file.is_in(&["router", "app"]), &[]),
    ("ntex", |file| file.is_in(&["router", "app"]), &[]),
    ("anyhow", |file| file.is_in(&["app"]), &[]),
];

/// Inside a subgraph: a layer, and the layers of its own crate that it may not name.
const LAYERS: &[(&str, &[&str])] = &[("store", &["graphql"]), ("events", &["graphql", "store"]), ("jobs", &["graphql", "store"])];

/// Literals in the form of an error code that no client ever sees as one.
const NO_ERROR_CODES: &[&str] = &[
    "BOOKING_CANCELLED",
    "FAILPOINTS_FILE",
    "NOT_NEEDED",
    "SCREAMING_SNAKE_CASE",
    "SEATS_GONE",
    "SIGNED_OUT",
    "SIGNED_UP",
    "SUBGRAPH_REQUEST_TIMEOUT",
    "UNAUTHORIZED_FIELD_OR_TYPE",
];

#[test]
fn crates_depend_only_on_what_the_house_allows() {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .features(CargoOpt::AllFeatures)
        .no_deps()
        .other_options(vec!["--offline".to_owned()])
        .exec()
        .expect("cargo metadata");
    let mut broken = String::new();
    for package in &metadata.packages {
        let name = package.name.as_str();
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(known, _)| *known == name) else {
            let _ = writeln!(broken, "{name} is unknown to this test");
            continue;
        };
        let ours = package.dependencies.iter().filter(|dependency| dependency.path.is_some());
        for dependency in ours.filter(|dependency| !allowed.contains(&dependency.name.as_str())) {
            let _ = writeln!(broken, "{name} must not depend on {}", dependency.name);
        }
    }
    assert!(broken.is_empty(), "{broken}");
}

#[test]
fn libraries_stay_in_their_layer() {
    let mut broken = String::new();
    for file in sources().into_iter().filter(|file| !file.is_test()) {
        for (library, _, everywhere) in MAY_NAME.iter().filter(|(_, allowed, _)| !allowed(&file)) {
            if let Some(line) = file.line_naming(library, everywhere) {
                let _ = writeln!(broken, "{}:{line} names {library}", file.path);
            }
        }
    }
    assert!(broken.is_empty(), "{broken}");
}

#[test]
fn layers_of_a_subgraph_look_only_downwards() {
    let mut broken = String::new();
    for file in sources().into_iter().filter(|file| file.path.starts_with("subgraphs/")) {
        for (layer, forbidden) in LAYERS.iter().filter(|(layer, _)| file.is_under(layer)) {
            for other in *forbidden {
                if let Some(line) = file.line_naming(&format!("crate::{other}"), &[]) {
                    let _ = writeln!(broken, "{}:{line}: {layer} must not know {other}", file.path);
                }
            }
        }
    }
    assert!(broken.is_empty(), "{broken}");
}

#[test]
fn files_and_functions_keep_their_budget() {
    let mut broken = String::new();
    for file in sources() {
        let lines = file.text.lines().count();
        if lines > LONGEST_FILE {
            let _ = writeln!(broken, "{} has {lines} lines, {LONGEST_FILE} are allowed", file.path);
        }
        for (name, lines) in file.survey().long_functions {
            let _ = writeln!(broken, "{}: fn {name} has {lines} lines, {LONGEST_FUNCTION} are allowed", file.path);
        }
    }
    assert!(broken.is_empty(), "{broken}");
}

#[test]
fn nothing_unwraps_outside_tests() {
    let mut broken = String::new();
    for file in sources().into_iter().filter(|file| !file.is_test()) {
        for line in file.survey().unwraps {
            let _ = writeln!(broken, "{}:{line} unwraps", file.path);
        }
    }
    assert!(broken.is_empty(), "{broken}");
}

#[test]
fn every_error_code_is_documented() {
    let read = |name: &str| fs::read_to_string(root().join(name)).expect("a readable page");
    let (page, api) = (read("docs/ERRORS.md"), read("schema/api.graphql"));
    let known = |code: &str| page.contains(&format!("`{code}`")) || api.lines().any(|line| line.trim() == code);
    let mut broken = String::new();
    for file in sources().into_iter().filter(|file| !file.is_test()) {
        for code in file.screaming_literals().filter(|code| !NO_ERROR_CODES.contains(code) && !known(code)) {
            let _ = writeln!(broken, "{}: {code} is not in docs/ERRORS.md", file.path);
        }
    }
    assert!(broken.is_empty(), "{broken}");
}

/// One Rust file of ours.
struct Source {
    /// From the root of the workspace, with forward slashes.
    path: String,
    text: String,
}

impl Source {
    fn is_in(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(&format!("{folder}/")))
    }

    /// Whether this file is a module of this name, or in its folder.
    fn is_under(&self, name: &str) -> bool {
        let parts = self.path.split('/').skip_while(|part| *part != "src").skip(1);
        parts.into_iter().any(|part| part.strip_suffix(".rs").unwrap_or(part) == name)
    }

    fn is_test(&self) -> bool {
        self.is_in(&["tests"]) || ["/tests/", "/benches/", "/examples/"].iter().any(|part| self.path.contains(part))
    }

    /// The first line of code (not of a comment) that names a module, or something of it beyond `except`, counted from 1.
    fn line_naming(&self, module: &str, except: &[&str]) -> Option<usize> {
        let allowed = |rest: &str| {
            let named = rest.strip_prefix("::").unwrap_or_default();
            let list = named.strip_prefix('{').and_then(|list| list.split('}').next());
            let one = || named.split(|c: char| !is_of_a_word(c)).next().unwrap_or_default();
            list.map_or_else(|| except.contains(&one()), |list| list.split(',').all(|name| except.contains(&name.trim())))
        };
        let names = |line: &str| {
            let mut found = line.match_indices(module).filter(|(at, _)| is_a_word(line, *at, module));
            found.any(|(at, _)| !allowed(&line[at + module.len()..]))
        };
        let code = |line: &str| line.split("//").next().is_some_and(names);
        self.text.lines().position(code).map(|index| index + 1)
    }

    /// String literals like `HOLD_EXPIRED` in the code before its unit tests; names of variables are none.
    fn screaming_literals(&self) -> impl Iterator<Item = &str> {
        let code = self.text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let literals = lines.flat_map(|line| line.split('"').skip(1).step_by(2));
        let word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase());
        let screams = move |text: &&str| text.contains('_') && text.split('_').all(word);
        literals.filter(screams).filter(|text| !text.starts_with("BERTH_") && !text.starts_with("CARGO_"))
    }

    fn survey(&self) -> Survey {
        let mut survey = Survey { in_tests: self.is_test(), ..Survey::default() };
        survey.visit_file(&syn::parse_file(&self.text).unwrap_or_else(|error| panic!("{}: {error}", self.path)));
        survey
    }
}

/// What a walk over a file's syntax tree finds.
#[derive(Default)]
struct Survey {
    in_tests: bool,
    long_functions: BTreeMap<String, usize>,
    unwraps: Vec<usize>,
}

impl Survey {
    fn function(&mut self, name: &syn::Ident, block: &syn::Block) {
        let lines = block.span().end().line + 1 - name.span().start().line;
        if lines > LONGEST_FUNCTION && !self.in_tests {
            self.long_functions.insert(name.to_string(), lines);
        }
    }

    fn inside(&mut self, attributes: &[syn::Attribute], walk: impl FnOnce(&mut Self)) {
        let outside = self.in_tests;
        self.in_tests |= attributes.iter().any(marks_tests);
        walk(self);
        self.in_tests = outside;
    }
}

impl<'ast> Visit<'ast> for Survey {
    fn visit_item_mod(&mut self, node: &'ast syn::ItemMod) {
        self.inside(&node.attrs, |survey| syn::visit::visit_item_mod(survey, node));
    }

    fn visit_item_fn(&mut self, node: &'ast syn::ItemFn) {
        self.inside(&node.attrs, |survey| {
            survey.function(&node.sig.ident, &node.block);
            syn::visit::visit_item_fn(survey, node);
        });
    }

    fn visit_impl_item_fn(&mut self, node: &'ast syn::ImplItemFn) {
        self.inside(&node.attrs, |survey| {
            survey.function(&node.sig.ident, &node.block);
            syn::visit::visit_impl_item_fn(survey, node);
        });
    }

    fn visit_expr_method_call(&mut self, node: &'ast syn::ExprMethodCall) {
        if !self.in_tests && (node.method == "unwrap" || node.method == "expect") {
            self.unwraps.push(node.method.span().start().line);
        }
        syn::visit::visit_expr_method_call(self, node);
    }
}

fn is_a_word(line: &str, at: usize, word: &str) -> bool {
    !line[..at].ends_with(is_of_a_word) && !line[at + word.len()..].starts_with(is_of_a_word)
}

fn is_of_a_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// `#[cfg(test)]`, `#[test]`, `#[tokio::test]` and the like.
fn marks_tests(attribute: &syn::Attribute) -> bool {
    let path = attribute.path();
    let named_test = path.segments.last().is_some_and(|segment| segment.ident == "test");
    let cfg_test = path.is_ident("cfg") && attribute.parse_args::<syn::Path>().is_ok_and(|argument| argument.is_ident("test"));
    named_test || cfg_test
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    for folder in ["app", "crates", "migrations", "router", "subgraphs", "tests"] {
        collect(&root().join(folder), &mut found);
    }
    assert!(found.len() > 20, "the scan found only {} files: it looks in the wrong place", found.len());
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !matches!(name, "target" | "node_modules") {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(root()).expect("a file of the workspace");
            let text = fs::read_to_string(&path).expect("a readable file");
            found.push(Source { path: relative.to_string_lossy().replace('\\', "/"), text });
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_path_buf()
}
