//! SQL over everything: raw logs and compacted hours as one table, `exchanges`.
//!
//! A query comes in; batches of rows go out. What stands in `prune` decides which hours and which logs
//! can hold an answer, before any log or row is read; `table` makes a plan of the rest: DataFusion's own
//! Parquet scan over files that are pinned to one version (`hours`), and the logs that are in none
//! (`raw`). Each exchange is in one of the two.

mod prune;
mod table;
mod hours;
mod raw;
pub mod output;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::hour::file::{HourFile, ReadError};
use crate::logs::source::{LogSource, SourceError};
use table::Exchanges;

/// The name of the table.
pub const TABLE: &str = "exchanges";
/// Rows of a batch: with bodies, too, several fit into memory.
const BATCH_ROWS: usize = 1_024;

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The query is wrong, or asks for what is not done here.
    #[error("{0}")]
    Query(String),
    /// More memory is needed than may be used.
    #[error("sorting or grouping needs more memory than it may use")]
    Memory,
    /// The logs cannot be listed or read.
    #[error(transparent)]
    Source(SourceError),
    /// An hour was published anew while it was read: the same query can be asked again.
    #[error("an hour was published anew while it was read")]
    Changed,
    /// A compacted hour is damaged.
    #[error("{0}")]
    Damaged(String),
    /// Anything else that failed while it ran.
    #[error("{0}")]
    Failed(String),
}

/// What came up while a query ran.
#[derive(Default)]
pub struct Tally {
    /// Logs that could not be read, and why.
    unread: Mutex<Vec<(String, String)>>,
    /// Objects below `logs/` that are no logs by their names.
    unrecognised: Mutex<Vec<String>>,
    /// Logs that say another exchange or time than their keys, whose row is what they say.
    mismatched: Mutex<Vec<String>>,
    /// Logs that were read.
    pub read: AtomicU64,
    /// Compacted hours that are read.
    hours: Mutex<Vec<HourFile>>,
    /// A file was replaced.
    changed: AtomicBool,
    /// Why the source could not be used, where that ended the query.
    broken: Mutex<Option<SourceError>>,
}

impl Tally {
    /// Returns the logs that could not be read, and why.
    #[must_use]
    pub fn unread(&self) -> Vec<(String, String)> {
        sorted(&self.unread)
    }

    /// Returns the objects below `logs/` that are no logs by their names.
    #[must_use]
    pub fn unrecognised(&self) -> Vec<String> {
        sorted(&self.unrecognised)
    }

    /// Returns the logs that say something else than their keys.
    #[must_use]
    pub fn mismatched(&self) -> Vec<String> {
        sorted(&self.mismatched)
    }

    fn pass_over(&self, keys: &[String]) {
        let mut unrecognised = self.unrecognised.lock().unwrap_or_else(PoisonError::into_inner);
        unrecognised.extend_from_slice(keys);
    }

    fn mismatch(&self, key: &str) {
        let mut mismatched = self.mismatched.lock().unwrap_or_else(PoisonError::into_inner);
        mismatched.push(key.to_owned());
    }

    fn miss(&self, key: String, why: String) {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner).push((key, why));
    }

    fn open(&self, hours: &[HourFile]) {
        self.hours.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(hours);
    }

    /// Finds which of the hours are damaged, where the engine says only that one is.
    pub async fn name_damaged(&self, error: SqlError) -> SqlError {
        let SqlError::Damaged(said) = error else { return error };
        let hours = self.hours.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for hour in hours {
            if let Err(error @ ReadError::Broken { .. }) = hour.check().await {
                return SqlError::Damaged(error.to_string());
            }
        }
        SqlError::Damaged(said)
    }

    /// Notes why a source failed; hands the error on.
    fn note(&self, error: SourceError) -> SourceError {
        if matches!(error, SourceError::Changed(_) | SourceError::Missing(_)) {
            self.changed.store(true, Ordering::Relaxed);
        } else {
            *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        }
        error
    }
}

/// A table may be scanned more than once, and then meets the same.
fn sorted<T: Clone + Ord>(noted: &Mutex<Vec<T>>) -> Vec<T> {
    let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner).clone();
    noted.sort();
    noted.dedup();
    noted
}

/// A query that runs.
pub struct Running {
    /// Its rows, as they come.
    pub batches: SendableRecordBatchStream,
    /// What comes up meanwhile.
    pub tally: Arc<Tally>,
}

/// Starts a query. So many bytes of memory may be used for sorting and grouping.
///
/// # Errors
///
/// When the query is wrong, or the logs cannot be listed.
pub async fn start(
    source: Arc<dyn LogSource>,
    query: &str,
    memory_bytes: usize,
) -> Result<Running, SqlError> {
    crate::memory::keep_freed();
    let tally = Arc::new(Tally::default());
    let config = SessionConfig::new().with_information_schema(true).with_batch_size(BATCH_ROWS);
    let runtime = RuntimeEnvBuilder::new().with_memory_limit(memory_bytes, 1.0).build_arc();
    let runtime = runtime.map_err(|error| explain(&error, &tally))?;
    let context = SessionContext::new_with_config_rt(config, runtime);
    let table = Exchanges::new(source, Arc::clone(&tally));
    let explain = |error: DataFusionError| explain(&error, &tally);
    context.register_table(TABLE, Arc::new(table)).map_err(explain)?;
    // A query reads what stands here, and writes nothing anywhere.
    let options =
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let frame = context.sql_with_options(query, options).await.map_err(explain)?;
    let batches = frame.execute_stream().await.map_err(explain)?;
    Ok(Running { batches, tally })
}

/// Says what an error of the engine means here.
#[must_use]
pub fn explain(error: &DataFusionError, tally: &Tally) -> SqlError {
    if tally.changed.load(Ordering::Relaxed) {
        return SqlError::Changed;
    }
    let broken = tally.broken.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(error) = broken {
        return SqlError::Source(error);
    }
    let root = error.find_root();
    let said = plainly(&root.strip_backtrace());
    match root {
        DataFusionError::ResourcesExhausted(_) => SqlError::Memory,
        DataFusionError::SQL(..)
        | DataFusionError::Plan(_)
        | DataFusionError::SchemaError(..)
        | DataFusionError::NotImplemented(_)
        | DataFusionError::Configuration(_)
        | DataFusionError::Collection(_)
        | DataFusionError::Diagnostic(..) => SqlError::Query(said),
        DataFusionError::ParquetError(_) => SqlError::Damaged(said),
        DataFusionError::ArrowError(error, _) => match **error {
            ArrowError::ParquetError(_) | ArrowError::ExternalError(_) => SqlError::Damaged(said),
            _ => SqlError::Query(said),
        },
        _ => SqlError::Failed(said),
    }
}

/// Takes what the engine says without the names of its parts.
fn plainly(said: &str) -> String {
    const PREFIXES: [&str; 5] = [
        "Error during planning: ",
        "SQL error: ",
        "Schema error: ",
        "Arrow error: ",
        "Parser error: ",
    ];
    let mut said = said.lines().next().unwrap_or_default().trim();
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| said.strip_prefix(prefix)) {
        said = rest;
    }
    let parsed = said.strip_prefix("ParserError(\"").and_then(|rest| rest.strip_suffix("\")"));
    let said = parsed.unwrap_or(said);
    let mut letters = said.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => {
            first.to_lowercase().chain(letters).collect()
        }
        // An abbreviation, such as DDL.
        _ => said.to_owned(),
    }
}

/// Makes an error of the engine of one of ours, noted on its way.
fn failed(error: ReadError, tally: &Tally) -> DataFusionError {
    DataFusionError::External(Box::new(tally.note(error.into())))
}
