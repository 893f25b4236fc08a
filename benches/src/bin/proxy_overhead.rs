//! What does codex-proxy cost beside nginx? `proxy-overhead.sh` builds what is needed and runs this.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use benches::load::{phases, plan::Plan, report::Report, targets::Programs};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// Puts nginx and codex-proxy under the same load, and prints what each of them cost
#[derive(Parser)]
struct Arguments {
    /// The program `codex-proxy`
    #[arg(long)]
    codex_proxy: PathBuf,
    /// The program `fake-openai`
    #[arg(long)]
    fake_openai: PathBuf,
    /// The program `memory-s3`
    #[arg(long)]
    memory_s3: PathBuf,
    /// The program `nginx`
    #[arg(long)]
    nginx: PathBuf,
    /// The template of nginx's configuration
    #[arg(long)]
    nginx_conf: PathBuf,
    /// An empty folder on a real disk, for the logs
    #[arg(long)]
    work: PathBuf,
    /// One round, under a minute
    #[arg(long)]
    quick: bool,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let plan = if arguments.quick { Plan::quick() } else { Plan::full() };
    let programs = Programs {
        codex_proxy: arguments.codex_proxy,
        fake_openai: arguments.fake_openai,
        memory_s3: arguments.memory_s3,
        nginx: arguments.nginx,
        nginx_conf: arguments.nginx_conf,
    };
    let progress = |line: &str| drop(writeln!(io::stderr(), "{line}"));
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let findings = tokio::select! {
        findings = phases::run(&programs, &arguments.work, &plan, progress) => findings?,
        // Falling out of here ends every server that was started.
        _ = terminate.recv() => return Err(io::ErrorKind::Interrupted.into()),
        _ = interrupt.recv() => return Err(io::ErrorKind::Interrupted.into()),
    };
    write!(io::stdout(), "{}", Report::new(&findings, &plan, &programs)?)
}
