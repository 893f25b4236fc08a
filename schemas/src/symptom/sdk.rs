//! Exceptions of OpenAI's libraries for Python and Node, around the words of whoever answered.
//!
//! Python prints the body as it prints a dictionary (`{'error': {'message': …}}`), Node the
//! message alone behind the status; a body that is not JSON stands in full.

use super::codex::TURNED_AWAY;
use super::{Condition, Symptom};
use crate::origin::Acts::{Developer, Us};
use crate::origin::Origin::{Client, Network, Openai};

const SLOW: &[&str] = &[
    "the proxy's log of that time: did OpenAI answer, and after how long?",
    "VPN, firewall and HTTPS_PROXY of the developer's machine",
];

pub(super) const ROWS: &[Symptom] = &[
    Symptom::new(
        "sdk_no_key",
        Client,
        r"api_key client option must be set|openai_api_key environment variable (?:is missing|must be set)|missing credentials\. please pass|illegal header value|dangerouslyallowbrowser|openaierror: the .{0,40}environment variable",
    )
    .texts(&[
        "openai.OpenAIError: The api_key client option must be set either by passing api_key to the client or by setting the OPENAI_API_KEY environment variable",
        "OpenAIError: Missing credentials. Please pass an `apiKey`, or set the `OPENAI_API_KEY` environment variable.",
        "httpx.LocalProtocolError: Illegal header value b'Bearer '",
    ])
    .local()
    .explains("the library found no usable token; nothing was sent")
    .checks(&["OPENAI_API_KEY in the environment of the program: set, without quotes and line end"]),
    Symptom::new(
        "sdk_status",
        Client,
        r"error code: (?<status>[45][0-9]{2})(?: - (?<message>.+))?",
    )
    .texts(&[
        "openai.RateLimitError: Error code: 429 - {'error': {'message': '{message}', 'type': '{type}', 'param': None, 'code': '{code}'}}",
        "openai.InternalServerError: Error code: 502",
    ])
    .proves(Condition::StatusInText(None))
    .explains("OpenAI's library for Python prints the status and the body of whoever answered")
    .checks(TURNED_AWAY),
    Symptom::new(
        "sdk_status_node",
        Client,
        r"(?:(?:ratelimit|internalserver|authentication|badrequest|permissiondenied|notfound|conflict|unprocessableentity|api|apistatus)?error: |^)(?<status>[45][0-9]{2}) (?:status code \(no body\)|(?<message>.+))",
    )
    .texts(&[
        "RateLimitError: 429 {message}",
        "Error: 502 upstream request failed",
        "503 status code (no body)",
    ])
    .proves(Condition::StatusInText(None))
    .common()
    .explains("OpenAI's library for Node prints the status and the words of whoever answered")
    .checks(TURNED_AWAY),
    Symptom::new("sdk_timeout", Client, r"apitimeouterror|apiconnectiontimeouterror|readtimeout|read timed out|request timed out\.?|pooltimeout|writetimeout|und_err_headers_timeout|und_err_body_timeout|headers timeout error|body timeout error")
        .texts(&["openai.APITimeoutError: Request timed out.", "APIConnectionTimeoutError: Request timed out.", "httpx.ReadTimeout: The read operation timed out"])
        .proves(Condition::Silence)
        .common()
        .explains("the library waited in vain for an answer: a slow OpenAI, a full proxy, or a network that swallows packets")
        .checks(SLOW),
    Symptom::new("sdk_connection", Client, r"apiconnectionerror|^(?:error: )?connection error\.?$|openai.{0,20}connection error|all connection attempts failed|httpx\.connecterror|typeerror: fetch failed")
        .texts(&["openai.APIConnectionError: Connection error.", "APIConnectionError: Connection error.", "httpx.ConnectError: All connection attempts failed"])
        .proves(Condition::NoAnswer)
        .likely(Network)
        .acts(Developer)
        .common()
        .explains("the library got no answer at all: refused, DNS, TLS, or a gateway")
        .checks(TURNED_AWAY),
    Symptom::new("sdk_rate_limit", Client, r"(?:openai\.)?ratelimiterror(?:: (?<message>.+))?")
        .texts(&["openai.RateLimitError: {message}"])
        .proves(Condition::Status(&[429]))
        .common()
        .acts(Us)
        .explains("OpenAI's library prints this for any HTTP 429")
        .checks(TURNED_AWAY),
    Symptom::new("sdk_authentication", Client, r"(?:openai\.)?authenticationerror(?:: (?<message>.+))?")
        .texts(&["openai.AuthenticationError: {message}"])
        .proves(Condition::Status(&[401]))
        .common()
        .explains("OpenAI's library prints this for any HTTP 401")
        .checks(TURNED_AWAY),
    Symptom::new("sdk_server_error", Client, r"(?:openai\.)?internalservererror(?:: (?<message>.+))?")
        .texts(&["openai.InternalServerError: {message}"])
        .proves(Condition::Status(&[500, 502, 503, 504]))
        .common()
        .explains("OpenAI's library prints this for any HTTP 5xx, with the words of whoever answered")
        .checks(TURNED_AWAY),
    Symptom::new("sdk_error", Client, r"(?:openai\.)(?:apierror|badrequesterror|permissiondeniederror|notfounderror|apistatuserror): (?<message>.+)")
        .texts(&["openai.APIError: {message}", "openai.BadRequestError: {message}"])
        .proves(Condition::Words)
        .likely(Openai)
        .common()
        .explains("OpenAI's library prints the words of whoever answered")
        .checks(TURNED_AWAY),
];
