//! Headers of an answer, as `curl -v` and the libraries show them: who made it stands there in so many words.

use super::{Condition, Symptom};
use crate::origin::Origin::{Aws, Openai, Proxy};

const WHOLE: &[&str] = &["the id in the headers: `analyzer origin` finds the exchange by it"];

pub(super) const ROWS: &[Symptom] = &[
    Symptom::new(
        "header_of_proxy",
        Proxy,
        r"http/[12](?:\.[01])? (?<status>[45][0-9]{2}).*x-codex-proxy-origin: ?[\x22']?proxy|x-codex-proxy-origin: ?[\x22']?proxy",
    )
    .texts(&["x-codex-proxy-origin: proxy"])
    .proves(Condition::StatusInText(None))
    .likely(Proxy)
    .explains("only the proxy's own answers carry this header")
    .checks(WHOLE),
    Symptom::new(
        "header_of_openai",
        Openai,
        r"http/[12](?:\.[01])? (?<status>[45][0-9]{2}).*x-codex-proxy-origin: ?[\x22']?openai|x-codex-proxy-origin: ?[\x22']?openai",
    )
    .texts(&["x-codex-proxy-origin: openai"])
    .proves(Condition::StatusInText(None))
    .likely(Openai)
    .explains("the proxy marks with this header what it passes on from OpenAI")
    .checks(WHOLE),
    Symptom::new(
        "header_of_lambda",
        Aws,
        r"http/[12](?:\.[01])? (?<status>[45][0-9]{2}).*x-amzn-(?:errortype|requestid)|x-amzn-errortype: ?[a-z]",
    )
    .texts(&["x-amzn-ErrorType: InternalServerException"])
    .proves(Condition::StatusInText(None))
    .likely(Aws)
    .explains("headers of AWS's, and not the proxy's mark beside them: AWS answered by itself")
    .checks(&["CloudWatch Logs and metrics of the proxy's function at that time"]),
];
