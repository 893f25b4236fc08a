//! `codex-proxy`: see `codex-proxy --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    proxy::cli::run(std::env::args_os())
}
