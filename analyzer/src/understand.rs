//! From the bytes of one log to what a question needs of it: unpacked, searched, classified.
//!
//! As little as possible is done for what does not matter. Where no words are looked for, the small
//! fields at the beginning tell a success, and its body is not even unpacked; where they are, raw
//! bytes are searched, and only what may matter is parsed.

use jiff::Timestamp;
use memchr::memmem;
use schemas::key::LogKey;
use schemas::view::{ErrorField, RecordView};

use crate::classify::{Exchange, Quoted, classify_for};
use crate::decode::{BODY, Decoder, RECORD_LIMIT};
use crate::list::Entry;
use crate::needle::Prefilter;

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
    /// Small fields, closed to an object.
    head: Vec<u8>,
    prefilter: &'a Prefilter,
    /// Folded words that a success may quote.
    words: &'a str,
}

impl<'a> Understanding<'a> {
    pub(crate) fn new(prefilter: &'a Prefilter, words: &'a str) -> Self {
        Self { decoder: Decoder::default(), head: Vec::new(), prefilter, words }
    }

    /// Tells whether the beginning of a log may be enough.
    pub(crate) fn needs_only_head(prefilter: &Prefilter, entry: &Entry) -> bool {
        !prefilter.wants_successes()
            && entry.told.is_none_or(|told| told.error_origin.is_none())
    }

    /// Takes the beginning of a log.
    pub(crate) fn of_head(&mut self, bytes: &[u8], entry: &Entry) -> Outcome {
        if Self::needs_only_head(self.prefilter, entry) && self.is_excluded(bytes) {
            return Outcome::Skipped;
        }
        Outcome::Undecided
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
        if !is_error && !in_any_case && !self.prefilter.may_match(json) && looks_whole(json) {
            return Outcome::Skipped;
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

    /// Tells whether the small fields show a success that nothing looks for. All of those that
    /// decide must stand before the body, as the proxy writes them.
    fn is_excluded(&mut self, bytes: &[u8]) -> bool {
        let head = self.decoder.decode_head(bytes);
        let Some(end) = memmem::find(head, BODY) else { return false };
        let head = &head[..end];
        if memmem::find(head, b"\"error\":null").is_none()
            || memmem::find(head, b"\\u00").is_some()
            || self.prefilter.may_name(head)
        {
            return false;
        }
        self.head.clear();
        self.head.extend_from_slice(head);
        self.head.extend_from_slice(BODY);
        self.head.extend_from_slice(b"null}");
        // A body inside another field leaves a bracket open, and does not parse.
        RecordView::parse(&self.head).is_ok_and(|view| {
            view.exchange_id.is_some()
                && view.started_at.is_some()
                && view.origin.is_some()
                && view.error == ErrorField::Null
                && view.status.is_some_and(|status| status < 400)
        })
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
