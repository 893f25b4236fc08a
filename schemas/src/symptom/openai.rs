//! Texts that OpenAI wrote, as they stand in its error bodies and events.

use super::codex::QUOTA;
use super::{Condition, Symptom};
use crate::origin::Acts::{Developer, Us};
use crate::origin::Origin::{Client, Openai};

const BY_ID: &[&str] = &["the request id in the text: `analyzer origin` finds the exchange by it"];

const KEY: &[&str] = &[
    "the proxy's OpenAI key: is it valid, and what may its project do?",
    "`base_url` in the developer's config.toml: without the proxy it is the developer's own key",
];

const LIMIT: &[&str] =
    &["who uses the limit up: `analyzer origin` with --list names the developers"];

const REQUEST: &[&str] = &[
    "what OpenAI says about the request: a setting, a model's name, or a Codex too old for the model",
    "a new thread: a history that OpenAI refuses stays refused",
];

const WAIT: &[&str] = &[
    "https://status.openai.com, and whether every developer sees it",
    "the request id in the text: `analyzer origin` finds the exchange by it",
];

pub(super) const ROWS: &[Symptom] = &[
    Symptom::new("openai_path", Openai, r"invalid url \((?:post|get|head) /+(?:v1/v1/|responses|chat|models|v1//)")
        .texts(&["Invalid URL (POST /responses)", "Invalid URL (POST /v1/v1/responses)"])
        .proves(Condition::Words)
        .likely(Client)
        .explains("`base_url` does not end in /v1, and the request went to OpenAI like this")
        .checks(&["`base_url` in config.toml has to end in /v1, once"]),
    Symptom::new("openai_key_refused", Openai, "(?<message>incorrect api key provided)|invalid_api_key|invalid api key|your api key has been (?:disabled|revoked)")
        .texts(&["Incorrect API key provided: sk-proj-****abcd. You can find your API key at https://platform.openai.com/account/api-keys."])
        .proves(Condition::Code(&["invalid_api_key"]))
        .likely(Openai)
        .acts(Us)
        .explains("OpenAI refused the key that the request came with: the proxy's real key, if the proxy was asked")
        .checks(KEY),
    Symptom::new(
        "openai_key_rights",
        Openai,
        "(?<message>insufficient permissions for this operation|missing scopes: |must be a member of an organization|no such organization|ip address .{0,40}not (?:authorized|allowed)|ip_not_authorized|mismatched_organization|mismatched_project|must be verified to (?:use|stream|generate)|organization must be verified|project .{0,60}archived|api key .{0,40}not associated)",
    )
    .texts(&[
        "You have insufficient permissions for this operation. Missing scopes: api.responses.write.",
        "Your organization must be verified to use the model `gpt-5.5`.",
        "Your IP address is not authorized to use this API key.",
    ])
    .proves(Condition::Words)
    .likely(Openai)
    .acts(Us)
    .explains("OpenAI's words: the organisation or the project behind the key may not do this")
    .checks(KEY),
    Symptom::new("openai_region", Openai, "(?<message>unsupported_country|country, region, or territory not supported|not available in your (?:country|region))")
        .texts(&["Country, region, or territory not supported", "unsupported_country_region_territory"])
        .proves(Condition::Code(&["unsupported_country_region_territory"]))
        .likely(Openai)
        .acts(Us)
        .explains("OpenAI does not serve the region that the request came from")
        .checks(&["the region that the proxy sends from", "`base_url`: does the developer use this proxy at all?"]),
    Symptom::new(
        "openai_context_window",
        Openai,
        "(?<message>exceeds the context window|maximum context length|context_length_exceeded|input is too long for|string too long\\. expected a string with maximum length)",
    )
    .texts(&[
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
        "This model's maximum context length is 272000 tokens.",
        "context_length_exceeded",
    ])
    .proves(Condition::Code(&["context_length_exceeded"]))
    .likely(Openai)
    .acts(Developer)
    .explains("OpenAI's words: the thread is longer than the model's context window")
    .checks(&["start a new thread, or compact this one"]),
    Symptom::new(
        "openai_quota",
        Openai,
        "(?<message>exceeded your current quota|insufficient_quota|billing hard limit|billing_hard_limit_reached|account is not active|billing_not_active|credit balance is (?:too low|exhausted)|credit_balance_exhausted|(?:organization|project)_(?:spend|usage)_limit_exceeded|monthly (?:budget|spend) limit)",
    )
    .texts(&[
        "You exceeded your current quota, please check your plan and billing details.",
        "Your account is not active, please check your billing details on our website.",
        "Billing hard limit has been reached",
        "insufficient_quota",
    ])
    .proves(Condition::Code(QUOTA))
    .likely(Openai)
    .acts(Us)
    .explains("OpenAI's words: the organisation's money or limit is used up")
    .checks(&["billing and limits of the OpenAI organisation that owns the key"]),
    Symptom::new("openai_too_large_for_limit", Openai, "(?<message>request too large for)")
        .texts(&["Request too large for gpt-5.5 in organization {org} on tokens per min (TPM): Limit {n}, Requested {n}."])
        .proves(Condition::Code(&["rate_limit_exceeded"]))
        .likely(Openai)
        .acts(Us)
        .explains("OpenAI's words: one request asks for more than the organisation may use in a minute")
        .checks(LIMIT),
    Symptom::new(
        "openai_rate_limit",
        Openai,
        r"(?<message>rate limit (?:reached for|is exceeded|has been exceeded|exceeded for)|rate_limit_exceeded|rate_limit_error|exceeded (?:the )?(?:token )?rate limit|(?:tokens|requests) per (?:min|day)|too many requests in a short)",
    )
    .texts(&[
        "Rate limit reached for {model} in organization {org} on tokens per min (TPM): Limit {n}, Used {n}, Requested {n}.",
        "Rate limit is exceeded. Try again in 17 seconds.",
    ])
    .proves(Condition::Code(&["rate_limit_exceeded", "rate_limit_error", "tokens", "requests"]))
    .likely(Openai)
    .acts(Us)
    .explains("OpenAI's words: a limit of our organisation is used up")
    .checks(LIMIT),
    Symptom::new(
        "openai_overloaded",
        Openai,
        "(?<message>(?:engine|model|server|servers) (?:is|are) (?:currently )?overloaded|server_is_overloaded|slow_down|overloaded_error|rate limit exceeded: slow down)",
    )
    .texts(&[
        "The server is overloaded or not ready yet.",
        "Our servers are currently overloaded. Please try again later.",
        "The engine is currently overloaded, please try again later",
        "That model is currently overloaded with other requests.",
    ])
    .proves(Condition::Code(&["server_is_overloaded", "slow_down", "overloaded", "overloaded_error"]))
    .likely(Openai)
    .explains("OpenAI's words: it is overloaded")
    .checks(WAIT),
    Symptom::new(
        "openai_server_error",
        Openai,
        "(?<message>the server had an error|an error occurred while processing (?:your|the) request|retry your request, or contact us through our help center|internal server error\\. please (?:try again|contact)|something went wrong\\. if this issue persists please contact us|[\"']server_error[\"'])",
    )
    .texts(&[
        "The server had an error while processing your request. Sorry about that!",
        "An error occurred while processing your request. You can retry your request, or contact us through our help center at help.openai.com if the error persists. Please include the request ID {id} in your message.",
    ])
    .proves(Condition::Words)
    .likely(Openai)
    .explains("OpenAI's words for a failure of its own")
    .checks(WAIT),
    Symptom::new(
        "openai_model_access",
        Openai,
        "(?<message>does not exist or you do not have access|does not have access to model|model_not_found|the model .{1,80} does not exist|requires a newer version of codex|model .{1,60} has been deprecated)",
    )
    .texts(&[
        "The model `{model}` does not exist or you do not have access to it.",
        "Project `{project}` does not have access to model `{model}`",
        "The '{model}' model requires a newer version of Codex. Please upgrade to the latest app or CLI and try again.",
    ])
    .proves(Condition::Code(&["model_not_found"]))
    .likely(Openai)
    .acts(Us)
    .explains("OpenAI's words: the project behind the key may not use this model, or there is none")
    .checks(&["the model's name in config.toml", "the access of the project behind the key"]),
    Symptom::new(
        "openai_policy",
        Openai,
        "(?<message>flagged as potentially violating|violating our usage policy|usage polic(?:y|ies)|invalid_prompt|content_policy_violation|rejected as a result of our safety system|cyber_policy|rejected by the content filter|response was filtered)",
    )
    .texts(&[
        "Invalid prompt: your prompt was flagged as potentially violating our usage policy. Please try again with a different prompt.",
        "Your request was rejected as a result of our safety system.",
        "Could not parse response content as the request was rejected by the content filter",
    ])
    .proves(Condition::Words)
    .likely(Openai)
    .acts(Developer)
    .explains("OpenAI refused the prompt because of its content")
    .checks(&["change the prompt"]),
    Symptom::new(
        "openai_image",
        Openai,
        "(?<message>does not represent a valid image|expected a base64-encoded data url|invalid_image|image_parse_error|unsupported image|image (?:is )?too large)",
    )
    .texts(&[
        "The image data you provided does not represent a valid image. Please check your input and try again.",
        "Expected a base64-encoded data URL with an image MIME type, but got empty base64-encoded bytes.",
    ])
    .proves(Condition::Words)
    .likely(Openai)
    .acts(Developer)
    .explains("OpenAI could not read an image of this thread")
    .checks(&["remove the image, or start a new thread"]),
    Symptom::new(
        "openai_bad_request",
        Openai,
        r#"(?<message>(?:unsupported|unknown|invalid|missing required) (?:parameter|value): |unsupported parameter|invalid_request_error|invalid ["'][a-z_\[\]0-9.]+["']: |no tool (?:output|call) found for|of type ["']reasoning["'] was provided without|encrypted content .{0,60}could not be|previous response with id|invalid type for |invalid schema for |could not parse the json body|unsupported_parameter|unsupported_value|item with id .{1,80} not found|we could not parse the json body|could not parse response content as the length limit|unsupported tool type|stored (?:responses|items)|store must be|instructions are (?:not valid|required))"#,
    )
    .texts(&[
        r#"{"error": {"message": "Unsupported parameter: 'x'", "type": "invalid_request_error", "param": "x", "code": "unsupported_parameter"}}"#,
        "Unsupported value: 'low' is not supported with the 'gpt-5.5' model.",
        "No tool output found for function call call_abc123.",
        "Invalid 'input[3].call_id': empty string. Expected a string with minimum length 1.",
    ])
    .proves(Condition::Words)
    .likely(Openai)
    .acts(Developer)
    .explains("OpenAI refused the request as it was written")
    .checks(REQUEST),
    Symptom::new("openai_upstream", Openai, "(?<message>upstream connect error or disconnect/reset before headers)")
        .texts(&["upstream connect error or disconnect/reset before headers. reset reason: connection termination"])
        .proves(Condition::Words)
        .common()
        .explains("words of an Envoy proxy: OpenAI has them inside, and so do many companies; only an id tells")
        .checks(BY_ID),
];
