//! Who did it: the layers that an answer or a failure can come from.
//!
//! [`Origin`] is chosen where a failure is seen and has no default. [`AnsweredBy`] says who wrote
//! the answer that the client got, [`Ending`] how the exchange ended.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The layer that produced a failure.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// OpenAI's API answered, or cut its answer short.
    Openai,
    /// OpenAI's edge (Cloudflare) answered in its place.
    OpenaiEdge,
    /// The proxy refused or failed.
    Proxy,
    /// Lambda ended the exchange: time-out, throttle, crash.
    Aws,
    /// Nothing answered: DNS, connect, TLS or a reset before the first header.
    Network,
    /// The client left, or is set up wrongly.
    Client,
}

impl Origin {
    /// Every origin, in the order in which reports list them.
    pub const ALL: [Self; 6] =
        [Self::Openai, Self::OpenaiEdge, Self::Proxy, Self::Aws, Self::Network, Self::Client];

    /// Returns the name as it stands in records and keys.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::OpenaiEdge => "openai_edge",
            Self::Proxy => "proxy",
            Self::Aws => "aws",
            Self::Network => "network",
            Self::Client => "client",
        }
    }

    /// Parses the name as it stands in records and keys; `None` for any other word.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|origin| origin.as_str() == name)
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Who wrote the answer that the client got: decided by whether response headers arrived from
/// OpenAI, never by the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnsweredBy {
    /// Response headers arrived from OpenAI, and were passed on.
    Openai,
    /// The proxy answered by itself.
    Proxy,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The terminal event or the last byte went on to the client.
    Complete,
    /// The client hung up before that.
    ClientClosed,
    /// OpenAI's answer ended or fell silent before that.
    UpstreamCut,
    /// The Lambda deadline guard ended it.
    Deadline,
    /// The proxy died; the record was written when its spool was replayed.
    Interrupted,
}

/// Who has to do something about a failure. Origin is not ownership: OpenAI's tokens-per-minute
/// limit is OpenAI's answer and ours to fix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Acts {
    /// Whoever runs the proxy.
    Us,
    /// The developer who sees the error.
    Developer,
    /// OpenAI; here one can only wait, switch or report.
    Openai,
    /// Nothing needs to be done.
    Nobody,
}
