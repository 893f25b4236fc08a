//! Keeps secrets off the disk: the copy of an answer that goes to the spool has them masked.
//!
//! A secret may be split over chunks. The end of a chunk that could be the beginning of a secret is
//! handed out apart, as a tail rendered the way a record of a cut answer renders it (eight bytes and
//! more of a secret are masked); it stands until the next chunk, which brings it again, decided. So
//! a process that dies has lost nothing that the client got, and has written no secret.

use std::cmp::Reverse;

use crate::redact::{MASK, SHORTEST, SHORTEST_PART};
use crate::secret::Secret;

/// Masks the secrets of one exchange in its chunks.
#[derive(Default)]
pub(super) struct Mask {
    secrets: Vec<Secret>,
    /// The end of the last chunk, as far as it may be the beginning of a secret.
    carry: Vec<u8>,
    found: bool,
}

impl Mask {
    pub(super) fn new(secrets: &[Secret]) -> Self {
        let mut mask = Self::default();
        for secret in secrets {
            mask.also(secret);
        }
        mask
    }

    /// Masks this secret too, from the next chunk on.
    pub(super) fn also(&mut self, secret: &Secret) {
        if secret.expose().len() >= SHORTEST {
            self.secrets.extend(secret.spellings());
        }
    }

    /// Returns whether a secret was masked so far.
    pub(super) fn found(&self) -> bool {
        self.found
    }

    /// Appends the next chunk, masked, and returns how many of the bytes appended are its tail.
    pub(super) fn push(&mut self, chunk: &[u8], to: &mut Vec<u8>) -> usize {
        let joined;
        let mut rest = chunk;
        if !self.carry.is_empty() {
            self.carry.extend_from_slice(chunk);
            joined = std::mem::take(&mut self.carry);
            rest = &joined;
        }
        while let Some((at, length)) = self.first(rest) {
            to.extend_from_slice(&rest[..at]);
            to.extend_from_slice(MASK.as_bytes());
            rest = &rest[at + length..];
            self.found = true;
        }
        let (body, tail) = rest.split_at(rest.len() - self.undecided(rest));
        to.extend_from_slice(body);
        self.carry.clear();
        self.carry.extend_from_slice(tail);
        let rendered = if tail.len() < SHORTEST_PART { tail } else { MASK.as_bytes() };
        to.extend_from_slice(rendered);
        rendered.len()
    }

    fn first(&self, text: &[u8]) -> Option<(usize, usize)> {
        let found = self.secrets.iter();
        let found = found.filter_map(|secret| Some((secret.find(text)?, secret.expose().len())));
        found.min_by_key(|(at, length)| (*at, Reverse(*length)))
    }

    /// Returns the length of the longest end of `text` that begins a secret.
    fn undecided(&self, text: &[u8]) -> usize {
        self.secrets.iter().map(|secret| secret.begun_at_end(text)).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::spelling::samples::{SECRET, bare, encoded};

    const KEY: &str = "sk-canary-key";
    const TOKEN: &str = "cpt_canary-token";

    /// What is on the disk, frame by frame, and what a replay reads from it.
    fn spooled(chunks: &[&[u8]]) -> (Vec<Vec<u8>>, Vec<u8>) {
        let mut mask = Mask::new(&[Secret::new(KEY), Secret::new(TOKEN), Secret::new("a")]);
        let (mut frames, mut body, mut tail) = (Vec::new(), Vec::new(), Vec::new());
        for chunk in chunks {
            let mut frame = Vec::new();
            let length = mask.push(chunk, &mut frame);
            let split = frame.len() - length;
            body.extend_from_slice(&frame[..split]);
            tail = frame[split..].to_vec();
            frames.push(frame);
        }
        body.extend_from_slice(&tail);
        (frames, body)
    }

    #[test]
    fn a_secret_is_masked_however_it_is_split() {
        let text = format!("x {KEY} y {TOKEN}{KEY} z");
        for size in 1..text.len() {
            let (frames, body) = spooled(&text.as_bytes().chunks(size).collect::<Vec<_>>());
            assert_eq!(body, b"x [redacted] y [redacted][redacted] z", "{size}");
            for frame in frames {
                let frame = String::from_utf8(frame).expect("text");
                assert!(!frame.contains(&KEY[..SHORTEST_PART]), "{size}: {frame}");
                assert!(!frame.contains(&TOKEN[..SHORTEST_PART]), "{size}: {frame}");
            }
        }
    }

    #[test]
    fn what_a_killed_process_leaves_is_all_that_passed() {
        assert_eq!(spooled(&[b"abc sk-c"]).1, b"abc sk-c", "a few letters are no secret");
        assert_eq!(spooled(&[b"abc sk-canary-"]).1, b"abc [redacted]");
        assert_eq!(spooled(&[b"abc sk-canary-", b"bird"]).1, b"abc sk-canary-bird");
    }

    proptest! {
        #[test]
        fn a_secret_that_json_or_a_url_escapes_is_masked_however_it_is_split(
            text in SECRET, size in 1..40_usize,
        ) {
            for spelt in encoded(&text) {
                let body = format!("xyz{spelt}zyx");
                let mut mask = Mask::new(&[Secret::new(&text)]);
                let (mut decided, mut tail) = (Vec::new(), Vec::new());
                for chunk in body.as_bytes().chunks(size) {
                    let mut frame = Vec::new();
                    let length = mask.push(chunk, &mut frame);
                    let begun = &spelt.as_bytes()[..SHORTEST_PART];
                    prop_assert!(memchr::memmem::find(&frame, begun).is_none());
                    tail = frame.split_off(frame.len() - length);
                    decided.extend_from_slice(&frame);
                }
                decided.extend_from_slice(&tail);
                prop_assert_eq!(bare(decided), b"xyz[redacted]zyx");
                prop_assert!(mask.found());
            }
        }

        #[test]
        fn without_a_secret_every_byte_is_kept(text in "[skc_pt anry-]{0,60}", size in 1..9_usize) {
            prop_assume!(!text.contains(KEY) && !text.contains(TOKEN));
            let chunks: Vec<_> = text.as_bytes().chunks(size).collect();
            let (_, mut body) = spooled(&chunks);
            // The tail may be masked until it is decided.
            if body.ends_with(MASK.as_bytes()) {
                body.truncate(body.len() - MASK.len());
                prop_assert!(text.as_bytes().starts_with(&body));
            } else {
                prop_assert_eq!(body, text.as_bytes());
            }
        }
    }
}
