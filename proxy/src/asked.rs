//! What a request asks for, read from the copy of its body: `model` and `stream`.
//!
//! The copy may be compressed, broken or cut: then these are unknown, and nothing else changes.

use std::borrow::Cow;
use std::io::Read as _;

use serde::Deserialize;

use crate::client;

/// What a request body asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// `model`.
    pub model: Option<String>,
    /// `stream`; false when a readable body does not say.
    pub stream: Option<bool>,
}

impl Asked {
    /// Reads a whole body with this `content-encoding`; one that is over `limit` bytes when it is
    /// decompressed asks for nothing.
    #[must_use]
    pub fn read(body: &[u8], encoding: Option<&str>, limit: usize) -> Self {
        #[derive(Deserialize)]
        struct Fields {
            model: Option<String>,
            stream: Option<bool>,
        }
        let fields = decompress(body, encoding, limit)
            .and_then(|body| serde_json::from_slice::<Fields>(&body).ok());
        let Some(fields) = fields else { return Self::default() };
        Self {
            model: fields.model.as_deref().map(client::harmless),
            stream: Some(fields.stream.unwrap_or(false)),
        }
    }
}

/// Undoes a `content-encoding`; `None` where that cannot be done within the limit.
fn decompress<'a>(body: &'a [u8], encoding: Option<&str>, limit: usize) -> Option<Cow<'a, [u8]>> {
    let mut plain = Vec::new();
    let limit = limit as u64 + 1;
    match encoding.map(str::trim) {
        None | Some("" | "identity") => return Some(Cow::Borrowed(body)),
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
    ((plain.len() as u64) < limit).then_some(Cow::Owned(plain))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const BODY: &[u8] = br#"{"input":[{"model":"not this"}],"model":"gpt-5.5","stream":true}"#;

    fn asked(copy: &[u8], encoding: Option<&str>) -> Asked {
        Asked::read(copy, encoding, 1 << 20)
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
        for (body, encoding) in [
            (BODY, Some("br")),
            (BODY, Some("zstd")),
            (&bomb[..], Some("zstd")),
            (b"[]", None),
            (b"", None),
        ] {
            assert_eq!(asked(body, encoding), Asked::default());
        }
    }
}
