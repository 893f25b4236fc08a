//! The response body as it passes: kept for the log, its events read on the side.
//!
//! Nothing here holds up or alters a byte. Past the limit bytes are only counted, but events are
//! read to the end, so that a long stream still tells how it ended and what it used.

use schemas::body::{self, EventReader, Shape, Terminal};

use crate::memory::Held;

/// The response body as it passes: stored up to a limit, its events read to the end.
#[derive(Default)]
pub struct ResponseLog {
    bytes: u64,
    stored: Vec<u8>,
    limit: usize,
    is_truncated: bool,
    lacks_memory: bool,
    held: Held,
    events: Option<EventReader>,
    shape_is_known: bool,
}

/// Bytes that tell the shape of a body, longer than any mark that is looked for.
const SHAPE_BYTES: usize = 64;

impl ResponseLog {
    /// Makes an empty log that stores up to `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Keeps what is stored within a budget that others draw on too.
    #[must_use]
    pub fn within(self, held: Held) -> Self {
        Self { held, ..self }
    }

    /// Takes the answer's word for what it is. Codex also accepts streams of other types, so
    /// anything else is told by its first bytes.
    pub fn expect(&mut self, content_type: Option<&str>) {
        if content_type.is_some_and(|ct| ct.trim_start().starts_with("text/event-stream")) {
            self.events = Some(EventReader::default());
            self.shape_is_known = true;
        }
    }

    /// Takes the next bytes on their way to the client.
    pub fn push(&mut self, data: &[u8]) {
        self.recall(data.len() as u64, data);
    }

    /// Takes bytes from the spool, which stand for this many that passed: more or fewer, where a
    /// secret was masked.
    pub fn recall(&mut self, passed: u64, data: &[u8]) {
        self.bytes += passed;
        let kept = data.len().min(self.limit.saturating_sub(self.stored.len()));
        if self.held.grow(kept) {
            self.stored.extend_from_slice(&data[..kept]);
            self.is_truncated |= kept < data.len();
        } else {
            // From here on only counted: a body with a hole in it would be no beginning of one.
            self.limit = self.stored.len();
            self.is_truncated = true;
            self.lacks_memory = true;
        }
        if let Some(events) = &mut self.events {
            events.push(data);
        } else if !self.shape_is_known && self.stored.len() >= SHAPE_BYTES {
            self.tell_shape();
        }
    }

    fn tell_shape(&mut self) {
        self.shape_is_known = true;
        if Shape::of(&self.stored) == Shape::Events {
            let mut events = EventReader::default();
            events.push(&self.stored);
            self.events = Some(events);
        }
    }

    /// Returns the number of bytes that passed, stored or not.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns whether less was stored than passed.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.is_truncated
    }

    /// Returns whether it was cut for want of memory, and not by its own limit.
    #[must_use]
    pub fn lacks_memory(&self) -> bool {
        self.lacks_memory
    }

    /// Returns whether the body is a stream of events, as far as that is known yet.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.events.is_some()
    }

    /// Returns how the stream has ended so far.
    #[must_use]
    pub fn terminal(&self) -> Option<&Terminal> {
        self.events.as_ref()?.terminal()
    }

    /// Returns what is stored so far.
    #[must_use]
    pub fn stored(&self) -> &[u8] {
        &self.stored
    }

    /// Ends the body: what was stored, and what it says.
    #[must_use]
    pub fn finish(mut self) -> (Vec<u8>, body::Facts) {
        if !self.shape_is_known {
            self.tell_shape();
        }
        let facts = match self.events {
            Some(events) => {
                let (terminal, usage) = events.finish();
                body::Facts { terminal, usage, ..body::Facts::default() }
            }
            None => body::read(&self.stored),
        };
        (self.stored, facts)
    }
}

impl std::fmt::Debug for ResponseLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.bytes)
    }
}
