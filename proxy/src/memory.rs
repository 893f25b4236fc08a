//! One budget for all bodies that are held at a time, whoever holds them.
//!
//! Copies of requests and answers, and objects on their way to the sink, reserve their bytes here
//! and give them back when they are dropped. A holder that gets no more goes without: the copy is
//! cut and says so, the object waits in the spool. Nothing ever waits for memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that may be held at a time.
#[derive(Debug)]
pub struct Memory {
    most: usize,
    held: AtomicUsize,
}

impl Memory {
    /// Makes a budget of `most` bytes.
    #[must_use]
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, held: AtomicUsize::new(0) })
    }

    /// Returns how many bytes are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

/// A holder's part of the budget; dropping it gives everything back. The default one belongs to no
/// budget and is never refused.
#[derive(Debug, Default)]
pub struct Held {
    memory: Option<Arc<Memory>>,
    bytes: usize,
}

impl Held {
    /// Holds nothing yet.
    #[must_use]
    pub fn of(memory: &Arc<Memory>) -> Self {
        Self { memory: Some(Arc::clone(memory)), bytes: 0 }
    }

    /// Reserves more bytes; false, and nothing changes, when the budget has no room for them.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let Some(memory) = &self.memory else { return true };
        let before = memory.held.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > memory.most {
            memory.held.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.bytes += bytes;
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(memory) = &self.memory {
            memory.held.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_never_exceeded_and_everything_comes_back() {
        let memory = Memory::new(10);
        let (mut one, mut other) = (Held::of(&memory), Held::of(&memory));
        assert!(one.grow(6));
        assert!(!other.grow(5), "refused whole");
        assert!(other.grow(4));
        assert_eq!(memory.held(), 10);
        drop(one);
        assert!(other.grow(6));
        drop(other);
        assert_eq!(memory.held(), 0);
        assert!(Held::default().grow(usize::MAX), "without a budget there is no limit");
    }
}
