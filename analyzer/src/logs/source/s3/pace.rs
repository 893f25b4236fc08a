//! How many requests are on their way at a time: more as long as that reads faster, half after trouble.
//!
//! Additive increase, multiplicative decrease, as TCP does it. S3 says `SlowDown` when it has not
//! yet spread a bucket over enough machines; asking less then reads faster than asking again. Where
//! nothing waits, as on a server near by, more at a time only costs memory and caches, so what reads
//! no faster is taken back.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Where it begins: enough to hide latency at once, and far below what S3 serves.
const FIRST: f64 = 32.0;
/// Where it ends: at 30 ms a request 256 read more than the 5,500 a second that S3 promises a prefix.
const MOST: f64 = 256.0;
/// Below this S3 is not spared, only the reader.
const LEAST: f64 = 4.0;
/// What is added for as many successes as there are requests on their way: one round.
const STEP: f64 = 8.0;
/// After growing by this the speed is looked at: it has to have grown, too.
const LOOK: f64 = 1.4;
const GAIN: f64 = 1.1;
/// Rounds until more is tried again.
const HOLD: u32 = 16;

/// The number of requests that are on their way at a time.
pub(super) struct Pace(Mutex<State>);

struct State {
    limit: f64,
    /// When it was halved last.
    halved: Option<Instant>,
    /// When the round began, and how many successes it has had.
    round: Option<(Instant, u32)>,
    /// The last limit that was worth it, and successes a second with it.
    proven: (f64, f64),
    /// Rounds for which the limit stays.
    hold: u32,
}

impl Pace {
    pub(super) fn new() -> Self {
        let (halved, round) = (None, None);
        Self(Mutex::new(State { limit: FIRST, halved, round, proven: (FIRST, 0.0), hold: 0 }))
    }

    /// Returns how many requests may be on their way.
    pub(super) fn limit(&self) -> usize {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "4 to 256")]
        let limit = self.lock().limit as usize;
        limit
    }

    /// Notes a success at `now`.
    pub(super) fn rise(&self, now: Instant) {
        let mut state = self.lock();
        if state.hold == 0 {
            state.limit = (state.limit + STEP / state.limit).min(MOST);
        }
        let (begun, count) = state.round.unwrap_or((now, 0));
        if f64::from(count) < state.limit {
            state.round = Some((begun, count + 1));
            return;
        }
        state.round = Some((now, 1));
        let seconds = now.duration_since(begun).as_secs_f64().max(1e-9);
        state.end_round(f64::from(count) / seconds);
    }

    /// Notes at `now` that a request begun at `begun` was refused or timed out. What was on its way
    /// together fails together, and halves once.
    pub(super) fn halve(&self, begun: Instant, now: Instant) {
        let mut state = self.lock();
        if state.halved.is_none_or(|halved| begun > halved) {
            state.limit = (state.limit / 2.0).max(LEAST);
            state.halved = Some(now);
            state.round = None;
            state.proven = (state.limit, 0.0);
            state.hold = 0;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end_round(&mut self, speed: f64) {
        let (limit, proven) = self.proven;
        if self.hold > 0 {
            self.hold -= 1;
            self.proven = (limit, speed);
        } else if proven == 0.0 {
            self.proven = (self.limit, speed);
        } else if self.limit >= (limit * LOOK).min(MOST) && self.limit > limit {
            if speed < proven * GAIN {
                self.limit = limit;
                self.hold = HOLD;
            } else {
                self.proven = (self.limit, speed);
            }
        }
    }
}

/// Connections that may turn out to be closed before a request is tried on a new one: all that rest.
pub(super) const CONNECTIONS: u32 = 256;

/// How often a request is tried.
pub(super) const ATTEMPTS: u32 = 7;
/// Second tries that one source makes without a success in between, after which it stops trying
/// again: a storm that lasts ends in a partial answer, and not in hours.
const PATIENCE: f64 = 200.0;
/// What a success gives back of it, besides the tries that it needed.
const GIVEN_BACK: f64 = 0.2;

/// Bounds the second tries of a whole source.
pub(super) struct Patience(Mutex<f64>);

impl Patience {
    pub(super) fn new() -> Self {
        Self(Mutex::new(PATIENCE))
    }

    /// Tells whether one more try is worth it.
    pub(super) fn take(&self) -> bool {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let any = *left >= 1.0;
        *left -= if any { 1.0 } else { 0.0 };
        any
    }

    /// Notes a success that needed so many tries more than one.
    pub(super) fn restore(&self, tries: u32) {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *left = (*left + f64::from(tries) + GIVEN_BACK).min(PATIENCE);
    }
}

/// How long to wait before try number `attempt`, counted from 1: at random up to 50 ms, doubled with
/// each, 3.2 s at most. `random` is between 0 and 1.
pub(super) fn backoff(attempt: u32, random: f64) -> Duration {
    let most = Duration::from_millis(50) * 2_u32.pow(attempt.clamp(1, 7) - 1);
    most.mul_f64(0.1 + 0.9 * random)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers requests that take `latency`, by a server that manages so many a second.
    fn serve(
        pace: &Pace,
        from: Instant,
        latency_ms: f64,
        most_a_second: f64,
        rounds: u32,
    ) -> Instant {
        let mut now = from;
        for _ in 0..rounds {
            let limit = pace.limit() as f64;
            let a_second = (limit / latency_ms * 1_000.0).min(most_a_second);
            for _ in 0..pace.limit() {
                now += Duration::from_secs_f64(1.0 / a_second);
                pace.rise(now);
            }
        }
        now
    }

    #[test]
    fn it_grows_as_long_as_that_reads_faster() {
        let pace = Pace::new();
        assert_eq!(pace.limit(), 32);
        let now = serve(&pace, Instant::now(), 20.0, 1e9, 60);
        assert!(pace.limit() >= 248, "{}", pace.limit());
        let (near, mut now) = (Pace::new(), now);
        for _ in 0..200 {
            now = serve(&near, now, 0.1, 20_000.0, 1);
            assert!(near.limit() <= 64, "{}", near.limit());
        }
        let middle = Pace::new();
        serve(&middle, now, 20.0, 5_000.0, 100);
        assert!((70..200).contains(&middle.limit()), "{}", middle.limit());
    }

    #[test]
    fn a_round_of_trouble_halves_once() {
        let pace = Pace::new();
        let begin = Instant::now();
        let at = |ms: u64| begin + Duration::from_millis(ms);
        for late in 0..30 {
            pace.halve(at(0), at(20 + late));
        }
        assert_eq!(pace.limit(), 16);
        for round in 2..12 {
            pace.halve(at(round * 40), at(round * 40 + 20));
        }
        assert_eq!(pace.limit(), 4);
        serve(&pace, at(1_000), 20.0, 1e9, 200);
        assert!(pace.limit() >= 248, "{}", pace.limit());
    }

    #[test]
    fn patience_ends_in_a_storm_and_lasts_where_tries_help() {
        let patience = Patience::new();
        for _ in 0..100_000 {
            assert!(patience.take() && patience.take());
            patience.restore(2);
        }
        let tries = (0..100_000).filter(|_| patience.take()).count();
        assert_eq!(tries, 200);
    }

    #[test]
    fn waiting_grows_and_is_bounded() {
        assert_eq!(backoff(1, 1.0), Duration::from_millis(50));
        assert_eq!(backoff(1, 0.0), Duration::from_millis(5));
        assert_eq!(backoff(4, 1.0), Duration::from_millis(400));
        assert_eq!(backoff(40, 1.0), Duration::from_millis(3_200));
    }
}
