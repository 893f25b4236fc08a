//! Writes a seeded corpus of logs below a folder, and prints what is to be found in it: one line of
//! JSON for each question.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use benches::corpus::{Bodies, Corpus, Packing, Plan, Query};
use clap::{Parser, ValueEnum};
use serde_json::json;

/// Write a corpus of logs
#[derive(Parser)]
struct Arguments {
    /// Where to; `logs/` is made in it
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// What the keys tell, and how the logs are packed
    #[arg(long, value_enum)]
    kind: Kind,
    /// How many logs
    #[arg(long, default_value_t = 20_000)]
    objects: usize,
    /// The same seed makes the same logs
    #[arg(long, default_value_t = 20_261_122)]
    seed: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// Keys tell the outcome
    Told,
    /// Keys tell no outcome; packed by zstd
    OldZstd,
    /// Keys tell no outcome; not packed
    OldPlain,
    /// Logs of every age and shape
    Mixed,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let since = "2026-11-21T20:00:00Z".parse().map_err(io::Error::other)?;
    let Arguments { objects, seed, .. } = arguments;
    let plan = Plan { seed, objects, since, hours: 6, bodies: Bodies::Real };
    let corpus = match arguments.kind {
        Kind::Told => Corpus::with_outcomes(&plan),
        Kind::OldZstd => Corpus::without_outcomes(&plan, Packing::Zstd),
        Kind::OldPlain => Corpus::without_outcomes(&plan, Packing::Plain),
        Kind::Mixed => Corpus::new(&plan),
    };
    for object in &corpus.objects {
        let path = arguments.folder.join(&object.key);
        fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        let mut file = File::create(path)?;
        file.write_all(&object.bytes)?;
        file.set_modified(object.modified.into())?;
    }
    for query in Query::ALL {
        let truth = corpus.truth(query, plan.since, plan.until());
        let counts = truth.counts.iter().map(|(origin, count)| (origin.to_string(), *count));
        let truth = json!({
            "text": query.text(), "since": plan.since, "until": plan.until(),
            "counts": counts.collect::<BTreeMap<_, _>>(),
            "quoted_told": truth.quoted_told, "quoted_untold": truth.quoted_untold,
        });
        writeln!(io::stdout(), "{truth}")?;
    }
    Ok(())
}
