//! From the bytes of an object to the JSON of its record.
//!
//! Compression is told by the first bytes, not by the name. What would unpack to more than any
//! record can be is refused before memory is given to it.

use std::borrow::Cow;
use std::io::{self, Read};

/// No record is larger: 16 MiB of body, every byte of it escaped, and the small fields.
pub const RECORD_LIMIT: u64 = 112 << 20;

const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Why the bytes are no record.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The compressed stream is broken or cut off.
    #[error("broken or truncated {0} stream")]
    Broken(&'static str, #[source] io::Error),
    /// It unpacks to more than any record can be.
    #[error("unpacks to more than {} MiB, which no record is", RECORD_LIMIT >> 20)]
    TooLarge,
}

/// Unpacks an object, if it is packed.
///
/// # Errors
///
/// When it is broken, or too large.
pub fn decode(bytes: &[u8], limit: u64) -> Result<Cow<'_, [u8]>, DecodeError> {
    if bytes.starts_with(&ZSTD) {
        if let Ok(Some(size)) = zstd::zstd_safe::get_frame_content_size(bytes) {
            if size > limit {
                return Err(DecodeError::TooLarge);
            }
            // One frame of known size, which the proxy writes, unpacks in one go.
            if let Ok(plain) = zstd::bulk::decompress(bytes, usize::try_from(size).unwrap_or(0)) {
                return Ok(Cow::Owned(plain));
            }
        }
        let decoder = zstd::stream::read::Decoder::with_buffer(bytes);
        let decoder = decoder.map_err(|error| DecodeError::Broken("zstd", error))?;
        return read_all("zstd", decoder, limit);
    }
    if bytes.starts_with(&GZIP) {
        return read_all("gzip", flate2::read::MultiGzDecoder::new(bytes), limit);
    }
    if bytes.len() as u64 > limit {
        return Err(DecodeError::TooLarge);
    }
    Ok(Cow::Borrowed(bytes))
}

fn read_all(
    name: &'static str,
    decoder: impl Read,
    limit: u64,
) -> Result<Cow<'static, [u8]>, DecodeError> {
    let mut plain = Vec::new();
    let read = decoder.take(limit + 1).read_to_end(&mut plain);
    read.map_err(|error| DecodeError::Broken(name, error))?;
    if plain.len() as u64 > limit {
        return Err(DecodeError::TooLarge);
    }
    Ok(Cow::Owned(plain))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(plain).expect("compressible");
        encoder.finish().expect("compressible")
    }

    #[test]
    fn compression_is_told_by_the_first_bytes() {
        let zstd = zstd::encode_all(&b"{}"[..], 3).expect("compressible");
        for bytes in [&b"{}"[..], &zstd, &gzip(b"{}"), &[&zstd[..], &zstd[..]].concat()] {
            let plain = decode(bytes, 100).expect("decodable");
            assert!(plain.starts_with(b"{}"), "{plain:?}");
        }
    }

    #[test]
    fn what_is_cut_off_or_too_large_is_refused() {
        let plain = vec![b'x'; 10_000];
        let sized = zstd::bulk::compress(&plain, 3).expect("compressible");
        let unsized_frame = zstd::encode_all(&plain[..], 3).expect("compressible");
        for bytes in [&sized, &unsized_frame, &gzip(&plain)] {
            assert!(matches!(decode(bytes, 9_999), Err(DecodeError::TooLarge)));
            let cut = &bytes[..bytes.len() - 3];
            assert!(matches!(decode(cut, 10_000), Err(DecodeError::Broken(..))));
            assert_eq!(decode(bytes, 10_000).expect("whole").len(), 10_000);
        }
        assert!(matches!(decode(&plain, 9_999), Err(DecodeError::TooLarge)));
    }
}
