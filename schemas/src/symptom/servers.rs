//! Texts that servers wrote: AWS Lambda, OpenAI and Cloudflare in front of it.
//!
//! Codex CLI prints them inside its own sentence; they stand before its rows, because they say more.
//! The proxy's own messages are not here: they are the error catalogue.

use super::{Alone, Condition, Symptom};
use crate::origin::Origin;

const FUNCTION: &[&str] = &[
    "CloudWatch Logs and metrics of the proxy's function at that time",
    "the Function URL in the developer's `base_url`",
];

const OPENAI: &[&str] = &["the request id in the text: `analyzer origin` finds the exchange by it"];

/// The rows, the more specific first.
pub(super) const SERVERS: &[Symptom] = &[
    Symptom {
        id: "aws_throttle",
        text: "{\"Reason\":\"ReservedFunctionConcurrentInvocationLimitExceeded\",\"Type\":\"User\",\"message\":\"Rate Exceeded.\"}",
        pattern: "concurrentinvocationlimitexceeded|functioninvocationratelimitexceeded|callerratelimitexceeded|\"rate exceeded\\.\"",
        author: Origin::Aws,
        proves: Condition::NoAnswer,
        alone: Alone::Likely(Origin::Aws),
        explains: "Lambda refused the request because all its slots were busy; the proxy never saw it",
        checks: &[
            "CloudWatch: Throttles of the proxy's function",
            "raise the reserved concurrency of the function",
        ],
    },
    Symptom {
        id: "aws_forbidden",
        text: "unexpected status 403 Forbidden: {\"Message\":\"Forbidden\"}",
        pattern: r#"403[^{]*\{"message": ?(?:"forbidden"|null)"#,
        author: Origin::Aws,
        proves: Condition::NoAnswer,
        alone: Alone::Likely(Origin::Aws),
        explains: "the Function URL refused the request: a missing permission or a wrong URL; the proxy never saw it",
        checks: &[
            "the function's policy allows lambda:InvokeFunctionUrl and lambda:InvokeFunction",
            "the Function URL in the developer's `base_url`",
        ],
    },
    Symptom {
        id: "aws_too_large",
        text: "unexpected status 413 Payload Too Large: {\"Message\":\"Request must be smaller than {n} bytes\"}",
        pattern: "request must be smaller than|requestentitytoolarge|exceeded maximum allowed payload size",
        author: Origin::Aws,
        proves: Condition::NoAnswer,
        alone: Alone::Likely(Origin::Aws),
        explains: "Lambda takes 6 MB at most; the proxy never saw the request",
        checks: &[
            "start a new thread or drop images; `codex-proxy serve` outside Lambda takes 64 MiB",
        ],
    },
    Symptom {
        id: "aws_crash",
        text: "unexpected status 502 Bad Gateway: Internal Server Error",
        pattern: r#"502[^:]*: (?:internal server error|\{"message": ?"internal server error"\})"#,
        author: Origin::Aws,
        proves: Condition::NoAnswer,
        alone: Alone::Likely(Origin::Aws),
        explains: "Lambda's own words: the function crashed or timed out before it answered",
        checks: FUNCTION,
    },
    Symptom {
        id: "openai_bypassed",
        text: "unexpected status {status}: {message}, url: https://api.openai.com/v1/responses",
        pattern: r"url: (?:https|wss)://(?:api\.openai\.com|chatgpt\.com)",
        author: Origin::Openai,
        proves: Condition::NothingSent,
        alone: Alone::Likely(Origin::Client),
        explains: "the developer's Codex talks to OpenAI directly, past this proxy",
        checks: &[
            "`model_provider` and `base_url` in config.toml: OPENAI_BASE_URL is ignored by today's Codex",
        ],
    },
    Symptom {
        id: "openai_key_refused",
        text: "Incorrect API key provided: {key}.",
        pattern: "(?<message>incorrect api key provided)",
        author: Origin::Openai,
        proves: Condition::Code(&["invalid_api_key"]),
        alone: Alone::Likely(Origin::Openai),
        explains: "OpenAI refused the key that the request came with: the proxy's real key, if the proxy was asked",
        checks: OPENAI,
    },
    Symptom {
        id: "openai_rate_limit",
        text: "Rate limit reached for {model} in organization {org} on tokens per min (TPM): Limit {n}, Used {n}, Requested {n}.",
        pattern: "(?<message>rate limit reached for)",
        author: Origin::Openai,
        proves: Condition::Code(&["rate_limit_exceeded"]),
        alone: Alone::Likely(Origin::Openai),
        explains: "OpenAI's words: a limit of our organisation is used up",
        checks: OPENAI,
    },
    Symptom {
        id: "openai_quota",
        text: "You exceeded your current quota, please check your plan and billing details.",
        pattern: "(?<message>you exceeded your current quota)",
        author: Origin::Openai,
        proves: Condition::Code(&["insufficient_quota"]),
        alone: Alone::Likely(Origin::Openai),
        explains: "OpenAI's words: the organisation's money or limit is used up",
        checks: OPENAI,
    },
    Symptom {
        id: "openai_server_error",
        text: "The server had an error while processing your request. Sorry about that!",
        pattern: "(?<message>the server had an error (?:while )?processing your request|an error occurred while processing your request)",
        author: Origin::Openai,
        proves: Condition::Words,
        alone: Alone::Likely(Origin::Openai),
        explains: "OpenAI's words for a failure of its own",
        checks: OPENAI,
    },
    Symptom {
        id: "openai_model_access",
        text: "The model {model} does not exist or you do not have access to it.",
        pattern: "(?<message>does not exist or you do not have access|does not have access to model)",
        author: Origin::Openai,
        proves: Condition::Code(&["model_not_found"]),
        alone: Alone::Likely(Origin::Openai),
        explains: "OpenAI's words: the project behind the key may not use this model",
        checks: OPENAI,
    },
    Symptom {
        id: "openai_edge_page",
        text: "<html>{page}<center>cloudflare</center></body></html>",
        pattern: "(?:<html|<!doctype|<title>|<center>).*cloudflare|<center>cloudflare|cloudflare ray id",
        author: Origin::OpenaiEdge,
        proves: Condition::Words,
        alone: Alone::Likely(Origin::OpenaiEdge),
        explains: "a page of Cloudflare, which stands in front of OpenAI",
        checks: OPENAI,
    },
];
