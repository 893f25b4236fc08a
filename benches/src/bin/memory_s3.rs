//! An S3 server in memory on a loopback port: prints its address, runs until its stdin is closed,
//! then prints how many objects it holds.

use std::io::{self, Read as _, Write as _};

use benches::s3::MemoryS3;
use clap::Parser;

/// An S3 server in memory, for tests and benchmarks
#[derive(Parser)]
struct Arguments {
    /// The bucket that is there from the start
    #[arg(default_value = "bench")]
    bucket: String,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let s3 = MemoryS3::start(&arguments.bucket).await?;
    writeln!(io::stdout(), "{}", s3.url())?;
    let until_closed = || io::stdin().read_to_end(&mut Vec::new());
    tokio::task::spawn_blocking(until_closed).await??;
    writeln!(io::stdout(), "{}", s3.objects().len())
}
