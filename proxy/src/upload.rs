//! The request body on its way to OpenAI: forwarded as it arrives, while a copy is kept aside.
//!
//! The copy (8 MiB at most) is read for `model` and `stream` when the exchange is over. It may be
//! compressed, broken or cut: then those fields are unknown, and nothing else changes.

use std::error::Error as _;
use std::io::{self, Read as _};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use serde::Deserialize;

use crate::settings::Limits;

/// Why a request body broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// The client went away.
    #[error("the client's request body broke off")]
    ClientLeft,
    /// The client sent broken HTTP.
    #[error("the client's request body is broken HTTP")]
    Malformed,
    /// The body went over the limit.
    #[error("the client's request body is over the limit")]
    TooLarge,
}

/// What has passed so far.
#[derive(Debug, Default)]
struct Passed {
    bytes: u64,
    copy: Vec<u8>,
    copy_is_whole: bool,
    failure: Option<UploadError>,
}

/// A look at an upload from outside: how much passed, and what it asked for.
#[derive(Clone, Debug, Default)]
pub struct UploadWatch(Arc<Mutex<Passed>>);

/// What a request body asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// `model`.
    pub model: Option<String>,
    /// `stream`; false when a readable body does not say.
    pub stream: Option<bool>,
}

impl UploadWatch {
    fn passed(&self) -> std::sync::MutexGuard<'_, Passed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many bytes have passed.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.passed().bytes
    }

    /// Returns why the upload broke off, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<UploadError> {
        self.passed().failure
    }

    /// Reads `model` and `stream` from the copy; `encoding` is the request's `content-encoding`.
    #[must_use]
    pub fn asked(&self, encoding: Option<&str>, limit: usize) -> Asked {
        let passed = self.passed();
        if !passed.copy_is_whole {
            return Asked::default();
        }
        match decompress(&passed.copy, encoding, limit) {
            Some(Decoded::Plain) => read(&passed.copy),
            Some(Decoded::Decompressed(body)) => read(&body),
            None => Asked::default(),
        }
    }
}

/// A request body, watched.
pub struct Upload {
    body: Incoming,
    watch: UploadWatch,
    limit: u64,
    copy_limit: usize,
}

impl Upload {
    /// Wraps a request body.
    #[must_use]
    pub fn new(body: Incoming, limits: &Limits) -> (Self, UploadWatch) {
        let watch = UploadWatch::default();
        watch.passed().copy_is_whole = body.is_end_stream();
        let (limit, copy_limit) = (limits.request_bytes, limits.request_copy_bytes);
        (Self { body, watch: watch.clone(), limit, copy_limit }, watch)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        let copy_limit = self.copy_limit;
        let mut passed = self.watch.passed();
        let result = match frame {
            None => {
                passed.copy_is_whole = passed.copy.len() as u64 == passed.bytes;
                None
            }
            Some(Err(error)) => Some(Err(explain(&error))),
            Some(Ok(frame)) => {
                let data = frame.data_ref().map_or(&[][..], |data| data);
                passed.bytes += data.len() as u64;
                if passed.copy.len() + data.len() <= copy_limit {
                    passed.copy.extend_from_slice(data);
                }
                let over = passed.bytes > self.limit;
                Some(if over { Err(UploadError::TooLarge) } else { Ok(frame) })
            }
        };
        if let Some(Err(failure)) = &result {
            passed.failure = Some(*failure);
        } else if self.body.is_end_stream() {
            passed.copy_is_whole = passed.copy.len() as u64 == passed.bytes;
        }
        drop(passed);
        Poll::Ready(result)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Tells a client that went away from one that sends broken chunks.
fn explain(error: &hyper::Error) -> UploadError {
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    match io.map(io::Error::kind) {
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => UploadError::Malformed,
        _ => UploadError::ClientLeft,
    }
}

enum Decoded {
    Plain,
    Decompressed(Vec<u8>),
}

/// Undoes `content-encoding` on the copy; `None` for one that cannot be undone within the limit.
fn decompress(body: &[u8], encoding: Option<&str>, limit: usize) -> Option<Decoded> {
    let mut plain = Vec::new();
    let limit = limit as u64 + 1;
    match encoding.map(str::trim) {
        None | Some("" | "identity") => return Some(Decoded::Plain),
        Some("zstd") => {
            let decoder = zstd::stream::read::Decoder::new(body).ok()?;
            decoder.take(limit).read_to_end(&mut plain).ok()?;
        }
        Some("gzip") => {
            let decoder = flate2::read::MultiGzDecoder::new(body);
            decoder.take(limit).read_to_end(&mut plain).ok()?;
        }
        Some(_) => return None,
    }
    ((plain.len() as u64) < limit).then_some(Decoded::Decompressed(plain))
}

fn read(body: &[u8]) -> Asked {
    #[derive(Deserialize)]
    struct Fields {
        model: Option<String>,
        stream: Option<bool>,
    }
    match serde_json::from_slice::<Fields>(body) {
        Ok(fields) => Asked {
            model: fields.model.as_deref().map(crate::client::harmless),
            stream: Some(fields.stream.unwrap_or(false)),
        },
        Err(_) => Asked::default(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const BODY: &[u8] = br#"{"input":[{"model":"not this"}],"model":"gpt-5.5","stream":true}"#;

    fn asked(copy: &[u8], encoding: Option<&str>) -> Asked {
        let watch = UploadWatch::default();
        *watch.passed() = Passed { copy: copy.to_vec(), copy_is_whole: true, ..Passed::default() };
        watch.asked(encoding, 1 << 20)
    }

    #[test]
    fn model_and_stream_are_read_from_plain_zstd_and_gzip_bodies() {
        let expected = Asked { model: Some("gpt-5.5".to_owned()), stream: Some(true) };
        assert_eq!(asked(BODY, None), expected);
        let zstd = zstd::encode_all(BODY, 3).expect("compressible");
        assert_eq!(asked(&zstd, Some("zstd")), expected);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(BODY).expect("compressible");
        assert_eq!(asked(&gzip.finish().expect("compressible"), Some("gzip")), expected);
    }

    #[test]
    fn a_body_that_cannot_be_read_asks_for_nothing() {
        let bomb = zstd::encode_all(&vec![b' '; 2 << 20][..], 3).expect("compressible");
        for (body, encoding) in
            [(BODY, Some("br")), (BODY, Some("zstd")), (&bomb[..], Some("zstd")), (b"[]", None)]
        {
            assert_eq!(asked(body, encoding), Asked::default());
        }
        assert_eq!(UploadWatch::default().asked(None, 1 << 20), Asked::default());
    }
}
