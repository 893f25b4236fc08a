//! The journal: one small line of JSON at the start of an exchange and one at its end, on stdout.
//!
//! The line at the end is written when the record is safe, so a start without an end is an exchange
//! that died with its Lambda environment. It is at the same time a document of CloudWatch's embedded
//! metric format, from which CloudWatch makes the metrics.
//!
//! A server that dies may leave records to the next one, which tells their ends when it stores them.
//! Whether the dead one had told them nobody knows, so an end may be told twice, mostly first as
//! `waiting` and then as `stored`, and counts twice in the metrics: `exchange_id` tells which belong
//! together, and the later line holds.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::origin::{AnsweredBy, Ending, Origin};
use crate::record::LogRecord;

/// Namespace of the metrics in CloudWatch.
pub const NAMESPACE: &str = "CodexProxy";

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Line {
    /// A request arrived.
    ExchangeStarted(Started),
    /// Its record is safe, or could not be kept.
    ExchangeEnded(Box<Ended>),
}

/// The start of an exchange.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// The exchange.
    pub exchange_id: String,
    /// Lambda's name for the invocation.
    pub lambda_request_id: Option<String>,
    /// When the request arrived: RFC 3339, UTC, milliseconds.
    #[serde(with = "crate::record::milliseconds")]
    pub started_at: Timestamp,
    /// HTTP method, or `OTHER`.
    pub method: String,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is in the log.
    Stored,
    /// It waits in the local spool, until the log takes it.
    Waiting,
    /// It stands on stdout, as [`crate::spill`] writes it.
    Spilled,
    /// It is nowhere.
    Lost,
}

/// The end of an exchange.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// The exchange.
    pub exchange_id: String,
    /// Lambda's name for the invocation.
    pub lambda_request_id: Option<String>,
    /// Where its record is.
    pub record: Fate,
    /// Status sent to the client.
    pub status: u16,
    /// Who wrote the answer.
    pub origin: AnsweredBy,
    /// The layer that produced a failure.
    pub error_origin: Option<Origin>,
    /// Code of the failure, if it can be a dimension of metrics; else `other`.
    pub error_code: Option<String>,
    /// How it ended.
    pub ending: Ending,
    /// Arrival to the end, in milliseconds.
    pub duration_ms: f64,
    /// Lambda function, or `local`; a dimension of the metrics.
    pub function: String,
    /// Always 1.
    #[serde(rename = "Exchanges")]
    pub exchanges: u32,
    /// 1 if it failed.
    #[serde(rename = "Errors")]
    pub errors: u32,
    /// Arrival to the response headers, in milliseconds.
    #[serde(rename = "TimeToFirstByte", skip_serializing_if = "Option::is_none")]
    pub time_to_first_byte: Option<f64>,
    /// Time spent on checking the token, in milliseconds.
    #[serde(rename = "AuthTime")]
    pub auth_time: f64,
    /// 1 if the log refused the record for good.
    #[serde(rename = "LogWriteFailures")]
    pub log_write_failures: u32,
    /// 1 if the record was spilled.
    #[serde(rename = "LogSpills")]
    pub log_spills: u32,
    /// What CloudWatch makes metrics of.
    #[serde(rename = "_aws")]
    pub metrics: MetricDirectives,
}

/// Instructions of the embedded metric format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MetricDirectives {
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// One for every set of metrics.
    pub cloud_watch_metrics: Vec<MetricDirective>,
}

/// One instruction: these metrics, under these dimensions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MetricDirective {
    /// Always [`NAMESPACE`].
    pub namespace: Cow<'static, str>,
    /// Sets of members that split the metrics.
    pub dimensions: Vec<Vec<Cow<'static, str>>>,
    /// The members that are metrics.
    pub metrics: Vec<MetricDefinition>,
}

/// A member that is a metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MetricDefinition {
    /// Name of the member.
    pub name: Cow<'static, str>,
    /// CloudWatch's name of the unit.
    pub unit: Cow<'static, str>,
}

impl Ended {
    /// Says how the exchange of a record ended.
    #[must_use]
    pub fn of(record: &LogRecord, fate: Fate) -> Self {
        let error = record.error.as_ref();
        let failed = u32::from(error.is_some());
        Self {
            exchange_id: record.exchange_id.clone(),
            lambda_request_id: record.lambda_request_id.clone(),
            record: fate,
            status: record.status,
            origin: record.origin,
            error_origin: error.map(|error| error.origin),
            error_code: error.map(|error| dimension(&error.code)),
            ending: record.ending,
            duration_ms: record.duration_ms,
            function: record.proxy.function.clone().unwrap_or_else(|| "local".to_owned()),
            exchanges: 1,
            errors: failed,
            time_to_first_byte: record.ttfb_ms,
            auth_time: record.auth_ms,
            log_write_failures: 0,
            log_spills: 0,
            metrics: MetricDirectives {
                timestamp: record.started_at.as_millisecond(),
                cloud_watch_metrics: directives(failed > 0, record.ttfb_ms.is_some()),
            },
        }
        .with(fate)
    }

    /// Says where the record is.
    #[must_use]
    pub fn with(self, fate: Fate) -> Self {
        let refused = u32::from(fate != Fate::Stored);
        let spilled = u32::from(fate == Fate::Spilled);
        Self { record: fate, log_write_failures: refused, log_spills: spilled, ..self }
    }
}

/// CloudWatch drops a line whose dimension it does not like, and bills each value: OpenAI's codes
/// are words, and anything else counts as one.
fn dimension(code: &str) -> String {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    let fits = (1..=64).contains(&code.len()) && code.bytes().all(is_word);
    if fits { code } else { "other" }.to_owned()
}

fn directives(failed: bool, has_first_byte: bool) -> Vec<MetricDirective> {
    type Words = &'static [&'static str];
    let set = |set: &Words| set.iter().map(|&name| name.into()).collect();
    let directive = |dimensions: &[Words], metrics: &[(&'static str, &'static str)]| {
        let definition = |&(name, unit): &_| MetricDefinition {
            name: Cow::Borrowed(name),
            unit: Cow::Borrowed(unit),
        };
        MetricDirective {
            namespace: NAMESPACE.into(),
            dimensions: dimensions.iter().map(set).collect(),
            metrics: metrics.iter().map(definition).collect(),
        }
    };
    let mut metrics = vec![
        ("Exchanges", "Count"),
        ("Errors", "Count"),
        ("AuthTime", "Milliseconds"),
        ("LogWriteFailures", "Count"),
        ("LogSpills", "Count"),
    ];
    if has_first_byte {
        metrics.push(("TimeToFirstByte", "Milliseconds"));
    }
    // CloudWatch does not add dimensions up: each question needs its own set.
    let mut all = vec![
        directive(&[&["function"]], &metrics),
        directive(&[&["function", "origin"]], &[("Exchanges", "Count")]),
    ];
    if failed {
        let by: [Words; 2] =
            [&["function", "error_origin"], &["function", "error_origin", "error_code"]];
        all.push(directive(&by, &[("Errors", "Count")]));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_that_is_named_stands_in_the_line_and_so_does_every_dimension() {
        let sample = include_str!("../samples/proxy_upstream_failed.json");
        let record: LogRecord = serde_json::from_str(sample).expect("a sample is a record");
        let ended = Ended::of(&record, Fate::Spilled);
        let line = serde_json::to_string(&Line::ExchangeEnded(Box::new(ended.clone())));
        let line = line.expect("a line is JSON");
        assert!(line.starts_with(r#"{"event":"exchange_ended","#), "{line}");
        let value: serde_json::Value = serde_json::from_str(&line).expect("a line is JSON");
        assert_eq!((&value["LogSpills"], &value["Errors"]), (&1.into(), &1.into()));
        assert_eq!(value["error_code"], "proxy_upstream_failed");
        let directives = &ended.metrics.cloud_watch_metrics;
        assert_eq!(directives.len(), 3);
        for code in ["", "  ", "日本語", ":x", "a\nb", &"x".repeat(65)] {
            assert_eq!(dimension(code), "other", "{code}");
        }
        for directive in directives {
            for metric in &directive.metrics {
                assert!(value[&*metric.name].is_number(), "{}", metric.name);
            }
            for dimension in directive.dimensions.iter().flatten() {
                assert!(value[&**dimension].is_string(), "{dimension}");
            }
        }
        assert_eq!(
            serde_json::from_str::<Line>(&line).ok(),
            Some(Line::ExchangeEnded(ended.into()))
        );
    }
}
