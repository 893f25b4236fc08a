//! The edge to CloudWatch: metrics and lines of a function, a page at a time.
//!
//! [`Watch`] is what the rest asks; [`CloudWatch`] asks AWS. Only plain metrics and unfiltered lines are
//! asked for: the emulators answer nothing to expressions and ignore filters.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy};
use futures::future::BoxFuture;
use jiff::Timestamp;
use schemas::journal::NAMESPACE;

use super::Counts;
use super::gather::LogLine;
use crate::aws::Trouble;
use crate::window::Window;

/// A page of something, and where the next one begins.
#[derive(Clone, Debug)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next: Option<String>,
}

/// One figure of one period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    /// Which metric: an index of [`METRICS`].
    pub(crate) metric: usize,
    /// Beginning of the period.
    pub(crate) at: Timestamp,
    /// Its value.
    pub(crate) value: f64,
}

/// What is asked of a function's metrics.
#[derive(Clone, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) function: &'a str,
    pub(crate) window: &'a Window,
    /// Length of a period, in seconds.
    pub(crate) period_s: u32,
}

/// Sees metrics and lines.
pub(crate) trait Watch: Send + Sync {
    /// Reads a page of metrics.
    fn metrics<'a>(
        &'a self,
        ask: &'a Ask<'a>,
        page: Option<String>,
    ) -> BoxFuture<'a, Result<Page<Point>, Trouble>>;

    /// Reads a page of the lines of a log group, in the order of their times.
    fn lines<'a>(
        &'a self,
        group: &'a str,
        window: &'a Window,
        page: Option<String>,
    ) -> BoxFuture<'a, Result<Page<LogLine>, Trouble>>;
}

/// A metric, and where its figure goes.
pub(crate) struct MetricEntry {
    /// Lambda's own, or one that the proxy's journal makes.
    namespace: &'static str,
    /// What names the function there.
    dimension: &'static str,
    name: &'static str,
    statistic: &'static str,
    pub(super) place: fn(&mut Counts) -> &mut Option<u64>,
}

/// The metrics that are asked for, in one question.
pub(crate) const METRICS: [MetricEntry; 9] = [
    sum("UrlRequestCount", |counts| &mut counts.url_requests),
    sum("Url4xxCount", |counts| &mut counts.url_4xx),
    sum("Url5xxCount", |counts| &mut counts.url_5xx),
    sum("Invocations", |counts| &mut counts.invocations),
    sum("Errors", |counts| &mut counts.errors),
    sum("Throttles", |counts| &mut counts.throttles),
    MetricEntry {
        statistic: "Maximum",
        ..sum("ConcurrentExecutions", |counts| &mut counts.concurrent_max)
    },
    sum("Duration", |counts| &mut counts.duration_ms),
    MetricEntry {
        namespace: NAMESPACE,
        dimension: "function",
        ..sum("LogSpills", |counts| &mut counts.spills)
    },
];

const fn sum(name: &'static str, place: fn(&mut Counts) -> &mut Option<u64>) -> MetricEntry {
    let (namespace, dimension) = ("AWS/Lambda", "FunctionName");
    MetricEntry { namespace, dimension, name, statistic: "Sum", place }
}

/// For one attempt, and for all of them together: an answer about an incident is wanted now.
const ATTEMPT: Duration = Duration::from_secs(8);
const IN_ALL: Duration = Duration::from_secs(25);

/// Tries of a question.
const TRIES: u32 = 4;
/// Tries for lines: a log group may be asked a few times a second only, by everybody together.
const TRIES_FOR_LINES: u32 = 6;

/// Returns time-outs and retries for questions.
pub(crate) fn patience() -> (TimeoutConfig, RetryConfig) {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(IN_ALL)
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(TRIES)
        .with_initial_backoff(Duration::from_millis(200))
        .with_max_backoff(Duration::from_secs(4));
    (timeouts, retries)
}

/// Asks AWS.
pub(crate) struct CloudWatch {
    metrics: aws_sdk_cloudwatch::Client,
    lines: aws_sdk_cloudwatchlogs::Client,
}

impl CloudWatch {
    pub(crate) fn new(config: &SdkConfig) -> Self {
        let (timeouts, retries) = patience();
        let metrics = aws_sdk_cloudwatch::config::Builder::from(config);
        let metrics = metrics.timeout_config(timeouts.clone()).retry_config(retries.clone());
        let lines = aws_sdk_cloudwatchlogs::config::Builder::from(config);
        let lines =
            lines.timeout_config(timeouts).retry_config(retries.with_max_attempts(TRIES_FOR_LINES));
        Self {
            metrics: aws_sdk_cloudwatch::Client::from_conf(metrics.build()),
            lines: aws_sdk_cloudwatchlogs::Client::from_conf(lines.build()),
        }
    }
}

impl Watch for CloudWatch {
    fn metrics<'a>(
        &'a self,
        ask: &'a Ask<'a>,
        page: Option<String>,
    ) -> BoxFuture<'a, Result<Page<Point>, Trouble>> {
        Box::pin(async move {
            let queries = METRICS.iter().enumerate().map(|(index, entry)| {
                let dimension = Dimension::builder().name(entry.dimension).value(ask.function);
                let metric = Metric::builder().namespace(entry.namespace).metric_name(entry.name);
                let metric = metric.dimensions(dimension.build()).build();
                let period = i32::try_from(ask.period_s).unwrap_or(3_600);
                let stat =
                    MetricStat::builder().metric(metric).period(period).stat(entry.statistic);
                let query = MetricDataQuery::builder().id(format!("m{index}"));
                query.metric_stat(stat.build()).return_data(true).build()
            });
            let seconds = |time: Timestamp| DateTime::from_secs(time.as_second());
            let request = self
                .metrics
                .get_metric_data()
                .set_metric_data_queries(Some(queries.collect()))
                .start_time(seconds(ask.window.since))
                .end_time(seconds(ask.window.until))
                .scan_by(ScanBy::TimestampAscending)
                .set_next_token(page);
            let answer = request.send().await.map_err(|error| Trouble::of(&error))?;
            let mut items = Vec::new();
            for result in answer.metric_data_results() {
                let index = result.id().and_then(|id| id.strip_prefix('m')?.parse().ok());
                let Some(metric) = index.filter(|index| *index < METRICS.len()) else { continue };
                for (at, value) in result.timestamps().iter().zip(result.values()) {
                    let at = Timestamp::from_second(at.secs());
                    items.extend(at.ok().map(|at| Point { metric, at, value: *value }));
                }
            }
            Ok(Page { items, next: answer.next_token })
        })
    }

    fn lines<'a>(
        &'a self,
        group: &'a str,
        window: &'a Window,
        page: Option<String>,
    ) -> BoxFuture<'a, Result<Page<LogLine>, Trouble>> {
        Box::pin(async move {
            let request = self
                .lines
                .filter_log_events()
                .log_group_name(group)
                .start_time(window.since.as_millisecond())
                // The last millisecond that counts.
                .end_time(window.until.as_millisecond() - 1)
                .set_next_token(page);
            let answer = request.send().await.map_err(|error| Trouble::of(&error))?;
            let items = answer.events.unwrap_or_default().into_iter().filter_map(|event| {
                Some(LogLine {
                    at: Timestamp::from_millisecond(event.timestamp?).ok()?,
                    stream: event.log_stream_name.unwrap_or_default(),
                    text: event.message?,
                })
            });
            Ok(Page { items: items.collect(), next: answer.next_token })
        })
    }
}
