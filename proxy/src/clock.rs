//! Time and identity: the two things a request path would otherwise take from the air.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use schemas::key::ExchangeId;

/// Tells the time and names exchanges.
pub trait Clock: Send + Sync {
    /// Returns the time of day.
    fn now(&self) -> Timestamp;

    /// Returns a time that only goes forward, to tell how old something is.
    fn instant(&self) -> Instant;

    /// Returns a new identity for an exchange that began at `time`.
    fn exchange_id(&self, time: Timestamp) -> ExchangeId;
}

/// The machine's clock, and random UUIDv7 identities.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// When this process first looked at its clocks, and how many milliseconds had passed since when it
/// last did.
static START: OnceLock<(Instant, Timestamp)> = OnceLock::new();
static PASSED_MS: AtomicU64 = AtomicU64::new(0);

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
        Timestamp::now()
    }

    /// What has passed is what either clock says: the monotonic one may stand still while Lambda
    /// freezes an environment, and the other may be set back. What is cached had better be too old
    /// than too young.
    fn instant(&self) -> Instant {
        let (instant, now) = START.get_or_init(|| (Instant::now(), self.now()));
        let by_day = self.now().duration_since(*now).as_millis();
        let passed = instant.elapsed().as_millis().max(u128::try_from(by_day).unwrap_or(0));
        let passed = u64::try_from(passed).unwrap_or(u64::MAX / 2);
        let passed = PASSED_MS.fetch_max(passed, Ordering::Relaxed).max(passed);
        *instant + Duration::from_millis(passed)
    }

    fn exchange_id(&self, time: Timestamp) -> ExchangeId {
        let seconds = u64::try_from(time.as_second()).unwrap_or_default();
        let nanoseconds = u32::try_from(time.subsec_nanosecond()).unwrap_or_default();
        let stamp = uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanoseconds);
        ExchangeId(uuid::Uuid::new_v7(stamp).as_u128())
    }
}

/// A clock that a test sets forward by hand.
#[cfg(test)]
pub(crate) struct HandClock(std::sync::Mutex<Instant>);

#[cfg(test)]
impl HandClock {
    pub(crate) fn new() -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self(std::sync::Mutex::new(Instant::now())))
    }

    pub(crate) fn pass(&self, time: std::time::Duration) {
        *self.0.lock().expect("no panic") += time;
    }
}

#[cfg(test)]
impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn instant(&self) -> Instant {
        *self.0.lock().expect("no panic")
    }

    fn exchange_id(&self, _: Timestamp) -> ExchangeId {
        ExchangeId(0)
    }
}
