//! Which hours and which logs can hold an answer: decided from what their names tell, by the engine's own
//! pruning. An hour is a container whose rows have one day, one hour, and times around it; a log whose key
//! tells its outcome is a container of one row.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Int32Array, StringViewArray, TimestampMillisecondArray, UInt64Array,
};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Column;
use datafusion::common::pruning::PruningStatistics;
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use jiff::{SignedDuration, Timestamp};
use schemas::key::LogKey;
use schemas::origin::Origin;

use crate::hour::Hour;
use crate::logs::list::Entry;

/// How far from its hour a row can have begun, whose log's key told no exact time.
const MARGIN: SignedDuration = SignedDuration::from_hours(24);

/// Keeps the hours that can hold an answer.
pub(super) fn hours(
    hours: Vec<Hour>,
    predicate: Option<&Arc<dyn PhysicalExpr>>,
    schema: &SchemaRef,
) -> Result<Vec<Hour>> {
    let Some(predicate) = predicate else { return Ok(hours) };
    let predicate = pruning(predicate, schema)?;
    let kept = predicate.prune(&HourStatistics(&hours))?;
    Ok(hours.into_iter().zip(kept).filter_map(|(hour, is_kept)| is_kept.then_some(hour)).collect())
}

/// Keeps the logs that can hold an answer; those whose keys tell little always can.
pub(super) fn logs(
    logs: Vec<Entry>,
    predicate: Option<&Arc<dyn PhysicalExpr>>,
    schema: &SchemaRef,
) -> Result<Vec<Entry>> {
    let Some(predicate) = predicate else { return Ok(logs) };
    let predicate = pruning(predicate, schema)?;
    let (told, mut kept): (Vec<_>, Vec<_>) =
        logs.into_iter().partition(|entry| entry.told.is_some());
    let keys: Vec<LogKey> = told.iter().filter_map(|entry| entry.told).collect();
    let can = predicate.prune(&KeyStatistics(&keys))?;
    kept.extend(told.into_iter().zip(can).filter_map(|(entry, can)| can.then_some(entry)));
    Ok(kept)
}

fn pruning(predicate: &Arc<dyn PhysicalExpr>, schema: &SchemaRef) -> Result<PruningPredicate> {
    let builder = PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema));
    builder.try_build(Arc::clone(predicate))
}

struct HourStatistics<'a>(&'a [Hour]);

impl HourStatistics<'_> {
    fn bound(&self, column: &Column, time: impl Fn(Hour) -> Option<Timestamp>) -> Option<ArrayRef> {
        let hours = self.0.iter();
        Some(match column.name() {
            "day" => Arc::new(hours.map(|hour| Some(hour.day())).collect::<StringViewArray>()),
            "hour" => Arc::new(hours.map(|hour| Some(hour.number())).collect::<StringViewArray>()),
            "started_at" => {
                let times = hours.map(|hour| time(*hour).map(Timestamp::as_millisecond));
                Arc::new(times.collect::<TimestampMillisecondArray>().with_timezone("UTC"))
            }
            _ => return None,
        })
    }
}

impl PruningStatistics for HourStatistics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bound(column, |hour| hour.start().checked_sub(MARGIN).ok())
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bound(column, |hour| hour.next().start().checked_add(MARGIN).ok())
    }

    fn num_containers(&self) -> usize {
        self.0.len()
    }

    fn null_counts(&self, _: &Column) -> Option<ArrayRef> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        None
    }

    fn contained(
        &self,
        _: &Column,
        _: &HashSet<datafusion::common::ScalarValue>,
    ) -> Option<BooleanArray> {
        None
    }
}

struct KeyStatistics<'a>(&'a [LogKey]);

impl KeyStatistics<'_> {
    fn values(&self, column: &Column) -> Option<ArrayRef> {
        let keys = self.0.iter();
        Some(match column.name() {
            "status" => {
                Arc::new(keys.map(|key| Some(i32::from(key.status))).collect::<Int32Array>())
            }
            "error_origin" => {
                let origins = keys.map(|key| key.error_origin.map(Origin::as_str));
                Arc::new(origins.collect::<StringViewArray>())
            }
            "exchange_id" => {
                let ids = keys.map(|key| Some(key.exchange_id.to_string()));
                Arc::new(ids.collect::<StringViewArray>())
            }
            "started_at" => {
                let times = keys.map(|key| Some(key.started_at.as_millisecond()));
                Arc::new(times.collect::<TimestampMillisecondArray>().with_timezone("UTC"))
            }
            "day" => {
                let days = keys.map(|key| Some(Hour::of(key.started_at).day()));
                Arc::new(days.collect::<StringViewArray>())
            }
            "hour" => {
                let hours = keys.map(|key| Some(Hour::of(key.started_at).number()));
                Arc::new(hours.collect::<StringViewArray>())
            }
            _ => return None,
        })
    }
}

impl PruningStatistics for KeyStatistics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.values(column)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.values(column)
    }

    fn num_containers(&self) -> usize {
        self.0.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let count = |key: &LogKey| match column.name() {
            // All fields of an error are null in a success.
            name if name.starts_with("error_") => {
                let is_success = key.error_origin.is_none();
                (is_success || name == "error_origin").then_some(u64::from(is_success))
            }
            "status" | "exchange_id" | "started_at" | "day" | "hour" => Some(0),
            _ => None,
        };
        Some(Arc::new(self.0.iter().map(count).collect::<UInt64Array>()))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.0.iter().map(|_| Some(1)).collect::<UInt64Array>()))
    }

    fn contained(
        &self,
        _: &Column,
        _: &HashSet<datafusion::common::ScalarValue>,
    ) -> Option<BooleanArray> {
        None
    }
}
