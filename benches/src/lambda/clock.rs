//! The time: since the start for what tests compare, of the day for what the function is told.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Counts from when it was made.
#[derive(Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Returns the time of day.
#[expect(clippy::disallowed_methods, reason = "deadlines and events carry the time of day")]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}
