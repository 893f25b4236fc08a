//! The shapes in which an error comes: the accepted places, and nothing else.
//!
//! `error.message`, `error` as a string, `message`, or the whole text of a body that is neither
//! JSON nor a stream. Values of unexpected types are read as text rather than refused.

use serde_json::Value;

/// Characters of a message that are kept.
const MESSAGE_LIMIT: usize = 2_000;

/// An error as a body tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BodyError {
    /// `error.code`.
    pub code: Option<String>,
    /// `error.type`.
    pub kind: Option<String>,
    /// The words.
    pub message: String,
}

impl BodyError {
    /// Returns the code, else the type; `None` when the body names neither.
    #[must_use]
    pub fn code_or_kind(&self) -> Option<&str> {
        self.code.as_deref().or(self.kind.as_deref())
    }

    /// Reads an `error` value; `None` for `null`, for an empty one, and for values that hold none.
    #[must_use]
    pub fn from_value(error: &Value) -> Option<Self> {
        match error {
            Value::String(message) if !message.is_empty() => {
                Some(Self { message: limited(message), ..Self::default() })
            }
            Value::Object(fields) => {
                let message = fields.get("message").and_then(word);
                let error = Self {
                    code: fields.get("code").and_then(word),
                    kind: fields.get("type").and_then(word),
                    message: message.map(|message| limited(&message)).unwrap_or_default(),
                };
                // Some answers carry an empty error beside their success.
                (error != Self::default()).then_some(error)
            }
            _ => None,
        }
    }

    /// Takes a text as the message, white space folded.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let mut message = String::new();
        for word in text.split_whitespace() {
            if !message.is_empty() {
                message.push(' ');
            }
            message.push_str(word);
            if message.len() > MESSAGE_LIMIT {
                break;
            }
        }
        Self { message: limited(&message), ..Self::default() }
    }
}

/// Reads a string, or the text of a number or flag; `None` for `null`, objects and arrays.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Cuts a text at the limit, at a character's border.
pub(super) fn limited(text: &str) -> String {
    text.chars().take(MESSAGE_LIMIT).collect()
}
