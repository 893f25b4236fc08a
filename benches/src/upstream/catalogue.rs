//! The table of faults: the names, what they mean, and what the server does.
//!
//! `fake-openai --list-faults` prints it. The error texts follow OpenAI's.

use super::fault::{Act, ErrorShape, Fault, Last, Limit, Refusal};
use crate::body::Ending;

const INVALID: &str = "invalid_request_error";

/// All faults, in the order of `--list-faults`.
pub const FAULTS: &[Fault] = &[
    refused(
        "http-400",
        "an unsupported value in the request",
        Refusal {
            code: Some("invalid_value"),
            param: Some("reasoning.effort"),
            message: "Invalid value: 'most'. Supported values are: 'low', 'medium', and 'high'.",
            ..refusal(400, INVALID)
        },
    ),
    refused(
        "http-400-context",
        "the input is longer than the context window",
        Refusal {
            code: Some("context_length_exceeded"),
            param: Some("input"),
            message: "Your input exceeds the context window of this model. Please adjust your input \
                  and try again.",
            ..refusal(400, INVALID)
        },
    ),
    refused(
        "http-401",
        "the API key is wrong",
        Refusal {
            code: Some("invalid_api_key"),
            message: "Incorrect API key provided: sk-fake*********************************beef. You \
                  can find your API key at https://platform.openai.com/account/api-keys.",
            ..refusal(401, INVALID)
        },
    ),
    refused(
        "http-403",
        "the project may not use the model",
        Refusal {
            code: Some("model_not_found"),
            message: "Project `proj_fake` does not have access to model `{model}`",
            ..refusal(403, INVALID)
        },
    ),
    refused(
        "http-404",
        "the model does not exist",
        Refusal {
            code: Some("model_not_found"),
            param: Some("model"),
            message: "The model `{model}` does not exist or you do not have access to it.",
            ..refusal(404, INVALID)
        },
    ),
    refused(
        "http-429",
        "rate limit of tokens per minute, with retry-after: 2",
        Refusal {
            code: Some("rate_limit_exceeded"),
            message: RATE_LIMIT,
            limit: Limit::Spent { retry_after_seconds: 2 },
            ..refusal(429, "tokens")
        },
    ),
    refused(
        "http-429-quota",
        "the organization has no credit left",
        Refusal {
            code: Some("insufficient_quota"),
            message: "You exceeded your current quota, please check your plan and billing details. \
                  For more information on this error, read the docs: \
                  https://platform.openai.com/docs/guides/error-codes/api-errors.",
            ..refusal(429, "insufficient_quota")
        },
    ),
    refused(
        "http-500",
        "an error inside OpenAI",
        Refusal {
            message: "The server had an error while processing your request. Sorry about that!",
            ..refusal(500, "server_error")
        },
    ),
    fault("http-500-empty", "status 500 from OpenAI, empty body", Act::Empty { status: 500 }),
    refused(
        "http-503",
        "the model is overloaded (code server_is_overloaded)",
        Refusal {
            code: Some("server_is_overloaded"),
            message: "Our servers are currently overloaded. Please try again later.",
            ..refusal(503, "service_unavailable_error")
        },
    ),
    refused(
        "http-503-other",
        "OpenAI is unavailable (no code)",
        Refusal {
            message: "The service is temporarily unavailable. Please try again later.",
            ..refusal(503, "service_unavailable_error")
        },
    ),
    edge(
        "edge-502",
        "Cloudflare's page for a bad gateway, without OpenAI's headers",
        502,
        PAGE_502,
    ),
    edge("edge-520", "Cloudflare's status 520, empty body, without OpenAI's headers", 520, ""),
    stream(
        "failed",
        "some text, then response.failed (server_error)",
        SERVER_ERROR,
        Ending::Finish,
    ),
    stream(
        "failed-rate-limit",
        "some text, then response.failed (rate_limit_exceeded)",
        Last::Failed { code: "rate_limit_exceeded", message: RATE_LIMIT },
        Ending::Finish,
    ),
    stream(
        "failed-invalid-prompt",
        "some text, then response.failed (invalid_prompt)",
        Last::Failed {
            code: "invalid_prompt",
            message: "Invalid prompt: your prompt was flagged as potentially violating our usage \
                  policy.",
        },
        Ending::Finish,
    ),
    stream(
        "failed-open",
        "response.failed, then the stream stays open",
        SERVER_ERROR,
        Ending::Silence,
    ),
    stream(
        "error-event",
        "some text, then an error event, then a clean end",
        Last::Error(ErrorShape::Flat),
        Ending::Finish,
    ),
    stream(
        "error-event-nested",
        "the same with the error in an inner object",
        Last::Error(ErrorShape::Nested),
        Ending::Finish,
    ),
    stream(
        "incomplete",
        "response.incomplete: max_output_tokens",
        Last::Incomplete { reason: "max_output_tokens" },
        Ending::Finish,
    ),
    stream(
        "incomplete-content-filter",
        "response.incomplete: content_filter",
        Last::Incomplete { reason: "content_filter" },
        Ending::Finish,
    ),
    stream(
        "cut-clean",
        "some text, then a clean end without a last event",
        Last::Nothing,
        Ending::Finish,
    ),
    stream("cut-abrupt", "some text, then the connection is dropped", Last::Nothing, Ending::Break),
    fault("cut-json", "half of a JSON body that promised its whole length", Act::HalfJson),
    stream("idle", "some text, then silence", Last::Nothing, Ending::Silence),
    fault("idle-after-headers", "the headers, then silence", Act::HeadersOnly),
    fault(
        "slow-first-byte",
        "the good answer after x-fake-delay-ms (500)",
        Act::SlowFirstByte { default_ms: 500 },
    ),
    fault(
        "slow-stream",
        "the good answer, x-fake-delay-ms (50) between two events",
        Act::SlowStream { default_ms: 50 },
    ),
    fault("reset", "the connection is closed before the first byte", Act::Reset),
    stream(
        "completed-open",
        "the good answer, then the stream stays open",
        Last::Completed,
        Ending::Silence,
    ),
    fault("quote", "a good answer that quotes error messages", Act::Say { text: QUOTES }),
    // 12 words, 16 times: with the 8 events around them 200 events.
    fault(
        "long",
        "a good answer in 200 events, x-fake-delay-ms (0) apart",
        Act::Repeat {
            sentence: "The proxy checks a token, swaps the key and forwards every byte. ",
            times: 16,
        },
    ),
    fault(
        "echo-authorization",
        "a good answer that quotes the received Authorization header",
        Act::EchoAuthorization,
    ),
    fault(
        "random",
        "x-fake-bytes (65536) of noise from x-fake-seed, then response.completed",
        Act::Random,
    ),
    edge("html-200", "status 200 with a web page", 200, PAGE_200),
    fault("empty-200", "status 200 from OpenAI, empty body", Act::Empty { status: 200 }),
];

const RATE_LIMIT: &str = "Rate limit reached for gpt-5.5 in organization org-fake on tokens per \
     min (TPM): Limit 2000000, Used 1999000, Requested 4000. Please try again in 1.2s.";

const SERVER_ERROR: Last = Last::Failed {
    code: "server_error",
    message: "An error occurred while processing your request. You can retry your request, \
              or contact us through our help center at help.openai.com if the error \
              persists. Please include the request ID {request_id} in your message.",
};

/// Error messages as a developer pastes them into a question: in an answer they are no error.
const QUOTES: &str = concat!(
    "Codex prints \"We're currently experiencing high demand, which may cause temporary errors.\" ",
    "for any status 500, also for the body {\"error\":{\"message\":\"internal error\"}}. ",
    "A refused token reads \"missing or invalid Authorization header\".",
);

const PAGE_502: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n\
          <center><h1>502 Bad Gateway</h1></center>\r\n\
          <hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n";
const PAGE_200: &str = "<!DOCTYPE html>\n<html>\n<head><title>Welcome</title></head>\n<body><p>Please \
          sign in to use this network.</p></body>\n</html>\n";

const fn fault(name: &'static str, description: &'static str, act: Act) -> Fault {
    Fault { name, description, act }
}

const fn refused(name: &'static str, description: &'static str, refusal: Refusal) -> Fault {
    fault(name, description, Act::Refuse(refusal))
}

const fn edge(
    name: &'static str,
    description: &'static str,
    status: u16,
    page: &'static str,
) -> Fault {
    fault(name, description, Act::Edge { status, page })
}

const fn stream(
    name: &'static str,
    description: &'static str,
    last: Last,
    ending: Ending,
) -> Fault {
    fault(name, description, Act::Turn { last, ending })
}

/// A refusal still without its message.
const fn refusal(status: u16, kind: &'static str) -> Refusal {
    Refusal { status, kind, code: None, param: None, message: "", limit: Limit::Room }
}
