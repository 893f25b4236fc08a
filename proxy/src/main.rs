//! `codex-proxy`: see `codex-proxy --help`. Under Lambda the same binary is the `bootstrap`.

use std::process::ExitCode;

fn main() -> ExitCode {
    if proxy::lambda::is_here() {
        proxy::lambda::run()
    } else {
        proxy::cli::run(std::env::args_os())
    }
}
