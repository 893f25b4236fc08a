//! Python's way of printing a dictionary, read as the JSON that it came from.
//!
//! `{'error': {'message': "it's", 'code': None}}` is what OpenAI's library for Python shows of an
//! error body. In comes a text that begins with `{`; out comes its value, if it is one.

use serde_json::Value;

/// Reads the dictionary that a text begins with; `None` when it does not begin with one.
pub(crate) fn dictionary(text: &str) -> Option<Value> {
    let json = as_json(text)?;
    serde_json::from_str(&json).ok()
}

/// Rewrites the dictionary at the beginning, up to its last brace.
fn as_json(text: &str) -> Option<String> {
    let mut json = String::new();
    let mut characters = text.chars().peekable();
    let mut depth = 0_usize;
    while let Some(character) = characters.next() {
        match character {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.checked_sub(1)?,
            '\'' | '"' => {
                json.push_str(&string(&mut characters, character)?);
                continue;
            }
            c if c.is_ascii_alphabetic() => {
                let mut word = String::from(c);
                while let Some(next) = characters.next_if(char::is_ascii_alphabetic) {
                    word.push(next);
                }
                json.push_str(match word.as_str() {
                    "None" => "null",
                    "True" => "true",
                    "False" => "false",
                    _ => return None,
                });
                continue;
            }
            _ => {}
        }
        json.push(character);
        if depth == 0 {
            return Some(json);
        }
    }
    None
}

/// Reads a string up to its closing quote and writes it as JSON does.
fn string(characters: &mut impl Iterator<Item = char>, quote: char) -> Option<String> {
    let mut plain = String::new();
    while let Some(character) = characters.next() {
        match character {
            c if c == quote => return serde_json::to_string(&plain).ok(),
            '\\' => match characters.next()? {
                'n' => plain.push('\n'),
                't' => plain.push('\t'),
                'r' => plain.push('\r'),
                other => plain.push(other),
            },
            c => plain.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dictionary_is_read_as_the_json_that_it_was() {
        let text =
            r#"{'error': {'message': "it's \"so\"", 'param': None, 'n': [1, True]}}, url: x"#;
        let value = dictionary(text).expect("a dictionary");
        assert_eq!(value["error"]["message"], "it's \"so\"");
        assert_eq!(value["error"]["param"], Value::Null);
        assert_eq!(value["error"]["n"], serde_json::json!([1, true]));
        assert_eq!(dictionary("{'open': 1"), None);
        assert_eq!(dictionary("{<html>}"), None);
    }
}
