//! The token counts that every complete answer reports.

use serde_json::{Value, json};

/// The token counts of one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Tokens of the prompt.
    pub input: u64,
    /// Those of them that came from the cache.
    pub cached_input: u64,
    /// Tokens of the answer.
    pub output: u64,
    /// Those of them that were spent on reasoning.
    pub reasoning: u64,
}

/// What every complete answer reports, so that a test can expect it.
pub const TOKENS: Tokens = Tokens { input: 36, cached_input: 24, output: 20, reasoning: 8 };

impl Tokens {
    /// Returns input and output together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.input + self.output
    }

    /// Returns `usage` as the Responses API writes it.
    pub(crate) fn in_responses(&self) -> Value {
        json!({
            "input_tokens": self.input,
            "input_tokens_details": { "cached_tokens": self.cached_input },
            "output_tokens": self.output,
            "output_tokens_details": { "reasoning_tokens": self.reasoning },
            "total_tokens": self.total(),
        })
    }

    /// Returns `usage` as Chat Completions writes it.
    pub(crate) fn in_chat(&self) -> Value {
        json!({
            "prompt_tokens": self.input,
            "completion_tokens": self.output,
            "total_tokens": self.total(),
            "prompt_tokens_details": { "cached_tokens": self.cached_input, "audio_tokens": 0 },
            "completion_tokens_details": {
                "reasoning_tokens": self.reasoning,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        })
    }
}
