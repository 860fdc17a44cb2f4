//! Notes the commit of a release, for its first log line. Other builds change too often to be told apart.

use std::{env, fs, path::Path, process::Command};

fn main() {
    println!("cargo::rerun-if-env-changed=BERTH_BUILD_COMMIT");
    let given = env::var("BERTH_BUILD_COMMIT").ok().filter(|commit| !commit.is_empty());
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let commit = given.or_else(|| is_release.then(of_git).flatten()).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=BERTH_BUILD_COMMIT={commit}");
}

/// The commit that is checked out, if this is a checkout.
fn of_git() -> Option<String> {
    let folder = git(&["rev-parse", "--absolute-git-dir"])?;
    let head = Path::new(&folder).join("HEAD");
    println!("cargo::rerun-if-changed={}", head.display());
    if let Some(branch) = fs::read_to_string(&head).ok()?.trim().strip_prefix("ref: ") {
        let common = git(&["rev-parse", "--path-format=absolute", "--git-common-dir"])?;
        println!("cargo::rerun-if-changed={}", Path::new(&common).join(branch).display());
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned()).filter(|text| !text.is_empty())
}
