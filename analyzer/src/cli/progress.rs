//! Progress for whoever waits at a terminal: what is to come, then how far it has come; or, where nobody
//! knows what is to come, what is waited for.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use crate::logs::read::Progress;
use crate::logs::scan::Estimate;

/// How often a bar moves.
const STEP: Duration = Duration::from_millis(100);

/// A bar on a terminal, and nothing elsewhere; dropping it clears the line.
pub(super) struct Bar(Option<(ProgressBar, JoinHandle<()>)>);

impl Bar {
    /// Starts a bar.
    pub(super) fn new(estimate: &Estimate, progress: Arc<Progress>) -> Self {
        if !io::stderr().is_terminal() {
            return Self(None);
        }
        let style = ProgressStyle::with_template("reading {msg} {bar:30} {pos}/{len} {eta}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(estimate.logs).with_style(style);
        bar.set_message(estimate.to_string());
        let moving = bar.clone();
        let task = tokio::spawn(async move {
            loop {
                moving.set_position(progress.logs.load(Ordering::Relaxed));
                tokio::time::sleep(STEP).await;
            }
        });
        Self(Some((bar, task)))
    }
}

/// A line on a terminal that says what is waited for, and nothing elsewhere; dropping it clears the
/// line. For work that has no estimate.
pub(super) struct Waiting {
    _bar: Bar,
}

impl Waiting {
    /// Starts to wait; `what` is asked again and again, for it may tell how far it has come.
    pub(super) fn on(what: impl Fn() -> String + Send + 'static) -> Self {
        if !io::stderr().is_terminal() {
            return Self { _bar: Bar(None) };
        }
        let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
        let bar = ProgressBar::new_spinner();
        let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        let moving = bar.clone();
        let task = tokio::spawn(async move {
            loop {
                moving.set_message(what());
                moving.tick();
                tokio::time::sleep(STEP).await;
            }
        });
        Self { _bar: Bar(Some((bar, task))) }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some((bar, task)) = &self.0 {
            task.abort();
            bar.finish_and_clear();
        }
    }
}
