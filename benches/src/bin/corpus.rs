//! Writes a seeded corpus of logs below a folder, and prints what is to be found in it: one line of
//! JSON for each question.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use benches::corpus::day::{Day, DayPlan, eventful};
use benches::corpus::{Bodies, Corpus, Object, Packing, Plan, Query};
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
    /// A day on which several things go wrong, and the quiet one before it; what CloudWatch would have counted of
    /// both in `cloudwatch.json`
    Day,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    if matches!(arguments.kind, Kind::Day) {
        return write_days(&arguments);
    }
    let since = "2026-11-21T20:00:00Z".parse().map_err(io::Error::other)?;
    let Arguments { objects, seed, .. } = arguments;
    let plan = Plan { seed, objects, since, hours: 6, bodies: Bodies::Real };
    let corpus = match arguments.kind {
        Kind::Told => Corpus::with_outcomes(&plan),
        Kind::OldZstd => Corpus::without_outcomes(&plan, Packing::Zstd),
        Kind::OldPlain => Corpus::without_outcomes(&plan, Packing::Plain),
        Kind::Mixed | Kind::Day => Corpus::new(&plan),
    };
    for object in &corpus.objects {
        write(&arguments.folder, object)?;
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

fn write(folder: &Path, object: &Object) -> io::Result<()> {
    let path = folder.join(&object.key);
    fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    let mut file = File::create(path)?;
    file.write_all(&object.bytes)?;
    file.set_modified(object.modified.into())
}

/// Writes 21 November, which is quiet, and 22 November, which is not, each with so many exchanges.
fn write_days(arguments: &Arguments) -> io::Result<()> {
    let mut minutes = Vec::new();
    for (number, script) in [(21, Vec::new()), (22, eventful())] {
        let plan = DayPlan {
            seed: arguments.seed + u64::try_from(number).unwrap_or_default(),
            date: jiff::civil::date(2026, 11, number),
            exchanges: arguments.objects,
            script,
        };
        let day = Day::new(&plan);
        for object in day.objects() {
            write(&arguments.folder, &object)?;
        }
        minutes.extend(day.figures.iter().enumerate().map(|(minute, figures)| {
            let at = day.at(0, i64::try_from(minute).unwrap_or_default());
            json!({
                "at": at, "url_requests": figures.url_requests, "url_4xx": figures.url_4xx,
                "url_5xx": figures.url_5xx, "invocations": figures.invocations,
                "throttles": figures.throttles, "concurrent_max": figures.concurrent_max,
                "duration_ms": figures.duration_ms,
            })
        }));
    }
    fs::write(arguments.folder.join("cloudwatch.json"), serde_json::to_vec(&minutes)?)
}
