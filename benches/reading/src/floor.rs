//! The floor of reading logs: a GET of every log below a place, as many at a time as measure best,
//! and the bytes dropped. What a search takes above this is its own. With `--unpack` each log is
//! unpacked before, which a search cannot do without: the floor of reading packed logs.
//!
//! With the feature `clients` the same is done by the SDK and by `object_store`, on as many threads.

#[cfg(feature = "clients")]
mod clients;

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use analyzer::logs::decode::{Decoder, RECORD_LIMIT};
use analyzer::logs::source::{self, Depth, LogSource, Part};
use bytes::Bytes;
use clap::{Parser, ValueEnum};
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt as _};
use tokio::sync::Barrier;

/// GET every log below a place, and drop the bytes
#[derive(Parser)]
struct Arguments {
    /// A folder, or `s3://BUCKET[/PREFIX]`, above logs/
    place: String,
    /// GETs at a time
    #[arg(long, default_value_t = 256)]
    concurrency: usize,
    /// Who makes the GETs
    #[arg(long, value_enum, default_value_t)]
    client: Client,
    /// Unpack each log before it is dropped
    #[arg(long)]
    unpack: bool,
    /// Only list
    #[arg(long)]
    list_only: bool,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Client {
    #[default]
    Ours,
    #[cfg(feature = "clients")]
    Sdk,
    #[cfg(feature = "clients")]
    ObjectStore,
}

/// Makes a GET.
trait Getter: Send + Sync {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, anyhow::Result<Bytes>>;
}

struct Ours(Arc<dyn LogSource>);

impl Getter for Ours {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, anyhow::Result<Bytes>> {
        Box::pin(async move { Ok(self.0.get(key, Part::Whole).await?) })
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (getter, keys) = runtime.block_on(async {
        let source: Arc<dyn LogSource> = source::open(&arguments.place).await?.into();
        let keys = list(&*source, "logs/").await?;
        let getter: Box<dyn Getter> = match arguments.client {
            Client::Ours => Box::new(Ours(source)),
            #[cfg(feature = "clients")]
            Client::Sdk => Box::new(clients::Sdk::new(&arguments.place).await),
            #[cfg(feature = "clients")]
            Client::ObjectStore => Box::new(clients::ObjectStore::new(&arguments.place)?),
        };
        anyhow::Ok((getter, keys))
    })?;
    let bytes = if arguments.list_only { 0 } else { get_all(&*getter, &keys, &arguments)? };
    writeln!(io::stdout(), "{} objects, {bytes} bytes", keys.len())?;
    Ok(())
}

/// Lists level by level down to the hours, and these whole.
async fn list(source: &dyn LogSource, root: &str) -> anyhow::Result<Vec<String>> {
    let mut level = vec![root.to_owned()];
    for _ in 0..4 {
        let listings = stream::iter(&level).map(|folder| source.list(folder, Depth::Here));
        let listings: Vec<_> = listings.buffered(16).collect().await;
        level.clear();
        for listing in listings {
            level.extend(listing?.folders);
        }
    }
    let listings = stream::iter(&level).map(|hour| source.list(hour, Depth::Below));
    let listings: Vec<_> = listings.buffered(16).collect().await;
    let mut keys = Vec::new();
    for listing in listings {
        keys.extend(listing?.objects.into_iter().map(|object| object.key));
    }
    Ok(keys)
}

/// GETs all keys on a thread for each core, and returns how many bytes came out.
fn get_all(getter: &dyn Getter, keys: &[String], arguments: &Arguments) -> anyhow::Result<u64> {
    let (next, bytes) = (AtomicUsize::new(0), AtomicU64::new(0));
    let workers = std::thread::available_parallelism()?.get();
    // Who is done first goes on driving its connections: some clients share them.
    let all_done = Barrier::new(workers);
    let work = || -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let more = std::iter::from_fn(|| keys.get(next.fetch_add(1, Ordering::Relaxed)));
            let gets = stream::iter(more).map(|key| getter.get(key));
            let mut gets = gets.buffer_unordered(arguments.concurrency.div_ceil(workers));
            let mut decoder = Decoder::default();
            while let Some(got) = gets.next().await {
                let got = got?;
                let out = if arguments.unpack { decoder.decode(&got, RECORD_LIMIT)? } else { &got };
                bytes.fetch_add(out.len() as u64, Ordering::Relaxed);
            }
            all_done.wait().await;
            Ok(())
        })
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??;
        }
        Ok(bytes.load(Ordering::Relaxed))
    })
}
