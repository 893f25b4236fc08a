//! From a question to a verdict: the logs and what AWS saw, asked at the same time, and judged together.
//!
//! Metrics are one cheap question. The lines of the log group are many, so they are read only where they
//! can decide: when the text is of a kind that leaves no log, when no log holds the failure, or when S3
//! refused records, which the proxy counts in a metric. Such a record stands among those lines, and
//! counts as the log that it is. What may not be seen of the one is left to the other.

use std::borrow::Cow;
use std::collections::HashSet;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use jiff::Timestamp;
use schemas::key::LogKey;
use schemas::spill::Spilled;
use schemas::view::RecordView;
use tokio::time::timeout;

use crate::aws::aside::look_aside;
use crate::aws::cloudwatch::{Observed, Scope, Sum, observe};
use crate::aws::deployment::Deployment;
use crate::logs::classify::{Exchange, classify};
use crate::logs::decode::{Decoder, RECORD_LIMIT};
use crate::logs::list::{Entry, Logs};
use crate::logs::read::Reading;
use crate::logs::scan::Scanned;
use crate::question::Question;
use crate::verdict::advice::name_deployment;
use crate::verdict::corroborate::corroborate;
use crate::verdict::evidence::Evidence;
use crate::verdict::judge::judge;
use crate::verdict::unlogged::act_behind;
use crate::verdict::{About, Confidence, Verdict};
use crate::window::Window;

/// A verdict, and what it rests on.
#[derive(Debug)]
pub struct Inquiry {
    /// Whose failure it was.
    pub verdict: Verdict,
    /// What the logs say; `None` without a source.
    pub evidence: Option<Evidence>,
    /// What AWS saw; `None` where it was not asked.
    pub observed: Option<Observed>,
    /// Whether every request is accounted for, as far as AWS and the logs tell.
    pub sum: Option<Sum>,
}

/// For so long AWS is waited for, where the logs are certain of something that it cannot have done: what
/// it could add is that there are more of them.
const AFTER_LOGS: Duration = Duration::from_secs(10);

/// Inquires. `look` reads the logs, where there is a source of them; `deployment` finds out whom to ask
/// on AWS, where there is anybody. What AWS does not say is no error; why the logs could not be looked
/// at comes back beside what could be said without them.
pub async fn inquire<E>(
    question: &Question,
    look: Option<impl Future<Output = Result<Scanned, E>>>,
    deployment: Option<impl Future<Output = Deployment>>,
) -> (Inquiry, Option<E>) {
    let window = Window { since: question.window.since, until: asked_until(question) };
    let leaves_no_log = act_behind(&question.recognised).is_some();
    let scope = if leaves_no_log { Scope::MetricsAndLines } else { Scope::Metrics };
    let act = act_behind(&question.recognised);
    let ask = async |deployment: &Deployment, scope| {
        let mut observed = Box::pin(observe(deployment, &window, scope, question.now)).await;
        Box::pin(look_aside(&mut observed, deployment, act)).await;
        observed
    };
    let watch = async {
        let deployment = deployment?.await;
        let observed = ask(&deployment, scope).await;
        Some((deployment, observed))
    };
    let look = async {
        match look {
            Some(look) => look.await.map_or_else(|error| (None, Some(error)), |l| (Some(l), None)),
            None => (None, None),
        }
    };
    let ((looked, error), watched) = match select(pin!(look), pin!(watch)).await {
        Either::Left(((looked, error), watch)) => {
            let alone = conclude(question, looked.as_ref(), None);
            let is_certain = !leaves_no_log && alone.verdict.confidence == Confidence::Certain;
            let watched = if is_certain {
                timeout(AFTER_LOGS, watch).await.unwrap_or(None)
            } else {
                watch.await
            };
            ((looked, error), watched)
        }
        Either::Right((watched, look)) => (look.await, watched),
    };
    let Some((deployment, observed)) = watched else {
        return (conclude(question, looked.as_ref(), None), error);
    };
    let spills = observed.totals(&window).spills;
    let first = conclude(question, looked.as_ref(), Some(observed));
    // Without a data point nobody knows whether records were refused.
    let has_all_logs = spills == Some(0) || looked.is_none();
    let decides = first.verdict.confidence == Confidence::Certain
        || first.evidence.as_ref().is_some_and(|evidence| evidence.total() > 0);
    if (decides && (has_all_logs || is_settled(&first))) || scope == Scope::MetricsAndLines {
        return (first, error);
    }
    let observed = ask(&deployment, Scope::MetricsAndLines).await;
    (conclude(question, looked.as_ref(), Some(observed)), error)
}

/// Tells whether more logs would change nothing: the text alone proves it, or the very exchange is here.
fn is_settled(inquiry: &Inquiry) -> bool {
    let verdict = &inquiry.verdict;
    verdict.confidence == Confidence::Certain && verdict.about != About::Matches
}

/// The window without the future, which is only there for clocks that are ahead.
fn asked_until(question: &Question) -> Timestamp {
    question.window.until.min(question.now).max(question.window.since)
}

fn conclude(
    question: &Question,
    looked: Option<&Scanned>,
    mut observed: Option<Observed>,
) -> Inquiry {
    let mut sum = None;
    let evidence = looked.map(|looked| {
        let mut reading = looked.reading.clone();
        let mut logs = Cow::Borrowed(&looked.logs);
        if let Some(observed) = &mut observed {
            forget_logged(observed, &logs);
            sum = Some(add_up(question, observed, &logs));
            if !observed.spilled.is_empty() {
                take_spilled(&observed.spilled, logs.to_mut(), &mut reading);
            }
        }
        question.gather(&logs, &looked.selection, reading)
    });
    let verdict = judge(question, evidence.as_ref());
    let verdict = match &observed {
        Some(observed) => {
            let sum = sum.get_or_insert_with(|| add_up(question, observed, &Logs::default()));
            let verdict = corroborate(verdict, question, evidence.as_ref(), observed, sum);
            name_deployment(verdict, &observed.naming)
        }
        None => verdict,
    };
    // Where only the exchanges of ids were looked for, nobody has counted the logs.
    let counted = looked.is_none_or(|looked| looked.logs.looked.is_none());
    Inquiry { verdict, evidence, observed, sum: sum.filter(|_| counted) }
}

/// Holds the metrics against the logs, over the part of the window that both cover whole.
fn add_up(question: &Question, observed: &Observed, logs: &Logs) -> Sum {
    let window = Window { since: question.window.since, until: asked_until(question) };
    let whole = observed.whole(&window);
    let within = logs.entries.iter().filter(|entry| whole.contains(entry.time));
    let (told, untold): (Vec<_>, Vec<_>) = within.partition(|entry| entry.told.is_some());
    let told = told.into_iter().filter_map(|entry| entry.told).map(|told| told.exchange_id);
    let ids: HashSet<_> = told.collect();
    observed.sum(&whole, (ids.len() + untold.len()) as u64)
}

/// Of an exchange that has a log, only the line of its end is missing.
fn forget_logged(observed: &mut Observed, logs: &Logs) {
    if observed.lines_since.is_none() {
        return;
    }
    let told = logs.entries.iter().filter_map(|entry| entry.told);
    let ids: HashSet<String> = told.map(|told| told.exchange_id.to_string()).collect();
    observed.forget_logged(&ids);
}

/// Takes records that S3 refused, and that have not found their place since, as the logs that they are.
fn take_spilled(spilled: &[Spilled], logs: &mut Logs, reading: &mut Reading) {
    for (entry, exchange) in spilled.iter().filter_map(understand) {
        logs.entries.push(entry);
        reading.read += 1;
        reading.exchanges.push(exchange);
    }
    logs.entries.sort_unstable_by(|a, b| b.time.cmp(&a.time).then_with(|| b.key.cmp(&a.key)));
    reading
        .exchanges
        .sort_by(|a, b| b.started_at.cmp(&a.started_at).then_with(|| b.key.cmp(&a.key)));
}

fn understand(spilled: &Spilled) -> Option<(Entry, Exchange)> {
    let told = LogKey::parse(&spilled.key);
    let mut decoder = Decoder::default();
    let json = decoder.decode(&spilled.bytes, RECORD_LIMIT).ok()?;
    let view = RecordView::parse(json).ok()?;
    let time = told.map(|told| told.started_at).or(view.started_at)?;
    let exchange = classify(&view, &spilled.key, time);
    let entry = Entry { key: spilled.key.clone(), bytes: spilled.bytes.len() as u64, told, time };
    Some((entry, exchange))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use schemas::key::ExchangeId;
    use schemas::origin::Origin;
    use schemas::record::LogRecord;

    use super::*;
    use crate::logs::read::Reading;
    use crate::question::{Filters, Selection};
    use crate::text::recognise::recognise;

    /// A record that S3 refused, out of the golden samples.
    fn spilled() -> (LogRecord, Spilled) {
        let sample = include_str!("../../schemas/samples/proxy_upstream_failed.json");
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
}
