//! Records that S3 refused and that stand among the lines of the log group instead: what is known of them,
//! and those that were read, taken as the logs that they are.

use jiff::SignedDuration;
use schemas::key::LogKey;
use schemas::spill::Spilled;
use schemas::view::RecordView;

use crate::aws::Trouble;
use crate::aws::cloudwatch::Observed;
use crate::aws::permission::Action;
use crate::logs::classify::{Exchange, classify};
use crate::logs::decode::{Decoder, RECORD_LIMIT};
use crate::logs::list::{Entry, Logs};
use crate::logs::read::{Reading, Unread};
use crate::logs::scan::Scanned;
use crate::window::Window;

/// What is known of records that S3 refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spills {
    /// There are none, or all of them were read.
    Settled,
    /// Nobody could say whether there are any.
    Unknown,
    /// There are some, and they could not be read.
    Unread(u64),
}

/// How far the metric of refused records may be behind the logs and still speak for them.
const BEHIND: SignedDuration = SignedDuration::from_mins(5);

/// Says what is known of records that S3 refused. The proxy counts them under the time at which their
/// exchange began; no data point is not zero.
pub(super) fn spills(observed: &Observed, window: &Window, looked: &Scanned) -> Spills {
    // A function that never wrote a line has no log group.
    let has_no_lines = observed.configuration.is_some()
        && observed.unseen.iter().any(|unseen| {
            unseen.action == Action::FilterLogEvents
                && matches!(unseen.trouble, Trouble::Missing(_))
        });
    if observed.saw_lines() || has_no_lines {
        return Spills::Settled;
    }
    let minutes = || observed.minutes.iter().filter(|it| window.overlaps(it.at, it.end()));
    let counted = minutes().filter_map(|it| Some((it.end(), it.counts.spills?)));
    let Some(newest) = counted.clone().map(|(end, _)| end).max() else { return Spills::Unknown };
    let count = counted.map(|(_, count)| count).sum();
    let ran = minutes().filter(|it| it.counts.invocations.is_some()).map(|it| it.at);
    let logged = looked.logs.entries.iter().map(|entry| entry.time);
    let is_behind = ran.chain(logged).max().is_some_and(|time| time > newest + BEHIND);
    match count {
        0 if is_behind => Spills::Unknown,
        0 => Spills::Settled,
        count => Spills::Unread(count),
    }
}

/// Takes records that S3 refused, and that have not found their place since, as the logs that they are.
/// Of a damaged one the key tells what it tells of a log that cannot be read.
pub(super) fn take_spilled(
    observed: &Observed,
    window: &Window,
    logs: &mut Logs,
    reading: &mut Reading,
) {
    let mut damaged: Vec<_> = observed.broken_spills.iter().collect();
    for spilled in &observed.spilled {
        match understand(spilled) {
            Some((entry, _)) if !window.contains(entry.time) => {}
            Some((entry, exchange)) => {
                logs.entries.push(entry);
                reading.read += 1;
                reading.exchanges.push(exchange);
            }
            None => damaged.push(&spilled.key),
        }
    }
    for key in damaged {
        let told = LogKey::parse(key);
        if told.is_some_and(|told| !window.contains(told.started_at)) {
            continue;
        }
        let time = told.map(|told| told.started_at);
        logs.entries.extend(time.map(|time| Entry {
            key: key.clone(),
            bytes: 0,
            told,
            time,
            row: None,
        }));
        reading.unread.push(Unread {
            key: key.clone(),
            why: "S3 refused it, and in CloudWatch Logs a part is missing or damaged".to_owned(),
            denied: false,
            gone: false,
        });
    }
    logs.entries.sort_unstable_by(|a, b| b.time.cmp(&a.time).then_with(|| b.key.cmp(&a.key)));
    reading
        .exchanges
        .sort_by(|a, b| b.started_at.cmp(&a.started_at).then_with(|| b.key.cmp(&a.key)));
}

pub(crate) fn understand(spilled: &Spilled) -> Option<(Entry, Exchange)> {
    let told = LogKey::parse(&spilled.key);
    let mut decoder = Decoder::default();
    let json = decoder.decode(&spilled.bytes, RECORD_LIMIT).ok()?;
    let view = RecordView::parse(json).ok()?;
    let time = told.map(|told| told.started_at).or(view.started_at)?;
    let exchange = classify(&view, &spilled.key, time);
    let entry = Entry {
        key: spilled.key.clone(),
        bytes: spilled.bytes.len() as u64,
        told,
        time,
        row: None,
    };
    Some((entry, exchange))
}
