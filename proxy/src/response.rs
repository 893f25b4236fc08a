//! The response body as it passes: kept for the log, its events read on the side.
//!
//! Nothing here holds up or alters a byte. Past the limit bytes are only counted, but events are
//! read to the end, so that a long stream still tells how it ended and what it used.

use schemas::body::{self, EventReader, Shape};

/// The response body as it passes: stored up to a limit, its events read to the end.
#[derive(Default)]
pub struct ResponseLog {
    bytes: u64,
    stored: Vec<u8>,
    limit: usize,
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
        self.bytes += data.len() as u64;
        let room = self.limit.saturating_sub(self.stored.len());
        self.stored.extend_from_slice(&data[..data.len().min(room)]);
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
