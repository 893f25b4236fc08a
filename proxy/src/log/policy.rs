//! How often, and for how long, a record is offered to the sink before it has to wait.

use std::time::Duration;

/// How hard the sink is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WritePolicy {
    /// How long a record may wait for others to be made with: waking a thread for each cost a tenth of
    /// a busy server's CPU.
    pub gather: Duration,
    /// Tries in a row.
    pub tries: u32,
    /// Pause before the second try; five times as long before each further one.
    pub pause: Duration,
    /// For one try.
    pub attempt_time: Duration,
    /// For all tries and pauses together.
    pub total_time: Duration,
}

impl WritePolicy {
    /// A server has time, and a spool behind it.
    pub const SERVER: Self = Self {
        gather: Duration::from_millis(5),
        tries: 3,
        pause: Duration::from_millis(200),
        attempt_time: Duration::from_secs(30),
        total_time: Duration::from_mins(1),
    };

    /// A Lambda environment is billed while it waits, and frozen when it does not.
    pub const LAMBDA: Self = Self {
        gather: Duration::ZERO,
        tries: 3,
        pause: Duration::from_millis(100),
        attempt_time: Duration::from_millis(2_500),
        total_time: Duration::from_secs(6),
    };
}
