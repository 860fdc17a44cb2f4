//! Every line of the log is in docs/LOGGING.md, with its level and its fields, and every message is a name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const BEGIN: &str = "<!-- generated from the code: begin -->";
const END: &str = "<!-- generated from the code: end -->";
const LEVELS: [&str; 4] = ["error", "warn", "info", "debug"];
const SOURCES: [&str; 4] = ["app/src", "crates", "router/src", "subgraphs"];

/// What the code writes under one name.
#[derive(Default)]
struct Event {
    levels: BTreeSet<&'static str>,
    fields: BTreeSet<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Names as the code writes them; an event of which the message is no name is a failure.
fn written() -> BTreeMap<String, Event> {
    let mut events: BTreeMap<String, Event> = BTreeMap::new();
    let mut files = Vec::new();
    for folder in SOURCES {
        sources(&root().join(folder), &mut files);
    }
    for file in files {
        let whole = fs::read_to_string(&file).unwrap();
        let code = whole.split("#[cfg(test)]\n").next().unwrap_or_default().lines();
        let text = code.filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        for level in LEVELS {
            for (at, found) in text.match_indices(&format!("tracing::{level}!(")) {
                let arguments = arguments(&text[at + found.len()..]);
                let name = arguments.last().map(|last| last.trim_matches('"').to_owned()).unwrap_or_default();
                assert!(is_name(&name), "{}: {name:?} is no name", file.display());
                let event = events.entry(name).or_default();
                event.levels.insert(level);
                event.fields.extend(arguments[..arguments.len() - 1].iter().filter_map(|argument| field(argument)));
            }
        }
    }
    events
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() && !entry.ends_with("tests") {
            sources(&entry, into);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            into.push(entry);
        }
    }
}

/// The arguments of a macro from behind its parenthesis on.
fn arguments(text: &str) -> Vec<String> {
    let (mut depth, mut quoted, mut all, mut one) = (0, false, Vec::new(), String::new());
    for sign in text.chars() {
        match sign {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' if depth == 0 => break,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                all.push(std::mem::take(&mut one).trim().to_owned());
                continue;
            }
            _ => {}
        }
        one.push(sign);
    }
    all.extend(Some(one.trim().to_owned()).filter(|last| !last.is_empty()));
    all
}

/// `error = %error` and `attempts` are fields; `name: X` is not.
fn field(argument: &str) -> Option<String> {
    let name = argument.split(" = ").next().unwrap_or_default();
    (!argument.starts_with("name:")).then(|| name.to_owned())
}

fn is_name(text: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|sign| sign.is_ascii_lowercase() || sign == '_');
    text.contains('.') && text.split('.').all(is_word)
}

/// What the page says of each name.
fn meanings(page: &str) -> BTreeMap<String, String> {
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows = page.lines().filter(|line| line.starts_with("| `")).map(cells);
    rows.filter(|cells| cells.len() == 4).map(|cells| (cells[0].trim_matches('`').to_owned(), cells[3].clone())).collect()
}

fn table(events: &BTreeMap<String, Event>, meanings: &BTreeMap<String, String>) -> String {
    let row = |(name, event): (&String, &Event)| {
        let levels = event.levels.iter().copied().collect::<Vec<_>>().join(", ");
        let fields = event.fields.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(" ");
        format!("| `{name}` | {levels} | {fields} | {} |\n", meanings.get(name).map_or("", String::as_str))
    };
    format!(
        "{BEGIN}\n\n| name | level | fields | what it tells |\n| --- | --- | --- | --- |\n{}\n{END}",
        events.iter().map(row).collect::<String>()
    )
}

#[test]
fn the_page_lists_every_line_of_the_log() {
    let file = root().join("docs/LOGGING.md");
    let page = fs::read_to_string(&file).unwrap();
    let (events, meanings) = (written(), meanings(&page));
    assert!(events.len() > 60, "{}", events.len());
    let wanted = table(&events, &meanings);
    if std::env::var_os("BERTH_WRITE_DOCS").is_some() {
        let (head, rest) = page.split_once(BEGIN).expect("the page has its generated part");
        let (_, tail) = rest.split_once(END).expect("the page has its generated part");
        fs::write(&file, format!("{head}{wanted}{tail}")).unwrap();
    }
    let silent: Vec<&String> = events.keys().filter(|name| meanings.get(*name).is_none_or(String::is_empty)).collect();
    assert!(silent.is_empty(), "docs/LOGGING.md does not say what these tell: {silent:#?}");
    assert!(page.contains(&wanted), "docs/LOGGING.md is not what the code writes: run this test with BERTH_WRITE_DOCS=1");
}
