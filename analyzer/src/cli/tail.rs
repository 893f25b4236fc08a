//! `analyzer tail`: new exchanges as their logs land, a line each.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use super::place::{Place, unreachable};
use super::{Exit, Failure, current_time, say};
use crate::logs::aim::Aim;
use crate::logs::list::{self, Entry};
use crate::logs::read::read;
use crate::logs::source::LogSource;
use crate::question::Filters;
use crate::report::Line;
use crate::tail::{FAR, FAR_EVERY, NEAR, Rate, Shown};
use crate::window::Window;

/// How far a proxy's clock may be ahead of ours.
const SKEW: SignedDuration = SignedDuration::from_mins(15);
/// Looks that may fail in a row: a hiccup of S3 does not end an evening's watch.
const FAILURES: u32 = 5;

#[derive(Args)]
#[command(after_help = "\
Examples:
  analyzer tail --source s3://my-bucket/codex
  analyzer tail --errors --developer dev-17
  analyzer tail --json --last 0 | jq -r 'select(.origin == \"proxy\") | .exchange_id'

A log appears when its exchange ends, so lines come in the order of ending. Late logs, as of a
server that was down, are shown up to 3 hours after their exchange began. Ctrl-C ends it.")]
pub(super) struct TailArguments {
    #[command(flatten)]
    place: Place,
    /// Begin with the N newest logs that are there already
    #[arg(long, value_name = "N", default_value_t = 10)]
    last: usize,
    /// Only failures
    #[arg(long)]
    errors: bool,
    /// Only this developer's exchanges
    #[arg(long, value_name = "NAME")]
    developer: Option<String>,
    /// Only exchanges of this session, as Codex prints it
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Only exchanges with this model
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// End after N lines
    #[arg(long, value_name = "N")]
    max: Option<u64>,
    /// Seconds between two looks
    #[arg(long, value_name = "S", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    interval: u64,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: TailArguments) -> Result<Exit, Failure> {
    let source = arguments.place.open().await?;
    let mut watch = Watch::new(source, arguments, &current_time());
    let mut ticks = tokio::time::interval(Duration::from_secs(watch.arguments.interval));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => break,
            _ = ticks.tick() => {}
        }
        let looked = tokio::select! {
            _ = tokio::signal::ctrl_c() => break,
            looked = watch.look() => looked,
        };
        match looked {
            Ok(Go::On) => {}
            Ok(Go::Stop) => break,
            Err(failure) if watch.failed >= FAILURES || watch.looked_far.is_none() => {
                return Err(failure);
            }
            Err(failure) => say(&format!("warning: {}; trying again", failure.error)),
        }
    }
    watch.rate_line.finish_and_clear();
    Ok(if watch.unread > 0 { Exit::Partial } else { Exit::Answered })
}

/// Whether to look again.
enum Go {
    On,
    Stop,
}

/// What a watch remembers from look to look.
struct Watch {
    source: Arc<dyn LogSource>,
    filters: Filters,
    arguments: TailArguments,
    zone: TimeZone,
    shown: Shown,
    rate: Rate,
    rate_line: ProgressBar,
    /// When the last far look was; `None` before the first.
    looked_far: Option<Timestamp>,
    printed: u64,
    /// Looks that failed since the last that did not.
    failed: u32,
    denied: bool,
    unread: u64,
}

impl Watch {
    fn new(source: Arc<dyn LogSource>, arguments: TailArguments, now: &Zoned) -> Self {
        let rate_line = if io::stderr().is_terminal() && !arguments.json {
            let style = ProgressStyle::with_template("{msg}");
            let bar = ProgressBar::new_spinner();
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
        } else {
            ProgressBar::hidden()
        };
        Self {
            source,
            filters: Filters {
                developer: arguments.developer.clone(),
                session: arguments.session.clone(),
                model: arguments.model.clone(),
            },
            arguments,
            zone: now.time_zone().clone(),
            shown: Shown::default(),
            rate: Rate::default(),
            rate_line,
            looked_far: None,
            printed: 0,
            failed: 0,
            denied: false,
            unread: 0,
        }
    }

    /// Lists what there is, and shows what is new.
    async fn look(&mut self) -> Result<Go, Failure> {
        let now = current_time().timestamp();
        let is_far = |looked: Timestamp| now.duration_since(looked) >= FAR_EVERY;
        let far = self.looked_far.is_none_or(is_far);
        let window = Window { since: now - if far { FAR } else { NEAR }, until: now + SKEW };
        let listed = list::list(&*self.source, &window).await;
        let logs = listed.map_err(|error| {
            self.failed += 1;
            unreachable(&error)
        })?;
        self.failed = 0;
        let mut new = self.shown.take(logs.entries);
        if self.looked_far.is_none() {
            let old = new.drain(..new.len().saturating_sub(self.arguments.last));
            for told in old.filter_map(|entry| entry.told) {
                self.rate.count(told.started_at, told.error_origin);
            }
        }
        if far {
            self.looked_far = Some(now);
            self.shown.forget_before(now - FAR);
        }
        let go = self.show(new).await;
        self.rate_line.set_message(self.rate.line(now));
        Ok(go)
    }

    /// Reads what the keys leave open, and prints.
    async fn show(&mut self, new: Vec<Entry>) -> Go {
        let mut exchanges = std::collections::HashMap::new();
        if !self.denied && !new.is_empty() {
            let source = Arc::clone(&self.source);
            let reading = read(source, new.clone(), Aim::small_fields()).await;
            for unread in reading.unread {
                if unread.denied {
                    self.denied = true;
                    say("note: logs may not be read (s3:GetObject); showing what their keys tell");
                    break;
                }
                self.unread += 1;
                say(&format!("warning: {}: {}", unread.key, unread.why));
            }
            exchanges.extend(reading.exchanges.into_iter().map(|read| (read.key.clone(), read)));
        }
        for entry in new {
            let exchange = exchanges.get(&entry.key);
            let line = exchange.map_or_else(|| Line::of_key(&entry), Line::of_exchange);
            self.rate.count(line.started_at, line.origin);
            let passes = match exchange {
                Some(exchange) => self.filters.hold(exchange),
                None => self.filters.are_empty(),
            };
            if !passes || (self.arguments.errors && line.told && line.origin.is_none()) {
                continue;
            }
            if self.is_done() || self.print(&line).is_err() {
                return Go::Stop;
            }
            self.printed += 1;
        }
        if self.is_done() { Go::Stop } else { Go::On }
    }

    fn is_done(&self) -> bool {
        self.arguments.max.is_some_and(|max| self.printed >= max)
    }

    /// Prints a line; an error is a closed pipe (`| head`), which is the reader's choice.
    fn print(&self, line: &Line) -> io::Result<()> {
        let text = if self.arguments.json {
            serde_json::to_string(line).map_err(io::Error::other)?
        } else {
            line.text(&self.zone)
        };
        self.rate_line.suspend(|| {
            let mut stdout = io::stdout().lock();
            writeln!(stdout, "{text}")?;
            stdout.flush()
        })
    }
}
