//! Which hours and which logs can hold an answer: decided from what their names tell, by the engine's own
//! pruning. An hour is a container whose rows have one day, one hour, and times around it; a log whose key
//! tells its outcome is a container of one row.

use std::any::Any;
use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Int32Array, StringViewArray, TimestampMillisecondArray, UInt64Array,
};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::tree_node::TreeNode as _;
use datafusion::common::{Column, ScalarValue};
use datafusion::error::Result;
use datafusion::physical_expr::expressions::{CastExpr, TryCastExpr};
use datafusion::physical_expr::utils::split_conjunction;
use datafusion::physical_expr::{PhysicalExpr, conjunction};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use jiff::{SignedDuration, Timestamp};
use schemas::key::LogKey;
use schemas::origin::Origin;

use crate::hour::Hour;
use crate::logs::list::Entry;

/// How far from its hour a row is looked for by its time. A record that tells a time further from the folder
/// in which it stands is found by day and hour only.
const MARGIN: SignedDuration = SignedDuration::from_hours(24);

/// Keeps the hours that can hold an answer.
pub(super) fn hours(
    hours: Vec<Hour>,
    predicate: Option<&Arc<dyn PhysicalExpr>>,
    schema: &SchemaRef,
) -> Result<Vec<Hour>> {
    keep(hours, predicate, schema)
}

/// Keeps the logs that can hold an answer; those whose keys tell little always can, and so do those of which
/// two tell one exchange: only their records show which of them counts.
pub(super) fn logs(
    logs: Vec<Entry>,
    predicate: Option<&Arc<dyn PhysicalExpr>>,
    schema: &SchemaRef,
) -> Result<Vec<Entry>> {
    let (mut seen, mut twice) = (HashSet::new(), HashSet::new());
    for told in logs.iter().filter_map(|entry| entry.told) {
        if !seen.insert(told.exchange_id) {
            twice.insert(told.exchange_id);
        }
    }
    let is_told = |entry: &Entry| entry.told.is_some_and(|it| !twice.contains(&it.exchange_id));
    let (told, mut kept): (Vec<_>, Vec<_>) = logs.into_iter().partition(is_told);
    kept.extend(keep(told, predicate, schema)?);
    Ok(kept)
}

fn keep<C: Container>(
    containers: Vec<C>,
    predicate: Option<&Arc<dyn PhysicalExpr>>,
    schema: &SchemaRef,
) -> Result<Vec<C>> {
    let Some(predicate) = predicate else { return Ok(containers) };
    let conditions = split_conjunction(predicate).into_iter().filter(|of| !is_of_time_of_day(of));
    let predicate = conjunction(conditions.cloned());
    let builder = PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema));
    let can = builder.try_build(predicate)?.prune(&Statistics(&containers))?;
    let containers = containers.into_iter().zip(can);
    Ok(containers.filter_map(|(container, can)| can.then_some(container)).collect())
}

/// Tells whether something in a condition is made a time of day: that goes round while time goes on, and
/// the engine's pruning takes it for going on.
pub(super) fn is_of_time_of_day(condition: &Arc<dyn PhysicalExpr>) -> bool {
    let is_time = |made: &DataType| matches!(made, DataType::Time32(_) | DataType::Time64(_));
    let makes_time = |expression: &Arc<dyn PhysicalExpr>| {
        let any = expression.as_ref() as &dyn Any;
        let cast = any.downcast_ref::<CastExpr>().map(CastExpr::cast_type);
        let tried = any.downcast_ref::<TryCastExpr>().map(TryCastExpr::cast_type);
        Ok(cast.or(tried).is_some_and(is_time))
    };
    condition.exists(makes_time).unwrap_or(true)
}

/// Rows of which something is known without reading them.
trait Container: Sized {
    /// Returns the least and the greatest value of a column, each of all containers.
    fn bounds(containers: &[Self], column: &str) -> Option<[ArrayRef; 2]>;

    /// Returns how many rows have no value of a column.
    fn nulls(&self, column: &str) -> Option<u64>;

    /// Returns how many rows there are.
    fn rows(&self) -> Option<u64>;
}

impl Container for Hour {
    fn bounds(hours: &[Self], column: &str) -> Option<[ArrayRef; 2]> {
        if column == "started_at" {
            let since = hours.iter().map(|hour| hour.start().checked_sub(MARGIN).ok());
            let until = hours.iter().map(|hour| hour.next().start().checked_add(MARGIN).ok());
            return Some([times(since), times(until)]);
        }
        folder(hours.iter().copied().map(Some), column).map(|names| [Arc::clone(&names), names])
    }

    fn nulls(&self, _: &str) -> Option<u64> {
        None
    }

    fn rows(&self) -> Option<u64> {
        None
    }
}

/// Only of logs whose keys tell their outcome.
impl Container for Entry {
    fn bounds(logs: &[Self], column: &str) -> Option<[ArrayRef; 2]> {
        let keys = logs.iter().map(|entry| entry.told);
        let told = |key: Option<LogKey>| key.map(|key| key.started_at);
        let values = match column {
            "status" => {
                let statuses = keys.map(|key| key.map(|key| i32::from(key.status)));
                Arc::new(statuses.collect::<Int32Array>()) as ArrayRef
            }
            "error_origin" => {
                let origins = keys.map(|key| key?.error_origin.map(Origin::as_str));
                Arc::new(origins.collect::<StringViewArray>())
            }
            "exchange_id" => {
                let ids = keys.map(|key| Some(key?.exchange_id.to_string()));
                Arc::new(ids.collect::<StringViewArray>())
            }
            "started_at" => times(keys.map(told)),
            _ => folder(keys.map(|key| told(key).map(Hour::of)), column)?,
        };
        Some([Arc::clone(&values), values])
    }

    fn nulls(&self, column: &str) -> Option<u64> {
        let is_success = self.told?.error_origin.is_none();
        match column {
            // All fields of an error are null in a success.
            name if name.starts_with("error_") => {
                (is_success || name == "error_origin").then_some(u64::from(is_success))
            }
            "status" | "exchange_id" | "started_at" | "day" | "hour" => Some(0),
            _ => None,
        }
    }

    fn rows(&self) -> Option<u64> {
        Some(1)
    }
}

/// Returns what the folders of hours say.
fn folder(hours: impl Iterator<Item = Option<Hour>>, column: &str) -> Option<ArrayRef> {
    let names: StringViewArray = match column {
        "day" => hours.map(|hour| hour.map(Hour::day)).collect(),
        "hour" => hours.map(|hour| hour.map(Hour::number)).collect(),
        _ => return None,
    };
    Some(Arc::new(names))
}

fn times(times: impl Iterator<Item = Option<Timestamp>>) -> ArrayRef {
    let times = times.map(|time| time.map(Timestamp::as_millisecond));
    Arc::new(times.collect::<TimestampMillisecondArray>().with_timezone("UTC"))
}

/// What is known of containers, as the engine asks for it.
struct Statistics<'a, C>(&'a [C]);

impl<C: Container> PruningStatistics for Statistics<'_, C> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        C::bounds(self.0, column.name()).map(|[least, _]| least)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        C::bounds(self.0, column.name()).map(|[_, greatest]| greatest)
    }

    fn num_containers(&self) -> usize {
        self.0.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let counts = self.0.iter().map(|container| container.nulls(column.name()));
        Some(Arc::new(counts.collect::<UInt64Array>()))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.0.iter().map(C::rows).collect::<UInt64Array>()))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
