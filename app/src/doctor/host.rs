//! This machine: the data directory, its room, who may read it, and the ports.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use rustix::fs::{Access, access, statvfs};

use super::Findings;
use crate::{
    config::Config,
    files, health,
    role::{Role, Roles},
};

const MIB: u64 = 1024 * 1024;
/// A SQLite database may need this for its WAL files alone.
const ROOM_AT_LEAST: u64 = 200 * MIB;
const ROOM_TO_BE_CALM: u64 = 1024 * MIB;

/// Looks at all of it.
pub fn look(config: &Config, roles: &Roles, findings: &mut Findings) {
    data_dir(config, roles, findings);
    modes(config, findings);
    for role in listeners(roles) {
        port(config.address(role), findings);
    }
}

fn data_dir(config: &Config, roles: &Roles, findings: &mut Findings) {
    let folder = &config.data_dir;
    if !folder.exists() {
        return findings.warn("data directory", format!("{} is not there: it is made at the start", folder.display()));
    }
    if let Err(error) = access(folder, Access::WRITE_OK | Access::EXEC_OK) {
        return findings.fail("data directory", files::unwritable(folder, &error.into()));
    }
    findings.ok("data directory", format!("{} can be written", folder.display()));
    let Ok(disk) = statvfs(folder) else { return };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let room = format!("{} MiB are free", free / MIB);
    let on_sqlite = roles.opened().into_iter().any(|service| config.database(service).is_none());
    match free {
        _ if on_sqlite && free < ROOM_AT_LEAST => findings.fail("disk", format!("{room}: databases need 200 MiB and more")),
        _ if free < ROOM_TO_BE_CALM => findings.warn("disk", room),
        _ => findings.ok("disk", room),
    }
}

fn modes(config: &Config, findings: &mut Findings) {
    match files::wide(config).as_slice() {
        [] => findings.ok("file modes", "only the owner reads data and keys"),
        wide => {
            for (path, mode) in wide {
                findings.warn("file modes", format!("others may read {} ({mode:04o}): chmod go= it", path.display()));
            }
        }
    }
}

fn listeners(roles: &Roles) -> Vec<Role> {
    if roles.is_everything() { vec![Role::Router] } else { roles.named().to_vec() }
}

/// A port that is in use is fine when it is Berth that uses it.
fn port(address: SocketAddr, findings: &mut Findings) {
    let about = "port";
    match TcpListener::bind(address) {
        Ok(_) => findings.ok(about, format!("{address} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => match health::status(address) {
            Ok(status) => findings.ok(about, format!("{address} is that of a Berth that is {status}")),
            Err(_) => findings.fail(about, format!("{address} is in use by something that is no Berth")),
        },
        Err(error) => findings.fail(about, format!("{address}: {error}")),
    }
}
