//! Time and identity: the two things a request path would otherwise take from the air.

use std::sync::{Mutex, PoisonError};
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

/// What [`SystemClock::instant`] goes by.
struct Looked {
    instant: Instant,
    now: Timestamp,
    /// The time that it has told.
    told: Instant,
}

static LOOKED: Mutex<Option<Looked>> = Mutex::new(None);

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
        Timestamp::now()
    }

    /// What has passed since the last look is what either clock says: the monotonic one may stand
    /// still while Lambda freezes an environment, and the other may be set back. What is cached had
    /// better be too old than too young.
    fn instant(&self) -> Instant {
        let (instant, now) = (Instant::now(), self.now());
        let mut looked = LOOKED.lock().unwrap_or_else(PoisonError::into_inner);
        let told = looked.as_ref().map_or(instant, |last| {
            let by_day = now.duration_since(last.now).as_millis();
            let by_day = Duration::from_millis(u64::try_from(by_day).unwrap_or(0));
            last.told + instant.saturating_duration_since(last.instant).max(by_day)
        });
        *looked = Some(Looked { instant, now, told });
        told
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
