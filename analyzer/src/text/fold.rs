//! Texts made comparable: folded, and squeezed.
//!
//! Folding evens out what programs write differently: letter case, apostrophes, white space, the
//! marks of a terminal. Squeezing also takes out what a narrow terminal or a chat puts in, even in
//! the middle of a word: all white space, backticks, asterisks and backslashes.

use std::borrow::Cow;

/// Folds a text for comparison: lower case, straight apostrophes, single spaces, no decoration.
pub(crate) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut space = false;
    for character in text.chars() {
        let character = match character {
            '\u{2018}' | '\u{2019}' | '\u{02bc}' => '\'',
            '\u{201c}' | '\u{201d}' => '"',
            // What is not seen: zero-width marks, soft hyphens, variation selectors.
            '\u{200b}'..='\u{200f}'
            | '\u{2060}'
            | '\u{feff}'
            | '\u{ad}'
            | '\u{fe0e}'
            | '\u{fe0f}' => {
                continue;
            }
            c if c.is_whitespace() || c.is_control() => ' ',
            c if is_mark(c) => ' ',
            c => c,
        };
        if character == ' ' {
            space = !folded.is_empty();
        } else {
            if space {
                folded.push(' ');
                space = false;
            }
            folded.extend(character.to_lowercase());
        }
    }
    folded
}

/// Tells whether a character is a frame, a bullet or a sign of a terminal user interface.
fn is_mark(character: char) -> bool {
    matches!(
        character,
        '\u{2500}'..='\u{25ff}'
            | '\u{2022}'
            | '\u{203a}'
            | '\u{23bf}'
            | '\u{2600}'..='\u{27bf}'
            | '\u{1f300}'..='\u{1faff}'
    )
}

/// Takes the escapes of JSON out of a text that is not JSON as a whole; what is no escape stays as it
/// is, and a line break becomes `line_break`.
pub(crate) fn unescaped(text: &str, line_break: char) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let code = || u32::from_str_radix(after.get(1..5)?, 16).ok();
        let (character, length) = match after.as_bytes().first() {
            Some(b'n' | b'r') => (line_break, 1),
            Some(b't') => (' ', 1),
            Some(&same @ (b'"' | b'\\' | b'/')) => (char::from(same), 1),
            Some(b'u') => match code() {
                Some(code) => (char::from_u32(code).unwrap_or('\u{fffd}'), 5),
                None => ('\\', 0),
            },
            _ => ('\\', 0),
        };
        plain.push(character);
        rest = &after[length..];
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// A folded text without anything that a line break can bring in, and the way back.
#[derive(Debug)]
pub(crate) struct Squeezed {
    /// What is left.
    pub(crate) text: String,
    /// For each byte of it, where it stood in the folded text.
    at: Vec<u32>,
}

impl Squeezed {
    pub(crate) fn of(folded: &str) -> Self {
        let mut text = String::with_capacity(folded.len());
        let mut at = Vec::with_capacity(folded.len());
        for (index, character) in folded.char_indices().filter(|(_, c)| stays(*c)) {
            text.push(character);
            // No text of ours is near 4 GiB.
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            at.extend(std::iter::repeat_n(index, character.len_utf8()));
        }
        Self { text, at }
    }

    /// Returns the folded text that a range of the squeezed one stands for.
    pub(crate) fn back<'a>(&self, folded: &'a str, range: std::ops::Range<usize>) -> &'a str {
        let place = |index: usize| self.at.get(index).map_or(folded.len(), |&at| at as usize);
        folded.get(place(range.start)..place(range.end)).unwrap_or_default().trim()
    }
}

/// Takes out what [`Squeezed`] leaves out.
pub(crate) fn squeeze(text: &str) -> String {
    text.chars().filter(|c| stays(*c)).collect()
}

fn stays(character: char) -> bool {
    !matches!(character, ' ' | '`' | '*' | '\\')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_range_of_the_squeezed_text_leads_back_to_the_words() {
        let folded = fold("A `b  c`\nd’é x");
        let squeezed = Squeezed::of(&folded);
        assert_eq!(squeezed.text, "abcd'éx");
        assert_eq!(squeezed.back(&folded, 1..3), "b c`");
        assert_eq!(squeezed.back(&folded, 3..squeezed.text.len()), "d'é x");
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing_more(text in "\\PC*") {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once);
        }
    }
}
