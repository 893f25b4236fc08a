//! A row back to the JSON of its record, field by field in the record's own order.
//!
//! Of a record of version 1 the JSON is the one that was logged. An old one had whatever it had: its
//! row has what could be told of it, and fields that it lacks stay out.

use std::io::Write as _;

use jiff::Timestamp;
use schemas::columns::{BODY, COLUMNS, Column, Kind, Source};

use super::row::{Cell, Row};

/// Where the response body comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// The column of it.
    Whole,
    /// That was not read: of a failure, what was kept of it for whoever looks for words.
    OfError,
}

/// Writes the JSON of a row's record.
#[must_use]
pub fn to_json(row: &Row, body: Body) -> Vec<u8> {
    let mut json = Json { bytes: b"{".to_vec(), is_first: true, open: None };
    // Of an old record nobody knows which fields it had.
    let is_old = row.cell("schema_version") == &Cell::Null;
    for column in COLUMNS {
        let cell = match column.source {
            Source::Derived | Source::Object => continue,
            Source::Field(..) if column.name == BODY && body == Body::OfError => {
                row.cell("error_body")
            }
            Source::Field(..) | Source::Error(_) => row.cell(column.name),
        };
        match *column.path() {
            [name] => {
                json.close();
                if *cell != Cell::Null || !is_old {
                    json.field(name, column, cell);
                }
            }
            [outer, inner] => json.nested(row, outer, inner, column, cell, is_old),
            _ => {}
        }
    }
    json.close();
    json.bytes.push(b'}');
    json.bytes
}

struct Json {
    bytes: Vec<u8>,
    is_first: bool,
    /// The object that is being written, and whether it is one at all.
    open: Option<(&'static str, bool)>,
}

impl Json {
    fn nested(
        &mut self,
        row: &Row,
        outer: &'static str,
        inner: &str,
        column: &Column,
        cell: &Cell,
        is_old: bool,
    ) {
        if self.open.is_none_or(|(name, _)| name != outer) {
            self.close();
            let is_there = is_there(row, outer);
            self.open = Some((outer, is_there));
            if is_there {
                self.name(outer);
                self.bytes.push(b'{');
                self.is_first = true;
            } else if !is_old {
                self.name(outer);
                self.bytes.extend_from_slice(b"null");
            }
        }
        if self.open == Some((outer, true)) && (*cell != Cell::Null || !is_old) {
            self.field(inner, column, cell);
        }
    }

    /// Ends the object that is being written, if one is.
    fn close(&mut self) {
        if let Some((_, true)) = self.open.take() {
            self.bytes.push(b'}');
            self.is_first = false;
        }
    }

    fn name(&mut self, name: &str) {
        if !std::mem::replace(&mut self.is_first, false) {
            self.bytes.push(b',');
        }
        let _ = write!(self.bytes, "\"{name}\":");
    }

    fn field(&mut self, name: &str, column: &Column, cell: &Cell) {
        self.name(name);
        let _ = match cell {
            Cell::Null => self.bytes.write_all(b"null"),
            Cell::Text(text) if column.name == "upstream_ratelimit" => {
                self.bytes.write_all(text.as_bytes())
            }
            Cell::Text(text) => {
                serde_json::to_writer(&mut self.bytes, text).map_err(std::io::Error::from)
            }
            Cell::Whole(ms) if column.kind == Kind::Time => {
                let time = Timestamp::from_millisecond(*ms).unwrap_or_default();
                write!(self.bytes, "\"{time:.3}\"")
            }
            Cell::Whole(number) => write!(self.bytes, "{number}"),
            Cell::Number(number) => {
                serde_json::to_writer(&mut self.bytes, number).map_err(std::io::Error::from)
            }
            Cell::Truth(truth) => write!(self.bytes, "{truth}"),
        };
    }
}

/// Tells whether a nested object was there: one of its values is. That of the client always is, in
/// whatever a proxy writes.
fn is_there(row: &Row, outer: &str) -> bool {
    let of = |column: &&Column| column.path().first() == Some(&outer) && column.path().len() == 2;
    let has_value = COLUMNS.iter().filter(of).any(|column| *row.cell(column.name) != Cell::Null);
    has_value || (outer == "client" && *row.cell("schema_version") != Cell::Null)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::row::Object;
    use super::*;

    fn there_and_back(record: &Value) -> Value {
        let object = Object { key: "logs/k.json", bytes: 1, time: Timestamp::UNIX_EPOCH };
        let row = Row::from_json(record.to_string().as_bytes(), &object).expect("a record");
        serde_json::from_slice(&to_json(&row, Body::Whole)).expect("JSON")
    }

    #[test]
    fn the_samples_of_the_proxy_come_back_as_they_were() {
        let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas/samples");
        let mut seen = 0;
        for entry in std::fs::read_dir(samples).expect("samples") {
            let text = std::fs::read_to_string(entry.expect("readable").path()).expect("text");
            let record: Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(there_and_back(&record), record);
            seen += 1;
        }
        assert!(seen >= 5, "{seen}");
    }

    #[test]
    fn an_old_record_comes_back_with_what_could_be_told_of_it() {
        let old = json!({
            "request_id": "r1", "timestamp": "2026-11-22T02:00:00Z", "user": "dev-04",
            "response_body": "{\"error\":{\"message\":\"token lookup failed\"}}",
        });
        let back = there_and_back(&old);
        assert_eq!((&back["exchange_id"], &back["developer"]), (&json!("r1"), &json!("dev-04")));
        assert_eq!(back["error"]["origin"], "proxy");
        assert_eq!(back["response_body"], old["response_body"]);
        assert!(back.get("status").is_none() && back.get("client").is_none());
    }

    proptest! {
        #[test]
        fn any_text_comes_back(body in "\\PC*", model in proptest::option::of("\\PC*"), ms in 0_u32..86_400_000) {
            let time = Timestamp::from_millisecond(1_790_000_000_000 + i64::from(ms)).expect("a time");
            let sample = include_str!("../../../schemas/samples/proxy_upstream_failed.json");
            let mut record: Value = serde_json::from_str(sample).expect("JSON");
            record["response_body"] = json!(body);
            record["model"] = json!(model);
            record["started_at"] = json!(format!("{time:.3}"));
            prop_assert_eq!(there_and_back(&record), record);
        }
    }
}
