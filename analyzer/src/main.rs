//! `analyzer`: see `analyzer --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    analyzer::cli::run(std::env::args_os())
}
