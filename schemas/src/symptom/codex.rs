//! Texts that Codex CLI renders: its own words for what some server, or nobody, answered.
//!
//! Seen in the binaries of versions 0.20 to 0.169, and measured with 0.23, 0.58, 0.98 and 0.169
//! against scripted answers. Up to 0.35 no line carries an id; up to 0.57 an id is Cloudflare's.

use super::ShowsId::{WithAddress, WithStatus};
use super::{Condition, Symptom};
use crate::origin::Acts::{Developer, Us};
use crate::origin::Origin::{Client, Network, Openai};

pub(super) const TURNED_AWAY: &[&str] = &[
    "`base_url` in the developer's config.toml: does it point at this proxy?",
    "`codex doctor`: reaching this proxy, it leaves a 401 in the logs",
    "HTTPS_PROXY on the developer's machine: a middlebox can answer in our place",
];

const CUT: &[&str] = &[
    "the session id that Codex prints: with --session it leads to the exchange",
    "CloudWatch: did the function time out or crash at that time?",
    "a middlebox between the developer and the proxy",
];

const PROMPT: &[&str] = &["change the prompt, or ask for less at a time"];

const NO_PLAN: &[&str] = &[
    "`model_provider` in config.toml: a ChatGPT login goes past this proxy, which uses a key",
    "`codex login status`, and `base_url` in the developer's config.toml",
];

pub(super) const ROWS: &[Symptom] = &[
    Symptom::new("codex_high_demand", Client, "high demand|temporary errors")
        .texts(&[
            "We're currently experiencing high demand, which may cause temporary errors.",
            "stream error: We're currently experiencing high demand, which may cause temporary errors.; retrying 1/5 in 186ms…",
        ])
        .proves(Condition::Status(&[500]))
        .explains("Codex CLI prints this for any HTTP 500, from whatever server; no server sent these words")
        .checks(TURNED_AWAY)
        .seen("0.16 to 0.169, with a curly apostrophe from 0.157"),
    Symptom::new(
        "codex_retry_limit",
        Client,
        r"exceeded retry limit(?:[,.] last status: (?<status>[0-9]{3}))?",
    )
    .texts(&[
        "exceeded retry limit, last status: 429 Too Many Requests, request id: {id}",
        "exceeded retry limit, last status: 429 Too Many Requests",
        "exceeded retry limit, last status: 401 Unauthorized, request id: {ray}",
        "stream error: exceeded retry limit, last status: 503 Service Unavailable; retrying 5/5 in 3.32s…",
    ])
    .proves(Condition::StatusInText(Some(429)))
    .id_decides(WithStatus)
    .explains("Codex CLI hides the reason; from 0.36 on only an answer of Lambda or a middlebox shows no id here")
    .checks(&[
        "`analyzer capacity`: was the proxy's function throttled at that time? (a throttle leaves no log)",
        "reserved concurrency of the function against the slots in use",
    ])
    .seen("0.8 to 0.169; today for 429 only, up to 0.57 for 401 and 5xx too"),
    Symptom::new(
        "codex_capacity",
        Client,
        "model .{0,40}at capacity|codex is currently experiencing high load",
    )
    .texts(&[
        "Selected model is at capacity. Please try a different model.",
        "Codex is currently experiencing high load.",
    ])
    .proves(Condition::Code(&["server_is_overloaded", "slow_down"]))
    .likely(Openai)
    .explains("Codex CLI prints this for OpenAI's codes server_is_overloaded and slow_down")
    .checks(TURNED_AWAY)
    .seen("0.110 to 0.169; \"high load\" in the older ones"),
    Symptom::new("codex_rate_limit", Client, "rate limit exceeded(?:: (?<message>.+))?")
        .texts(&["rate limit exceeded: {message}"])
        .proves(Condition::Code(&["rate_limit_exceeded", "slow_down"]))
        .likely(Openai)
        .acts(Us)
        .explains("Codex CLI prints this for OpenAI's rate_limit_exceeded and slow_down")
        .checks(&["who uses the limit up: `analyzer origin` with --list names the developers"])
        .seen("0.150 to 0.169"),
    Symptom::new(
        "codex_context_window",
        Client,
        "ran out of room in the (?:model's|models) context window|context window exceeded|clear earlier history before retrying",
    )
    .texts(&[
        "Codex ran out of room in the model's context window. Start a new thread or clear earlier history before retrying.",
        "Codex ran out of room in the model's context window. Start a new conversation or clear earlier history before retrying.",
    ])
    .proves(Condition::Code(&["context_length_exceeded"]))
    .likely(Openai)
    .acts(Developer)
    .explains("Codex CLI prints this for OpenAI's code context_length_exceeded")
    .checks(&["start a new thread, or compact this one"])
    .seen("0.45 to 0.169"),
    Symptom::new("codex_quota", Client, "quota exceeded\\. check|^quota exceeded\\.?$")
        .texts(&["Quota exceeded. Check your plan and billing details."])
        .proves(Condition::Code(QUOTA))
        .likely(Openai)
        .acts(Us)
        .explains("Codex CLI prints this when OpenAI says that the organisation's money or limit is used up")
        .checks(&["billing and limits of the OpenAI organisation that owns the key"])
        .seen("0.58 to 0.169"),
    Symptom::new(
        "codex_usage_limit",
        Client,
        "you've (?:hit|reached) your usage limit|hit your usage limit|workspace is out of credits|hit your spend cap|purchase more credits|limits reset every 5h",
    )
    .texts(&[
        "You've hit your usage limit. Upgrade to Pro (https://chatgpt.com/explore/pro) or try again at 11:24 AM.",
        "You've hit your usage limit. To get more access now, send a request to your admin or try again later.",
        "You've hit your usage limit. Upgrade to Pro (https://openai.com/chatgpt/pricing), or wait for limits to reset (every 5h and every week.).",
        "Your workspace is out of credits. Add credits to continue.",
        "You hit your spend cap set in your workspace. Increase your spend cap to continue.",
    ])
    .proves(Condition::Code(&["usage_limit_reached"]))
    .likely(Client)
    .explains("Codex CLI prints this for the limit of a ChatGPT plan; a key behind a proxy has none, so this Codex does not use the proxy")
    .checks(NO_PLAN)
    .seen("0.20 to 0.169"),
    Symptom::new("codex_chatgpt_plan", Client, "to use codex with your chatgpt plan|codex is not included in your plan")
        .texts(&["To use Codex with your ChatGPT plan, upgrade to Plus: https://chatgpt.com/explore/plus."])
        .proves(Condition::Code(&["usage_not_included"]))
        .likely(Client)
        .explains("Codex CLI prints this for a ChatGPT login; a key behind a proxy has no plan")
        .checks(NO_PLAN)
        .seen("0.20 to 0.169"),
    Symptom::new("codex_image", Client, "image poisoning|invalid image in your last message")
        .texts(&["Image poisoning", "Invalid image in your last message. Please remove it and try again."])
        .proves(Condition::Status(&[400]))
        .likely(Openai)
        .acts(Developer)
        .explains("OpenAI could not read an image of this thread (HTTP 400)")
        .checks(&["remove the image, or start a new thread"])
        .seen("0.66 to 0.169"),
    Symptom::new("codex_websocket_closed", Client, r"websocket closed by server|websocket (?:connection )?(?:was )?closed before|connectionclosednormally|websocket stream closed")
        .texts(&["stream disconnected before completion: websocket closed by server before response.completed"])
        .proves(Condition::NothingSent)
        .likely(Client)
        .explains("this Codex talks over a WebSocket, which the proxy does not serve: it goes past the proxy")
        .checks(NO_PLAN)
        .seen("0.98 to 0.169"),
    Symptom::new(
        "codex_stream_closed",
        Client,
        r"stream closed before response\.completed|closed before response\.completed",
    )
    .texts(&["stream disconnected before completion: stream closed before response.completed"])
    .proves(Condition::NoTerminalEvent)
    .explains("Codex CLI missed the end of the stream: after an `error` event (which it ignores), a cut, or a time limit")
    .checks(CUT)
    .seen("0.8 to 0.169"),
    Symptom::new("codex_idle", Client, "idle timeout waiting for (?:sse|websocket)|idle timeout waiting")
        .texts(&["stream disconnected before completion: idle timeout waiting for SSE"])
        .proves(Condition::Silence)
        .explains("Codex CLI got no event for 300 s: a silent OpenAI, a stream kept open after its failure, or a middlebox that buffers")
        .checks(CUT)
        .seen("0.8 to 0.169"),
    Symptom::new(
        "codex_incomplete",
        Client,
        r"incomplete response returned(?:, reason: (?<code>max_output_tokens|content_filter|[a-z_]+))?",
    )
    .texts(&[
        "Incomplete response returned, reason: max_output_tokens",
        "stream disconnected before completion: Incomplete response returned, reason: content_filter",
    ])
    .proves(Condition::CodeInText)
    .likely(Openai)
    .acts(Developer)
    .explains("OpenAI ended the answer early and said why (response.incomplete)")
    .checks(PROMPT)
    .seen("0.110 to 0.169"),
    Symptom::new("codex_failed_without_words", Client, r"response\.failed event received")
        .texts(&["stream disconnected before completion: response.failed event received"])
        .proves(Condition::Words)
        .likely(Openai)
        .explains("OpenAI sent response.failed without an error in it")
        .checks(CUT)
        .seen("0.20 to 0.169"),
    Symptom::new("codex_compressed_stream", Client, "utf8 error: invalid utf-8|invalid utf-8 sequence of")
        .texts(&["stream disconnected before completion: UTF8 error: invalid utf-8 sequence of 1 bytes from index 0"])
        .proves(Condition::NothingSent)
        .explains("Codex CLI got a compressed stream, which it cannot read; this proxy asks OpenAI for plain text, so somebody in between compressed it")
        .checks(TURNED_AWAY)
        .seen("0.20 to 0.169"),
    Symptom::new("codex_cyber_policy", Client, "flagged for possible cybersecurity risk")
        .texts(&["This request has been flagged for possible cybersecurity risk."])
        .proves(Condition::Code(&["cyber_policy"]))
        .likely(Openai)
        .acts(Developer)
        .explains("OpenAI refused the prompt (code cyber_policy)")
        .checks(PROMPT)
        .seen("0.135 to 0.169"),
    Symptom::new(
        "codex_body_cut",
        Client,
        "error decoding response body|error reading a body from connection|request or response body error|error while reading the server response",
    )
    .texts(&[
        "stream disconnected before completion: Transport error: network error: error decoding response body",
        "stream disconnected before completion: Transport error: error decoding response body",
        "Error while reading the server response: error decoding response body, request id: {ray}",
    ])
    .proves(Condition::BodyCut)
    .explains("Codex CLI saw the connection break in the middle of an answer")
    .checks(CUT)
    .seen("0.8 to 0.169"),
    Symptom::new(
        "codex_no_answer",
        Client,
        r"error sending request|connection failed: |^connection failed|waiting for network|timeout establishing response stream",
    )
    .texts(&[
        "stream disconnected before completion: error sending request for url ({url})",
        "stream disconnected before completion: error sending request",
        "Connection failed: error sending request for url ({url})",
        "Reconnecting... waiting for network",
    ])
    .proves(Condition::NoAnswer)
    .likely(Network)
    .acts(Developer)
    .explains("Codex CLI got no answer at all: refused, DNS, TLS, or a reset before the headers")
    .checks(TURNED_AWAY)
    .seen("0.20 to 0.169; \"waiting for network\" from 0.149"),
    Symptom::new("codex_request_timeout", Client, r"^request timed out\.?$|timeout waiting for response headers")
        .texts(&["request timed out"])
        .proves(Condition::Silence)
        .explains("Codex CLI waited in vain for an answer: a slow OpenAI, a full proxy, or a network that swallows packets")
        .checks(CUT)
        .seen("0.135 to 0.169"),
    Symptom::new("codex_websocket", Client, "falling back from websockets|failed to connect to websocket|websocket protocol error")
        .texts(&[
            "Falling back from WebSockets to HTTPS transport. {reason}",
            "failed to connect to websocket: HTTP error: 426 Upgrade Required",
        ])
        .proves(Condition::Status(&[426]))
        .likely(Client)
        .common()
        .explains("Codex CLI tried a WebSocket first: `supports_websockets` is on, or the built-in provider is used")
        .checks(NO_PLAN)
        .seen("0.98 to 0.169"),
    Symptom::new(
        "codex_unexpected_status",
        Client,
        r"unexpected status (?<status>[0-9]{3})(?:[^:0-9]*: ?(?<message>.*))?",
    )
    .texts(&[
        "unexpected status {status}: {message}, url: {url}, cf-ray: {ray}, request id: {id}",
        "unexpected status {status}: {body}",
    ])
    .proves(Condition::StatusInText(None))
    .id_decides(WithAddress)
    .explains("Codex CLI prints the status and the words of whoever answered")
    .checks(TURNED_AWAY)
    .seen("0.8 to 0.169; with an address and an id from about 0.98"),
    Symptom::new(
        "codex_stream_message",
        Client,
        "stream disconnected before completion: (?<message>.+)",
    )
    .texts(&["stream disconnected before completion: {message}"])
    .proves(Condition::Words)
    .likely(Openai)
    .explains("Codex CLI passes on the words of a response.failed event")
    .checks(CUT)
    .seen("0.8 to 0.169"),
    Symptom::new("codex_stream_disconnected", Client, "stream disconnected before completion")
        .texts(&["stream disconnected before completion"])
        .proves(Condition::StreamBroken)
        .explains("Codex CLI begins many sentences like this; what follows tells a failure from a cut and a silence")
        .checks(CUT)
        .seen("0.8 to 0.169"),
    Symptom::new("codex_reconnecting", Client, r"re-?connecting(?:\.{3}|…) ?[0-9]+/[0-9]+|stream disconnected - retrying")
        .texts(&["Reconnecting... 2/5", "Re-connecting... 1/5 (7s • esc to interrupt)"])
        .proves(Condition::NoAnswer)
        .common()
        .explains("Codex CLI is still trying; the reason comes with its last try, or with `codex exec --json`")
        .checks(CUT)
        .seen("0.50 to 0.169"),
];

/// OpenAI's codes for money and limits that are used up.
pub(super) const QUOTA: &[&str] = &[
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
    "billing_not_active",
];
