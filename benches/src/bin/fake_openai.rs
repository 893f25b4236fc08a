//! A fake OpenAI API on a loopback port: prints its address, then runs until it is stopped.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
};

use benches::upstream::{FAULTS, FakeOpenAi};
use clap::Parser;

/// A fake OpenAI API for tests and demos
#[derive(Parser)]
struct Arguments {
    /// Loopback address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Print the faults that `x-fake-fault: NAME` or the model `fault-NAME` chooses, and stop
    #[arg(long)]
    list_faults: bool,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    if arguments.list_faults {
        let mut stdout = io::stdout().lock();
        return FAULTS
            .iter()
            .try_for_each(|fault| writeln!(stdout, "{:27}{}", fault.name, fault.description));
    }
    let upstream = FakeOpenAi::start_forgetful(arguments.listen).await?;
    writeln!(io::stdout(), "{}", upstream.url())?;
    tokio::signal::ctrl_c().await
}
