//! Lines of a log group in, what they tell of exchanges and invocations out.
//!
//! A line is looked at once, when it arrives, and only what counts is kept: most of a log group are
//! figures of successes.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use schemas::journal::{Ended, Fate, Line};
use schemas::spill::{SpillLine, Spilled};

use super::journal::{self, Journal, Ours};
use super::platform::{self, Said};
use super::{LINES_LAG, LONGEST_INVOCATION, Observed};

/// One line of a log group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogLine {
    /// When it was written.
    pub(crate) at: Timestamp,
    /// The log stream, which is one environment.
    pub(crate) stream: String,
    /// Its text.
    pub(crate) text: String,
}

/// A line that counts.
#[derive(Clone, Debug)]
pub(super) enum Kept {
    Platform { at: Timestamp, stream: String, said: Said },
    Journal { at: Timestamp, line: Line },
    Spill(SpillLine),
}

impl Kept {
    /// Returns how much memory a line takes that may be large.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Spill(line) => line.data.len(),
            Self::Platform { .. } | Self::Journal { .. } => 0,
        }
    }
}

/// Keeps what counts of a line.
pub(super) fn keep(line: LogLine) -> Option<Kept> {
    let LogLine { at, stream, text } = line;
    match journal::parse(&text) {
        Some(Ours::Journal(line)) => Some(Kept::Journal { at, line }),
        Some(Ours::Spill(line)) => Some(Kept::Spill(line)),
        None => platform::parse(&text).map(|said| Kept::Platform { at, stream, said }),
    }
}

/// Tells an observation what the lines say, oldest first.
pub(super) fn tell(observed: &mut Observed, kept: Vec<Kept>) {
    observed.lines = kept.len() as u64;
    let (mut said, mut spills, mut journal) = (Vec::new(), Vec::new(), Journal::default());
    for kept in kept {
        match kept {
            Kept::Platform { at, stream, said: line } => said.push((at, stream, line)),
            Kept::Journal { at, line } => journal.take(at, line),
            Kept::Spill(line) => spills.push(line),
        }
    }
    let over: HashSet<String> =
        said.iter().filter_map(|(_, _, said)| Some(said.over()?.to_owned())).collect();
    let said = said.iter().map(|(at, stream, said)| (*at, stream.as_str(), said));
    let mut deaths = platform::deaths(said);
    journal.name(&mut deaths);
    let fates = journal.fates(&deaths, &over, longest(observed), observed.asked_at);
    let window = &observed.window;
    deaths.retain(|death| {
        let started = death.started.as_ref();
        window.contains(death.at) || started.is_some_and(|it| window.contains(it.started_at))
    });
    observed.deaths = deaths;
    observed.unended = fates.unended;
    observed.unended.retain(|started| window.contains(started.started_at));
    observed.in_flight = fates.in_flight;
    observed.in_flight.retain(|started| window.contains(started.started_at));
    let begun_within = |ended: &Ended| {
        let begun = Timestamp::from_millisecond(ended.metrics.timestamp);
        begun.is_ok_and(|begun| window.contains(begun))
    };
    let ended: Vec<Ended> = fates.ended.into_iter().filter(begun_within).collect();
    observed.ended = ended.len() as u64;
    observed.lost = ended.into_iter().filter(|ended| ended.record == Fate::Lost).collect();
    let (spilled, broken) = Spilled::assemble(spills);
    observed.spilled = spilled;
    observed.broken_spills = broken;
}

/// Returns how long an invocation can take at most.
fn longest(observed: &Observed) -> SignedDuration {
    let timeout = observed.configuration.as_ref().and_then(|it| it.timeout_s);
    timeout.map_or(LONGEST_INVOCATION, |seconds| SignedDuration::from_secs(seconds.into()))
}

/// Returns until when lines can speak of exchanges that began in the window.
pub(super) fn until(observed: &Observed, now: Timestamp) -> Timestamp {
    // Clocks differ: what is dated a little ahead has happened all the same.
    let skew = SignedDuration::from_mins(15);
    (observed.window.until + longest(observed) + LINES_LAG).min(now + skew)
}
