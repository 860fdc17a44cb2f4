//! The list of failpoints is the list of the calls.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::{collections::BTreeSet, fs, path::Path};

use berth_kernel::failpoint::POINTS;

fn calls(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            calls(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let names = text.split("failpoint::at(\"").skip(1).filter_map(|rest| rest.split('"').next());
            found.extend(names.map(str::to_owned));
        }
    }
}

#[test]
fn every_listed_step_is_called_and_every_called_step_is_listed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    for sources in
        ["crates/kernel/src", "subgraphs/user/src", "subgraphs/inventory/src", "subgraphs/booking/src", "subgraphs/payment/src"]
    {
        calls(&root.join(sources), &mut found);
    }
    let (called, listed): (BTreeSet<&str>, BTreeSet<&str>) =
        (found.iter().map(String::as_str).collect(), POINTS.into_iter().collect());
    assert_eq!(called, listed);
    assert_eq!(listed.len(), POINTS.len(), "a name is listed once");
}
