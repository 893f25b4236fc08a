//! Rows as Arrow columns, and back.
//!
//! In come rows, one after another; out goes one record batch with all columns. Columns of text are
//! plain UTF-8, and times milliseconds in UTC, because every engine reads these.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, BooleanArray, BooleanBuilder, Float64Array, Float64Builder, Int32Array,
    Int32Builder, Int64Array, Int64Builder, RecordBatch, StringArray, StringBuilder,
    TimestampMillisecondArray, TimestampMillisecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use schemas::columns::{BODY, COLUMNS, Column, Kind};

use super::row::{Cell, Rank, Row};

/// Returns the columns as an Arrow schema.
#[must_use]
pub fn schema() -> SchemaRef {
    let field = |column: &Column| Field::new(column.name, data_type(column.kind), !column.required);
    Arc::new(Schema::new(COLUMNS.iter().map(field).collect::<Vec<_>>()))
}

/// Returns the Arrow type of a kind of column.
#[must_use]
pub fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Text => DataType::Utf8,
        Kind::Time => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        Kind::Int => DataType::Int32,
        Kind::Long => DataType::Int64,
        Kind::Double => DataType::Float64,
        Kind::Boolean => DataType::Boolean,
    }
}

/// Returns the place of a column among all; the name is one of the table.
pub(crate) fn index(name: &str) -> usize {
    COLUMNS.iter().position(|column| column.name == name).unwrap_or(COLUMNS.len())
}

/// Rows that become a batch.
pub struct Batch {
    schema: SchemaRef,
    builders: Vec<Builder>,
    rows: usize,
    text_bytes: usize,
}

enum Builder {
    Text(StringBuilder),
    Time(TimestampMillisecondBuilder),
    Int(Int32Builder),
    Long(Int64Builder),
    Double(Float64Builder),
    Boolean(BooleanBuilder),
}

impl Batch {
    /// Makes an empty batch, with room for so many bytes of bodies.
    #[must_use]
    pub fn new(body_bytes: usize) -> Self {
        let builder = |column: &Column| match column.kind {
            Kind::Text if column.name == BODY => {
                Builder::Text(StringBuilder::with_capacity(0, body_bytes))
            }
            Kind::Text => Builder::Text(StringBuilder::new()),
            Kind::Time => Builder::Time(
                TimestampMillisecondBuilder::new().with_data_type(data_type(Kind::Time)),
            ),
            Kind::Int => Builder::Int(Int32Builder::new()),
            Kind::Long => Builder::Long(Int64Builder::new()),
            Kind::Double => Builder::Double(Float64Builder::new()),
            Kind::Boolean => Builder::Boolean(BooleanBuilder::new()),
        };
        let builders = COLUMNS.iter().map(builder).collect();
        Self { schema: schema(), builders, rows: 0, text_bytes: 0 }
    }

    /// Adds a row.
    pub fn push(&mut self, row: &Row) {
        for (builder, cell) in self.builders.iter_mut().zip(&row.cells) {
            builder.push(cell);
        }
        self.rows += 1;
        self.text_bytes += row.text_bytes();
    }

    /// Returns how many rows it has.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns how many bytes of text it has, bodies and all else.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// Makes the batch.
    ///
    /// # Errors
    ///
    /// When a column that every row has lacks a value.
    pub fn finish(mut self) -> Result<RecordBatch, ArrowError> {
        let columns = self.builders.iter_mut().map(Builder::finish).collect();
        RecordBatch::try_new(self.schema, columns)
    }
}

impl Builder {
    fn push(&mut self, cell: &Cell) {
        match (self, cell) {
            (Self::Text(to), Cell::Text(text)) => to.append_value(text),
            (Self::Time(to), Cell::Whole(ms)) => to.append_value(*ms),
            (Self::Int(to), Cell::Whole(number)) => to.append_option(i32::try_from(*number).ok()),
            (Self::Long(to), Cell::Whole(number)) => to.append_value(*number),
            (Self::Double(to), Cell::Number(number)) => to.append_value(*number),
            (Self::Boolean(to), Cell::Truth(truth)) => to.append_value(*truth),
            // What is not of the column's kind is no value of it.
            (Self::Text(to), _) => to.append_null(),
            (Self::Time(to), _) => to.append_null(),
            (Self::Int(to), _) => to.append_null(),
            (Self::Long(to), _) => to.append_null(),
            (Self::Double(to), _) => to.append_null(),
            (Self::Boolean(to), _) => to.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(of) => Arc::new(of.finish()),
            Self::Time(of) => Arc::new(of.finish()),
            Self::Int(of) => Arc::new(of.finish()),
            Self::Long(of) => Arc::new(of.finish()),
            Self::Double(of) => Arc::new(of.finish()),
            Self::Boolean(of) => Arc::new(of.finish()),
        }
    }
}

/// A batch that was read, by the names of its columns. A column that was not read, or that an older
/// version did not write, has no values.
pub struct Columns<'a> {
    columns: Vec<Option<&'a ArrayRef>>,
}

impl<'a> Columns<'a> {
    /// Looks the columns up.
    #[must_use]
    pub fn of(batch: &'a RecordBatch) -> Self {
        let columns = COLUMNS.iter().map(|column| batch.column_by_name(column.name));
        Self { columns: columns.collect() }
    }

    /// Returns the value of a column in a row.
    #[must_use]
    pub fn cell(&self, column: usize, row: usize) -> Cell {
        let Some(array) = self.columns.get(column).copied().flatten() else { return Cell::Null };
        if array.is_null(row) {
            return Cell::Null;
        }
        let any = array.as_any();
        if let Some(texts) = any.downcast_ref::<StringArray>() {
            Cell::Text(texts.value(row).to_owned())
        } else if let Some(times) = any.downcast_ref::<TimestampMillisecondArray>() {
            Cell::Whole(times.value(row))
        } else if let Some(numbers) = any.downcast_ref::<Int32Array>() {
            Cell::from(numbers.value(row))
        } else if let Some(numbers) = any.downcast_ref::<Int64Array>() {
            Cell::Whole(numbers.value(row))
        } else if let Some(numbers) = any.downcast_ref::<Float64Array>() {
            Cell::Number(numbers.value(row))
        } else if let Some(truths) = any.downcast_ref::<BooleanArray>() {
            Cell::Truth(truths.value(row))
        } else {
            Cell::Null
        }
    }

    /// Returns the text of a column in a row, without copying it.
    #[must_use]
    pub fn text(&self, name: &str, row: usize) -> Option<&'a str> {
        let array = self.columns.get(index(name)).copied().flatten()?;
        let texts = array.as_any().downcast_ref::<StringArray>()?;
        texts.is_valid(row).then(|| texts.value(row))
    }

    /// Returns a row with all its values.
    #[must_use]
    pub fn row(&self, row: usize) -> Row {
        Row {
            rank: self.rank(row),
            cells: (0..COLUMNS.len()).map(|at| self.cell(at, row)).collect(),
        }
    }

    /// Returns when the exchange of a row began, in milliseconds since 1970.
    #[must_use]
    pub fn started_at_ms(&self, row: usize) -> i64 {
        match self.cell(index("started_at"), row) {
            Cell::Whole(ms) => ms,
            _ => 0,
        }
    }

    /// Returns where a row stands among the others.
    #[must_use]
    pub fn rank(&self, row: usize) -> Rank {
        let started_at_ms = self.started_at_ms(row);
        let exchange_id = self.text("exchange_id", row).unwrap_or_default().to_owned();
        Rank { started_at_ms, exchange_id }
    }
}

impl Row {
    /// Returns the value of a column.
    #[must_use]
    pub fn cell(&self, name: &str) -> &Cell {
        self.cells.get(index(name)).unwrap_or(&Cell::Null)
    }

    /// Returns the text of a column.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.cells.get(index(name)) {
            Some(Cell::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Returns how many bytes of text it has.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        let bytes = |cell: &Cell| if let Cell::Text(text) = cell { text.len() } else { 0 };
        self.cells.iter().map(bytes).sum()
    }

    /// Returns the size of its log, as stored.
    #[must_use]
    pub fn source_bytes(&self) -> u64 {
        match self.cells.get(index("source_bytes")) {
            Some(Cell::Whole(bytes)) => u64::try_from(*bytes).unwrap_or(0),
            _ => 0,
        }
    }

    /// Sets the value of a column.
    pub fn set(&mut self, name: &str, cell: Cell) {
        if let Some(at) = self.cells.get_mut(index(name)) {
            *at = cell;
        }
    }
}
