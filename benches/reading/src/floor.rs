//! The floor of reading logs from S3: GETs of every log below a place, as many at a time as measure
//! best, and the bytes dropped. What a search takes above this is its own.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use analyzer::source::{self, Depth, LogSource, Part};
use clap::Parser;
use futures::stream::{self, StreamExt as _};

#[derive(Parser)]
struct Arguments {
    place: String,
    #[arg(long, default_value_t = 256)]
    concurrency: usize,
    #[arg(long)]
    list_only: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (source, keys) = runtime.block_on(async {
        let source: Arc<dyn LogSource> = source::open(&arguments.place).await?.into();
        let days = source.list("logs/2026/11/", Depth::Here).await?.folders;
        let hours = stream::iter(&days).then(|day| source.list(day, Depth::Here));
        let hours: Vec<_> = hours.collect().await;
        let mut folders = Vec::new();
        for hour in hours {
            folders.extend(hour?.folders);
        }
        let listed = stream::iter(&folders).map(|hour| source.list(hour, Depth::Below));
        let listed: Vec<_> = listed.buffered(16).collect().await;
        let mut keys = Vec::new();
        for listing in listed {
            keys.extend(listing?.objects.into_iter().map(|object| object.key));
        }
        anyhow::Ok((source, keys))
    })?;
    if arguments.list_only {
        return Ok(());
    }
    let keys = Arc::new(keys);
    let (next, bytes) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
    let workers = std::thread::available_parallelism()?.get();
    let threads: Vec<_> = (0..workers)
        .map(|_| {
            let (source, keys) = (Arc::clone(&source), Arc::clone(&keys));
            let (next, bytes) = (Arc::clone(&next), Arc::clone(&bytes));
            std::thread::spawn(move || -> anyhow::Result<()> {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(async {
                    let more =
                        std::iter::from_fn(|| keys.get(next.fetch_add(1, Ordering::Relaxed)));
                    let gets = stream::iter(more).map(|key| source.get(key, Part::Whole));
                    let mut gets = gets.buffer_unordered(arguments.concurrency / workers);
                    while let Some(got) = gets.next().await {
                        bytes.fetch_add(got?.len() as u64, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
        })
        .collect();
    for thread in threads {
        thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??;
    }
    writeln!(io::stdout(), "{} objects, {} bytes", keys.len(), bytes.load(Ordering::Relaxed))?;
    Ok(())
}
