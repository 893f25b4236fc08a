//! From a record to its object: where it stands, how it is packed, when it was written.

use std::io::Write as _;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use schemas::key::{ExchangeId, LOGS, LogKey};
use schemas::record::LogRecord;

use super::Packing;
use super::old::OldDraft;
use super::record::Draft;
use super::truth::{Known, says};
use crate::upstream::SplitMix;

/// zstd's default, which the proxy uses.
const LEVEL: i32 = 3;

/// One object of a folder or bucket.
#[derive(Clone, Debug)]
pub struct Object {
    /// Key below the root.
    pub key: String,
    /// Contents.
    pub bytes: Vec<u8>,
    /// When it was written.
    pub modified: Timestamp,
}

/// Makes the object of a record as the proxy does.
///
/// # Panics
///
/// When the record has no id of the proxy's.
#[must_use]
pub fn object(record: &LogRecord) -> Object {
    let key = key_of(record).to_string();
    Object { key, bytes: encoded(record), modified: written(record) }
}

/// Stores a record as the proxy does, under a key that tells the outcome.
pub(super) fn told(draft: &Draft) -> (Object, Known) {
    let object = object(&draft.record);
    let known = known(&object.key, true, draft);
    (object, known)
}

/// Stores a record under a key that tells its time and no outcome.
pub(super) fn without_outcome(draft: &Draft, packing: Packing) -> (Object, Known) {
    let record = &draft.record;
    let hour = LogKey::hour_prefix(record.started_at);
    let name = format!("{hour}{}-{}.json", stamp(record.started_at), record.exchange_id);
    let (key, bytes) = match packing {
        Packing::Zstd => (name + ".zst", encoded(record)),
        Packing::Plain => (name, record.to_json().expect("all numbers are finite").0),
    };
    let known = known(&key, false, draft);
    (Object { key, bytes, modified: written(record) }, known)
}

/// Stores a record under a key that tells no outcome.
pub(super) fn untold(random: &mut SplitMix, draft: &Draft) -> (Object, Known) {
    let record = &draft.record;
    let hour = LogKey::hour_prefix(record.started_at);
    let (stamp, id) = (stamp(record.started_at), &record.exchange_id);
    let json = record.to_json().expect("all numbers are finite").0;
    let (key, bytes) = match random.below(6) {
        0 => (format!("{hour}{stamp}-{id}.json.zst"), encoded(record)),
        1 => (format!("{hour}{id}.json"), json),
        2 => (format!("{LOGS}{id}.json.gz"), gzip(&json)),
        3 => (format!("{LOGS}team-a/archive/{id}.json.zst"), zstd(&json)),
        // The name says nothing about the packing.
        4 => (format!("{hour}{id}.json"), encoded(record)),
        // An error status without an origin is half an outcome, and a short id none.
        _ => (format!("{hour}{stamp}-{id}.3fa9c1d2.{}.json", record.status), json),
    };
    let known = known(&key, false, draft);
    (Object { key, bytes, modified: written(record) }, known)
}

/// Stores an old record somewhere below `logs/`.
pub(super) fn old(random: &mut SplitMix, draft: OldDraft) -> (Object, Known) {
    let (name, at) = (&draft.name, draft.at);
    let hour = LogKey::hour_prefix(at);
    let day = &hour[..hour.len() - 3];
    let month = &hour[..hour.len() - 6];
    let json = draft.json.into_bytes();
    let stamp = stamp(at);
    let mut modified = at + SignedDuration::from_millis(1_200);
    let (key, bytes, stamped) = match random.below(8) {
        0 => (format!("{hour}{stamp}-{name}.json.zst"), zstd(&json), true),
        1 => (format!("{day}{stamp}-{name}.json"), json, true),
        2 => (format!("{hour}{name}.json"), json, false),
        3 => (format!("{hour}deeper/{name}.json.gz"), gzip(&json), false),
        4 => (format!("{day}{name}.json.gz"), gzip(&json), false),
        5 => (format!("{month}{name}.json.zst"), zstd(&json), false),
        6 => (format!("{LOGS}{name}.json"), json, false),
        _ => (format!("{LOGS}team-b/2024/x/{name}.json.gz"), gzip(&json), false),
    };
    // What tells no time was written within its hour, so that its folder is not wrong about it.
    let hour_end = at.as_second() - at.as_second() % 3_600 + 3_600;
    if modified.as_second() >= hour_end {
        modified = at;
    }
    let started_at = if draft.tells_time || stamped { at } else { modified };
    let known = Known {
        key: key.clone(),
        started_at,
        told: false,
        failure: draft.failure,
        says: says(&draft.words),
    };
    (Object { key, bytes, modified }, known)
}

fn known(key: &str, told: bool, draft: &Draft) -> Known {
    Known {
        key: key.to_owned(),
        started_at: draft.record.started_at,
        told,
        failure: draft.failure.clone(),
        says: says(&draft.words),
    }
}

/// Returns the key that the proxy gives a record.
pub(super) fn key_of(record: &LogRecord) -> LogKey {
    let token8 =
        record.token_id.as_deref().and_then(|id| u32::from_str_radix(id.get(..8)?, 16).ok());
    LogKey {
        started_at: record.started_at,
        exchange_id: ExchangeId::parse(&record.exchange_id).expect("made as one"),
        token8,
        status: record.status,
        error_origin: record.error.as_ref().map(|error| error.origin),
    }
}

/// Packs a record as the proxy does: one frame of known size, flushed before the body.
pub(super) fn encoded(record: &LogRecord) -> Vec<u8> {
    let (json, head) = record.to_json().expect("all numbers are finite");
    let pack = || {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), LEVEL)?;
        encoder.set_pledged_src_size(Some(json.len() as u64))?;
        encoder.include_contentsize(true)?;
        encoder.write_all(&json[..head])?;
        encoder.flush()?;
        encoder.write_all(&json[head..])?;
        encoder.finish()
    };
    pack().expect("memory takes what is written")
}

fn written(record: &LogRecord) -> Timestamp {
    record.started_at + SignedDuration::from_millis(2_346)
}

fn stamp(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%S%3fZ").to_string()
}

fn zstd(json: &[u8]) -> Vec<u8> {
    zstd::encode_all(json, LEVEL).expect("memory takes what is written")
}

fn gzip(json: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(json).and_then(|()| encoder.finish()).expect("memory takes what is written")
}
