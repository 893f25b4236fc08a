//! The columns as tables of Athena, rendered from the column table.
//!
//! Two tables: the compacted hours, and the raw logs of hours that are not compacted yet. Their
//! partitions are computed from the query, so that no crawler has to find them. A place is a bucket, and
//! whatever prefix the logs have in it.

use std::fmt::Write as _;

use crate::columns::{COLUMNS, Column, Kind};

/// The first day that a query can name: no log is older.
const FIRST_DAY: (&str, &str) = ("2025-01-01", "2025/01/01");

/// Renders both tables for the logs below `place`, an S3 URL without a slash at its end.
#[must_use]
pub fn athena(place: &str) -> String {
    format!("{}\n{}", compacted(place), raw(place))
}

/// Renders the table of the compacted hours.
fn compacted(place: &str) -> String {
    let columns: Vec<_> = COLUMNS
        .iter()
        .map(|column| format!("  `{}` {}", column.name, column.kind.athena()))
        .collect();
    format!(
        "-- Compacted hours, one Parquet file each: what `analyzer compact` published.\n\
         CREATE EXTERNAL TABLE IF NOT EXISTS exchanges (\n{}\n)\n\
         PARTITIONED BY (`day` string, `hour` string)\n\
         STORED AS PARQUET\n\
         LOCATION '{place}/parquet/'\n\
         TBLPROPERTIES (\n{},\n  'storage.location.template' = '{place}/parquet/day=${{day}}/hour=${{hour}}/'\n);\n",
        columns.join(",\n"),
        projection("yyyy-MM-dd", FIRST_DAY.0),
    )
}

/// Renders the table of the raw logs, whose columns are the fields of the record. Times are text
/// there: `from_iso8601_timestamp(started_at)`.
fn raw(place: &str) -> String {
    format!(
        "-- Raw logs, one JSON object each: for hours that are not compacted yet. An exchange of a compacted\n\
         -- hour stands in both tables. Records of before there were versions have other names for some fields,\n\
         -- which are null here.\n\
         CREATE EXTERNAL TABLE IF NOT EXISTS exchanges_raw (\n{}\n)\n\
         PARTITIONED BY (`day` string, `hour` string)\n\
         ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'\n\
         WITH SERDEPROPERTIES ('ignore.malformed.json' = 'true')\n\
         LOCATION '{place}/logs/'\n\
         TBLPROPERTIES (\n{},\n  'storage.location.template' = '{place}/logs/${{day}}/${{hour}}/'\n);\n",
        fields().join(",\n"),
        projection("yyyy/MM/dd", FIRST_DAY.1),
    )
}

fn projection(format: &str, first: &str) -> String {
    let mut text =
        String::from("  'projection.enabled' = 'true',\n  'projection.day.type' = 'date',\n");
    let _ = write!(
        text,
        "  'projection.day.format' = '{format}',\n  'projection.day.range' = '{first},NOW',\n  \
         'projection.day.interval' = '1',\n  'projection.day.interval.unit' = 'DAYS',\n  \
         'projection.hour.type' = 'integer',\n  'projection.hour.range' = '0,23',\n  \
         'projection.hour.digits' = '2'"
    );
    text
}

/// Puts the columns together again to the fields of the record that they come from.
fn fields() -> Vec<String> {
    let mut fields: Vec<(&str, Vec<String>)> = Vec::new();
    for column in COLUMNS {
        let (name, text) = match *column.path() {
            [name] => (name, column.raw_type().to_owned()),
            [outer, inner] => (outer, format!("`{inner}`: {}", column.raw_type())),
            _ => continue,
        };
        match fields.iter_mut().find(|field| field.0 == name) {
            Some((_, of)) => of.push(text),
            None => fields.push((name, vec![text])),
        }
    }
    let field = |(name, of): (&str, Vec<String>)| {
        let is_nested = of.iter().any(|text| text.contains(": "));
        let text = of.join(", ");
        if is_nested { format!("  `{name}` struct<{text}>") } else { format!("  `{name}` {text}") }
    };
    fields.into_iter().map(field).collect()
}

impl Column {
    /// The type of its field in a raw log, as the JSON reader of Athena takes it.
    fn raw_type(&self) -> &'static str {
        match (self.kind, self.name) {
            // The JSON reader takes no RFC 3339.
            (Kind::Time, _) => "string",
            (_, "upstream_ratelimit") => "map<string, string>",
            (kind, _) => kind.athena(),
        }
    }
}

impl Kind {
    /// Returns Athena's name of this type.
    #[must_use]
    pub fn athena(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Time => "timestamp",
            Self::Int => "int",
            Self::Long => "bigint",
            Self::Double => "double",
            Self::Boolean => "boolean",
        }
    }
}

/// Renders a page that says what each column is.
#[must_use]
pub fn columns_page() -> String {
    let mut page = String::from(
        "# The columns of compacted logs\n\n\
         Rendered from `schemas/src/columns.rs`. One file for each hour,\n\
         `parquet/day=YYYY-MM-DD/hour=HH/exchanges.parquet`, has one row for each exchange, sorted by\n\
         `started_at` and `exchange_id`. What a column means stands in the record's JSON Schema\n\
         ([record.schema.json](record.schema.json)); the tables for Athena in [athena.sql](athena.sql).\n\
         `day` and `hour` are text, and name the folder.\n\n\
         | column | type | field of the record | |\n|---|---|---|---|\n",
    );
    for column in COLUMNS {
        let path = column.path().join(".");
        let path = if path.is_empty() { "none".to_owned() } else { format!("`{path}`") };
        let _ = writeln!(
            page,
            "| `{}` | {}{} | {path} | {} |",
            column.name,
            column.kind.athena(),
            if column.required { ", never null" } else { "" },
            column.about,
        );
    }
    page
}
