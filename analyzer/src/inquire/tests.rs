use jiff::SignedDuration;
use schemas::key::{ExchangeId, LogKey};
use schemas::origin::Origin;
use schemas::record::LogRecord;
use schemas::spill::Spilled;

use super::spilled::understand;
use super::*;
use crate::logs::read::Reading;
use crate::question::{Filters, Selection};
use crate::text::recognise::recognise;

/// A record that S3 refused, out of the golden samples.
fn spilled() -> (LogRecord, Spilled) {
    let sample = include_str!("../../../schemas/samples/proxy_upstream_failed.json");
    let record: LogRecord = serde_json::from_str(sample).expect("a sample is a record");
    let key = LogKey {
        started_at: record.started_at,
        exchange_id: ExchangeId::parse(&record.exchange_id).expect("an id"),
        token8: None,
        status: record.status,
        error_origin: record.error.as_ref().map(|error| error.origin),
    };
    (record, Spilled { key: key.to_string(), bytes: sample.as_bytes().to_vec() })
}

#[test]
fn a_record_that_s3_refused_counts_as_the_log_that_it_is_and_once() {
    let (record, spilled) = spilled();
    let hour = SignedDuration::from_hours(1);
    let now = record.started_at + hour;
    let question = Question {
        recognised: recognise("upstream request failed"),
        window: Window { since: record.started_at - hour, until: now },
        filters: Filters::default(),
        all: false,
        max: None,
        now,
    };
    let mut observed = Observed::nothing("codex-proxy", question.window.clone(), now);
    observed.lines_since = Some(question.window.since);
    observed.spilled = vec![spilled.clone()];
    let nothing = || Scanned {
        hides_hours: false,
        earlier: None,
        logs: Logs::default(),
        selection: Selection::default(),
        reading: Reading::default(),
    };
    let found = conclude(&question, Some(&nothing()), Some(observed.clone()));
    let evidence = found.evidence.expect("logs were looked at");
    assert_eq!(evidence.counts.get(&Origin::Network), Some(&1));
    assert_eq!(found.verdict.origin, Some(Origin::Network));

    let (entry, _) = understand(&spilled).expect("a whole record");
    let mut recovered = nothing();
    recovered.logs.entries.push(entry);
    let found = conclude(&question, Some(&recovered), Some(observed));
    assert_eq!(found.evidence.expect("logs were looked at").duplicates, 0);
    assert!(found.observed.expect("AWS was asked").spilled.is_empty(), "it has its place");
}
