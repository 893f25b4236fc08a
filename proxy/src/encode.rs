//! From a record to its object: key and bytes, fixed once, whatever has to be tried afterwards.
//!
//! One zstd frame with its content size. The encoder is flushed after the small fields, so that a
//! reader who fetches the first few KB can decode all of them without the body; a record of a few KB
//! is fetched whole.
//!
//! A bug in the reading of a body costs the body, not the record.

use std::cell::RefCell;
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use schemas::journal::{Ended, Fate};
use schemas::key::{ExchangeId, LogKey};
use schemas::record::LogRecord;
use zstd::stream::write::Encoder;
use zstd::zstd_safe::{CCtx, CParameter, ResetDirective, compress_bound, get_error_name};

use crate::facts::Facts;
use crate::record;
use crate::settings::Settings;

/// zstd's own default; level 1 saves 11 % of the CPU and costs 2.6 % of the size, level 9 saves
/// 12 % of the size for 3.7 times the CPU.
const LEVEL: i32 = 3;

/// A record up to this is read in one go whatever it is compressed to, and takes one block of a disk:
/// it is one block of zstd too, which does without entropy coding of its texts. Measured with 3.8 KB:
/// 8 instead of 20 µs, for 1.6 instead of 1.3 KB.
const SMALL: usize = 4_096;
const SMALL_LEVEL: i32 = -1;

thread_local! {
    /// The encoder's tables: over 1 MB, which would else be mapped and paged in for every record.
    static CONTEXT: RefCell<CCtx<'static>> = RefCell::new(CCtx::create());
}

/// A record on its way out: its object, and what the journal says about it.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// What is stored.
    pub object: LogObject,
    /// How the exchange ended.
    pub ended: Ended,
}

/// An object to be stored.
#[derive(Clone, Debug)]
pub struct LogObject {
    /// Where, below the root.
    pub key: String,
    /// What.
    pub bytes: Bytes,
}

/// Makes the record of an exchange and encodes it. Where that panics, a record without bodies is
/// made instead, which says that the proxy broke off.
///
/// # Errors
///
/// When not even that can be made.
pub fn encode_facts(facts: &mut Facts, settings: &Settings) -> io::Result<Encoded> {
    guarded(facts, |facts| {
        let record = record::assemble(facts, settings);
        Ok(Encoded { object: encode(&record)?, ended: Ended::of(&record, Fate::Stored) })
    })
}

fn guarded<T>(facts: &mut Facts, make: impl Fn(&mut Facts) -> io::Result<T>) -> io::Result<T> {
    let whole = catch_unwind(AssertUnwindSafe(|| make(facts)));
    let any = whole.or_else(|_| {
        let mut outline = facts.outline();
        catch_unwind(AssertUnwindSafe(|| make(&mut outline)))
    });
    any.unwrap_or_else(|_| Err(io::Error::other("the record cannot be made")))
}

/// Encodes a record.
///
/// # Errors
///
/// Only if zstd or the JSON encoder fail on memory, which says nothing about the record.
pub fn encode(record: &LogRecord) -> io::Result<LogObject> {
    let (json, head) = record.to_json()?;
    let bytes = CONTEXT.with_borrow_mut(|context| compress(context, &json, head))?;
    Ok(LogObject { key: key(record).to_string(), bytes })
}

fn compress(context: &mut CCtx<'static>, json: &[u8], head: usize) -> io::Result<Bytes> {
    let failed = |code| io::Error::other(get_error_name(code));
    // What a record that panicked has left half way.
    context.reset(ResetDirective::SessionOnly).map_err(failed)?;
    if json.len() <= SMALL {
        let mut frame = Vec::with_capacity(compress_bound(json.len()));
        context.set_parameter(CParameter::CompressionLevel(SMALL_LEVEL)).map_err(failed)?;
        context.compress2(&mut frame, json).map_err(failed)?;
        return Ok(Bytes::from(frame));
    }
    let mut encoder = Encoder::with_context(Vec::with_capacity(json.len() / 4), context);
    encoder.set_parameter(CParameter::CompressionLevel(LEVEL))?;
    encoder.set_pledged_src_size(Some(json.len() as u64))?;
    encoder.include_contentsize(true)?;
    encoder.write_all(&json[..head])?;
    encoder.flush()?;
    encoder.write_all(&json[head..])?;
    Ok(Bytes::from(encoder.finish()?))
}

fn key(record: &LogRecord) -> LogKey {
    let token8 =
        record.token_id.as_deref().and_then(|id| u32::from_str_radix(id.get(..8)?, 16).ok());
    LogKey {
        started_at: record.started_at,
        exchange_id: ExchangeId::parse(&record.exchange_id).unwrap_or(ExchangeId(0)),
        token8,
        status: record.status,
        error_origin: record.error.as_ref().map(|error| error.origin),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use schemas::origin::Origin;

    use super::*;
    use crate::facts::tests::facts_of;
    use crate::settings::tests::settings;

    #[test]
    fn a_panic_over_a_body_costs_the_body_and_not_the_record() {
        let settings = settings();
        let mut facts = facts_of(&Request::post("/v1/responses").body(()).expect("a request"));
        facts.response.push(b"the poison");
        let object = guarded(&mut facts, |facts| {
            assert!(facts.response.bytes() == 0, "a bug that some bodies meet");
            encode(&record::assemble(facts, &settings))
        });
        let object = object.expect("a record without the body");
        let json = zstd::decode_all(&object.bytes[..]).expect("one frame");
        let record: LogRecord = serde_json::from_slice(&json).expect("a record");
        assert_eq!(record.error.map(|error| error.origin), Some(Origin::Proxy));
        let mut facts = facts_of(&Request::get("/").body(()).expect("a request"));
        assert!(guarded::<LogObject>(&mut facts, |_| panic!("always")).is_err());
    }
}
