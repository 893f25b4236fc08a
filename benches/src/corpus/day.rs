//! A day of a team, minute by minute, with a script of what goes wrong: what triage has to find, and quiet days on
//! which it has to find nothing.
//!
//! Beside the records of the exchanges comes what CloudWatch would have counted: requests that Lambda refused leave
//! no record.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use schemas::origin::Origin;
use schemas::record::{LogRecord, LoggedError, Usage};

use super::record::blank;
use super::rows::{self, Row};
use super::{Object, answer, record, store};
use crate::upstream::SplitMix;

/// Minutes of a day.
const MINUTES: usize = 1_440;
/// People of the team.
const TEAM: usize = 40;
/// How busy the hours of a day are, beside each other.
const BUSY: [usize; 24] =
    [2, 2, 2, 2, 2, 3, 5, 8, 12, 14, 14, 13, 10, 12, 14, 14, 13, 12, 9, 7, 5, 4, 3, 2];
/// Of a thousand exchanges so many fail on any day.
const NOISE: usize = 4;
/// Slots of the function.
pub const SLOTS: u64 = 60;

/// Something that goes wrong, from one minute of the day up to another.
#[derive(Clone, Debug)]
pub struct Happening {
    /// Its first minute, counted from midnight UTC.
    pub from: usize,
    /// The first minute after it.
    pub to: usize,
    /// What it is.
    pub what: What,
}

/// What can go wrong.
#[derive(Clone, Debug)]
pub enum What {
    /// OpenAI is overloaded for a model: so many of a hundred exchanges with it fail.
    Overload(&'static str, usize),
    /// A version of the proxy is out, and so many of a hundred exchanges fail in it.
    Deploy(&'static str, usize),
    /// Lambda refuses so many requests a minute.
    Throttles(u64),
    /// A developer's token was disabled, and the client tries every so many minutes.
    StaleToken(usize, usize),
    /// OpenAI takes so many times as long for a model.
    SlowDown(&'static str, f64),
    /// The network to OpenAI fails, of a hundred exchanges so many.
    Network(usize),
}

/// What to make.
#[derive(Clone, Debug)]
pub struct DayPlan {
    /// The same seed makes the same day.
    pub seed: u64,
    /// Which day, in UTC.
    pub date: Date,
    /// How many exchanges, tries again left out.
    pub exchanges: usize,
    /// What goes wrong.
    pub script: Vec<Happening>,
}

/// What CloudWatch counted in a minute.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Requests to the Function URL.
    pub url_requests: u64,
    /// Of these, answered 4xx.
    pub url_4xx: u64,
    /// Of these, answered 5xx.
    pub url_5xx: u64,
    /// Invocations that ran.
    pub invocations: u64,
    /// Requests refused for want of a slot.
    pub throttles: u64,
    /// Most invocations at a time.
    pub concurrent_max: u64,
    /// Time that they took together, in milliseconds.
    pub duration_ms: u64,
}

/// A day.
#[derive(Clone, Debug)]
pub struct Day {
    /// Its first moment.
    pub midnight: Timestamp,
    /// Records, in the order of time.
    pub records: Vec<LogRecord>,
    /// What CloudWatch counted, by the minute.
    pub figures: Vec<Figures>,
}

/// The day of the issue: an overload, a bad deploy, a burst of throttles, a stale token, and a slow-down that ends in
/// throttles.
#[must_use]
pub fn eventful() -> Vec<Happening> {
    let at = |hour: usize, minute: usize| hour * 60 + minute;
    vec![
        Happening { from: at(10, 20), to: at(12, 40), what: What::StaleToken(17, 9) },
        Happening { from: at(14, 2), to: at(14, 31), what: What::Overload("gpt-5.5", 60) },
        Happening { from: at(15, 0), to: at(15, 24), what: What::Deploy("0.2.0", 15) },
        Happening { from: at(16, 10), to: at(16, 16), what: What::Throttles(55) },
        Happening { from: at(18, 20), to: at(18, 50), what: What::SlowDown("gpt-5.5", 4.5) },
        Happening { from: at(18, 27), to: at(18, 52), what: What::Throttles(16) },
    ]
}

impl Day {
    /// Makes a day.
    #[must_use]
    pub fn new(plan: &DayPlan) -> Self {
        let midnight =
            plan.date.to_zoned(TimeZone::UTC).map_or(Timestamp::UNIX_EPOCH, |it| it.timestamp());
        let mut day = Self { midnight, records: Vec::new(), figures: Vec::new() };
        let mut random = SplitMix::new(plan.seed);
        let all: usize = BUSY.iter().sum();
        for minute in 0..MINUTES {
            let due = plan.exchanges * BUSY[minute / 60];
            let share = all * 60;
            let count = due / share + usize::from(random.below(share) < due % share);
            for _ in 0..count {
                day.exchange(&mut random, plan, minute);
            }
            day.stale_tokens(&mut random, plan, minute);
        }
        day.records.sort_by(|a, b| {
            a.started_at.cmp(&b.started_at).then_with(|| a.exchange_id.cmp(&b.exchange_id))
        });
        day.count(plan);
        day
    }

    /// Returns the objects of the records, as the proxy stores them.
    pub fn objects(&self) -> impl Iterator<Item = Object> {
        self.records.iter().map(store::object)
    }

    /// Returns when a minute begins.
    #[must_use]
    pub fn at(&self, hour: i64, minute: i64) -> Timestamp {
        self.midnight + SignedDuration::from_mins(hour * 60 + minute)
    }

    /// Adds an exchange of a turn, and its further tries where it fails.
    fn exchange(&mut self, random: &mut SplitMix, plan: &DayPlan, minute: usize) {
        let at = self.moment(random, minute);
        let mut record = blank(random, at);
        dress(&mut record, random, random_developer);
        let model = ["gpt-5.5", "gpt-5.5", "gpt-5.5-codex", "gpt-5.5-mini"][random.below(4)];
        record.model = Some(model.to_owned());
        let mut times = 1.0;
        let mut failure = None;
        for happening in plan.script.iter().filter(|it| (it.from..it.to).contains(&minute)) {
            match happening.what {
                What::Overload(of, share) if of == model && random.below(100) < share => {
                    failure = Some(row_of("server_is_overloaded"));
                }
                What::Deploy(version, share) => {
                    version.clone_into(&mut record.proxy.version);
                    if random.below(100) < share {
                        failure = Some(row_of("proxy_internal"));
                    }
                }
                What::SlowDown(of, slow) if of == model => times = slow,
                What::Network(share) if random.below(100) < share => {
                    failure = Some(row_of("proxy_upstream_failed"));
                }
                _ => {}
            }
        }
        if failure.is_none() && random.below(1_000) < NOISE {
            failure = Some(rows::row(random.below(rows::COUNT)));
        }
        let Some(row) = failure else {
            succeed(&mut record, random, times);
            self.records.push(record);
            return;
        };
        let tries = 1 + i64::try_from(random.below(4)).unwrap_or_default();
        for number in 0..tries {
            let mut again = failed(&record, random, &row);
            again.started_at = at + SignedDuration::from_millis(number * 1_700);
            again.exchange_id = record::exchange_id(random, again.started_at).to_string();
            self.records.push(again);
        }
    }

    fn stale_tokens(&mut self, random: &mut SplitMix, plan: &DayPlan, minute: usize) {
        for happening in &plan.script {
            let What::StaleToken(developer, every) = happening.what else { continue };
            let is_due = (happening.from..happening.to).contains(&minute)
                && (minute - happening.from).is_multiple_of(every);
            if is_due {
                let at = self.moment(random, minute);
                let mut record = blank(random, at);
                dress(&mut record, random, |_| developer);
                let mut record = failed(&record, random, &row_of("proxy_invalid_token"));
                // The old token is not the one of the developer's other exchanges.
                record.token_id =
                    Some(format!("{:016x}", 0x0dd0_0000_0000_0000_u64 + developer as u64));
                self.records.push(record);
            }
        }
    }

    fn moment(&self, random: &mut SplitMix, minute: usize) -> Timestamp {
        let ms = i64::try_from(minute * 60_000 + random.below(60_000)).unwrap_or_default();
        self.midnight + SignedDuration::from_millis(ms)
    }

    /// Counts as CloudWatch does.
    fn count(&mut self, plan: &DayPlan) {
        let mut figures = vec![Figures::default(); MINUTES];
        let mut running = vec![0_u64; MINUTES + 60];
        for record in &self.records {
            let begun = record.started_at.duration_since(self.midnight).as_millis();
            let begun = usize::try_from(begun).unwrap_or_default();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time")]
            let lasted = record.duration_ms as usize;
            let minute = (begun / 60_000).min(MINUTES - 1);
            let of = &mut figures[minute];
            of.url_requests += 1;
            of.invocations += 1;
            of.duration_ms += lasted as u64;
            of.url_4xx += u64::from((400..500).contains(&record.status));
            of.url_5xx += u64::from(record.status >= 500);
            let last = ((begun + lasted) / 60_000).min(running.len() - 1);
            running[minute..=last].iter_mut().for_each(|count| *count += 1);
        }
        for (minute, of) in figures.iter_mut().enumerate() {
            // Not all of a minute's exchanges run at the same time.
            of.concurrent_max = (running[minute] * 2 / 3).min(SLOTS);
            for happening in plan.script.iter().filter(|it| (it.from..it.to).contains(&minute)) {
                if let What::Throttles(count) = happening.what {
                    of.throttles += count;
                    of.url_requests += count;
                    of.url_4xx += count;
                    of.concurrent_max = SLOTS;
                }
            }
        }
        self.figures = figures;
    }
}

fn row_of(code: &str) -> Row {
    let mut all = (0..rows::COUNT).map(rows::row);
    all.find(|row| row.code == code).expect("the code of a row")
}

/// Some work more than others.
fn random_developer(random: &mut SplitMix) -> usize {
    random.below(TEAM).min(random.below(TEAM))
}

fn dress(record: &mut LogRecord, random: &mut SplitMix, who: impl Fn(&mut SplitMix) -> usize) {
    let developer = who(random);
    record.developer = Some(format!("dev-{developer:02}"));
    let token = (developer as u64 + 1).wrapping_mul(0x1234_5678_9abc_def1);
    record.token_id = Some(format!("{token:016x}"));
    record.client.session_id = Some(format!("session-{developer}-{}", random.below(3)));
    let version = if developer.is_multiple_of(3) { "0.168.0" } else { "0.169.0" };
    record.client.version = Some(version.to_owned());
    record.proxy.region = Some("eu-central-1".to_owned());
}

/// Draws from a spread of a median with a long tail.
fn spread(random: &mut SplitMix, median: f64) -> f64 {
    // The sum of a few uniform numbers is near enough to normal.
    let sum: usize = (0..6).map(|_| random.below(1_000)).sum();
    median * ((sum as f64 - 2_997.0) / 1_000.0 * 0.7).exp()
}

fn succeed(record: &mut LogRecord, random: &mut SplitMix, times: f64) {
    let wait = spread(random, 1_900.0) * times;
    let own = spread(random, 2.5);
    record.upstream_ttfb_ms = Some(wait);
    record.ttfb_ms = Some(wait + own);
    record.duration_ms = wait + own + spread(random, 16_000.0) * times;
    if let Some(upstream) = &mut record.upstream {
        upstream.processing_ms = Some((wait * 0.9).round());
    }
    let input = 4_000 + random.below(60_000) as u64;
    let output = 100 + random.below(3_000) as u64;
    record.usage = Some(Usage {
        input_tokens: Some(input),
        cached_input_tokens: Some(input / 2),
        output_tokens: Some(output),
        reasoning_tokens: Some(output / 3),
        total_tokens: Some(input + output),
    });
    record.response_body = answer::stream(&[], answer::Last::Completed, None, "");
    record.response_bytes = record.response_body.len() as u64;
}

/// Makes a failure of a success that was to be.
fn failed(record: &LogRecord, random: &mut SplitMix, row: &Row) -> LogRecord {
    let mut failed = record::of_row(random, record.started_at, row).record;
    let is_of_openai = matches!(row.origin, Origin::Openai | Origin::OpenaiEdge);
    let wait = is_of_openai.then(|| spread(random, 400.0));
    failed.upstream_ttfb_ms = wait;
    failed.ttfb_ms = Some(wait.unwrap_or(0.0) + spread(random, 2.5));
    failed.duration_ms = failed.ttfb_ms.unwrap_or(0.0) + 3.0;
    failed.exchange_id.clone_from(&record.exchange_id);
    failed.developer.clone_from(&record.developer);
    failed.token_id.clone_from(&record.token_id);
    failed.client = record.client.clone();
    failed.model.clone_from(&record.model);
    failed.proxy = record.proxy.clone();
    // What differs from one time to the next.
    if let Some(LoggedError { message, .. }) = &mut failed.error
        && is_of_openai
        && !message.is_empty()
    {
        *message = format!("{message} (request ID req_{:012x})", random.draw() >> 16);
    }
    failed
}
