//! OpenAI's error objects, with their fields in OpenAI's order.

use serde::Serialize;

use super::{catalogue::FAULTS, fault::Refusal, story::pretty};

/// A whole error body: `{"error": {…}}`.
#[derive(Serialize)]
pub(crate) struct ErrorBody<'a> {
    error: ErrorObject<'a>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    message: String,
    #[serde(rename = "type")]
    kind: &'a str,
    param: Option<&'a str>,
    code: Option<&'a str>,
}

impl<'a> ErrorBody<'a> {
    /// The refusal of a fault, for the requested model.
    pub(crate) fn of(refusal: &Refusal, model: &str) -> Self {
        Self::new(
            refusal.message.replace("{model}", model),
            refusal.kind,
            refusal.param,
            refusal.code,
        )
    }

    /// A request that OpenAI cannot make sense of.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(message.into(), "invalid_request_error", None, None)
    }

    /// A request for a fault that the table does not have.
    pub(crate) fn unknown_fault(name: &str) -> Self {
        let names: Vec<_> = FAULTS.iter().map(|fault| fault.name).collect();
        let message = format!("unknown fault `{name}`; the faults are: {}", names.join(", "));
        Self::new(message, "invalid_request_error", None, Some("unknown_fault"))
    }

    fn new(message: String, kind: &'a str, param: Option<&'a str>, code: Option<&'a str>) -> Self {
        Self { error: ErrorObject { message, kind, param, code } }
    }

    pub(crate) fn json(&self) -> String {
        pretty(self)
    }
}
