//! `berth schema export|check`: the four SDLs, and whether the committed supergraph was composed from them.

use std::{fs, path::Path};

use anyhow::{Context, bail};
use berth_booking::Bookings;
use berth_inventory::Inventory;
use berth_payment::Payments;
use berth_user::User;
use sha2::{Digest, Sha256};

/// The composed supergraph this binary serves.
pub const SUPERGRAPH: &str = include_str!("../../schema/supergraph.graphql");

fn sdls() -> [(&'static str, String); 4] {
    [("user", User::sdl()), ("inventory", Inventory::sdl()), ("booking", Bookings::sdl()), ("payment", Payments::sdl())]
}

/// Writes the four SDLs into a folder.
pub fn export(dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir)?;
    for (name, sdl) in sdls() {
        let file = dir.join(format!("{name}.graphql"));
        fs::write(&file, sdl).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

/// Fails, naming what is stale, unless files, supergraph and code agree.
pub fn check(dir: &Path) -> anyhow::Result<()> {
    for (name, sdl) in sdls() {
        let file = dir.join(format!("{name}.graphql"));
        let committed = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        if committed != sdl {
            bail!("{} is stale: run `berth schema export`, then `node schema/compose.mjs`", file.display());
        }
    }
    check_supergraph()
}

/// Whether the embedded supergraph was composed from the SDLs of this binary.
pub fn check_supergraph() -> anyhow::Result<()> {
    if SUPERGRAPH.contains(&fingerprint()) {
        return Ok(());
    }
    bail!("the supergraph was composed from other SDLs: run `berth schema export`, then `node schema/compose.mjs`")
}

/// SHA-256 over name, line feed, SDL and a zero byte of the four subgraphs, as schema/compose.mjs computes it.
fn fingerprint() -> String {
    let mut hash = Sha256::new();
    for (name, sdl) in sdls() {
        hash.update(name);
        hash.update("\n");
        hash.update(sdl);
        hash.update([0]);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_schema_is_fresh() {
        check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../schema")).unwrap();
    }
}
