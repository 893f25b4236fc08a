//! From the bytes of an object to the JSON of its record, or to the beginning of it.
//!
//! Compression is told by the first bytes, not by the name. What would unpack to more than any
//! record can be is refused before memory is given to it. A [`Decoder`] keeps its buffer and zstd's
//! tables from one object to the next: making them anew costs more than unpacking a usual log.

use std::io::{self, Read};

use memchr::memmem;
use zstd::bulk::Decompressor;
use zstd::stream::raw::{Decoder as RawDecoder, InBuffer, Operation as _, OutBuffer};

/// No record is larger: 16 MiB of body, every byte of it escaped, and the small fields.
pub const RECORD_LIMIT: u64 = 112 << 20;

/// Unpacked bytes in which the small fields of a record are expected to end.
pub(crate) const HEAD_BYTES: usize = 16 << 10;
/// Bytes of a frame that tell how large its header is.
const FRAME_HEADER: usize = 5;
/// The last field, behind which there is nothing small.
pub(crate) const BODY: &[u8] = b"\"response_body\":";
/// A buffer that has grown beyond this is given back after use.
const KEPT_BYTES: usize = 8 << 20;

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

/// Unpacks objects, one after another.
pub struct Decoder {
    zstd: Option<Decompressor<'static>>,
    heads: Option<RawDecoder<'static>>,
    plain: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { zstd: Decompressor::new().ok(), heads: RawDecoder::new().ok(), plain: Vec::new() }
    }
}

impl Decoder {
    /// Unpacks an object, if it is packed.
    ///
    /// # Errors
    ///
    /// When it is broken, or too large.
    pub fn decode<'a>(&'a mut self, bytes: &'a [u8], limit: u64) -> Result<&'a [u8], DecodeError> {
        self.plain.clear();
        if self.plain.capacity() > KEPT_BYTES {
            self.plain = Vec::new();
        }
        if bytes.starts_with(&ZSTD) {
            if let Ok(Some(size)) = zstd::zstd_safe::get_frame_content_size(bytes) {
                if size > limit {
                    return Err(DecodeError::TooLarge);
                }
                // One frame of known size, which the proxy writes, unpacks in one go.
                self.plain.reserve(usize::try_from(size).unwrap_or(0));
                let zstd = self.zstd.as_mut();
                if zstd.is_some_and(|z| z.decompress_to_buffer(bytes, &mut self.plain).is_ok()) {
                    return Ok(&self.plain);
                }
                self.plain.clear();
            }
            let decoder = zstd::stream::read::Decoder::with_buffer(bytes);
            let decoder = decoder.map_err(|error| DecodeError::Broken("zstd", error))?;
            return read_all("zstd", decoder, limit, &mut self.plain);
        }
        if bytes.starts_with(&GZIP) {
            let decoder = flate2::read::MultiGzDecoder::new(bytes);
            return read_all("gzip", decoder, limit, &mut self.plain);
        }
        if bytes.len() as u64 > limit {
            return Err(DecodeError::TooLarge);
        }
        Ok(bytes)
    }

    /// Unpacks the beginning of an object up to its body; of the object, too, `bytes` may be the
    /// beginning. What comes out is only ever too short, never wrong; broken bytes give nothing.
    pub fn decode_head<'a>(&'a mut self, bytes: &'a [u8]) -> &'a [u8] {
        if bytes.starts_with(&GZIP) {
            return &[];
        }
        if !bytes.starts_with(&ZSTD) {
            return &bytes[..bytes.len().min(HEAD_BYTES)];
        }
        self.plain.clear();
        self.plain.resize(HEAD_BYTES, 0);
        let Some(zstd) = self.heads.as_mut() else { return &[] };
        let mut written = 0;
        if zstd.reinit().is_ok() {
            let mut output = OutBuffer::around(&mut self.plain[..]);
            // Given no more than it asks for, the decoder unpacks one block at a time. The proxy
            // ends one before the body, so that nothing of that is unpacked.
            let (mut at, mut wants) = (0, FRAME_HEADER);
            while at < bytes.len() && output.pos() < HEAD_BYTES {
                let mut input = InBuffer::around(&bytes[at..bytes.len().min(at + wants)]);
                let Ok(next) = zstd.run(&mut input, &mut output) else { break };
                at += input.pos();
                if next == 0 || input.pos() == 0 || memmem::find(output.as_slice(), BODY).is_some()
                {
                    break;
                }
                wants = next;
            }
            written = output.pos();
        }
        &self.plain[..written]
    }
}

fn read_all<'a>(
    name: &'static str,
    decoder: impl Read,
    limit: u64,
    into: &'a mut Vec<u8>,
) -> Result<&'a [u8], DecodeError> {
    let read = decoder.take(limit + 1).read_to_end(into);
    read.map_err(|error| DecodeError::Broken(name, error))?;
    if into.len() as u64 > limit {
        return Err(DecodeError::TooLarge);
    }
    Ok(into)
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
        let mut decoder = Decoder::default();
        let zstd = zstd::encode_all(&b"{}"[..], 3).expect("compressible");
        for bytes in [&b"{}"[..], &zstd, &gzip(b"{}"), &[&zstd[..], &zstd[..]].concat()] {
            let plain = decoder.decode(bytes, 100).expect("decodable");
            assert!(plain.starts_with(b"{}"), "{plain:?}");
        }
    }

    #[test]
    fn what_is_cut_off_or_too_large_is_refused_and_the_next_is_read() {
        let mut decoder = Decoder::default();
        let plain = vec![b'x'; 10_000];
        let sized = zstd::bulk::compress(&plain, 3).expect("compressible");
        let unsized_frame = zstd::encode_all(&plain[..], 3).expect("compressible");
        for bytes in [&sized, &unsized_frame, &gzip(&plain)] {
            assert!(matches!(decoder.decode(bytes, 9_999), Err(DecodeError::TooLarge)));
            let cut = &bytes[..bytes.len() - 3];
            assert!(matches!(decoder.decode(cut, 10_000), Err(DecodeError::Broken(..))));
            assert_eq!(decoder.decode(bytes, 10_000).expect("whole").len(), 10_000);
        }
        assert!(matches!(decoder.decode(&plain, 9_999), Err(DecodeError::TooLarge)));
    }

    #[test]
    fn the_head_comes_out_of_any_beginning_and_is_never_wrong() {
        let noise: String = (0..200_000_u64)
            .map(|n| char::from(b'a' + u8::try_from(n.wrapping_mul(n) % 23).unwrap_or(0)))
            .collect();
        let (head, body) = (r#"{"status":200,"response_body":""#, noise + "\"}");
        let json = format!("{head}{body}");
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).expect("an encoder");
        encoder.write_all(head.as_bytes()).expect("compressible");
        encoder.flush().expect("compressible");
        encoder.write_all(body.as_bytes()).expect("compressible");
        let packed = encoder.finish().expect("compressible");
        let mut decoder = Decoder::default();
        for length in (0..packed.len()).step_by(7) {
            let found = decoder.decode_head(&packed[..length]);
            assert!(json.as_bytes().starts_with(found), "{length}");
            assert!(length < 200 || found.starts_with(head.as_bytes()), "{length}");
        }
        assert_eq!(decoder.decode_head(&packed), head.as_bytes(), "and nothing of the body");
        assert_eq!(decoder.decode_head(json.as_bytes()).len(), HEAD_BYTES);
        assert!(decoder.decode_head(&gzip(json.as_bytes())).is_empty());
        assert!(decoder.decode_head(b"\x28\xb5\x2f\xfdgarbage").is_empty());
    }
}
