//! What an analyzer has to find.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemas::origin::Origin;

/// The questions whose answers are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// "missing or invalid Authorization header"
    MissingAuthorization,
    /// "invalid or disabled token"
    InvalidToken,
    /// "token lookup failed"
    TokenLookupFailed,
    /// "upstream request failed"
    UpstreamFailed,
    /// "internal error"
    Internal,
    /// "temporary errors": Codex prints it for any HTTP 500, others say it themselves.
    TemporaryErrors,
    /// "Rate limit reached": the code, or the words.
    RateLimit,
    /// "stream closed before response.completed": a stream without its end.
    StreamClosed,
}

impl Query {
    /// Every question.
    pub const ALL: [Self; 8] = [
        Self::MissingAuthorization,
        Self::InvalidToken,
        Self::TokenLookupFailed,
        Self::UpstreamFailed,
        Self::Internal,
        Self::TemporaryErrors,
        Self::RateLimit,
        Self::StreamClosed,
    ];

    /// Returns the text that a developer pastes.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::MissingAuthorization => "missing or invalid Authorization header",
            Self::InvalidToken => "invalid or disabled token",
            Self::TokenLookupFailed => "token lookup failed",
            Self::UpstreamFailed => "upstream request failed",
            Self::Internal => "internal error",
            Self::TemporaryErrors => "temporary errors",
            Self::RateLimit => "Rate limit reached",
            Self::StreamClosed => "stream closed before response.completed",
        }
    }
}

/// What is true of one exchange.
#[derive(Clone, Debug)]
pub struct Known {
    /// Key of its object.
    pub key: String,
    /// When it began, as well as record, key and listing tell it.
    pub started_at: Timestamp,
    /// The key tells the outcome.
    pub told: bool,
    /// What failed; `None` for a success.
    pub failure: Option<Failure>,
    /// By [`Query`]: the error, or the answer of a success, says the text.
    pub says: [bool; Query::ALL.len()],
}

/// What failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The layer.
    pub origin: Origin,
    /// The code.
    pub code: String,
    /// Status that the client got, where the log tells it.
    pub status: Option<u16>,
    /// To the client a stream ended without its terminal event.
    pub endless: bool,
}

/// What an analyzer has to find for one question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// Matching failures by origin.
    pub counts: BTreeMap<Origin, u64>,
    /// Successes that quote the text, under keys that tell the outcome.
    pub quoted_told: u64,
    /// The same, under all other keys.
    pub quoted_untold: u64,
}

/// Tells which texts stand in `words`, however these are broken over lines.
pub(super) fn says(words: &str) -> [bool; Query::ALL.len()] {
    let words: Vec<_> = words.split_whitespace().collect();
    let words = words.join(" ").to_lowercase();
    Query::ALL.map(|query| words.contains(&query.text().to_lowercase()))
}

impl Known {
    /// Tells whether this is a failure that the question is about.
    #[must_use]
    pub fn matches(&self, query: Query) -> bool {
        let Some(failure) = &self.failure else { return false };
        let by_condition = match query {
            Query::TemporaryErrors => failure.status == Some(500),
            Query::RateLimit => failure.code == "rate_limit_exceeded",
            Query::StreamClosed => failure.endless,
            _ => false,
        };
        by_condition || self.says[query as usize]
    }
}

pub(super) fn of(known: &[Known], query: Query, since: Timestamp, until: Timestamp) -> Truth {
    let mut truth = Truth::default();
    for known in known.iter().filter(|known| since <= known.started_at && known.started_at < until)
    {
        match &known.failure {
            Some(failure) if known.matches(query) => {
                *truth.counts.entry(failure.origin).or_default() += 1;
            }
            None if known.says[query as usize] => {
                *(if known.told { &mut truth.quoted_told } else { &mut truth.quoted_untold }) += 1;
            }
            _ => {}
        }
    }
    truth
}
