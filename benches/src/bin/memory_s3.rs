//! An S3 server in memory on a loopback port: prints its address, runs until its stdin is closed,
//! then prints how many objects it holds, and on stderr how many GETs and LISTs it answered.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use benches::s3::{Failure, MemoryS3, Operation};
use clap::Parser;

/// An S3 server in memory, for tests and benchmarks
#[derive(Parser)]
struct Arguments {
    /// The bucket that is there from the start
    #[arg(default_value = "bench")]
    bucket: String,
    /// Fill the bucket with the files below this folder
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Let every answer wait
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency_ms: u64,
    /// Answer so many of a thousand GETs and LISTs with 503 `SlowDown`
    #[arg(long, value_name = "N", default_value_t = 0)]
    slow_down: usize,
    /// Break off the body of so many of a thousand GETs half way
    #[arg(long, value_name = "N", default_value_t = 0)]
    truncate: usize,
    /// Drop the connection of so many of a thousand GETs
    #[arg(long, value_name = "N", default_value_t = 0)]
    reset: usize,
    /// The same seed makes the same requests fail, in the order in which they come
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let s3 = MemoryS3::start(&arguments.bucket).await?;
    s3.set_latency(Duration::from_millis(arguments.latency_ms));
    for (operation, failure, of_thousand) in [
        (Operation::List, Failure::SlowDown, arguments.slow_down),
        (Operation::Get, Failure::SlowDown, arguments.slow_down),
        (Operation::Get, Failure::Truncate, arguments.truncate),
        (Operation::Get, Failure::Reset, arguments.reset),
    ] {
        s3.fail_often(operation, failure, of_thousand, arguments.seed);
    }
    if let Some(folder) = &arguments.folder {
        fill(&s3, folder, "")?;
    }
    writeln!(io::stdout(), "{}", s3.url())?;
    let until_closed = || io::stdin().read_to_end(&mut Vec::new());
    tokio::task::spawn_blocking(until_closed).await??;
    let counts = s3.counts();
    writeln!(io::stderr(), "{} GETs, {} LISTs", counts.get, counts.list)?;
    writeln!(io::stdout(), "{}", s3.objects().len())
}

fn fill(s3: &MemoryS3, folder: &Path, prefix: &str) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            fill(s3, &entry.path(), &format!("{name}/"))?;
        } else {
            s3.insert(&name, fs::read(entry.path())?, metadata.modified()?);
        }
    }
    Ok(())
}
