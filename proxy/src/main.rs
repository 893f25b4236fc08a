//! `codex-proxy`: see `codex-proxy --help`. Under Lambda the same binary is the `bootstrap`.

use std::process::ExitCode;

/// What one thread allocates another frees, exchange for exchange: glibc's heaps wait for each other
/// there, and keep what was freed.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if proxy::lambda::is_here() {
        proxy::lambda::run()
    } else {
        proxy::cli::run(std::env::args_os())
    }
}
