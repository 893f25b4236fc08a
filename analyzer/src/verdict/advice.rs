//! What a failure means and who has to do what: one place for every origin and code.
//!
//! Origin is not ownership: OpenAI's rate limit is OpenAI's answer and ours to fix.

use schemas::catalogue::ErrorCode;
use schemas::origin::{Acts, Origin};

use crate::aws::capacity::capacity;
use crate::aws::cloudwatch::Observed;
use crate::verdict::Verdict;

/// Words about a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What happened, a sentence without its origin.
    pub what: String,
    /// Who has to do something.
    pub acts: Acts,
    /// What to do.
    pub step: String,
    /// A sentence for the chat.
    pub say: String,
}

fn advice(what: &str, acts: Acts, step: &str, say: &str) -> Advice {
    Advice { what: what.to_owned(), acts, step: step.to_owned(), say: say.to_owned() }
}

/// The commands that look at a deployment.
const ABOUT_DEPLOYMENTS: [&str; 2] = ["analyzer capacity", "analyzer validate"];

/// Names the deployment that was asked in the commands that look at it, so that they can be pasted.
pub(crate) fn name_deployment(mut verdict: Verdict, naming: &str) -> Verdict {
    for step in &mut verdict.next_steps {
        for command in ABOUT_DEPLOYMENTS {
            if !naming.is_empty() && step.contains(command) && !step.contains(naming) {
                *step = step.replacen(command, &format!("{command}{naming}"), 1);
            }
        }
    }
    verdict
}

/// Says how to come by slots: the command where the figures are known, else the one that finds them.
pub(crate) fn more_slots(observed: &Observed) -> String {
    if let Some(step) = capacity(observed, observed.aside.account).step() {
        return step;
    }
    let back = observed.asked_at.duration_since(observed.window.since).as_secs();
    let hours = back.max(1).cast_unsigned().div_ceil(3_600);
    format!("analyzer capacity --since {hours}h   ({FINDS_SLOTS})")
}

/// Says which right to call the function is missing; `None` where its policy was not seen.
pub(crate) fn missing_rights(observed: &Observed) -> Option<String> {
    Some(match observed.aside.missing_rights.as_deref()? {
        [] => "the function's policy allows both rights that AWS asks for".to_owned(),
        [one] => format!("the function's policy does not allow {one}; AWS asks for it, too"),
        all => format!("the function's policy does not allow {}", all.join(" and ")),
    })
}

/// What mends a refusal at the Function URL.
pub(crate) const OPENS_DOOR: &str =
    "analyzer validate   (names the right that is missing, and the command that gives it)";
const FINDS_SLOTS: &str = "says how many are needed, and the command";

/// Returns the words about a failure.
#[must_use]
pub fn about(origin: Origin, code: &str, status: Option<u16>) -> Advice {
    match origin {
        Origin::Openai => openai(code, status),
        Origin::OpenaiEdge if status == Some(403) => advice(
            "Cloudflare, in front of OpenAI, blocks the address or the region of our requests.",
            Acts::Us,
            "check where the proxy sends from; report the cf-ray to OpenAI",
            "OpenAI's edge blocks our requests at the moment. We are on it.",
        ),
        Origin::OpenaiEdge if status == Some(429) => advice(
            "Cloudflare, in front of OpenAI, limits how often our address may ask.",
            Acts::Us,
            "send less from the proxy's address, or from more addresses; report the cf-ray to OpenAI",
            "OpenAI's edge slows our proxy down at the moment. Retry in a minute.",
        ),
        Origin::OpenaiEdge => {
            let status = status.map_or("an error page".to_owned(), |s| format!("HTTP {s}"));
            advice(
                &format!(
                    "Cloudflare answered {status} in front of OpenAI; we passed it on unchanged."
                ),
                Acts::Openai,
                "wait, and retry; report it to OpenAI with the cf-ray if it lasts",
                "OpenAI's edge is failing, not our proxy. Wait a little and retry.",
            )
        }
        Origin::Network => advice(
            "no answer came from OpenAI: the connection failed before the first header.",
            Acts::Us,
            "check DNS, egress and `--upstream` from where the proxy runs",
            "Our proxy cannot reach OpenAI at the moment. We are on it.",
        ),
        Origin::Proxy => proxy(code),
        Origin::Aws => aws(code),
        Origin::Client => advice(
            "the client closed the connection before the answer was complete.",
            Acts::Developer,
            "was it stopped, put to sleep or cut off? a middlebox in between can do it too",
            "Your Codex hung up before the answer was complete. Was it stopped, or the network cut?",
        ),
    }
}

fn openai(code: &str, status: Option<u16>) -> Advice {
    match (code, status) {
        ("rate_limit_exceeded" | "rate_limit_error" | "tokens" | "requests", _) => advice(
            "OpenAI refused it: a rate limit of our organisation is used up.",
            Acts::Us,
            "find who uses it up; ask OpenAI for a higher limit",
            "We have used up our rate limit at OpenAI. Slow down a little and retry.",
        ),
        (
            "insufficient_quota"
            | "credit_balance_exhausted"
            | "organization_spend_limit_exceeded"
            | "project_spend_limit_exceeded"
            | "organization_usage_limit_exceeded",
            _,
        ) => advice(
            "OpenAI refused it: our organisation's money or spending limit is used up.",
            Acts::Us,
            "raise the limit or top up, in OpenAI's billing settings",
            "Our OpenAI budget is used up. We are raising it.",
        ),
        ("invalid_api_key", _) | (_, Some(401)) => advice(
            "OpenAI refused the real key that the proxy holds.",
            Acts::Us,
            "renew the proxy's OpenAI key",
            "The proxy's own OpenAI key is refused. Your token is fine. We are on it.",
        ),
        ("server_is_overloaded" | "slow_down" | "overloaded", _) => advice(
            "OpenAI says that it is overloaded; we passed it on unchanged.",
            Acts::Openai,
            "use another model, or wait; report it to OpenAI if it lasts",
            "OpenAI is overloaded. Our proxy is fine. Use another model for now.",
        ),
        ("context_length_exceeded", _) => advice(
            "the thread is longer than the model's context window.",
            Acts::Developer,
            "start a new thread, or compact this one",
            "Your thread is too long for the model. Start a new one.",
        ),
        ("unsupported_country_region_territory", _) => advice(
            "OpenAI does not serve the country that the proxy sends from.",
            Acts::Us,
            "check the proxy's region, and where its traffic leaves for the internet",
            "OpenAI refuses the region that our proxy sends from. We are on it.",
        ),
        ("model_not_found", _) => advice(
            "OpenAI does not know this model, or our project may not use it.",
            Acts::Us,
            "check the model's name, and the access of the project behind the key",
            "OpenAI refuses this model. Check its name, or use another one.",
        ),
        ("max_output_tokens" | "content_filter" | "invalid_prompt" | "cyber_policy", _) => advice(
            &format!("OpenAI ended or refused this answer ({code})."),
            Acts::Developer,
            "change the prompt, or ask for less at a time",
            "OpenAI refused or cut this answer because of its content or length.",
        ),
        ("upstream_cut", _) => advice(
            "OpenAI's stream broke off before it was complete.",
            Acts::Openai,
            "retry; report it to OpenAI with the request ids if it lasts",
            "OpenAI cut the answer short. Our proxy is fine. Retry.",
        ),
        ("upstream_idle", _) => advice(
            "OpenAI's stream fell silent before it was complete.",
            Acts::Openai,
            "retry; report it to OpenAI with the request ids if it lasts",
            "OpenAI went silent in the middle of an answer. Retry.",
        ),
        (_, Some(status @ 400..=499)) => advice(
            &format!("OpenAI refused the request with HTTP {status} ({code})."),
            if status == 429 { Acts::Us } else { Acts::Developer },
            "read OpenAI's words: --list shows them",
            "OpenAI refused this request; its words say why.",
        ),
        (_, Some(status @ 500..)) => advice(
            &format!("OpenAI answered HTTP {status}; we passed it on unchanged."),
            Acts::Openai,
            "use another model, or wait; report it to OpenAI with the request ids (--list shows them)",
            "OpenAI is failing. Our proxy is fine. Use another model for now, or wait.",
        ),
        (_, None) => advice(
            &format!("OpenAI failed by its own account ({code}); we passed it on unchanged."),
            Acts::Openai,
            "retry; report it to OpenAI if it lasts",
            "OpenAI failed. Our proxy is fine. Retry.",
        ),
        _ => advice(
            &format!(
                "OpenAI failed in the middle of its answer ({code}); we passed it on unchanged."
            ),
            Acts::Openai,
            "retry; report it to OpenAI with the request ids (--list shows them)",
            "OpenAI failed in the middle of an answer. Our proxy is fine. Retry.",
        ),
    }
}

/// Words about what AWS did, by the code of the record or the row of the symptom catalogue.
fn aws(code: &str) -> Advice {
    match code {
        "aws_throttle" => advice(
            "Lambda refused the request, presumably with all slots busy; the proxy never saw it.",
            Acts::Us,
            &format!("analyzer capacity   ({FINDS_SLOTS})"),
            "We ran out of capacity, not OpenAI. We are on it; retry in a minute.",
        ),
        "aws_forbidden" => advice(
            "the Function URL refused the request; the proxy never saw it.",
            Acts::Us,
            OPENS_DOOR,
            "AWS refuses requests to our proxy at the moment, not OpenAI. We are on it.",
        ),
        "aws_too_large" => advice(
            "the request was larger than the 6 MB that Lambda takes; the proxy never saw it.",
            Acts::Developer,
            "start a new thread or drop images; `codex-proxy serve` outside Lambda takes 64 MiB",
            "Your thread is too large for our proxy's 6 MB. Start a new one, or drop images.",
        ),
        "aws_crash" | "aws_time_out" | "aws_unavailable" => advice(
            "Lambda answered in the proxy's place: the function crashed, timed out or did not start.",
            Acts::Us,
            "CloudWatch Logs of the function at that time",
            "Our proxy's function failed at AWS, not OpenAI. We are on it.",
        ),
        "deadline" => advice(
            "Lambda's time limit ended the answer before OpenAI had finished.",
            Acts::Us,
            "run long work through `codex-proxy serve` outside Lambda, which has no such limit",
            "Lambda's time limit cut a long answer, not OpenAI. Ask for less at a time for now.",
        ),
        _ => advice(
            "Lambda ended or refused the exchange.",
            Acts::Us,
            "run long work through `codex-proxy serve`, outside Lambda; for refusals raise the reserved concurrency",
            "Lambda's limits got in the way, not OpenAI. We are on it.",
        ),
    }
}

fn proxy(code: &str) -> Advice {
    let Some(known) = ErrorCode::from_name(code) else {
        return advice(
            &format!("the proxy failed ({code})."),
            Acts::Us,
            "read the proxy's stderr around that time",
            "That was our proxy, not OpenAI. We are on it.",
        );
    };
    let entry = known.entry();
    let say = match entry.acts {
        Acts::Us => "That was our proxy, not OpenAI. We are on it.".to_owned(),
        _ => format!("Our proxy refused it, not OpenAI: {}.", entry.meaning),
    };
    Advice {
        what: format!("our proxy answered: {}.", entry.meaning),
        acts: entry.acts,
        step: entry.next_step.to_owned(),
        say,
    }
}

#[cfg(test)]
mod tests {
    use schemas::catalogue::CATALOGUE;

    use super::*;

    #[test]
    fn every_entry_of_the_catalogue_has_words_of_its_own() {
        for entry in &CATALOGUE {
            let advice = about(entry.origin, entry.name, Some(entry.status));
            assert_eq!(advice.acts, entry.acts, "{}", entry.name);
            assert!(advice.what.ends_with('.') && !advice.step.is_empty(), "{advice:?}");
        }
    }

    #[test]
    fn origin_is_not_ownership() {
        let acts = |code, status| about(Origin::Openai, code, status).acts;
        assert_eq!(acts("rate_limit_exceeded", Some(429)), Acts::Us);
        assert_eq!(acts("invalid_api_key", Some(401)), Acts::Us);
        assert_eq!(acts("server_error", Some(500)), Acts::Openai);
        assert_eq!(acts("context_length_exceeded", Some(400)), Acts::Developer);
        assert_eq!(acts("server_error", Some(200)), Acts::Openai);
    }
}
