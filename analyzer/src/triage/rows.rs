//! Rows of compacted hours, as facts.

use arrow::array::{
    Array as _, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use jiff::Timestamp;
use schemas::columns::COLUMNS;
use schemas::origin::Origin;
use schemas::record::Usage;
use schemas::view::Timing;

use super::fact::{Facts, Told};
use crate::window::Window;

/// Columns of compacted hours that are read: none of them is large.
pub(super) const READ: [&str; 25] = [
    "exchange_id",
    "started_at",
    "error_origin",
    "error_code",
    "error_message",
    "status",
    "upstream_request_id",
    "upstream_processing_ms",
    "proxy_version",
    "proxy_region",
    "path",
    "token_id",
    "developer",
    "client_version",
    "client_session_id",
    "client_turn_id",
    "model",
    "duration_ms",
    "ttfb_ms",
    "upstream_ttfb_ms",
    "usage_input_tokens",
    "usage_cached_input_tokens",
    "usage_output_tokens",
    "usage_reasoning_tokens",
    "usage_total_tokens",
];

impl Facts {
    /// Takes the rows of a compacted hour that lie in either stretch of time.
    pub fn add_rows(&mut self, batch: &RecordBatch, window: &Window, baseline: &Window) {
        let rows = Rows(batch);
        let Some(times) = rows.times("started_at") else { return };
        let text = |name: &str| rows.texts(name);
        let [id, request_id, origin, code, message] = [
            text("exchange_id"),
            text("upstream_request_id"),
            text("error_origin"),
            text("error_code"),
            text("error_message"),
        ];
        let [token, developer, session, turn] = [
            text("token_id"),
            text("developer"),
            text("client_session_id"),
            text("client_turn_id"),
        ];
        let [model, client, proxy, region, path] = [
            text("model"),
            text("client_version"),
            text("proxy_version"),
            text("proxy_region"),
            text("path"),
        ];
        let status = rows.ints("status");
        let number = |name: &str| rows.numbers(name);
        let [duration, ttfb, upstream_ttfb, processing] = [
            number("duration_ms"),
            number("ttfb_ms"),
            number("upstream_ttfb_ms"),
            number("upstream_processing_ms"),
        ];
        let tokens = [
            "usage_input_tokens",
            "usage_cached_input_tokens",
            "usage_output_tokens",
            "usage_reasoning_tokens",
            "usage_total_tokens",
        ]
        .map(|name| rows.longs(name));
        for row in 0..batch.num_rows() {
            let Ok(at) = Timestamp::from_millisecond(times.value(row)) else { continue };
            if !window.contains(at) && !baseline.contains(at) {
                continue;
            }
            let told = Told {
                at,
                exchange_id: cell(id, row).unwrap_or_default(),
                request_id: cell(request_id, row),
                status: status
                    .filter(|status| status.is_valid(row))
                    .and_then(|status| u16::try_from(status.value(row)).ok()),
                failure: cell(origin, row).and_then(Origin::parse).map(|origin| {
                    let code = cell(code, row).unwrap_or_default();
                    (origin, code, cell(message, row).unwrap_or_default())
                }),
                token8: cell(token, row).and_then(|token| token.get(..8)),
                developer: cell(developer, row),
                turn: cell(turn, row),
                session: cell(session, row),
                model: cell(model, row),
                client_version: cell(client, row),
                proxy_version: cell(proxy, row),
                region: cell(region, row),
                path: cell(path, row),
                timing: Timing {
                    duration_ms: real(duration, row),
                    ttfb_ms: real(ttfb, row),
                    upstream_ttfb_ms: real(upstream_ttfb, row),
                    processing_ms: real(processing, row),
                },
                usage: usage(tokens.map(|tokens| whole(tokens, row))),
            };
            self.add(&told, window, baseline);
        }
    }
}

/// A batch, by the types that its columns have.
struct Rows<'a>(&'a RecordBatch);

impl<'a> Rows<'a> {
    fn column<T: 'static>(&self, name: &str) -> Option<&'a T> {
        debug_assert!(COLUMNS.iter().any(|column| column.name == name), "{name}");
        self.0.column_by_name(name)?.as_any().downcast_ref()
    }

    fn texts(&self, name: &str) -> Option<&'a StringArray> {
        self.column(name)
    }

    fn times(&self, name: &str) -> Option<&'a TimestampMillisecondArray> {
        self.column(name)
    }

    fn ints(&self, name: &str) -> Option<&'a Int32Array> {
        self.column(name)
    }

    fn longs(&self, name: &str) -> Option<&'a Int64Array> {
        self.column(name)
    }

    fn numbers(&self, name: &str) -> Option<&'a Float64Array> {
        self.column(name)
    }
}

fn cell(texts: Option<&StringArray>, row: usize) -> Option<&str> {
    texts.filter(|texts| texts.is_valid(row)).map(|texts| texts.value(row))
}

fn real(numbers: Option<&Float64Array>, row: usize) -> Option<f64> {
    numbers.filter(|numbers| numbers.is_valid(row)).map(|numbers| numbers.value(row))
}

fn whole(numbers: Option<&Int64Array>, row: usize) -> Option<u64> {
    let valid = numbers.filter(|numbers| numbers.is_valid(row));
    valid.and_then(|numbers| u64::try_from(numbers.value(row)).ok())
}

fn usage([input, cached, output, reasoning, total]: [Option<u64>; 5]) -> Option<Usage> {
    let usage = Usage {
        input_tokens: input,
        cached_input_tokens: cached,
        output_tokens: output,
        reasoning_tokens: reasoning,
        total_tokens: total,
    };
    (usage != Usage::default()).then_some(usage)
}
