//! What a segment file is made of: a head that names the exchange, then frames.
//!
//! Head: 4 bytes of [`MARK`], 16 of the exchange id. Frame: kind (1 byte), length (4), CRC-32 (4),
//! payload. The checksum starts from the exchange id, so that what an earlier exchange left further
//! back in a reused file is never taken for a frame of this one. Reading ends at the first frame
//! that does not hold: a process that died left it half written.

use std::fs::File;
use std::io::{self, Read};

use crc32fast::Hasher;
use schemas::key::ExchangeId;

/// Begins a segment that holds an exchange; a finished one has zeros here. The digit is the version.
pub(super) const MARK: [u8; 4] = *b"cpx1";
/// Bytes of the head.
pub(super) const HEAD: usize = MARK.len() + 16;
/// Bytes of a frame before its payload.
const FRAME_HEAD: usize = 9;

/// What a frame tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The request arrived.
    Begin = 1,
    /// It may pass, or may not, and whose it is.
    Checked = 2,
    /// Response headers came.
    Answered = 3,
    /// Bytes of the answer.
    Chunk = 4,
    /// How the exchange ended.
    End = 5,
    /// The encoded record, with its key.
    Object = 6,
}

impl Kind {
    fn parse(byte: u8) -> Option<Self> {
        let all =
            [Self::Begin, Self::Checked, Self::Answered, Self::Chunk, Self::End, Self::Object];
        all.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// Where the checksums of an exchange start from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seed(u32);

impl Seed {
    pub(super) fn of(id: ExchangeId) -> Self {
        Self(crc32fast::hash(&id.0.to_be_bytes()))
    }

    fn sum(self, kind: u8, payload: &[&[u8]]) -> u32 {
        let mut hasher = Hasher::new_with_initial(self.0);
        hasher.update(&[kind]);
        for part in payload {
            hasher.update(part);
        }
        hasher.finalize()
    }
}

/// Appends the head of a segment.
pub(super) fn push_head(buffer: &mut Vec<u8>, id: ExchangeId) {
    buffer.extend_from_slice(&MARK);
    buffer.extend_from_slice(&id.0.to_be_bytes());
}

/// Appends a frame whose payload `fill` appends in place.
pub(super) fn push(buffer: &mut Vec<u8>, seed: Seed, kind: Kind, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; FRAME_HEAD]);
    fill(buffer);
    let payload = &buffer[start + FRAME_HEAD..];
    let head = head(seed, kind, &[payload]);
    buffer[start..start + FRAME_HEAD].copy_from_slice(&head);
}

/// Returns what stands before a payload that is written by itself, in these parts.
pub(super) fn head(seed: Seed, kind: Kind, payload: &[&[u8]]) -> [u8; FRAME_HEAD] {
    let length = payload.iter().map(|part| part.len()).sum::<usize>();
    let mut head = [0; FRAME_HEAD];
    head[0] = kind as u8;
    // No frame comes near 4 GiB; one that did would not hold, and end the segment there.
    head[1..5].copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    head[5..].copy_from_slice(&seed.sum(kind as u8, payload).to_le_bytes());
    head
}

/// Writes all of this at a place in a file: one call, where the file's own position would take two.
#[cfg(unix)]
pub(super) fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

/// Writes all of this at a place in a file.
#[cfg(not(unix))]
pub(super) fn write_at(mut file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    io::Seek::seek(&mut file, io::SeekFrom::Start(at))?;
    io::Write::write_all(&mut file, bytes)
}

/// The frames of one segment, in order.
pub(super) struct Frames<R> {
    from: R,
    seed: Seed,
    /// Bytes up to the end of the last frame that held.
    whole: u64,
}

impl<R: Read> Frames<R> {
    /// Reads the head; `None` when the segment holds no exchange. A mark of another version is an
    /// error, so that nobody throws away what a newer one could still bring.
    pub(super) fn open(mut from: R) -> io::Result<Option<(ExchangeId, Self)>> {
        let mut head = [0; HEAD];
        match from.read_exact(&mut head) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        let (mark, id) = head.split_at(MARK.len());
        let Ok(id) = <[u8; 16]>::try_from(id) else { return Ok(None) };
        let id = ExchangeId(u128::from_be_bytes(id));
        match mark {
            [0, 0, 0, 0] => Ok(None),
            mark if mark == MARK => {
                Ok(Some((id, Self { from, seed: Seed::of(id), whole: HEAD as u64 })))
            }
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a segment of another version of codex-proxy",
            )),
        }
    }

    /// Returns how many bytes of the segment hold.
    pub(super) fn whole(&self) -> u64 {
        self.whole
    }

    /// Reads the next frame; `None` at the end, or where a frame does not hold.
    pub(super) fn next(&mut self) -> io::Result<Option<(Kind, Vec<u8>)>> {
        let mut head = [0; FRAME_HEAD];
        let mut payload = Vec::new();
        let [kind, l0, l1, l2, l3, c0, c1, c2, c3] = match self.from.read_exact(&mut head) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read.map(|()| head)?,
        };
        let length = u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
        let Some(known) = Kind::parse(kind) else { return Ok(None) };
        // Grows with what is there: a torn length reserves nothing.
        (&mut self.from).take(length).read_to_end(&mut payload)?;
        let holds = payload.len() as u64 == length
            && self.seed.sum(kind, &[&payload]) == u32::from_le_bytes([c0, c1, c2, c3]);
        if !holds {
            return Ok(None);
        }
        self.whole += FRAME_HEAD as u64 + length;
        Ok(Some((known, payload)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: ExchangeId = ExchangeId(7);
    const OTHER: ExchangeId = ExchangeId(8);

    fn segment(id: ExchangeId, payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        push_head(&mut bytes, id);
        for payload in payloads {
            push(&mut bytes, Seed::of(id), Kind::Chunk, |buffer| buffer.extend(payload));
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Vec<Vec<u8>> {
        let Some((_, mut frames)) = Frames::open(bytes).expect("memory can be read") else {
            return Vec::new();
        };
        std::iter::from_fn(|| frames.next().expect("memory can be read").map(|f| f.1)).collect()
    }

    #[test]
    fn what_an_earlier_exchange_left_is_not_read() {
        let old = segment(OTHER, &[b"old one".to_vec(), b"old two".to_vec()]);
        // Same lengths, so that the old second frame begins right where the new first one ends.
        let mut reused = segment(ID, &[b"new one".to_vec()]);
        reused.extend_from_slice(&old[reused.len()..]);
        assert_eq!(read(&reused), [b"new one".to_vec()]);
    }

    #[test]
    fn a_finished_or_empty_segment_holds_nothing() {
        let mut bytes = segment(ID, &[b"x".to_vec()]);
        bytes[..4].fill(0);
        assert!(read(&bytes).is_empty());
        assert!(read(b"").is_empty());
        assert!(read(b"cpx1").is_empty());
        bytes[..4].copy_from_slice(b"cpx2");
        assert!(Frames::open(&bytes[..]).is_err(), "another version's is left alone");
    }

    #[test]
    fn a_payload_in_parts_is_the_same_frame() {
        let whole = segment(ID, &[b"onetwo".to_vec()]);
        let mut parts = segment(ID, &[]);
        parts.extend_from_slice(&head(Seed::of(ID), Kind::Chunk, &[b"one", b"two"]));
        parts.extend_from_slice(b"onetwo");
        assert_eq!(whole, parts);
    }

    proptest! {
        #[test]
        fn frames_are_read_back_and_a_torn_one_ends_the_segment(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
            cut in 0.0..=1.0_f64,
            flip in any::<u8>(),
        ) {
            let bytes = segment(ID, &payloads);
            prop_assert_eq!(&read(&bytes), &payloads);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a small length")]
            let at = (bytes.len() as f64 * cut) as usize;
            let found = read(&bytes[..at]);
            prop_assert_eq!(&found[..], &payloads[..found.len()], "a prefix, and nothing else");
            if at > HEAD && at < bytes.len() && flip != 0 {
                let mut broken = bytes.clone();
                broken[at] ^= flip;
                let found = read(&broken);
                prop_assert!(found.len() < payloads.len());
                prop_assert_eq!(&found[..], &payloads[..found.len()]);
            }
        }
    }
}
