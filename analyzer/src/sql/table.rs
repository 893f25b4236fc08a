//! The table `exchanges`: when a query is planned, the logs that can hold an answer are listed and compacted
//! hours are opened; rows are read when it runs.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DFSchema;
use datafusion::common::config::TableParquetOptions;
use datafusion::datasource::TableType;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::streaming::StreamingTableExec;
use datafusion::physical_plan::union::UnionExec;
use futures::stream::{self, StreamExt as _};
use jiff::Timestamp;
use schemas::columns::BODY;

use super::hours::{OpenHours, partitioned};
use super::raw::Logs;
use super::{Tally, failed, prune};
use crate::hour::file::ReadError;
use crate::hour::parts::{Parts, parts, published};
use crate::hour::places::{Places, places};
use crate::logs::source::LogSource;
use crate::window::Window;

/// Rows of a batch with bodies: their pages are given back before much memory is held, and the same memory
/// serves the next ones, which is a third of what searching them costs.
const BODY_BATCH_ROWS: usize = 64;

/// Stretches of hours that are listed at a time.
const WINDOWS: usize = 8;

/// The table.
pub(super) struct Exchanges {
    source: Arc<dyn LogSource>,
    tally: Arc<Tally>,
    /// The columns of a file.
    of_file: SchemaRef,
    /// These, and day and hour.
    schema: SchemaRef,
}

impl std::fmt::Debug for Exchanges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the exchanges of {}", self.source.place())
    }
}

impl Exchanges {
    pub(super) fn new(source: Arc<dyn LogSource>, tally: Arc<Tally>) -> Self {
        let viewed = |field: &Arc<Field>| match field.data_type() {
            // Read from a page without a copy.
            DataType::Utf8 => field.as_ref().clone().with_data_type(DataType::Utf8View),
            _ => field.as_ref().clone(),
        };
        let of_file = Schema::new(
            crate::hour::batch::schema().fields().iter().map(viewed).collect::<Vec<_>>(),
        );
        let schema = [of_file.fields().iter().cloned().collect(), partitions()].concat();
        Self { source, tally, of_file: Arc::new(of_file), schema: Arc::new(Schema::new(schema)) }
    }

    /// Lists what can hold an answer.
    async fn list(&self, predicate: Option<&Arc<dyn PhysicalExpr>>) -> Result<Parts> {
        let failed = |error| failed(error, &self.tally);
        let listed = |error| failed(ReadError::Source(error));
        let Places { hours: mut all, untimed } =
            places(&*self.source, None).await.map_err(listed)?;
        let ever = Window { since: Timestamp::MIN, until: Timestamp::MAX };
        all.extend(published(&self.source, &ever).await.map_err(failed)?);
        let hours = prune::hours(all.into_iter().collect(), predicate, &self.schema)?;
        let mut found = Parts::default();
        let mut windows: Vec<Window> = Vec::new();
        for hour in &hours {
            match windows.last_mut().filter(|last| last.until == hour.start()) {
                Some(last) => last.until = hour.next().start(),
                None => windows.push(hour.window()),
            }
        }
        let has_untimed = !untimed.is_empty();
        let each = stream::iter(windows).map(|window| {
            let source = Arc::clone(&self.source);
            async move { parts(&source, &window, has_untimed).await }
        });
        let mut each = each.buffered(WINDOWS);
        while let Some(parts) = each.next().await {
            found.append(parts.map_err(failed)?);
        }
        found.unrecognised.sort_unstable();
        found.unrecognised.dedup();
        for (key, why) in found.broken.drain(..) {
            self.tally.miss(key, why);
        }
        self.tally.pass_over(&found.unrecognised);
        // Logs that tell no hour are of whatever hour their records say.
        found.add_untimed(untimed);
        found.logs = prune::logs(found.logs, predicate, &self.schema)?;
        Ok(found)
    }

    fn scan_hours(
        &self,
        state: &dyn Session,
        found: &Parts,
        projection: Option<&Vec<usize>>,
        predicate: Option<&Arc<dyn PhysicalExpr>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let table = TableSchema::builder(Arc::clone(&self.of_file))
            .with_table_partition_cols(partitions())
            .build();
        self.tally.open(&found.hours);
        let files = OpenHours::new(&found.hours, Arc::clone(&self.tally));
        let is_prunable = !predicate.is_some_and(prune::is_of_time_of_day);
        let mut options = TableParquetOptions::default();
        options.global.pruning = is_prunable;
        // The optimizer brings the predicate here; given now, it would be applied twice.
        let source = ParquetSource::new(table)
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(files))
            .with_pushdown_filters(true)
            .with_reorder_filters(true)
            .with_enable_page_index(is_prunable);
        let most = state.config().target_partitions().max(1);
        let mut groups = vec![Vec::new(); most.min(found.hours.len())];
        let count = groups.len();
        for (at, file) in found.hours.iter().enumerate() {
            groups[at % count].push(partitioned(file));
        }
        let groups = groups.into_iter().map(FileGroup::new).collect();
        // Nothing is asked of this store: every byte comes from the files that are open.
        let store = ObjectStoreUrl::local_filesystem();
        let config = FileScanConfigBuilder::new(store, Arc::new(source))
            .with_file_groups(groups)
            .with_batch_size(self.reads_bodies(projection, predicate).then_some(BODY_BATCH_ROWS))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    /// Tells whether bodies are read, to show them or to look into them.
    fn reads_bodies(
        &self,
        projection: Option<&Vec<usize>>,
        predicate: Option<&Arc<dyn PhysicalExpr>>,
    ) -> bool {
        let is_shown = projection.is_none_or(|shown| shown.iter().any(|at| self.is_body(*at)));
        let asked = predicate.map(collect_columns).unwrap_or_default();
        is_shown || asked.iter().any(|column| self.is_body(column.index()))
    }

    fn is_body(&self, at: usize) -> bool {
        [BODY, "request_body"].contains(&self.schema.field(at).name().as_str())
    }

    fn scan_logs(
        &self,
        state: &dyn Session,
        found: Parts,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (source, tally) = (Arc::clone(&self.source), Arc::clone(&self.tally));
        let logs = Logs::new(source, found.logs, found.contents, tally);
        let shares = logs.shares(state.config().target_partitions(), &self.schema);
        let schema = Arc::clone(&self.schema);
        let plan = StreamingTableExec::try_new(schema, shares, projection, [], false, limit)?;
        Ok(Arc::new(plan))
    }
}

fn partitions() -> Vec<Arc<Field>> {
    ["day", "hour"].map(|name| Arc::new(Field::new(name, DataType::Utf8View, false))).to_vec()
}

#[async_trait]
impl TableProvider for Exchanges {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        // Here they choose hours and logs; the optimizer has them applied to each row.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let predicate = match conjunction(filters.to_vec()) {
            None => None,
            Some(filter) => {
                let schema = DFSchema::try_from(self.schema.as_ref().clone())?;
                Some(state.create_physical_expr(filter, &schema)?)
            }
        };
        let found = self.list(predicate.as_ref()).await?;
        let mut plans = Vec::new();
        if !found.hours.is_empty() {
            plans.push(self.scan_hours(state, &found, projection, predicate.as_ref(), limit)?);
        }
        if !found.logs.is_empty() || plans.is_empty() {
            plans.push(self.scan_logs(state, found, projection, limit)?);
        }
        match plans.len() {
            1 => plans.pop().ok_or_else(|| DataFusionError::Internal("no plan".to_owned())),
            _ => UnionExec::try_new(plans),
        }
    }
}
