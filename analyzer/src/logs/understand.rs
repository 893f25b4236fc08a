//! From the bytes of one log to what a question needs of it: unpacked, searched, classified.
//!
//! As little as possible is done for what does not matter. Where no words are looked for, the small
//! fields at the beginning tell a success, and its body is not even unpacked; where they are, raw
//! bytes are searched, and only what may matter is parsed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use memchr::memmem;
use schemas::key::LogKey;
use schemas::view::{ErrorField, RecordView};

use crate::logs::classify::{Exchange, Quoted, classify_for};
use crate::logs::decode::{BODY, Decoder, HEAD_BYTES, RECORD_LIMIT};
use crate::logs::list::Entry;
use crate::logs::needle::{Look, Prefilter, may_hide};

/// One log, read.
pub(crate) enum Outcome {
    /// It may matter; the key, if that tells another outcome than the record.
    Matters(Box<Exchange>, Option<String>),
    /// It cannot matter.
    Skipped,
    /// It is no record, and why.
    Unreadable(String),
    /// Its beginning does not tell; all of it is needed.
    Undecided,
}

/// Understands logs, one after another.
pub(crate) struct Understanding<'a> {
    decoder: Decoder,
    head: Head,
    unpacked: Unpacked,
    prefilter: &'a Prefilter,
    /// Folded words that a success may quote.
    words: &'a str,
}

impl<'a> Understanding<'a> {
    pub(crate) fn new(prefilter: &'a Prefilter, words: &'a str) -> Self {
        Self {
            decoder: Decoder::default(),
            head: Head::default(),
            unpacked: Unpacked::default(),
            prefilter,
            words,
        }
    }

    /// Tells whether the beginning of a log may be enough.
    pub(crate) fn needs_only_head(prefilter: &Prefilter, entry: &Entry) -> bool {
        !prefilter.wants_successes() && entry.told.is_none_or(|told| told.error_origin.is_none())
    }

    /// Takes the beginning of a log.
    pub(crate) fn of_head(&mut self, bytes: &[u8], entry: &Entry) -> Outcome {
        if Self::needs_only_head(self.prefilter, entry)
            && self.head.tells_success(self.decoder.decode_head(bytes), self.prefilter)
        {
            return Outcome::Skipped;
        }
        Outcome::Undecided
    }

    /// Takes the beginning of a log of which the small fields are all that is needed.
    pub(crate) fn of_small_fields(&mut self, bytes: &[u8], entry: &Entry) -> Outcome {
        let json = self.decoder.decode_head(bytes);
        let Some(view) = self.head.close(json).filter(RecordView::tells_origin) else {
            return Outcome::Undecided;
        };
        let exchange = classify_for(&view, &entry.key, entry.time, Quoted::Words("", None));
        let mismatch = entry.told.and_then(|told| mismatch(&told, &exchange));
        Outcome::Matters(Box::new(exchange), mismatch)
    }

    /// Takes a whole log. `in_any_case` it is classified, even where it cannot matter.
    pub(crate) fn of_whole(&mut self, bytes: &[u8], entry: &Entry, in_any_case: bool) -> Outcome {
        if !in_any_case && matches!(self.of_head(bytes, entry), Outcome::Skipped) {
            return Outcome::Skipped;
        }
        let json = match self.decoder.decode(bytes, RECORD_LIMIT) {
            Ok(json) => json,
            Err(error) => return Outcome::Unreadable(error.to_string()),
        };
        let is_error = entry.told.is_some_and(|told| told.error_origin.is_some());
        // What the key calls an error is parsed anyhow; raw bytes can only exclude the rest, and
        // what is no JSON must be told from what merely does not matter.
        if !is_error && !in_any_case && looks_whole(json) {
            let cannot_matter = match self.prefilter.look(json) {
                Look::Excluded => true,
                Look::Failure => self.head.tells_success(json, self.prefilter),
                Look::Packed => {
                    self.head.tells_success(json, self.prefilter)
                        && self.unpacked.says(json, self.prefilter) == Some(false)
                }
                Look::Hit => false,
            };
            if cannot_matter {
                return Outcome::Skipped;
            }
        }
        let view = match RecordView::parse(json) {
            Ok(view) => view,
            Err(error) => return Outcome::Unreadable(format!("not a log record: {error}")),
        };
        let quoted = Quoted::Words(self.words, self.prefilter.words());
        let exchange = classify_for(&view, &entry.key, entry.time, quoted);
        let mismatch = entry.told.and_then(|told| mismatch(&told, &exchange));
        Outcome::Matters(Box::new(exchange), mismatch)
    }
}

/// Small fields, closed to an object.
#[derive(Default)]
struct Head(Vec<u8>);

impl Head {
    /// Tells whether the small fields show a success that nothing looks for by name. All of those
    /// that decide must stand before the body, as the proxy writes them.
    fn tells_success(&mut self, json: &[u8], prefilter: &Prefilter) -> bool {
        let Some(head) = Self::of(json) else { return false };
        if memmem::find(head, b"\"error\":null").is_none()
            || memmem::find(head, b"\\u00").is_some()
            || prefilter.may_name(head)
        {
            return false;
        }
        self.close(json).is_some_and(|view| {
            view.exchange_id.is_some()
                && view.started_at.is_some()
                && view.origin.is_some()
                && view.error == ErrorField::Null
                && view.status.is_some_and(|status| status < 400)
        })
    }

    /// Reads the small fields as a record without a body; `None` where these bytes are not all of them.
    fn close(&mut self, json: &[u8]) -> Option<RecordView<'_>> {
        let head = Self::of(json)?;
        self.0.clear();
        self.0.extend_from_slice(head);
        self.0.extend_from_slice(BODY);
        self.0.extend_from_slice(b"null}");
        // A body inside another field leaves a bracket open, and does not parse.
        RecordView::parse(&self.0).ok()
    }

    /// Returns what stands before the body.
    fn of(json: &[u8]) -> Option<&[u8]> {
        let end = memmem::find(&json[..json.len().min(HEAD_BYTES)], BODY)?;
        Some(&json[..end])
    }
}

/// Bodies in base64, unpacked.
#[derive(Default)]
struct Unpacked(Vec<u8>);

impl Unpacked {
    /// Tells whether a body in base64, which is the last field, says the words; `None` where it is
    /// something else.
    fn says(&mut self, json: &[u8], prefilter: &Prefilter) -> Option<bool> {
        let words = prefilter.words()?;
        let (head, body) = json.split_at(memmem::find(json, BODY)?);
        memmem::find(head, b"\"response_encoding\":\"base64\"")?;
        let body = body[BODY.len()..].trim_ascii().strip_prefix(b"\"")?;
        let body = body.strip_suffix(b"}")?.trim_ascii_end().strip_suffix(b"\"")?;
        self.0.clear();
        STANDARD.decode_vec(body, &mut self.0).ok()?;
        Some(words.are_said_in(&self.0, may_hide(&self.0)))
    }
}

/// Tells a JSON object from garbage by its ends, without parsing it.
fn looks_whole(json: &[u8]) -> bool {
    let json = json.trim_ascii();
    json.first() == Some(&b'{') && json.last() == Some(&b'}')
}

/// Names a key that tells another outcome than its record.
fn mismatch(told: &LogKey, exchange: &Exchange) -> Option<String> {
    let ms = |time: Timestamp| time.as_millisecond();
    let agrees = exchange.status.is_none_or(|status| status == told.status)
        && exchange.error.as_ref().map(|error| error.origin) == told.error_origin
        && ms(exchange.started_at) == ms(told.started_at)
        && exchange.exchange_id == told.exchange_id.to_string();
    (!agrees).then(|| exchange.key.clone())
}
