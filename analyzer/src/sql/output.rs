//! The rows of an answer, written as they come: for people, or for the next program.

use std::io::{self, Write};
use std::sync::Arc;

use clap::ValueEnum;
use datafusion::arrow::array::{Array as _, ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::csv;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::writer::{LineDelimited, WriterBuilder};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::WriterProperties;

use crate::report::printable;

/// Rows that a table shows; more are for programs.
pub const SHOWN: usize = 1_000;
/// Characters of a cell that it shows.
const CELL: usize = 60;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Lines and columns for people; of many rows the first.
    Table,
    /// A JSON object a line.
    Json,
    /// Values separated by commas, with a line of names.
    Csv,
    /// Parquet.
    Parquet,
}

/// Writes batches in a format.
pub struct Writer<W: Write + Send> {
    kind: Kind<W>,
    /// Rows so far.
    pub rows: usize,
}

enum Kind<W: Write + Send> {
    Table { to: W, schema: SchemaRef, shown: Vec<RecordBatch> },
    Json(datafusion::arrow::json::Writer<W, LineDelimited>),
    Csv(Box<csv::Writer<W>>),
    Parquet { to: Box<ArrowWriter<W>>, schema: SchemaRef },
}

impl<W: Write + Send> Writer<W> {
    /// Starts to write.
    ///
    /// # Errors
    ///
    /// When the columns have no place in the format.
    pub fn new(format: Format, schema: &SchemaRef, to: W) -> io::Result<Self> {
        let kind = match format {
            Format::Table => Kind::Table { to, schema: schema.clone(), shown: Vec::new() },
            Format::Json => Kind::Json(WriterBuilder::new().with_explicit_nulls(true).build(to)),
            Format::Csv => {
                let mut to = csv::WriterBuilder::new().with_header(true).build(to);
                // The line of names comes with the first batch, and there may be none.
                to.write(&RecordBatch::new_empty(schema.clone())).map_err(io::Error::other)?;
                Kind::Csv(Box::new(to))
            }
            Format::Parquet => {
                let schema = plain(schema);
                let zstd = Compression::ZSTD(ZstdLevel::default());
                let properties = WriterProperties::builder().set_compression(zstd).build();
                let writer = ArrowWriter::try_new(to, schema.clone(), Some(properties));
                Kind::Parquet { to: Box::new(writer.map_err(io::Error::other)?), schema }
            }
        };
        Ok(Self { kind, rows: 0 })
    }

    /// Writes a batch.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let left = SHOWN.saturating_sub(self.rows).min(batch.num_rows());
        self.rows += batch.num_rows();
        match &mut self.kind {
            // What is not shown is not kept.
            Kind::Table { .. } if left == 0 => Ok(()),
            Kind::Table { shown, schema, .. } => {
                let rows = batch.slice(0, left);
                // A plan is a text of many lines.
                let is_plan = schema.fields().first().is_some_and(|it| it.name() == "plan_type");
                let rows = if is_plan { Ok(rows) } else { short(&rows) };
                shown.push(rows.map_err(io::Error::other)?);
                Ok(())
            }
            Kind::Json(to) => to.write(batch).map_err(io::Error::other),
            Kind::Csv(to) => to.write(batch).map_err(io::Error::other),
            Kind::Parquet { to, schema } => {
                let fields = batch.columns().iter().zip(schema.fields());
                let columns: Result<Vec<_>, _> =
                    fields.map(|(column, field)| cast(column, field.data_type())).collect();
                let columns = columns.map_err(io::Error::other)?;
                let batch = RecordBatch::try_new(schema.clone(), columns);
                to.write(&batch.map_err(io::Error::other)?).map_err(io::Error::other)
            }
        }
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// When the rest cannot be written.
    pub fn finish(self) -> io::Result<usize> {
        match self.kind {
            Kind::Table { mut to, schema, mut shown } => {
                if shown.is_empty() {
                    shown.push(RecordBatch::new_empty(schema));
                }
                let table = pretty_format_batches(&shown).map_err(io::Error::other)?;
                writeln!(to, "{table}")?;
                to.flush()?;
            }
            Kind::Json(mut to) => {
                to.finish().map_err(io::Error::other)?;
                to.into_inner().flush()?;
            }
            Kind::Csv(to) => to.into_inner().flush()?,
            Kind::Parquet { to, .. } => _ = to.close().map_err(io::Error::other)?,
        }
        Ok(self.rows)
    }
}

/// Cuts long cells, and takes the breaks and control characters out of all, for a table of one line a row.
fn short(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let shortened = |text: &str| {
        let mut kept: String = printable(text.get(..CELL * 4).unwrap_or(text));
        if let Some((end, _)) = kept.char_indices().nth(CELL) {
            kept.truncate(end);
            kept.push('…');
        }
        kept
    };
    let column = |(column, field): (&ArrayRef, &Arc<Field>)| {
        let kind = field.data_type();
        if kind.is_primitive() || matches!(kind, DataType::Boolean | DataType::Null) {
            return Ok((Arc::clone(column), Arc::clone(field)));
        }
        let format = ArrayFormatter::try_new(column, &FormatOptions::default())?;
        let text = |row| column.is_valid(row).then(|| shortened(&format.value(row).to_string()));
        let texts: StringArray = (0..column.len()).map(text).collect();
        let field = field.as_ref().clone().with_data_type(DataType::Utf8);
        Ok((Arc::new(texts) as ArrayRef, Arc::new(field)))
    };
    let columns = batch.columns().iter().zip(batch.schema_ref().fields()).map(column);
    let columns: Vec<(ArrayRef, Arc<Field>)> = columns.collect::<Result<_, ArrowError>>()?;
    let (arrays, fields): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}

/// Views are how the engine holds text; in a file it is text.
fn plain(schema: &SchemaRef) -> SchemaRef {
    let field = |field: &Arc<Field>| match field.data_type() {
        DataType::Utf8View => field.as_ref().clone().with_data_type(DataType::Utf8),
        _ => field.as_ref().clone(),
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}
