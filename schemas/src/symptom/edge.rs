//! Texts of Cloudflare, which stands in front of OpenAI.

use super::{Condition, Symptom};
use crate::origin::Acts::Us;
use crate::origin::Origin::{Client, OpenaiEdge};

const EDGE: &[&str] = &[
    "the cf-ray in the text: `analyzer origin` finds the exchange by it, and OpenAI can trace it",
    "https://status.openai.com, and whether every developer sees it",
];

const REGION: &[&str] = &[
    "the region that the proxy sends from: does OpenAI serve it?",
    "`base_url` in the developer's config.toml: does it point at this proxy?",
];

pub(super) const ROWS: &[Symptom] = &[
    Symptom::new("codex_cloudflare_block", Client, "access blocked by cloudflare")
        .texts(&["Access blocked by Cloudflare. This usually happens when connecting from a restricted region (status 403 Forbidden)"])
        .proves(Condition::Status(&[403]))
        .likely(OpenaiEdge)
        .acts(Us)
        .explains("Codex CLI prints this for a 403 page of Cloudflare, in front of OpenAI")
        .checks(REGION)
        .seen("0.58 to 0.169"),
    Symptom::new(
        "edge_blocked",
        OpenaiEdge,
        r"error code: 10[0-9]{2}|attention required! ?\| ?cloudflare|sorry, you have been blocked|enable javascript and cookies to continue|<title>just a moment|just a moment\.\.\.|cf-(?:chl|mitigated|challenge)|/cdn-cgi/challenge",
    )
    .texts(&[
        "unexpected status 403 Forbidden: error code: 1020",
        "<title>Attention Required! | Cloudflare</title>",
        "<title>Just a moment...</title>",
        "Enable JavaScript and cookies to continue",
    ])
    .proves(Condition::Words)
    .likely(OpenaiEdge)
    .acts(Us)
    .explains("Cloudflare, in front of OpenAI, took the request for an attack, a robot or a banned region")
    .checks(REGION),
    Symptom::new(
        "openai_edge_page",
        OpenaiEdge,
        r"(?:<html|<!doctype|<title>|<center>|<head>).*cloudflare|<center>cloudflare|cloudflare ray id|cloudflare tunnel error|(?:^|<p>|gateway: |unavailable: |time-?out: |code>: )error code: 5(?:0[0-9]|2[0-7])(?:[^0-9]|$)|error 5(?:2[0-7]|30).{0,40}ray id",
    )
    .texts(&[
        "<html>{page}<center>cloudflare</center></body></html>",
        "unexpected status 502 Bad Gateway: error code: 502",
        "error code: 522",
        "Error 524 Ray ID: {ray} A timeout occurred",
    ])
    .proves(Condition::Words)
    .likely(OpenaiEdge)
    .explains("a page of Cloudflare, which stands in front of OpenAI")
    .checks(EDGE),
    Symptom::new(
        "edge_status",
        OpenaiEdge,
        r"(?:status|code|http|error)[:]? ?(?<status>52[0-7]|530)|^(?<status2>52[0-7])(?: |$|:|<)|web server is (?:down|returning an unknown error)",
    )
    .texts(&[
        "unexpected status 520 <unknown status code>: {body}",
        "unexpected status 524 <unknown status code>: Unknown error",
        "Web server is returning an unknown error",
        "Web server is down",
    ])
    .proves(Condition::StatusInText(Some(520)))
    .likely(OpenaiEdge)
    .explains("only Cloudflare answers with a status like this: it did not reach OpenAI behind it, or not in time")
    .checks(EDGE),
];
