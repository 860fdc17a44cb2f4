//! The `berth` binary: see the library of this package.
#![recursion_limit = "256"]

use hive_router::RouterGlobalAllocator;

hive_router::configure_global_allocator!();

fn main() -> std::process::ExitCode {
    berth::main()
}
