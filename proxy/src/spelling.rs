//! How else a secret may stand in a text: escaped as in JSON, or percent-encoded as in a URL.
//!
//! Tokens and keys of today are letters, digits, `-` and `_`, and are spelt the same everywhere: for
//! them there is nothing to do. Old tokens may hold anything that a header can. What is known are the
//! spellings of the usual encoders, not every one that a decoder would take.

/// Nothing longer is a token or a key, and whoever sends it does not choose how long this takes.
const LONGEST: usize = 1_024;

/// How an encoder writes JSON.
struct Json {
    /// What it escapes beyond `"`, `\` and control characters.
    also: fn(char) -> bool,
    /// It writes `\/`.
    solidus: bool,
    upper: bool,
}

/// Encoders of JSON: most, PHP's, those that write ASCII only, Go's, and .NET's, which trusts nobody.
const JSON: [Json; 6] = [
    Json { also: |_| false, solidus: false, upper: false },
    Json { also: |c| !c.is_ascii(), solidus: true, upper: false },
    Json { also: |_| false, solidus: true, upper: false },
    Json { also: |c| !c.is_ascii(), solidus: false, upper: false },
    Json { also: |c| "<>&".contains(c), solidus: false, upper: false },
    Json { also: |c| !c.is_ascii() || "<>&'+\"`".contains(c), solidus: false, upper: true },
];

/// What encoders for URLs leave as it is, beside letters and digits: RFC 3986's, those for a path,
/// JavaScript's, and those for forms, which write a space as `+`.
const URL: [(&str, &str); 4] =
    [("-_.~", "%20"), ("-_.~/", "%20"), ("-_.~!*'()", "%20"), ("-_.*", "+")];

/// Returns the spellings of a text that differ from it, the longest first: one may hold another.
pub(crate) fn others(text: &str) -> Vec<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if text.len() > LONGEST || text.bytes().all(is_plain) {
        return Vec::new();
    }
    let mut others: Vec<_> = JSON.iter().map(|encoder| json(text, encoder)).collect();
    for (kept, space) in URL {
        others.extend([true, false].map(|upper| percent(text, kept, space, upper)));
    }
    others.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    others.dedup();
    others.retain(|other| other != text);
    others
}

fn json(text: &str, encoder: &Json) -> String {
    let mut to = String::new();
    for c in text.chars() {
        match c {
            c if (encoder.also)(c) => push_units(&mut to, c, encoder.upper),
            '"' | '\\' => to.extend(['\\', c]),
            '/' if encoder.solidus => to.push_str("\\/"),
            '\t' => to.push_str("\\t"),
            c if c.is_control() => push_units(&mut to, c, encoder.upper),
            c => to.push(c),
        }
    }
    to
}

/// Appends `\uXXXX`, twice where one does not do.
fn push_units(to: &mut String, c: char, upper: bool) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        let unit = if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
        to.push_str(&unit);
    }
}

fn percent(text: &str, kept: &str, space: &str, upper: bool) -> String {
    let mut to = String::new();
    for byte in text.bytes() {
        match byte {
            b' ' => to.push_str(space),
            _ if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) => {
                to.push(char::from(byte));
            }
            _ => {
                to.push('%');
                to.extend([byte >> 4, byte & 15].map(|digit| hexadecimal(digit, upper)));
            }
        }
    }
    to
}

fn hexadecimal(digit: u8, upper: bool) -> char {
    let digits = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    char::from(digits[usize::from(digit)])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::samples::{SECRET, bare, encoded};
    use super::*;
    use crate::redact::{MASK, Redactor, SHORTEST_PART};
    use crate::secret::Secret;

    #[test]
    fn what_needs_no_escaping_has_one_spelling() {
        for text in ["sk-proj-AZaz09_canary.key", "cpt_0123456789", "", &"/".repeat(LONGEST + 1)] {
            assert_eq!(others(text), [""; 0]);
        }
    }

    #[test]
    fn the_spellings_of_the_usual_encoders_are_known() {
        let others = others("Ab+/\"\\ =~ü😀'");
        for spelling in [
            // serde_json, JSON.stringify
            r#"Ab+/\"\\ =~ü😀'"#,
            // Python's json.dumps
            r#"Ab+/\"\\ =~\u00fc\ud83d\ude00'"#,
            // PHP's json_encode
            r#"Ab+\/\"\\ =~\u00fc\ud83d\ude00'"#,
            // .NET's System.Text.Json
            r"Ab\u002B/\u0022\\ =~\u00FC\uD83D\uDE00\u0027",
            // RFC 3986, Python's quote(safe=""), and with small digits
            "Ab%2B%2F%22%5C%20%3D~%C3%BC%F0%9F%98%80%27",
            "Ab%2b%2f%22%5c%20%3d~%c3%bc%f0%9f%98%80%27",
            // Python's quote
            "Ab%2B/%22%5C%20%3D~%C3%BC%F0%9F%98%80%27",
            // JavaScript's encodeURIComponent
            "Ab%2B%2F%22%5C%20%3D~%C3%BC%F0%9F%98%80'",
            // forms
            "Ab%2B%2F%22%5C+%3D%7E%C3%BC%F0%9F%98%80%27",
        ] {
            assert!(
                others.iter().any(|other| other == spelling),
                "{spelling} is not in {others:#?}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_secret_is_masked_in_json_and_in_a_url(
            text in SECRET, (before, after) in ("[x-z]{0,12}", "[x-z]{0,12}"), cut in 0..99_usize,
        ) {
            for spelt in encoded(&text) {
                let mut redactor = Redactor::new([Secret::new(&text)]);
                let body = format!("{before}{spelt}{after}");
                let masked = redactor.body(body.into_bytes(), false);
                prop_assert_eq!(masked, format!("{before}{MASK}{after}").into_bytes());
                prop_assert!(redactor.found());
                let cut = &spelt.as_bytes()[..cut % spelt.len()];
                if cut.len() >= SHORTEST_PART {
                    let masked = redactor.body([before.as_bytes(), cut].concat(), true);
                    prop_assert_eq!(bare(masked), format!("{before}{MASK}").into_bytes());
                }
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod samples {
    /// Texts of which hardly one may stand in JSON or in a URL as it is.
    pub(crate) const SECRET: &str = "[a-c/+=\"\\\\ %ü€😀]{8,24}";

    /// What encoders that know nothing of ours make of a text.
    pub(crate) fn encoded(text: &str) -> [String; 3] {
        let json = serde_json::to_string(text).expect("text is JSON");
        let json = json[1..json.len() - 1].to_owned();
        let url = text.bytes().map(|byte| match byte {
            b'a'..=b'z' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        });
        [text.to_owned(), json, url.collect()]
    }

    /// Takes out what may escape the first or last character of a secret, and is none of it.
    pub(crate) fn bare(mut text: Vec<u8>) -> Vec<u8> {
        text.retain(|byte| *byte != b'\\');
        text
    }
}
