//! Which invocations are over, for the extension that holds the environment until they are.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// The invocations that ended and that the extension has not asked for yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Invocations(Arc<(Mutex<HashSet<String>>, Notify)>);

impl Invocations {
    /// Begins an invocation; dropping what is returned ends it.
    pub(super) fn begin(&self, request_id: String) -> Invocation {
        Invocation { request_id, all: self.clone() }
    }

    /// Waits until an invocation has ended.
    pub(super) async fn ended(&self, request_id: &str) {
        loop {
            let changed = self.0.1.notified();
            if self.0.0.lock().unwrap_or_else(PoisonError::into_inner).remove(request_id) {
                return;
            }
            changed.await;
        }
    }
}

/// A running invocation; its `Drop` is its end.
#[derive(Debug)]
pub(super) struct Invocation {
    request_id: String,
    all: Invocations,
}

impl Drop for Invocation {
    fn drop(&mut self) {
        let mut ended = self.all.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        ended.insert(std::mem::take(&mut self.request_id));
        drop(ended);
        self.all.0.1.notify_waiters();
    }
}
