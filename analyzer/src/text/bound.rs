//! How much of a text is looked at.
//!
//! In: whatever somebody pasted or piped. Out: its end, since the last error counts, and how much of it
//! was left out. What a terminal shows of a run fits many times over; a whole file does not, and would
//! be searched for seconds.

/// Bytes that are looked at: a thousand lines or so.
pub(crate) const KEPT_BYTES: usize = 64 << 10;

/// Bytes of a character, at most.
const LONGEST_CHARACTER: usize = 4;

/// Keeps the end of a text; the second is the bytes that were left out.
pub(crate) fn end_of(bytes: &[u8]) -> (String, usize) {
    let mut start = bytes.len().saturating_sub(KEPT_BYTES);
    // Not from the middle of a character on.
    if start > 0 {
        let head = bytes[start..].iter().take(LONGEST_CHARACTER - 1);
        start += head.take_while(|byte| *byte & 0xc0 == 0x80).count();
    }
    (String::from_utf8_lossy(&bytes[start..]).into_owned(), start)
}

/// Says that a part was left out; `None` when none was.
pub(crate) fn cut_note(left_out: usize) -> Option<String> {
    if left_out == 0 {
        return None;
    }
    let kept = KEPT_BYTES >> 10;
    let whole = (left_out >> 10) + kept;
    Some(format!("note: the text has {whole} KiB; only its last {kept} KiB were looked at"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_whole_and_the_rest_is_said() {
        assert_eq!(end_of(b"short"), ("short".to_owned(), 0));
        assert_eq!(cut_note(0), None);
        let long = [vec![b'x'; 3 << 20], b"the last error".to_vec()].concat();
        let (kept, left_out) = end_of(&long);
        assert_eq!((kept.len(), left_out + kept.len()), (KEPT_BYTES, long.len()));
        assert!(kept.ends_with("the last error"));
        let note = cut_note(left_out).expect("something was left out");
        assert!(note.contains("3072 KiB") && note.contains("last 64 KiB"), "{note}");
    }

    #[test]
    fn no_character_is_cut_in_two() {
        for surplus in 0..4 {
            let text = "é".repeat(KEPT_BYTES) + &"x".repeat(surplus);
            let (kept, _) = end_of(text.as_bytes());
            assert!(!kept.contains('\u{fffd}') && kept.len() + LONGEST_CHARACTER > KEPT_BYTES);
        }
    }
}
