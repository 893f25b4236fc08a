//! Whole JSON bodies: a Responses object, a Chat Completions object, or an error.
//!
//! Only the top level is looked at, and in it only named fields; all else is skipped unparsed.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::error::limited;
use super::{BodyError, Facts, Terminal};
use crate::record::Usage;

/// The top level of any JSON answer; what is not named is skipped.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Top<'a> {
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(borrow, alias = "Message")]
    pub(super) message: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) object: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) status: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) incomplete_details: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
}

/// Reads a JSON body; a body that does not parse says nothing.
#[must_use]
pub fn read(body: &[u8]) -> Facts {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    // A list would be taken for the fields in their order.
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let top = is_object.then(|| serde_json::from_slice::<Top<'_>>(body).ok());
    let Some(top) = top.flatten() else { return Facts::default() };
    let usage = top.usage.and_then(usage);
    if let Some(error) = top.error.and_then(parse).as_ref().and_then(BodyError::from_value) {
        return Facts { error: Some(error), usage, ..Facts::default() };
    }
    // A bare `message` is an error only where nothing says that the object is an answer.
    if top.object.is_none()
        && top.id.is_none()
        && let Some(Value::String(message)) = top.message.and_then(parse)
    {
        let error = BodyError { message: limited(&message), ..BodyError::default() };
        return Facts { message: Some(error), usage, ..Facts::default() };
    }
    let terminal = match top.status.and_then(parse) {
        Some(Value::String(status)) if status == "incomplete" => {
            Some(Terminal::Incomplete(reason(top.incomplete_details)))
        }
        _ => None,
    };
    Facts { terminal, usage, ..Facts::default() }
}

/// Reads the reason of an incomplete response; `incomplete` when it gives none.
pub(super) fn reason(details: Option<&RawValue>) -> String {
    let details = details.and_then(parse);
    let reason = details.as_ref().and_then(|details| details.get("reason")).and_then(Value::as_str);
    reason.unwrap_or("incomplete").to_owned()
}

/// Parses a small raw value; `None` when it is not JSON, which the caller treats as absent.
pub(super) fn parse(raw: &RawValue) -> Option<Value> {
    serde_json::from_str(raw.get()).ok()
}

/// Reads the usage of the Responses and of the Chat Completions API; `None` for `null`.
pub(super) fn usage(raw: &RawValue) -> Option<Usage> {
    let value = parse(raw)?;
    let fields = value.as_object()?;
    let either = |a: &str, b: &str| fields.get(a).or_else(|| fields.get(b));
    let count = |a: &str, b: &str| either(a, b).and_then(Value::as_u64);
    let detail = |a: &str, b: &str, name: &str| either(a, b)?.get(name)?.as_u64();
    Some(Usage {
        input_tokens: count("input_tokens", "prompt_tokens"),
        cached_input_tokens: detail(
            "input_tokens_details",
            "prompt_tokens_details",
            "cached_tokens",
        ),
        output_tokens: count("output_tokens", "completion_tokens"),
        reasoning_tokens: detail(
            "output_tokens_details",
            "completion_tokens_details",
            "reasoning_tokens",
        ),
        total_tokens: count("total_tokens", "total_tokens"),
    })
}
