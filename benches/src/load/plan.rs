//! How much load, for how long.
//!
//! Both plans measure the same; the quick one has fewer rounds, and shows the direction only.

use std::time::Duration;

/// Requests in flight while requests per second are counted.
pub(crate) const REQUESTS_AT_ONCE: usize = 64;
/// Streams in flight while streams per second are counted.
pub(crate) const STREAMS_AT_ONCE: usize = 16;
/// Streams in flight while their events come one by one, as from a model that thinks.
pub(crate) const PACED_AT_ONCE: usize = 64;
/// Time between two events of such a stream.
pub(crate) const PACE: Duration = Duration::from_millis(5);
/// Streams begun in a second while the time to the first byte is taken: the machine is nearly idle.
pub(crate) const CALM_RATE: u32 = 50;
/// Exchanges before the first look at the memory, which warms up pools and buffers.
pub(crate) const WARM_UP: u64 = 1_000;

/// How much load, for how long.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How often every target has its turn.
    pub rounds: usize,
    /// How long requests, and then streams, follow one another as fast as they are answered.
    pub(crate) full_speed: Duration,
    /// Streams with a pace.
    pub(crate) paced: u64,
    /// How long streams begin at the calm rate.
    pub(crate) calm: Duration,
    /// Exchanges before the last look at the memory.
    pub(crate) many: u64,
}

impl Plan {
    /// Five rounds and 100,000 exchanges: under ten minutes.
    #[must_use]
    pub const fn full() -> Self {
        Self {
            rounds: 5,
            full_speed: Duration::from_secs(2),
            paced: 2 * PACED_AT_ONCE as u64,
            calm: Duration::from_secs(4),
            many: 100_000,
        }
    }

    /// One round and 5,000 exchanges: under a minute.
    #[must_use]
    pub const fn quick() -> Self {
        Self {
            rounds: 1,
            full_speed: Duration::from_millis(1_500),
            paced: PACED_AT_ONCE as u64,
            calm: Duration::from_secs(2),
            many: 5_000,
        }
    }
}
