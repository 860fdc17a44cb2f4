//! Known faults of other people's crates: what of `tests/advisories.toml` is in Cargo.lock has its reason in deny.toml.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may stop at the first surprise"
)]

use std::{collections::BTreeSet, fs};

use cargo_metadata::semver::{Version, VersionReq};
use serde::Deserialize;

#[derive(Deserialize)]
struct Known {
    checked: String,
    advisory: Vec<Advisory>,
}

#[derive(Deserialize)]
struct Advisory {
    id: String,
    #[serde(rename = "crate")]
    name: String,
    /// Versions without the fault.
    good: Vec<VersionReq>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: Version,
}

#[derive(Deserialize)]
struct Deny {
    advisories: Exceptions,
}

#[derive(Deserialize)]
struct Exceptions {
    ignore: Vec<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    id: String,
    reason: String,
}

fn read<T: for<'de> Deserialize<'de>>(file: &str) -> T {
    let path = format!("{}/../{file}", env!("CARGO_MANIFEST_DIR"));
    toml::from_str(&fs::read_to_string(&path).expect(&path)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The advisories that speak of a package of this lock file.
fn open<'k>(known: &'k [Advisory], packages: &[Package]) -> BTreeSet<&'k str> {
    let is_hit = |advisory: &Advisory, package: &Package| {
        package.name == advisory.name && !advisory.good.iter().any(|good| good.matches(&package.version))
    };
    known
        .iter()
        .filter(|advisory| packages.iter().any(|package| is_hit(advisory, package)))
        .map(|advisory| &*advisory.id)
        .collect()
}

#[test]
fn each_open_advisory_has_its_reason() {
    let (known, lock, deny): (Known, Lock, Deny) = (read("tests/advisories.toml"), read("Cargo.lock"), read("deny.toml"));
    println!("the list of advisories is of {}", known.checked);
    assert!(lock.package.len() > 100, "that is no lock file");
    let open = open(&known.advisory, &lock.package);
    let excepted: BTreeSet<&str> = deny.advisories.ignore.iter().map(|exception| &*exception.id).collect();
    assert_eq!(
        open, excepted,
        "left: advisories of tests/advisories.toml that Cargo.lock is open to; right: exceptions of deny.toml"
    );
    for exception in &deny.advisories.ignore {
        assert!(exception.reason.len() > 40, "{}: say why nobody can reach it", exception.id);
    }
}

#[test]
fn a_version_is_judged_by_its_own_line() {
    let advisory = |good: &[&str]| Advisory {
        id: "X".into(),
        name: "rand".into(),
        good: good.iter().map(|good| good.parse().unwrap()).collect(),
    };
    let package = |version: &str| [Package { name: "rand".into(), version: version.parse().unwrap() }];
    let known = [advisory(&[">=0.8.6, <0.9.0", ">=0.9.3"])];
    assert_eq!(open(&known, &package("0.8.5")).len(), 1);
    assert_eq!(open(&known, &package("0.9.2")).len(), 1);
    assert!(open(&known, &package("0.8.8")).is_empty() && open(&known, &package("0.10.0")).is_empty());
    assert_eq!(open(&[advisory(&[])], &package("9.0.0")).len(), 1, "no version is good yet");
}
