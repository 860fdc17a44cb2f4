//! The same program with guards that `BERTH_SABOTAGE` switches off and steps that `FAILPOINTS` stops (`berth-sabotage failpoints`
//! lists them). Tests run it to see their checkers fail; it is never released.
#![recursion_limit = "256"]

fn main() -> std::process::ExitCode {
    if std::env::args().nth(1).as_deref() == Some("failpoints") {
        return print_failpoints();
    }
    berth_kernel::failpoint::arm();
    berth::main()
}

#[expect(clippy::print_stdout, reason = "the output is the command's purpose")]
fn print_failpoints() -> std::process::ExitCode {
    println!("{}", berth_kernel::failpoint::POINTS.join("\n"));
    std::process::ExitCode::SUCCESS
}
