//! One segment: the file that follows one exchange at a time, and is used again for the next.
//!
//! Frames gather in a buffer and go to the file in one write when [`Segment::commit`] is called,
//! which the connection does before it writes to its socket. The writes are plain ones into the page
//! cache, on the runtime's thread: about 2 µs for a chunk of 200 bytes, an order of magnitude less
//! than handing it to another thread. What the kernel has taken survives the death of the process.

use std::fs::File;
use std::io;
use std::sync::Arc;

use schemas::body::Terminal;

use super::Spool;
use super::frame::{self, Kind, MARK, Seed, write_at};
use super::mask::Mask;
use super::note::{AnsweredNote, BeginNote, CheckedNote, EndNote};
use super::outline;
use super::parked::Parked;
use super::replay::{Replayed, replay};
use crate::encode::LogObject;
use crate::facts::Facts;
use crate::secret::Secret;
use crate::settings::{LogBody, Settings};

/// A file that has grown over this is cut before it is used again.
const KEPT_BYTES: u64 = 1 << 20;
/// A buffer over this is written out early, and not kept.
const BUFFER_BYTES: usize = 256 << 10;
/// Of a buffer, while its file waits for the next exchange.
const IDLE_BYTES: usize = 16 << 10;

/// The file that follows one exchange.
pub struct Segment {
    spool: Arc<Spool>,
    file: File,
    number: u64,
    seed: Seed,
    buffer: Vec<u8>,
    /// Bytes of the file that are whole frames of this exchange.
    whole: u64,
    /// A write has failed: the exchange goes on without.
    is_broken: bool,
    is_checked: bool,
    mask: Mask,
    secrets: Vec<Secret>,
    /// How the stream has ended so far; followed only where the body itself is not kept.
    outlined: Option<Terminal>,
}

impl Segment {
    /// Begins to follow an exchange. That it has begun is written with what follows, or when something
    /// is waited for.
    pub(super) fn begin(
        spool: &Arc<Spool>,
        (file, number, mut buffer): (File, u64, Vec<u8>),
        facts: &Facts,
        secrets: Vec<Secret>,
    ) -> Self {
        buffer.clear();
        let seed = Seed::of(facts.id);
        frame::push_head(&mut buffer, facts.id);
        let mut segment = Self {
            spool: Arc::clone(spool),
            file,
            number,
            seed,
            buffer,
            whole: 0,
            is_broken: false,
            is_checked: false,
            mask: Mask::new(&secrets),
            secrets,
            outlined: None,
        };
        segment.push_json(Kind::Begin, &BeginNote::of(facts, &segment.secrets));
        segment
    }

    /// Masks this secret too in what is noted from here on.
    pub fn also_mask(&mut self, secret: Secret) {
        self.mask.also(&secret);
        self.secrets.push(secret);
    }

    /// Notes whose request it is and where it goes.
    pub fn checked(&mut self, facts: &Facts) {
        self.is_checked = true;
        self.push_json(Kind::Checked, &CheckedNote::of(facts, &self.secrets));
    }

    /// Notes the response headers.
    pub fn answered(&mut self, facts: &Facts, content_length: Option<u64>) {
        if let Some(note) = AnsweredNote::of(facts, content_length, &self.secrets) {
            self.push_json(Kind::Answered, &note);
        }
    }

    /// Notes bytes of the answer, which `facts` have taken already.
    pub fn chunk(&mut self, facts: &Facts, data: &[u8]) {
        if self.is_broken {
            return;
        }
        if self.spool.log_body == LogBody::None {
            let terminal = facts.response.terminal();
            let text = if terminal == self.outlined.as_ref() {
                outline::of_shape(facts.response.is_stream()).to_vec()
            } else {
                terminal.map(outline::of_terminal).unwrap_or_default().into_bytes()
            };
            self.outlined = terminal.cloned();
            self.push_chunk(data.len(), &text);
        } else {
            self.push_chunk(data.len(), data);
        }
        if self.buffer.len() > BUFFER_BYTES {
            self.commit();
        }
    }

    /// Notes how the exchange ended, and writes all that was noted.
    pub fn end(&mut self, facts: &Facts) {
        if !self.is_checked {
            self.checked(facts);
        }
        if self.spool.log_body == LogBody::None && !facts.response.is_stream() {
            let text = outline::of_whole(facts.response.stored(), facts.status);
            self.push_chunk(0, &text);
        }
        self.push_json(Kind::End, &EndNote::of(facts, &self.secrets));
        self.commit();
    }

    /// Writes the encoded record, so that from here on nothing but these bytes is ever stored. Where there
    /// is no room for it, the frames are what is kept. False when they do not hold either.
    pub fn object(&mut self, object: &LogObject) -> bool {
        let written = self.write_object(object);
        if let Err(error) = &written {
            self.spool.complain(error);
            // What is whole stays: should the sink refuse the record too, it is made of the frames again.
            self.is_broken |= self.file.set_len(self.whole).is_err();
        }
        written.is_ok() || !self.is_broken
    }

    fn write_object(&mut self, object: &LogObject) -> io::Result<()> {
        self.commit();
        self.whole += write_object(&self.file, self.seed, object, self.whole)?;
        Ok(())
    }

    /// Reads back what the frames tell; `None` where they do not tell all of it.
    #[must_use]
    pub fn recall(&self, settings: &Settings) -> Option<Facts> {
        let is_whole = !self.is_broken && self.spool.log_body != LogBody::None;
        let file = is_whole.then(|| self.spool.read(self.number).ok()).flatten()?;
        match replay(&file, settings).ok()? {
            Replayed::Frames(recalled, _) => Some(recalled.finish(None)),
            Replayed::Nothing | Replayed::Object(_) => None,
        }
    }

    /// Writes what was noted since the last time: one write. Called before anything goes to the
    /// client.
    pub fn commit(&mut self) {
        if self.buffer.is_empty() || self.is_broken {
            self.buffer.clear();
            return;
        }
        match write_at(&self.file, &self.buffer, self.whole) {
            Ok(()) => self.whole += self.buffer.len() as u64,
            Err(error) => {
                self.is_broken = true;
                self.spool.complain(&error);
            }
        }
        self.buffer.clear();
        if self.buffer.capacity() > 2 * BUFFER_BYTES {
            self.buffer = Vec::new();
        }
    }

    /// Gives the file back: its record is where it belongs.
    pub fn done(mut self) {
        let leaves_body = self.spool.log_body == LogBody::Errors;
        let is_long = self.whole > KEPT_BYTES;
        let is_marked = mark_done(&self.file).is_ok();
        let is_cut = !(leaves_body || is_long || !is_marked) || self.file.set_len(0).is_ok();
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer.shrink_to(IDLE_BYTES);
        if is_cut && !self.is_broken {
            self.spool.give_back((self.file, self.number, buffer));
        } else {
            self.spool.remove(self.number);
        }
    }

    /// Closes the file: its record has to wait.
    #[must_use]
    pub fn park(mut self) -> Parked {
        self.commit();
        self.spool.parked(self.number)
    }

    fn push_json(&mut self, kind: Kind, note: &impl serde::Serialize) {
        frame::push(&mut self.buffer, self.seed, kind, |buffer| {
            // Plain data is always JSON; if not, the frame does not hold, and is left out.
            let _ = serde_json::to_writer(buffer, note);
        });
    }

    /// Payload: bytes that passed (8), flags (1), length of the tail (1), body, tail.
    fn push_chunk(&mut self, passed: usize, data: &[u8]) {
        let mask = &mut self.mask;
        frame::push(&mut self.buffer, self.seed, Kind::Chunk, |buffer| {
            buffer.extend_from_slice(&(passed as u64).to_le_bytes());
            let at = buffer.len();
            buffer.extend_from_slice(&[0; 2]);
            let tail = mask.push(data, buffer);
            buffer[at] = u8::from(mask.found());
            buffer[at + 1] = u8::try_from(tail).unwrap_or(u8::MAX);
        });
    }
}

/// Makes the mark of a segment zero, in place: it needs no room, so that it works on a full disk.
pub(super) fn mark_done(file: &File) -> io::Result<()> {
    write_at(file, &[0; MARK.len()], 0)
}

/// Writes an object's frame, and returns its length. Payload: length of the key (2), key, bytes.
pub(super) fn write_object(
    file: &File,
    seed: Seed,
    object: &LogObject,
    at: u64,
) -> io::Result<u64> {
    let key = object.key.as_bytes();
    let length = u16::try_from(key.len()).map_err(io::Error::other)?.to_le_bytes();
    let head = frame::head(seed, Kind::Object, &[&length, key, &object.bytes]);
    let frame = [&head, &length[..], key, &object.bytes].concat();
    write_at(file, &frame, at)?;
    Ok(frame.len() as u64)
}
