//! The escapes of a body that is JSON, or a stream of it, taken out for a search.
//!
//! In comes text, whole or a piece; out goes the same with what its escapes stand for.

use std::borrow::Cow;

/// Takes the escapes out of a body that is JSON, or a stream of it, for the search: what is no
/// escape stays as it is.
pub(crate) fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let code = |digits: &str| u32::from_str_radix(digits, 16).ok();
        let (character, length) = match after.as_bytes().first() {
            Some(b'n' | b'r' | b't') => (' ', 1),
            Some(&same @ (b'"' | b'\\' | b'/')) => (char::from(same), 1),
            Some(b'u') => match after.get(1..5).and_then(code) {
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
