//! What a token looks like, and what is stored of it.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::secret::Secret;

/// How every token of ours begins: for secret scanners, and to tell it from OpenAI's keys.
pub const PREFIX: &str = "cpt_";

/// Random characters of a token: 30 of 62 are 178 bits.
const RANDOM: usize = 30;
/// Characters of the checksum: 62^6 holds any CRC-32.
const CHECKSUM: usize = 6;

/// Length of every token of ours.
pub const TOKEN_LENGTH: usize = PREFIX.len() + RANDOM + CHECKSUM;

/// Length of the longest token that is looked up, ours or an old one.
pub const LONGEST: usize = 512;

/// How every stored hash begins.
const HASH_PREFIX: &str = "sha256:";

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

const HEX: &[u8; 16] = b"0123456789abcdef";

/// SHA-256 of a token: all that is stored of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Hashes a presented token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Parses `sha256:` and 64 hex digits, exactly as [`Display`](fmt::Display) writes it: a store
    /// is asked for that spelling only.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(HASH_PREFIX).filter(|digits| digits.len() == 64)?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes)).filter(|hash| hash.to_string() == text)
    }

    /// Returns the first 16 hex digits: `token_id` in the log.
    #[must_use]
    pub fn token_id(&self) -> String {
        let (head, _) = self.0.split_at(8);
        head.iter().fold(String::with_capacity(16), |mut digits, byte| {
            digits.extend([byte >> 4, byte & 15].map(|digit| char::from(HEX[usize::from(digit)])));
            digits
        })
    }

    /// Returns the first 8 hex digits as a number: `token8` in the key.
    #[must_use]
    pub fn token8(&self) -> u32 {
        u32::from_be_bytes([self.0[0], self.0[1], self.0[2], self.0[3]])
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HASH_PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.token_id())
    }
}

/// Makes a new token.
///
/// # Errors
///
/// When the operating system gives no randomness.
pub fn generate() -> Result<Secret, getrandom::Error> {
    let mut token = String::from(PREFIX);
    while token.len() < PREFIX.len() + RANDOM {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        // Bytes from 248 on are thrown away: 248 = 4 * 62, so the rest is even.
        let even = bytes.iter().filter(|byte| **byte < 248).map(|byte| usize::from(byte % 62));
        let missing = PREFIX.len() + RANDOM - token.len();
        token.extend(even.take(missing).map(|index| char::from(ALPHABET[index])));
    }
    let checksum = checksum(&token);
    token.push_str(&checksum);
    Ok(Secret::new(&token))
}

/// Tells whether a token that begins like ours is whole; `None` when it does not begin like ours.
#[must_use]
pub fn checksum_holds(token: &str) -> Option<bool> {
    token.strip_prefix(PREFIX)?;
    let split = token.len().checked_sub(CHECKSUM);
    let parts = split.and_then(|at| token.split_at_checked(at));
    Some(
        parts.is_some_and(|(body, sum)| {
            body.len() == PREFIX.len() + RANDOM && checksum(body) == sum
        }),
    )
}

/// Tells whether a text is, or means to be, a stored hash. Presented as a token it is refused: a
/// leaked table of hashes must be worth nothing, also where a store is keyed by hash and token.
#[must_use]
pub fn is_like_a_hash(text: &str) -> bool {
    text.get(..HASH_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(HASH_PREFIX))
}

/// Says why a text can be no token, whatever a store holds; `None` when it may be one. What is
/// told here never costs a look-up.
#[must_use]
pub fn fault(token: &str) -> Option<&'static str> {
    if token.is_empty() {
        Some("it is empty")
    } else if token.len() > LONGEST {
        Some("it is longer than 512 characters")
    } else if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        Some("it has a space or a character that no token has")
    } else if is_like_a_hash(token) {
        Some("it is what a store holds of a token, a hash, and opens nothing")
    } else if checksum_holds(token) == Some(false) {
        Some("it begins like one, but its checksum is wrong (a typo, or cut off)")
    } else {
        None
    }
}

fn checksum(body: &str) -> String {
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut digits = [b'0'; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    digits.map(char::from).iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_token_carries_its_checksum_and_a_typo_breaks_it() {
        let token = generate().expect("randomness");
        assert_eq!(token.expose().len(), TOKEN_LENGTH);
        assert_eq!(checksum_holds(token.expose()), Some(true));
        let mut typo = token.expose().to_owned();
        typo.replace_range(10..11, "_");
        assert_eq!(checksum_holds(&typo), Some(false));
        assert_eq!(checksum_holds("cpt_é"), Some(false));
        assert_eq!(checksum_holds("an-old-token"), None);
        assert_ne!(token, generate().expect("randomness"));
    }

    #[test]
    fn a_hash_is_written_and_read_back() {
        let hash = TokenHash::of("abc");
        assert_eq!(TokenHash::parse(&hash.to_string()), Some(hash));
        assert_eq!(hash.token_id(), "ba7816bf8f01cfea");
        assert_eq!(hash.token8(), 0xba78_16bf);
        let text = hash.to_string();
        for other in ["sha256:12", &text.to_uppercase(), &text.replacen("ba", "+a", 1)] {
            assert_eq!(TokenHash::parse(other), None, "{other}");
        }
    }

    #[test]
    fn what_can_be_no_token_is_told_without_a_store() {
        let token = generate().expect("randomness");
        for good in [token.expose(), "an-old-token", "x", "!~", &"x".repeat(LONGEST)] {
            assert_eq!(fault(good), None, "{good}");
        }
        let hash = TokenHash::of("x").to_string();
        let long = "x".repeat(LONGEST + 1);
        for bad in ["", "a b", "a\tb", "é", "cpt_", "sha256:", "SHA256:ab", &hash, &long] {
            assert!(fault(bad).is_some(), "{bad}");
        }
    }
}
