//! The same program with guards that `BERTH_SABOTAGE` switches off. Tests run it to see their checkers fail; it is never released.
#![recursion_limit = "256"]

fn main() -> std::process::ExitCode {
    berth::main()
}
