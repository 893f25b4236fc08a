//! From the JSON of a record of any age to one row of flat columns.
//!
//! The small fields are read into one JSON value, and each column takes its own from there; the body
//! is unescaped once. What failed is taken from the record where it says so; of an old one, and of
//! every failure, the same classification decides that answers a question from the log itself.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use schemas::columns::{BODY, COLUMNS, Column, Kind, Source};
use schemas::key::LogKey;
use schemas::origin::Origin;
use schemas::view::{ErrorField, RecordView, moment, word};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::logs::classify::{Failure, failure_of, identity_of, says_success};

/// The value of a column in a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// None.
    Null,
    /// Text.
    Text(String),
    /// A whole number, or a time in milliseconds since 1970.
    Whole(i64),
    /// A number.
    Number(f64),
    /// True or false.
    Truth(bool),
}

/// Where a record stood.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a> {
    /// Its key, below the root.
    pub key: &'a str,
    /// Its size, as stored.
    pub bytes: u64,
    /// When its exchange began, as far as key and listing tell.
    pub time: Timestamp,
}

/// Identity and place in the order of its hour.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank {
    /// When the exchange began, in milliseconds since 1970.
    pub started_at_ms: i64,
    /// Its id.
    pub exchange_id: String,
}

/// One row: a value for each of [`COLUMNS`].
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Where it stands among the others.
    pub rank: Rank,
    /// The values, in the order of the columns.
    pub cells: Vec<Cell>,
}

impl Row {
    /// Makes the row of a record.
    ///
    /// # Errors
    ///
    /// When `json` is not one JSON object.
    pub fn from_json(json: &[u8], object: &Object<'_>) -> Result<Self, serde_json::Error> {
        let mut fields = Fields::parse(json)?;
        let rank = fields.rank(object);
        let failure = fields.failure(json)?;
        let mut row = Self { rank, cells: Vec::with_capacity(COLUMNS.len()) };
        for column in COLUMNS {
            let cell = match column.source {
                Source::Field(..) if column.name == BODY => {
                    let body = fields.body.take();
                    body.map_or(Cell::Null, |body| Cell::Text(body.into_owned()))
                }
                Source::Field(..) => fields.cell(column, &row.rank),
                Source::Error(of) => error_cell(failure.as_ref(), of),
                Source::Derived => derived_cell(failure.as_ref(), column.name),
                Source::Object if column.kind == Kind::Text => Cell::Text(object.key.to_owned()),
                Source::Object => Cell::Whole(i64::try_from(object.bytes).unwrap_or(i64::MAX)),
            };
            row.cells.push(cell);
        }
        Ok(row)
    }

    /// Tells whether the record says another id, time or outcome than the key of its log. The record counts.
    #[must_use]
    pub fn differs_from(&self, told: &LogKey) -> bool {
        let origin = told.error_origin.map(Origin::as_str);
        let is_other = |status: &Cell| match status {
            Cell::Whole(status) => *status != i64::from(told.status),
            _ => false,
        };
        told.started_at.as_millisecond() != self.rank.started_at_ms
            || is_other(self.cell("status"))
            || self.text("error_origin") != origin
            || told.exchange_id.to_string() != self.rank.exchange_id
    }

    /// Tells the rank of a record from its beginning, where both parts of it stand there.
    #[must_use]
    pub fn rank_of_head(head: &[u8], object: &Object<'_>) -> Option<Rank> {
        let end = memchr::memmem::find(head, crate::logs::decode::BODY)?;
        let mut json = head[..end].to_vec();
        json.extend_from_slice(crate::logs::decode::BODY);
        json.extend_from_slice(b"null}");
        let fields = Fields::parse(&json).ok()?;
        let has = |names: [&str; 2]| names.iter().any(|name| fields.small.contains_key(*name));
        let has_both = has(["exchange_id", "request_id"]) && has(["started_at", "timestamp"]);
        has_both.then(|| fields.rank(object))
    }
}

impl Cell {
    fn of_text(text: Option<&str>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(text.to_owned()))
    }

    fn of_value(value: &Value, kind: Kind) -> Self {
        let cell = match kind {
            Kind::Text => match value {
                Value::Object(_) | Value::Array(_) => Some(Self::Text(value.to_string())),
                value => word(value).map(Self::Text),
            },
            Kind::Time => moment(value).map(|time| Self::Whole(time.as_millisecond())),
            // Old records have numbers as text, too.
            Kind::Int => word(value).and_then(|word| word.parse::<i32>().ok()).map(Self::from),
            Kind::Long => word(value).and_then(|word| word.parse().ok()).map(Self::Whole),
            Kind::Double => word(value).and_then(|word| word.parse().ok()).map(Self::Number),
            Kind::Boolean => value.as_bool().map(Self::Truth),
        };
        cell.unwrap_or(Self::Null)
    }
}

impl From<i32> for Cell {
    fn from(number: i32) -> Self {
        Self::Whole(number.into())
    }
}

/// The fields of a record: the small ones as one value, and the body.
#[derive(Default)]
struct Fields<'a> {
    small: Map<String, Value>,
    body: Option<Cow<'a, str>>,
}

impl<'a> Fields<'a> {
    /// Reads them in one pass, as the body is text; once more where it is not, or none that
    /// `serde_json` takes.
    fn parse(json: &'a [u8]) -> Result<Self, serde_json::Error> {
        // Once for all, and by the machine's widest instructions: a body is most of a record.
        let json = simdutf8::compat::from_utf8(json).map_err(serde_json::Error::custom)?;
        let read = |is_text| {
            let mut from = serde_json::Deserializer::from_str(json);
            let fields = from.deserialize_map(FieldsVisitor { is_text })?;
            from.end().map(|()| fields)
        };
        read(true).or_else(|_| read(false))
    }

    fn rank(&self, object: &Object<'_>) -> Rank {
        let time = self.first(&["started_at", "timestamp"], moment).unwrap_or(object.time);
        let name = |value: &Value| word(value).filter(|id| !id.is_empty());
        let id = self.first(&["exchange_id", "request_id"], name);
        Rank {
            started_at_ms: time.as_millisecond(),
            exchange_id: id.unwrap_or_else(|| identity_of(object.key)),
        }
    }

    fn first<T>(&self, names: &[&str], read: impl Fn(&Value) -> Option<T>) -> Option<T> {
        names.iter().find_map(|name| read(self.small.get(*name)?))
    }

    /// Tells what failed. The record itself is only asked where these fields do not say: success.
    fn failure(&self, json: &[u8]) -> Result<Option<Failure>, serde_json::Error> {
        let view = RecordView {
            origin: self.small.get("origin").and_then(|value| Deserialize::deserialize(value).ok()),
            status: self.first(&["status"], word).and_then(|word| word.parse().ok()),
            error: match self.small.get("error") {
                Some(Value::Null) => ErrorField::Null,
                _ => ErrorField::Missing,
            },
            ..RecordView::default()
        };
        if says_success(&view) {
            return Ok(None);
        }
        let view = RecordView::parse(json)?;
        Ok(failure_of(&view, &view.body()))
    }

    fn cell(&self, column: &Column, rank: &Rank) -> Cell {
        match column.name {
            "exchange_id" => return Cell::Text(rank.exchange_id.clone()),
            "started_at" => return Cell::Whole(rank.started_at_ms),
            _ => {}
        }
        let Source::Field(path, aliases) = column.source else { return Cell::Null };
        let value = match path {
            [name] => self.small.get(*name),
            [outer, inner] => self.small.get(*outer).and_then(|outer| outer.get(inner)),
            _ => None,
        };
        let cell = value.map_or(Cell::Null, |value| Cell::of_value(value, column.kind));
        let old = || aliases.iter().find_map(|name| self.small.get(*name));
        match cell {
            Cell::Null => old().map_or(Cell::Null, |value| Cell::of_value(value, column.kind)),
            cell => cell,
        }
    }
}

fn error_cell(failure: Option<&Failure>, field: &str) -> Cell {
    let Some(Failure { error, .. }) = failure else { return Cell::Null };
    Cell::of_text(match field {
        "origin" => Some(error.origin.as_str()),
        "code" => Some(&error.code),
        "type" => error.kind.as_deref(),
        "message" => Some(&error.message),
        "detail" => error.detail.as_deref(),
        _ => None,
    })
}

fn derived_cell(failure: Option<&Failure>, name: &str) -> Cell {
    let Some(failure) = failure else { return Cell::Null };
    Cell::of_text(match name {
        "error_body" => failure.body.as_deref(),
        "error_event" => failure.terminal.map(schemas::body::TerminalEvent::name),
        _ => None,
    })
}

struct FieldsVisitor {
    is_text: bool,
}

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a log record, which is one JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut fields = Fields::default();
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            if name == BODY {
                fields.body = if self.is_text {
                    map.next_value::<Option<Text<'de>>>()?.map(|text| text.0)
                } else {
                    body_of(map.next_value()?)
                };
                continue;
            }
            // A value that is none (a lone surrogate) costs that field, and not the record.
            let raw: &RawValue = map.next_value()?;
            if let Ok(value) = serde_json::from_str(raw.get()) {
                fields.small.insert(name.into_owned(), value);
            }
        }
        Ok(fields)
    }
}

/// Reads a body of any kind: old records have the object itself.
fn body_of(raw: &RawValue) -> Option<Cow<'_, str>> {
    match raw.get() {
        "null" => None,
        text if text.starts_with('"') => Some(Cow::Owned(schemas::view::unescape(text))),
        other => Some(Cow::Borrowed(other)),
    }
}

/// Text that is not copied where nothing in it is escaped.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}
