//! The desk where finished exchanges wait for a hand: a thread that makes and writes their records.
//!
//! A hand comes a moment after the first exchange (`WritePolicy::gather`) and takes one after another
//! until none is left. That costs one wake-up for many records, where each would cost four as a task and
//! two blocking calls of its own. One hand is enough for most; more come when work piles up, as many as
//! there are cores. Where even these fall behind the threads that serve, those do records too, between
//! two answers: so memory does not grow with the work that is left.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Exchanges that may wait for each hand before another one comes.
const PILE: usize = 64;

/// Exchanges that wait when whoever brings one more lends a hand: the CPU is short, not the disk.
const CROWDED: usize = 128;
/// Exchanges that may wait in all.
const FULL: usize = 4_096;
/// A desk where nothing was done for so long waits for its disk.
const STUCK: Duration = Duration::from_millis(50);

/// What waits, and who works on it.
pub(super) struct Desk<T> {
    state: Mutex<State<T>>,
    most_hands: usize,
}

struct State<T> {
    pile: VecDeque<T>,
    hands: usize,
    /// When work was last taken.
    taken_at: Instant,
}

impl<T> Desk<T> {
    /// Makes an empty desk with room for as many hands as there are cores.
    pub(super) fn new() -> Self {
        let most_hands = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            state: Mutex::new(State { pile: VecDeque::new(), hands: 0, taken_at: Instant::now() }),
            most_hands,
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds work; true when another hand has to come, which calls [`Self::next`] until there is none.
    pub(super) fn add(&self, work: T) -> bool {
        let mut state = self.state();
        state.pile.push_back(work);
        let has_to_come = state.hands < self.most_hands && state.pile.len() > state.hands * PILE;
        state.hands += usize::from(has_to_come);
        has_to_come
    }

    /// Returns whether nothing more should be put here: the disk does not answer, as far as can be
    /// told, and memory is for what it takes.
    pub(super) fn is_full(&self) -> bool {
        self.state().pile.len() >= FULL
    }

    /// Takes a piece of work for somebody who helps out; `None` where that is not needed, or where it
    /// would mean to wait for a disk.
    pub(super) fn help(&self) -> Option<T> {
        let mut state = self.state();
        let helps = state.pile.len() >= CROWDED && state.taken_at.elapsed() < STUCK;
        helps.then(|| state.pile.pop_front()).flatten()
    }

    /// Takes the next piece of work; with `None` the hand has to go.
    pub(super) fn next(&self) -> Option<T> {
        let mut state = self.state();
        let work = state.pile.pop_front();
        state.taken_at = Instant::now();
        if work.is_none() {
            state.hands -= 1;
            state.pile.shrink_to(PILE);
        }
        work
    }
}
