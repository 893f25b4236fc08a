//! Bytes that look random and are the same for the same seed.
//!
//! A log keeps what it was sent only if any bytes, in any chunks, come through: a test asks for the
//! fault `random` and computes the same body with [`random_body`].

use bytes::Bytes;

use super::{fault::Last, responses, story::Story};

/// Sebastiano Vigna's splitmix64 (<https://prng.di.unimi.it/splitmix64.c>).
pub(crate) struct SplitMix(u64);

impl SplitMix {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Returns a number below `bound`, which must fit in 32 bits.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.draw() >> 32).expect("32 bits fit") % bound
    }
}

/// Returns the body of the fault `random`: noise in comment and data lines, then one
/// `response.completed`.
///
/// It is `bytes` long, or as long as the last event alone if that is longer.
#[must_use]
pub fn random_body(seed: u64, bytes: usize) -> Vec<u8> {
    let id = format!("{seed:032x}");
    let story = Story { id: &id, model: "gpt-5.5", text: "Done.", last: Last::Completed };
    let completed = responses::events(&story).pop().unwrap_or_default();
    let mut body = noise(&mut SplitMix::new(seed), bytes.saturating_sub(completed.len()));
    body.extend_from_slice(&completed);
    body
}

fn noise(random: &mut SplitMix, length: usize) -> Vec<u8> {
    let mut noise = Vec::with_capacity(length);
    while noise.len() < length {
        noise.extend_from_slice([b": ".as_slice(), b"data: "][random.below(2)]);
        for _ in 0..random.below(200) {
            noise.push(b' ' + u8::try_from(random.below(95)).expect("95 fits"));
        }
        noise.extend_from_slice([b"\n".as_slice(), b"\n\n"][random.below(2)]);
    }
    noise.truncate(length);
    // A blank line keeps the last event apart from the noise.
    let blank_line = length.saturating_sub(2);
    noise[blank_line..].fill(b'\n');
    noise
}

/// Cuts the body into pieces of 1 B to 64 KiB, small ones as likely as large ones.
pub(crate) fn random_pieces(seed: u64, body: Vec<u8>) -> Vec<Bytes> {
    // Another sequence than the one that made the body.
    let mut random = SplitMix::new(!seed);
    let mut rest = Bytes::from(body);
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let at_most = 1 << random.below(17);
        let size = 1 + random.below(at_most);
        pieces.push(rest.split_to(size.min(rest.len())));
    }
    pieces
}
