//! What AWS saw of the proxy's function, which no log of the proxy can hold: requests that Lambda
//! refused, invocations that died, exchanges that never reached their end.
//!
//! In: a deployment and a window. Out: [`Observed`]. It comes from CloudWatch's metrics, the lines of
//! the function's log group and the function's configuration, asked at the same time. Everything is
//! filtered on this side, because CloudWatch's filters and the emulators' differ. A right that is
//! missing, or a service that does not answer, is a value ([`Unseen`]) and never an error: whoever
//! judges says what could not be seen. No data point is not zero, so every figure is an [`Option`].

mod gather;
pub(crate) mod journal;
mod minute;
mod observe;
mod platform;
mod sum;
pub(crate) mod watch;

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use schemas::journal::{Ended, Started};
use schemas::key::LogKey;
use schemas::spill::Spilled;

use crate::aws::aside::Aside;
use crate::aws::permission::Action;
use crate::window::Window;

pub use self::minute::{Counts, Minute};
pub(crate) use self::observe::last_line;
pub use self::observe::{Limits, LinesProgress, Scope, observe, observe_within};
pub use self::sum::Sum;
pub use crate::aws::Trouble;

/// The longest that Lambda lets an invocation run; taken where the function's own limit is not known.
pub const LONGEST_INVOCATION: SignedDuration = SignedDuration::from_secs(900);
/// What a line may take from the function to a reader of the log group.
pub const LINES_LAG: SignedDuration = SignedDuration::from_secs(60);

/// What AWS saw of a function in a window.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Name of the function.
    pub function: String,
    /// The flags that name the deployment to another command, each with a space before it.
    pub naming: String,
    /// Region that was asked; `None` when nobody said which.
    pub region: Option<String>,
    /// The window that was asked about.
    pub window: Window,
    /// When AWS was asked: ages count from here.
    pub asked_at: Timestamp,
    /// Metrics, oldest first; only periods with at least one data point.
    pub minutes: Vec<Minute>,
    /// Invocations that died, newest last.
    pub deaths: Vec<Death>,
    /// Exchanges with a start and no end, older than the function may run: they died with their
    /// environment. Without those whose invocation is among the deaths.
    pub unended: Vec<Started>,
    /// Exchanges with a start and no end that may still be running, oldest first.
    pub in_flight: Vec<Started>,
    /// Exchanges whose end the journal tells.
    pub ended: u64,
    /// Ends of exchanges whose record is nowhere: what the journal says of them is all there is.
    pub lost: Vec<Ended>,
    /// Records that S3 refused, whole, out of the lines; keys tell whether they lie in the window.
    pub spilled: Vec<Spilled>,
    /// Keys of records of which a part is missing or damaged.
    pub broken_spills: Vec<String>,
    /// What the function's configuration says; `None` when it could not be read.
    pub configuration: Option<Configuration>,
    /// What was looked at beside, to tell how a refusal is mended.
    pub aside: Aside,
    /// From when on the lines were read, which may be later than the window's beginning; `None` = not
    /// at all.
    pub lines_since: Option<Timestamp>,
    /// How many lines that say anything of invocations were read.
    pub lines: u64,
    /// What could not be seen.
    pub unseen: Vec<Unseen>,
}

/// An invocation that ended without an answer of ours.
#[derive(Clone, Debug, PartialEq)]
pub struct Death {
    /// When the platform said so.
    pub at: Timestamp,
    /// Lambda's name for the invocation; a start-up can fail before there is one.
    pub request_id: Option<String>,
    /// What it died of.
    pub kind: DeathKind,
    /// The exchange that it held, if the journal tells.
    pub started: Option<Started>,
    /// That exchange has a log all the same.
    pub is_logged: bool,
    /// The platform's words, one line.
    pub line: String,
}

/// What an invocation died of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeathKind {
    /// It ran for as long as the function may.
    TimeOut,
    /// The process ended, or answered what Lambda does not accept.
    Crash,
    /// It needed more memory than the function has.
    OutOfMemory,
    /// The process did not come up.
    StartUp,
}

/// What a function's configuration says, as far as it may be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// ARN of the function.
    pub arn: Option<String>,
    /// Seconds that an invocation may take.
    pub timeout_s: Option<u32>,
    /// Memory in megabytes.
    pub memory_mb: Option<u32>,
    /// Slots reserved for the function; `None` inside means that it shares the account's.
    pub reserved: Option<Reserved>,
    /// Log group that it writes to.
    pub log_group: Option<String>,
    /// Whether its log lines are JSON.
    pub logs_json: Option<bool>,
    /// Whether it is active, as Lambda says: `Active`, `Pending`, `Inactive`, `Failed`.
    pub state: Option<String>,
    /// When it was last changed, as Lambda writes it.
    pub last_modified: Option<String>,
    /// `CODEX_PROXY_LOGS`.
    pub logs: Option<String>,
    /// `CODEX_PROXY_TOKENS`.
    pub tokens: Option<String>,
    /// `OPENAI_API_KEY_SECRET`.
    pub secret: Option<String>,
    /// `LOG_KMS_KEY_ARN`.
    pub kms_key: Option<String>,
    /// Whether `OPENAI_API_KEY` is set: then the key itself stands in the configuration.
    pub holds_key: bool,
}

/// Concurrency of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// It has this many slots, and no more.
    Slots(u32),
    /// Nothing is reserved: it shares the account's slots.
    Shared,
}

/// Something that could not be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// The right, or what was asked for with it.
    pub action: Action,
    /// Why not.
    pub trouble: Trouble,
    /// What that means for the answer: `cannot tell whether throttles came on top`.
    pub means: &'static str,
}

impl Observed {
    /// An observation in which nothing was seen yet.
    #[must_use]
    pub fn nothing(function: &str, window: Window, asked_at: Timestamp) -> Self {
        Self {
            function: function.to_owned(),
            naming: String::new(),
            region: None,
            window,
            asked_at,
            minutes: Vec::new(),
            deaths: Vec::new(),
            unended: Vec::new(),
            in_flight: Vec::new(),
            ended: 0,
            lost: Vec::new(),
            spilled: Vec::new(),
            broken_spills: Vec::new(),
            configuration: None,
            aside: Aside::default(),
            lines_since: None,
            lines: 0,
            unseen: Vec::new(),
        }
    }

    /// Adds the metrics of the periods that begin in a window up; the peak is the highest one.
    #[must_use]
    pub fn totals(&self, window: &Window) -> Counts {
        let within = self.minutes.iter().filter(|minute| window.contains(minute.at));
        within.fold(Counts::default(), |sum, minute| sum.and(&minute.counts))
    }

    /// Returns how many requests Lambda refused for want of a slot, in all periods that have a moment
    /// in common with this span; `None` without a data point.
    #[must_use]
    pub fn throttles_between(&self, since: Timestamp, until: Timestamp) -> Option<u64> {
        let span = Window { since, until };
        let touched = self.minutes.iter().filter(|minute| span.overlaps(minute.at, minute.end()));
        touched.filter_map(|minute| minute.counts.throttles).reduce(u64::saturating_add)
    }

    /// Returns the part of a window that consists of whole periods. Figures and logs can only be held
    /// against each other there: count the logs of this window for [`Self::sum`].
    #[must_use]
    pub fn whole(&self, window: &Window) -> Window {
        let period = self.minutes.iter().map(|minute| i64::from(minute.period_s)).max();
        let period = period.unwrap_or(60).max(1);
        let down = |second: i64| second.div_euclid(period) * period;
        let up = |time: Timestamp| {
            let is_within = time.subsec_nanosecond() > 0 || time.as_second() % period != 0;
            down(time.as_second()) + if is_within { period } else { 0 }
        };
        let time = |second| Timestamp::from_second(second).unwrap_or(window.until);
        // What is yet to come is no part of a period that has been.
        let until = window.until.min(self.asked_at);
        let (since, until) = (time(up(window.since)), time(down(until.as_second())));
        Window { since, until: until.max(since) }
    }

    /// Tells whether there was anything to be seen: a figure, or lines.
    #[must_use]
    pub fn saw_anything(&self) -> bool {
        !self.minutes.is_empty() || self.lines_since.is_some()
    }

    /// Tells whether the metrics were read, also when there was none to be had.
    #[must_use]
    pub fn saw_metrics(&self) -> bool {
        !self.is_unseen(Action::GetMetricData)
    }

    /// Tells whether the lines of the whole window were read.
    #[must_use]
    pub fn saw_lines(&self) -> bool {
        self.lines_since.is_some_and(|since| since <= self.window.since)
    }

    /// Returns why something could not be seen.
    #[must_use]
    pub fn is_unseen(&self, action: Action) -> bool {
        self.unseen.iter().any(|unseen| unseen.action == action)
    }

    /// Returns how long an exchange has been running.
    #[must_use]
    pub fn age(&self, started: &Started) -> SignedDuration {
        self.asked_at.duration_since(started.started_at).max(SignedDuration::ZERO)
    }

    /// Returns the function's slots; `None` when that could not be read.
    #[must_use]
    pub fn reserved(&self) -> Option<Reserved> {
        self.configuration.as_ref().and_then(|configuration| configuration.reserved)
    }

    /// Forgets what is missing according to the lines, and has a log after all: only the line of its
    /// end is missing, or its record was recovered. Deaths stay, and are marked.
    pub fn forget_logged(&mut self, exchange_ids: &HashSet<String>) {
        let is_open = |exchange_id: &String| !exchange_ids.contains(exchange_id);
        self.unended.retain(|started| is_open(&started.exchange_id));
        self.in_flight.retain(|started| is_open(&started.exchange_id));
        self.lost.retain(|ended| is_open(&ended.exchange_id));
        let is_open_key =
            |key: &str| LogKey::parse(key).is_none_or(|key| is_open(&key.exchange_id.to_string()));
        self.spilled.retain(|spilled| is_open_key(&spilled.key));
        self.broken_spills.retain(|key| is_open_key(key));
        for death in &mut self.deaths {
            let started = death.started.as_ref();
            death.is_logged = started.is_some_and(|started| !is_open(&started.exchange_id));
        }
    }

    /// Adds up whether every request of a window is accounted for. `logged` are the exchanges in it
    /// that have a log in S3; call [`Self::forget_logged`] first, and take a [`Self::whole`] window.
    #[must_use]
    pub fn sum(&self, window: &Window, logged: u64) -> Sum {
        Sum::of(self, window, logged)
    }
}

impl DeathKind {
    /// Returns the words for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TimeOut => "time-out",
            Self::Crash => "crash",
            Self::OutOfMemory => "out of memory",
            Self::StartUp => "start-up failure",
        }
    }
}

impl serde::Serialize for Unseen {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut unseen = to.serialize_struct("Unseen", 3)?;
        unseen.serialize_field("action", self.action.name())?;
        unseen.serialize_field("trouble", &self.trouble.to_string())?;
        unseen.serialize_field("means", self.means)?;
        unseen.end()
    }
}

impl std::fmt::Display for Unseen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.action.name(), self.trouble.word(), self.means)
    }
}
