//! `analyzer sql`: SQL over raw logs and compacted hours.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use clap::Args;
use futures::StreamExt as _;

use super::place::{Place, unreachable};
use super::progress::Waiting;
use super::{Exit, Failure, say};
use crate::logs::source::LogSource;
use crate::number::{count, grouped};
use crate::report::printable;
use crate::sql::output::{Format, SHOWN, Writer};
use crate::sql::{Running, SqlError, explain, start};

/// So many names of logs are said.
const NAMED: usize = 10;
/// A query is no longer than this.
const STDIN_BYTES: u64 = 1 << 20;
/// How often a query is asked again because an hour was published anew.
const TRIES: usize = 5;

#[derive(Args)]
#[command(after_help = "\
Examples:
  analyzer sql \"SELECT error_origin, error_code, count(*) AS errors FROM exchanges
                WHERE error_origin IS NOT NULL AND started_at >= now() - INTERVAL '1 day'
                GROUP BY 1, 2 ORDER BY 3 DESC\"
  analyzer sql \"SELECT model, approx_percentile_cont(duration_ms, 0.95) AS p95_ms FROM exchanges
                WHERE day = '2026-11-22' GROUP BY model\"
  analyzer sql \"SELECT developer, sum(usage_total_tokens) AS tokens FROM exchanges GROUP BY 1 ORDER BY 2 DESC\"
  analyzer sql \"SELECT exchange_id, status FROM exchanges WHERE response_body LIKE '%temporary errors%'\"
  analyzer sql \"SELECT * FROM exchanges WHERE upstream_request_id = 'req_4f8a1b2c3d4e5f60'\" -o json
  analyzer sql \"SELECT * FROM exchanges WHERE day = '2026-11-22'\" -o parquet --output-file day.parquet
  analyzer sql \"DESCRIBE exchanges\"

The one table is `exchanges`: raw logs and compacted hours together, each exchange once. `day` ('2026-11-22')
and `hour` ('02'), both text and UTC, name the hour; conditions on them, on started_at and on what keys tell
(error_origin, status, exchange_id) spare reading. Columns: `analyzer schema` or DESCRIBE exchanges.")]
pub(super) struct SqlArguments {
    /// The query; `-` reads it from stdin
    query: String,
    #[command(flatten)]
    place: Place,
    /// How the rows are written
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
    /// Short for `--output json`: an object a line
    #[arg(long, conflicts_with = "output")]
    json: bool,
    /// Where to; stdout by default
    #[arg(long, value_name = "FILE")]
    output_file: Option<PathBuf>,
    /// Memory for sorting and grouping; beyond it a query spills to the temporary folder, or fails
    #[arg(long, value_name = "SIZE", default_value = "1GB", value_parser = parse_size)]
    memory_limit: usize,
}

pub(super) async fn run(arguments: SqlArguments) -> Result<Exit, Failure> {
    let format = if arguments.json { Format::Json } else { arguments.output };
    if format == Format::Parquet && arguments.output_file.is_none() && io::stdout().is_terminal() {
        return Err(usage("Parquet is nothing for a terminal", "--output-file FILE, or a pipe"));
    }
    let query = read_query(arguments.query)?;
    let source = arguments.place.open().await?;
    let mut to = arguments.output_file.map_or(Target::Stdout, Target::file);
    for left in (0..TRIES).rev() {
        match Box::pin(answer(&source, &query, arguments.memory_limit, format, &mut to)).await {
            Err(Ended { error: SqlError::Changed, rows: 0 }) if left > 0 => {}
            Err(Ended { error, rows }) => return Err(failure(&error, rows)),
            Ok(exit) => return Ok(exit),
        }
    }
    Err(failure(&SqlError::Changed, 0))
}

/// Where an answer goes.
enum Target {
    Stdout,
    /// A file, which gets its name when it is whole.
    File {
        path: PathBuf,
        part: PathBuf,
    },
}

impl Target {
    fn file(path: PathBuf) -> Self {
        let mut part = path.clone().into_os_string();
        part.push(format!(".{}.part", std::process::id()));
        Self::File { path, part: part.into() }
    }

    /// Opens it, once there is something to write.
    fn open(&self) -> io::Result<Box<dyn Write + Send>> {
        Ok(match self {
            Self::Stdout => Box::new(io::stdout()),
            Self::File { part, .. } => Box::new(io::BufWriter::new(File::create(part)?)),
        })
    }

    fn finish(&self) -> io::Result<()> {
        match self {
            Self::Stdout => Ok(()),
            Self::File { path, part } => std::fs::rename(part, path),
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Self::File { part, .. } = self {
            // There is none where it is whole, or was never begun.
            let _ = std::fs::remove_file(part);
        }
    }
}

/// Why there is no answer, and how many rows of one were written.
struct Ended {
    error: SqlError,
    rows: usize,
}

/// Asks, and writes the rows as they come.
async fn answer(
    source: &Arc<dyn LogSource>,
    query: &str,
    memory_bytes: usize,
    format: Format,
    to: &mut Target,
) -> Result<Exit, Ended> {
    let planning = Waiting::on(|| "listing".to_owned());
    let started = Box::pin(start(Arc::clone(source), query, memory_bytes)).await;
    drop(planning);
    let Running { mut batches, tally } = started.map_err(|error| Ended { error, rows: 0 })?;
    let progress = Arc::clone(&tally);
    let waiting = Waiting::on(move || {
        format!("querying: {} raw logs read", grouped(progress.read.load(Ordering::Relaxed)))
    });
    let broken = |error: &io::Error| SqlError::Failed(format!("cannot write: {error}"));
    let schema = batches.schema();
    let writer = to.open().and_then(|to| Writer::new(format, &schema, to));
    let mut writer = writer.map_err(|error| Ended { error: broken(&error), rows: 0 })?;
    let mut waiting = Some(waiting);
    while let Some(batch) = batches.next().await {
        // What is written is not to be mixed with what is waited for.
        waiting.take();
        let rows = writer.rows;
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => {
                let error = tally.name_damaged(explain(&error, &tally)).await;
                return Err(Ended { error, rows });
            }
        };
        if let Err(error) = writer.write(&batch) {
            // A closed pipe (`| head`) is the reader's choice.
            if is_closed(&error) {
                return Ok(Exit::Answered);
            }
            return Err(Ended { error: broken(&error), rows });
        }
    }
    drop(waiting);
    let rows = writer.rows;
    match writer.finish().and_then(|_| to.finish()) {
        Err(error) if !is_closed(&error) => return Err(Ended { error: broken(&error), rows }),
        _ => {}
    }
    if format == Format::Table {
        let more = if rows > SHOWN {
            format!("; {SHOWN} shown, -o csv writes all")
        } else {
            String::new()
        };
        say(&format!("{}{more}", count(rows as u64, "row")));
    }
    for (keys, what) in [
        (tally.unrecognised(), "below logs/ passed over: not the name of a log"),
        (tally.mismatched(), "whose record differs from its key: the record counts"),
    ] {
        if let [first, ..] = keys.as_slice() {
            let objects = count(keys.len() as u64, "object");
            say(&printable(&format!("note: {objects} {what}: {first}")));
        }
    }
    let unread = tally.unread();
    if unread.is_empty() {
        return Ok(Exit::Answered);
    }
    let objects = count(unread.len() as u64, "object");
    say(&format!("warning: partial answer: {objects} could not be read"));
    for (key, why) in unread.iter().take(NAMED) {
        say(&printable(&format!("  {key}: {why}")));
    }
    Ok(Exit::Partial)
}

fn is_closed(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe || error.to_string().contains("Broken pipe")
}

fn read_query(query: String) -> Result<String, Failure> {
    let query = if query == "-" {
        let mut text = String::new();
        let read = io::stdin().lock().take(STDIN_BYTES + 1).read_to_string(&mut text);
        read.map_err(|error| usage(&format!("cannot read stdin: {error}"), "give UTF-8 text"))?;
        if text.len() as u64 > STDIN_BYTES {
            return Err(usage("the query is longer than 1 MiB", "is it a query?"));
        }
        text
    } else {
        query
    };
    if query.trim().is_empty() {
        return Err(usage("the query is empty", "see `analyzer sql --help` for examples"));
    }
    Ok(query)
}

fn usage(error: &str, hint: &str) -> Failure {
    Failure { error: error.to_owned(), hint: Some(hint.to_owned()), exit: Exit::Usage }
}

fn failure(error: &SqlError, rows: usize) -> Failure {
    let (hint, exit) = match error {
        SqlError::Source(error) => return unreachable(error),
        SqlError::Query(_) => (
            "the one table is `exchanges`; `analyzer sql \"DESCRIBE exchanges\"` lists its columns",
            Exit::Usage,
        ),
        SqlError::Memory => {
            ("ask for fewer columns or less time, or say --memory-limit 4GB", Exit::Usage)
        }
        SqlError::Changed => ("ask again", Exit::Partial),
        SqlError::Damaged(_) => (
            "remove that file: its logs count then, and the next compaction makes it anew from those that are left",
            Exit::Partial,
        ),
        SqlError::Failed(_) => ("ask for less, or report it with the query", Exit::Partial),
    };
    let said = printable(&error.to_string());
    let text = match rows {
        0 => said,
        rows => format!("{said}; what was written until then, {rows} rows, is no answer"),
    };
    Failure { error: text, hint: Some(hint.to_owned()), exit }
}

/// Reads a size: `512MB`, `1GB`, `2GiB`, or bytes.
fn parse_size(text: &str) -> Result<usize, String> {
    const UNITS: [(&str, usize); 7] = [
        ("KIB", 1 << 10),
        ("MIB", 1 << 20),
        ("GIB", 1 << 30),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("B", 1),
    ];
    let upper = text.trim().to_ascii_uppercase();
    let unit = UNITS.iter().find(|(unit, _)| upper.ends_with(unit));
    let (number, factor) = unit.map_or((upper.as_str(), 1), |(unit, factor)| {
        (upper.trim_end_matches(unit).trim_end(), *factor)
    });
    let size = number.parse::<usize>().ok().and_then(|number| number.checked_mul(factor));
    size.filter(|size| *size >= 1 << 20)
        .ok_or_else(|| format!("`{text}` is no size of 1 MiB or more, as 512MB or 2GiB"))
}
