//! The flat columns of compacted logs: one table, from which the Parquet files, the SQL table and the
//! DDL of other engines are made.
//!
//! A column has the record's own name; that of a nested field is joined by `_`. No column is a
//! struct, times are milliseconds in UTC, and the body stands last.

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// A point in time: milliseconds since 1970, UTC.
    Time,
    /// A whole number of 32 bits.
    Int,
    /// A whole number of 64 bits.
    Long,
    /// A number.
    Double,
    /// True or false.
    Boolean,
}

/// Where the value of a column comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A field of the record: its name, and below it that of a nested one. What comes after are names
    /// that old records have for it.
    Field(&'static [&'static str], &'static [&'static str]),
    /// A field of `error`; of an old record, which has none, what its body proves.
    Error(&'static str),
    /// What the body of a failure says, so that nobody has to read the body for it.
    Derived,
    /// The object in which the record stood.
    Object,
}

/// Whether something is looked for by the exact value of a column, one of which is rare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// An id: each row group has a bloom filter of them.
    Id,
    /// Anything else.
    None,
}

/// One column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether every row has a value.
    pub required: bool,
    /// Where its value comes from.
    pub source: Source,
    /// How it is looked for.
    pub lookup: Lookup,
    /// What it means, where the record does not say so already.
    pub about: &'static str,
}

const fn field(name: &'static str, kind: Kind, path: &'static [&'static str]) -> Column {
    let source = Source::Field(path, &[]);
    Column { name, kind, required: false, source, lookup: Lookup::None, about: "" }
}

const fn id(name: &'static str, path: &'static [&'static str]) -> Column {
    Column { lookup: Lookup::Id, ..field(name, Kind::Text, path) }
}

const fn error(name: &'static str, of: &'static str, about: &'static str) -> Column {
    Column { source: Source::Error(of), about, ..field(name, Kind::Text, &[]) }
}

const fn derived(name: &'static str, about: &'static str) -> Column {
    Column { source: Source::Derived, about, ..field(name, Kind::Text, &[]) }
}

const fn object(name: &'static str, kind: Kind, about: &'static str) -> Column {
    Column { required: true, source: Source::Object, about, ..field(name, kind, &[]) }
}

/// All columns, in their order.
pub const COLUMNS: &[Column] = &[
    field("schema_version", Kind::Int, &["schema_version"]),
    Column {
        required: true,
        source: Source::Field(&["exchange_id"], &["request_id"]),
        about: "where the record has none: `old_` and the SHA-256 of its key",
        ..id("exchange_id", &[])
    },
    id("lambda_request_id", &["lambda_request_id"]),
    field("proxy_version", Kind::Text, &["proxy", "version"]),
    field("proxy_region", Kind::Text, &["proxy", "region"]),
    field("proxy_function", Kind::Text, &["proxy", "function"]),
    Column {
        required: true,
        source: Source::Field(&["started_at"], &["timestamp"]),
        about: "where the record has none: the time of its key, else when the object was written",
        ..field("started_at", Kind::Time, &[])
    },
    field("origin", Kind::Text, &["origin"]),
    error("error_origin", "origin", "the layer that produced the failure; null for a success"),
    error("error_code", "code", ""),
    error("error_type", "type", ""),
    error("error_message", "message", ""),
    error("error_detail", "detail", ""),
    derived(
        "error_body",
        "the first 64 KiB of an answer that is an error as a whole; not of a stream that failed",
    ),
    derived(
        "error_event",
        "how a stream that failed ended by its own account: `completed`, `incomplete`, `failed`, \
         `error`; null where it broke off, and for a success",
    ),
    field("ending", Kind::Text, &["ending"]),
    field("status", Kind::Int, &["status"]),
    field("upstream_host", Kind::Text, &["upstream", "host"]),
    field("upstream_status", Kind::Int, &["upstream", "status"]),
    id("upstream_request_id", &["upstream", "request_id"]),
    field("upstream_processing_ms", Kind::Double, &["upstream", "processing_ms"]),
    id("upstream_cf_ray", &["upstream", "cf_ray"]),
    Column {
        about: "a JSON object",
        ..field("upstream_ratelimit", Kind::Text, &["upstream", "ratelimit"])
    },
    field("method", Kind::Text, &["method"]),
    field("path", Kind::Text, &["path"]),
    field("received_path", Kind::Text, &["received_path"]),
    field("token_id", Kind::Text, &["token_id"]),
    Column {
        source: Source::Field(&["developer"], &["user"]),
        ..field("developer", Kind::Text, &[])
    },
    field("client_ip", Kind::Text, &["client", "ip"]),
    field("client_user_agent", Kind::Text, &["client", "user_agent"]),
    field("client_originator", Kind::Text, &["client", "originator"]),
    field("client_version", Kind::Text, &["client", "version"]),
    id("client_session_id", &["client", "session_id"]),
    id("client_turn_id", &["client", "turn_id"]),
    field("model", Kind::Text, &["model"]),
    field("stream", Kind::Boolean, &["stream"]),
    field("duration_ms", Kind::Double, &["duration_ms"]),
    field("ttfb_ms", Kind::Double, &["ttfb_ms"]),
    field("auth_ms", Kind::Double, &["auth_ms"]),
    field("upstream_ttfb_ms", Kind::Double, &["upstream_ttfb_ms"]),
    field("request_bytes", Kind::Long, &["request_bytes"]),
    field("response_bytes", Kind::Long, &["response_bytes"]),
    field("usage_input_tokens", Kind::Long, &["usage", "input_tokens"]),
    field("usage_cached_input_tokens", Kind::Long, &["usage", "cached_input_tokens"]),
    field("usage_output_tokens", Kind::Long, &["usage", "output_tokens"]),
    field("usage_reasoning_tokens", Kind::Long, &["usage", "reasoning_tokens"]),
    field("usage_total_tokens", Kind::Long, &["usage", "total_tokens"]),
    field("response_content_type", Kind::Text, &["response_content_type"]),
    field("response_encoding", Kind::Text, &["response_encoding"]),
    field("redacted", Kind::Boolean, &["redacted"]),
    field("response_truncated", Kind::Boolean, &["response_truncated"]),
    field("padded", Kind::Boolean, &["padded"]),
    object("source_key", Kind::Text, "key of the log, below the root"),
    object("source_bytes", Kind::Long, "size of the log as it was stored"),
    field("request_body", Kind::Text, &["request_body"]),
    Column {
        about: "as in the record; null where it was left out of the compacted hour",
        ..field(BODY, Kind::Text, &[BODY])
    },
];

/// The last column, and the last field of a record: nothing but it is large.
pub const BODY: &str = "response_body";

impl Column {
    /// Returns the field of the record that this column is, outermost first.
    #[must_use]
    pub fn path(&self) -> Vec<&'static str> {
        match self.source {
            Source::Field(path, _) => path.to_vec(),
            Source::Error(name) => vec!["error", name],
            Source::Derived | Source::Object => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::Value;

    use super::*;

    /// Names of the leaves of the record's JSON Schema, nested ones joined by `_`.
    fn leaves(of: &Value, schema: &Value, prefix: &str, into: &mut Vec<String>) {
        for (name, field) in of["properties"].as_object().into_iter().flatten() {
            let reference = field["$ref"]
                .as_str()
                .or_else(|| field["anyOf"].as_array()?.iter().find_map(|one| one["$ref"].as_str()));
            let nested = reference.and_then(|path| schema.pointer(path.trim_start_matches('#')));
            match nested.filter(|nested| nested["properties"].is_object()) {
                Some(nested) => leaves(nested, schema, &format!("{prefix}{name}_"), into),
                None => into.push(format!("{prefix}{name}")),
            }
        }
    }

    #[test]
    fn every_field_of_the_record_is_a_column_and_the_body_is_the_last() {
        let schema: Value = serde_json::from_str(&crate::render::json_schema()).expect("JSON");
        let mut wanted = Vec::new();
        leaves(&schema, &schema, "", &mut wanted);
        let of_record = |column: &&Column| !column.path().is_empty();
        let mut found: Vec<_> =
            COLUMNS.iter().filter(of_record).map(|column| column.path().join("_")).collect();
        wanted.sort();
        found.sort();
        assert_eq!(found, wanted);
        for column in COLUMNS.iter().filter(of_record) {
            assert_eq!(column.path().join("_"), column.name, "a column has the record's own name");
        }
        assert_eq!(COLUMNS.last().map(|column| column.name), Some(BODY));
        let names: HashSet<_> = COLUMNS.iter().map(|column| column.name).collect();
        assert_eq!(names.len(), COLUMNS.len(), "no name stands twice");
    }
}
