//! A spilled record: an object that S3 refused, as numbered lines of text on stdout.
//!
//! CloudWatch Logs keeps those lines; [`Spilled::assemble`] makes the object of them again, with the
//! key and the bytes that it had before its first PUT.

use std::collections::HashMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Most bytes of a line: CloudWatch Logs takes 256 KB in an event, its own part included.
pub const LINE_BYTES: usize = 200_000;

/// Bytes of an object in one line: in base64, with the rest of the line, they stay below the limit.
const PART_BYTES: usize = 148_500;

/// One line of a spilled object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename = "log_spilled")]
pub struct SpillLine {
    /// Key of the object, below the root.
    pub key: String,
    /// SHA-256 of the whole object, 64 hex digits.
    pub sha256: String,
    /// Number of this line, from 1 on.
    pub part: u32,
    /// How many lines the object has.
    pub parts: u32,
    /// This line's bytes of the object, in base64.
    pub data: String,
}

/// Writes an object as lines of at most [`LINE_BYTES`], without their line ends.
#[must_use]
pub fn lines(key: &str, bytes: &[u8]) -> Vec<String> {
    let sha256 = hex(bytes);
    let chunks = bytes.chunks(PART_BYTES).collect::<Vec<_>>();
    // A key has a fixed shape of about 130 bytes, and no object has a billion parts.
    let parts = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
    let line = |(chunk, part): (&[u8], u32)| {
        let data = STANDARD.encode(chunk);
        let line = SpillLine { key: key.to_owned(), sha256: sha256.clone(), part, parts, data };
        serde_json::to_string(&line).unwrap_or_default()
    };
    chunks.into_iter().zip(1..).map(line).collect()
}

/// Reads one line; `None` for a line that is none of a spilled object.
#[must_use]
pub fn parse(line: &str) -> Option<SpillLine> {
    // Nearly every line of a log is another: parsing them all would cost.
    line.contains("\"log_spilled\"").then(|| serde_json::from_str(line.trim()).ok()).flatten()
}

/// An object that was spilled, whole again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spilled {
    /// Key of the object, below the root.
    pub key: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Spilled {
    /// Puts lines together, in whatever order and however often they come. Returns the whole objects
    /// in the order of their keys, and the keys of those of which a part is missing or damaged.
    #[must_use]
    pub fn assemble(lines: impl IntoIterator<Item = SpillLine>) -> (Vec<Self>, Vec<String>) {
        let mut objects = HashMap::<(String, String), HashMap<u32, SpillLine>>::new();
        for line in lines {
            let object = objects.entry((line.key.clone(), line.sha256.clone())).or_default();
            object.insert(line.part, line);
        }
        let (mut whole, mut broken) = (Vec::new(), Vec::new());
        for ((key, sha256), parts) in objects {
            match join(&parts).filter(|bytes| hex(bytes) == sha256) {
                Some(bytes) => whole.push(Self { key, bytes }),
                None => broken.push(key),
            }
        }
        whole.sort_by(|a, b| a.key.cmp(&b.key));
        broken.sort();
        broken.retain(|key| whole.binary_search_by(|object| object.key.cmp(key)).is_err());
        (whole, broken)
    }
}

fn join(parts: &HashMap<u32, SpillLine>) -> Option<Vec<u8>> {
    let count = parts.values().next()?.parts;
    let mut bytes = Vec::new();
    for part in 1..=count {
        bytes.extend(STANDARD.decode(&parts.get(&part)?.data).ok()?);
    }
    Some(bytes)
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a `String` does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "logs/2026/11/22/02/20261122T024107123Z-cpx_0.3fa9c1d2.200.json.zst";

    fn noise(length: usize) -> Vec<u8> {
        (0..length).map(|at| u8::try_from(at * 7919 % 251).unwrap_or(0)).collect()
    }

    #[test]
    fn an_object_comes_back_from_its_lines_in_any_order_and_doubled() {
        for length in [1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES] {
            let bytes = noise(length);
            let lines = lines(KEY, &bytes);
            assert_eq!(lines.len(), length.div_ceil(PART_BYTES));
            assert!(lines.iter().all(|line| line.len() <= LINE_BYTES && !line.contains('\n')));
            let read = lines.iter().rev().chain(&lines).filter_map(|line| parse(line));
            let (whole, broken) = Spilled::assemble(read);
            assert_eq!(whole, [Spilled { key: KEY.to_owned(), bytes }]);
            assert!(broken.is_empty());
        }
    }

    #[test]
    fn a_missing_or_damaged_part_is_named_and_nothing_made_of_it() {
        let lines = lines(KEY, &noise(2 * PART_BYTES));
        let first = || parse(&lines[0]);
        assert_eq!(Spilled::assemble(first()), (Vec::new(), vec![KEY.to_owned()]));
        let mut damaged = parse(&lines[1]).expect("a line");
        damaged.data.replace_range(0..4, "AAAA");
        let (whole, broken) = Spilled::assemble(first().into_iter().chain([damaged]));
        assert_eq!((whole.len(), broken.len()), (0, 1));
        assert_eq!(parse("{\"event\":\"exchange_ended\"}"), None);
        assert_eq!(parse("START RequestId: 1 \"log_spilled\""), None);
    }
}
