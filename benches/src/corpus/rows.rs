//! Failures as the proxy logs them: every row of the table of outcomes, and traps in each.

use schemas::catalogue::CATALOGUE;
use schemas::origin::{Ending, Origin};

use super::answer::Last;

/// One kind of failure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) status: u16,
    pub(super) origin: Origin,
    pub(super) code: &'static str,
    pub(super) kind: Option<&'static str>,
    pub(super) message: &'static str,
    pub(super) detail: Option<&'static str>,
    pub(super) ending: Ending,
    pub(super) body: Body,
}

/// What its body is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Body {
    /// An error object.
    Error,
    /// The message as it stands: a page, or plain text.
    Plain,
    /// A stream with this end, which quotes errors on its way.
    Stream(Last),
    /// A whole answer that says itself that it is incomplete, and quotes errors.
    Incomplete,
    Empty,
}

const EDGE: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><center><h1>502 Bad Gateway</h1></center><hr><center>cloudflare</center></body>\r\n</html>";
const OVERLOADED: &str = "The engine is currently overloaded, which may cause temporary errors.";
const RATE_LIMIT: &str = "Rate limit reached for gpt-5.5 in organization org-x on tokens per min (TPM): Limit 2000000, Used 1990000, Requested 20000. Please try again in 300ms.";

const fn refused(
    status: u16,
    code: &'static str,
    kind: &'static str,
    message: &'static str,
) -> Row {
    Row {
        status,
        origin: Origin::Openai,
        code,
        kind: Some(kind),
        message,
        detail: None,
        ending: Ending::Complete,
        body: Body::Error,
    }
}

const fn in_stream(
    origin: Origin,
    code: &'static str,
    message: &'static str,
    detail: Option<&'static str>,
    ending: Ending,
    last: Last,
) -> Row {
    Row { status: 200, origin, code, kind: None, message, detail, ending, body: Body::Stream(last) }
}

const fn page(status: u16, code: &'static str, message: &'static str, body: Body) -> Row {
    Row {
        status,
        origin: Origin::OpenaiEdge,
        code,
        kind: None,
        message,
        detail: None,
        ending: Ending::Complete,
        body,
    }
}

const fn unreachable(status: u16, detail: &'static str) -> Row {
    Row {
        status,
        origin: Origin::Network,
        code: "proxy_upstream_failed",
        kind: Some("proxy_error"),
        message: "upstream request failed",
        detail: Some(detail),
        ending: Ending::Complete,
        body: Body::Error,
    }
}

const CUT: &str = "OpenAI's answer ended before it was complete";

/// What OpenAI, its edge, the network, the client and Lambda do.
const OTHERS: [Row; 38] = [
    refused(
        400,
        "invalid_value",
        "invalid_request_error",
        "Invalid value: 'most'. Supported values are: 'low', 'medium', and 'high'.",
    ),
    refused(
        400,
        "context_length_exceeded",
        "invalid_request_error",
        "Your input exceeds the context window of this model.",
    ),
    refused(
        401,
        "invalid_api_key",
        "invalid_request_error",
        "Incorrect API key provided: sk-x***y.",
    ),
    refused(
        401,
        "invalid_request_error",
        "invalid_request_error",
        "You sent a missing or invalid Authorization header; see the docs.",
    ),
    refused(
        403,
        "model_not_found",
        "invalid_request_error",
        "Project `proj_x` does not have access to model `gpt-5.5`",
    ),
    refused(
        404,
        "model_not_found",
        "invalid_request_error",
        "The model `gpt-9` does not exist or you do not have access to it.",
    ),
    refused(429, "rate_limit_exceeded", "tokens", RATE_LIMIT),
    refused(
        429,
        "insufficient_quota",
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    refused(
        500,
        "server_error",
        "server_error",
        "The server had an error while processing your request. Sorry about that!",
    ),
    refused(
        500,
        "server_error",
        "server_error",
        "The server had an error while processing your request. Sorry about that!",
    ),
    refused(500, "server_error", "server_error", OVERLOADED),
    refused(500, "server_error", "server_error", "An internal error occurred."),
    refused(500, "server_error", "server_error", "internal error"),
    refused(
        502,
        "server_error",
        "server_error",
        "The upstream request failed: token lookup failed, or an invalid or disabled token.",
    ),
    refused(503, "server_is_overloaded", "server_error", OVERLOADED),
    refused(503, "slow_down", "server_error", "Slow down."),
    Row {
        body: Body::Plain,
        ..refused(500, "http_500", "", "upstream connect error or disconnect/reset before headers")
    },
    page(502, "edge_502", EDGE, Body::Plain),
    page(
        500,
        "edge_500",
        "<!DOCTYPE html><html><body>temporary errors at the edge</body></html>",
        Body::Plain,
    ),
    page(520, "edge_520", "", Body::Empty),
    in_stream(
        Origin::Openai,
        "server_is_overloaded",
        "Our servers are currently overloaded.",
        Some("response.failed"),
        Ending::Complete,
        Last::Failed,
    ),
    in_stream(
        Origin::Openai,
        "rate_limit_exceeded",
        RATE_LIMIT,
        Some("response.failed"),
        Ending::Complete,
        Last::Failed,
    ),
    in_stream(
        Origin::Openai,
        "server_error",
        "An internal error, one of the temporary errors.",
        Some("response.failed"),
        Ending::Complete,
        Last::Failed,
    ),
    in_stream(
        Origin::Openai,
        "server_error",
        "The model is overloaded.",
        Some("error"),
        Ending::Complete,
        Last::Error,
    ),
    in_stream(
        Origin::Openai,
        "server_error",
        "internal error",
        Some("error"),
        Ending::Complete,
        Last::Error,
    ),
    in_stream(
        Origin::Openai,
        "max_output_tokens",
        "incomplete: max_output_tokens",
        Some("response.incomplete"),
        Ending::Complete,
        Last::Incomplete,
    ),
    in_stream(
        Origin::Openai,
        "upstream_cut",
        CUT,
        Some("http_response_incomplete"),
        Ending::UpstreamCut,
        Last::Nothing,
    ),
    in_stream(
        Origin::Openai,
        "upstream_cut",
        CUT,
        Some("http_response_incomplete"),
        Ending::UpstreamCut,
        Last::Nothing,
    ),
    in_stream(
        Origin::Openai,
        "upstream_idle",
        "OpenAI's answer fell silent before it was complete",
        Some("http_response_timeout"),
        Ending::UpstreamCut,
        Last::Nothing,
    ),
    in_stream(
        Origin::Client,
        "client_closed",
        "the client closed the connection before the answer was complete",
        None,
        Ending::ClientClosed,
        Last::Nothing,
    ),
    in_stream(
        Origin::Client,
        "client_closed",
        "the client closed the connection before the answer was complete",
        None,
        Ending::ClientClosed,
        Last::Nothing,
    ),
    in_stream(
        Origin::Aws,
        "deadline",
        "Lambda's time limit ended the answer before it was complete",
        None,
        Ending::Deadline,
        Last::Nothing,
    ),
    in_stream(
        Origin::Proxy,
        "interrupted",
        "the proxy died before the answer was complete",
        None,
        Ending::Interrupted,
        Last::Nothing,
    ),
    Row {
        status: 499,
        body: Body::Empty,
        ..in_stream(
            Origin::Client,
            "client_closed",
            "the client closed the connection before the answer was complete",
            None,
            Ending::ClientClosed,
            Last::Nothing,
        )
    },
    Row {
        body: Body::Incomplete,
        ..in_stream(
            Origin::Openai,
            "max_output_tokens",
            "incomplete: max_output_tokens",
            Some("response.incomplete"),
            Ending::Complete,
            Last::Nothing,
        )
    },
    unreachable(502, "connection_refused"),
    unreachable(502, "dns_error"),
    unreachable(504, "connection_timeout"),
];

/// How many rows there are.
pub(super) const COUNT: usize = OTHERS.len() + CATALOGUE.len();

/// Returns a row.
pub(super) fn row(number: usize) -> Row {
    if let Some(row) = OTHERS.get(number) {
        return *row;
    }
    let entry = &CATALOGUE[(number - OTHERS.len()) % CATALOGUE.len()];
    Row {
        status: entry.status,
        origin: entry.origin,
        code: entry.name,
        kind: Some("proxy_error"),
        message: entry.message,
        detail: None,
        ending: Ending::Complete,
        body: Body::Error,
    }
}

impl Row {
    /// Tells whether the client saw a stream end without its terminal event. Codex passes over an
    /// `error` event; silence it tells apart.
    pub(super) fn is_endless(&self) -> bool {
        self.status < 300
            && self.code != "upstream_idle"
            && (self.ending != Ending::Complete || self.detail == Some("error"))
    }
}
