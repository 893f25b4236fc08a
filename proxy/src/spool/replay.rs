//! From the frames of an exchange whose proxy died to the facts that its record is made of.
//!
//! An answer that ended, by its End frame, by the last of its announced bytes or by its own terminal
//! event, is what it was; anything else was interrupted by the proxy's death. From the facts on there
//! is one path for all records.

use std::fs::File;
use std::io::{self, BufReader};
use std::time::SystemTime;

use bytes::Bytes;
use jiff::Timestamp;
use schemas::key::ExchangeId;

use super::frame::{Frames, Kind};
use super::note::{AnsweredNote, BeginNote, CheckedNote, EndNote};
use crate::encode::LogObject;
use crate::facts::Facts;
use crate::outcome::End;
use crate::redact::MASK;
use crate::settings::Settings;

/// What a segment holds.
pub(super) enum Replayed {
    /// No exchange.
    Nothing,
    /// An exchange whose record was not made yet, and how many bytes of the segment hold.
    Frames(Box<Recalled>, u64),
    /// A record that was made.
    Object(LogObject),
}

/// Reads a segment from where the file stands.
pub(super) fn replay(file: &File, settings: &Settings) -> io::Result<Replayed> {
    let Some((id, mut frames)) = Frames::open(BufReader::with_capacity(64 << 10, file))? else {
        return Ok(Replayed::Nothing);
    };
    let mut recalled: Option<Recalled> = None;
    while let Some((kind, payload)) = frames.next()? {
        match &mut recalled {
            _ if kind == Kind::Object => {
                let object = object_of(&payload).ok_or(io::ErrorKind::InvalidData)?;
                return Ok(Replayed::Object(object));
            }
            Some(recalled) => recalled.take(kind, &payload),
            none => *none = Recalled::begin(id, kind, &payload, settings),
        }
    }
    let whole = frames.whole();
    Ok(recalled.map_or(Replayed::Nothing, |r| Replayed::Frames(Box::new(r), whole)))
}

/// An exchange, as far as its frames have been read.
pub(super) struct Recalled {
    facts: Facts,
    content_length: Option<u64>,
    has_ended: bool,
    /// The undecided end of the last chunk: the next one brings it again.
    tail: Vec<u8>,
}

impl Recalled {
    /// Begins with the first frame; `None` unless that is a Begin.
    pub(super) fn begin(
        id: ExchangeId,
        kind: Kind,
        payload: &[u8],
        settings: &Settings,
    ) -> Option<Self> {
        let note: BeginNote<'_> =
            serde_json::from_slice(payload).ok().filter(|_| kind == Kind::Begin)?;
        let facts = note.recall(id, settings.limits.response_log_bytes);
        Some(Self { facts, content_length: None, has_ended: false, tail: Vec::new() })
    }

    pub(super) fn id(&self) -> ExchangeId {
        self.facts.id
    }

    /// Takes the next frame. One that says nothing to this version is passed over.
    pub(super) fn take(&mut self, kind: Kind, payload: &[u8]) {
        let facts = &mut self.facts;
        match kind {
            Kind::Begin | Kind::Object => {}
            Kind::Checked => {
                if let Ok(note) = serde_json::from_slice::<CheckedNote<'_>>(payload) {
                    note.recall(facts);
                }
            }
            Kind::Answered => {
                if let Ok(note) = serde_json::from_slice::<AnsweredNote<'_>>(payload) {
                    self.content_length = note.content_length;
                    note.recall(facts);
                }
            }
            Kind::Chunk => self.take_chunk(payload),
            Kind::End => {
                if let Ok(note) = serde_json::from_slice::<EndNote>(payload) {
                    note.recall(facts);
                    self.has_ended = true;
                }
            }
        }
    }

    fn take_chunk(&mut self, payload: &[u8]) {
        let Some((passed, rest)) = payload.split_first_chunk::<8>() else { return };
        let Some(([masked, tail], text)) = rest.split_first_chunk::<2>() else { return };
        let Some(split) = text.len().checked_sub(usize::from(*tail)) else { return };
        let (body, tail) = text.split_at(split);
        self.facts.response.recall(u64::from_le_bytes(*passed), body);
        self.facts.redacted |= *masked == 1;
        self.tail.clear();
        self.tail.extend_from_slice(tail);
    }

    /// Ends the exchange where its frames end.
    pub(super) fn finish(mut self, died_at: Option<SystemTime>) -> Facts {
        let facts = &mut self.facts;
        facts.response.recall(0, &self.tail);
        facts.redacted |= self.tail == MASK.as_bytes();
        if !self.has_ended {
            let got_all = self.content_length.is_some_and(|all| facts.response.bytes() >= all);
            facts.end = if got_all { End::Clean } else { End::ProxyDied };
            let died_at = died_at.and_then(|time| Timestamp::try_from(time).ok());
            let lasted = died_at.map(|time| time.duration_since(facts.started_at));
            facts.duration = lasted.and_then(|time| time.try_into().ok()).unwrap_or_default();
        }
        self.facts
    }
}

/// Reads the payload of an object's frame.
fn object_of(payload: &[u8]) -> Option<LogObject> {
    let (length, rest) = payload.split_first_chunk::<2>()?;
    let (key, bytes) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    let key = std::str::from_utf8(key).ok()?.to_owned();
    Some(LogObject { key, bytes: Bytes::copy_from_slice(bytes) })
}
