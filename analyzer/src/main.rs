//! `analyzer`: see `analyzer --help`. Under Lambda the same binary is the scheduled compaction.

use std::process::ExitCode;

fn main() -> ExitCode {
    if analyzer::job::is_here() {
        analyzer::job::run()
    } else {
        analyzer::cli::run(std::env::args_os())
    }
}
