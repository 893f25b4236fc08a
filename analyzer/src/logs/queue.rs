//! Logs that wait to be read: listing puts them in, workers on other threads take them out.
//!
//! No bound: whoever lists holds them all in memory anyhow, for the totals.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::logs::list::Entry;

/// A log, and its place in the order in which logs were put in.
pub(crate) type Numbered = (u64, Entry);

/// Logs that wait to be read.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Numbered>,
    put_in: u64,
    is_closed: bool,
}

impl Queue {
    /// Puts logs in.
    pub(crate) fn push(&self, entries: impl IntoIterator<Item = Entry>) {
        let mut state = self.lock();
        for entry in entries {
            let number = state.put_in;
            state.waiting.push_back((number, entry));
            state.put_in += 1;
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Takes the next log, if there is one now.
    pub(crate) fn pop(&self) -> Option<Numbered> {
        self.lock().waiting.pop_front()
    }

    /// Says that nothing more comes.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_waiters();
    }

    /// Throws away what waits, too.
    pub(crate) fn abandon(&self) {
        self.lock().waiting.clear();
        self.close();
    }

    /// Tells whether nothing more comes; what is in may still be taken.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Waits until there is a log, or until nothing more comes.
    pub(crate) async fn changed(&self) {
        let mut changed = pin!(self.changed.notified());
        changed.as_mut().enable();
        if !self.is_ready() {
            changed.await;
        }
    }

    fn is_ready(&self) -> bool {
        let state = self.lock();
        state.is_closed || !state.waiting.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
