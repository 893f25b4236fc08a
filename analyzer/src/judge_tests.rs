//! Verdicts from evidence made by hand: when is it certain, likely, unknown?

use jiff::Timestamp;
use schemas::record::LoggedError;

use super::*;
use crate::question::Filters;
use crate::recognise::recognise;
use crate::window::Window;

fn question(text: &str) -> Question {
    let [since, until] = ["2026-11-22T01:00:00Z", "2026-11-22T02:00:00Z"]
        .map(|moment| moment.parse().expect("a moment"));
    Question {
        recognised: recognise(text),
        window: Window { since, until },
        filters: Filters::default(),
        all: false,
        max: None,
    }
}

fn failure(status: u16, origin: Origin, code: &str) -> Exchange {
    let id = (origin == Origin::Openai).then(|| "req_1234567890".to_owned());
    Exchange {
        key: "logs/k.json.zst".to_owned(),
        exchange_id: "cpx_01a200ea080c7b3e9f1c2d4a5b6c7d8e".to_owned(),
        started_at: Timestamp::UNIX_EPOCH,
        status: Some(status),
        error: Some(LoggedError {
            origin,
            code: code.to_owned(),
            kind: None,
            message: "words".to_owned(),
            detail: None,
        }),
        ending: None,
        terminal: None,
        token8: None,
        developer: Some("dev-04".to_owned()),
        model: None,
        session_id: None,
        turn_id: None,
        upstream_request_id: id,
        cf_ray: None,
        duration_ms: None,
        on_lambda: Some(true),
        searched: String::new(),
    }
}

fn evidence(matches: &[Exchange]) -> Evidence {
    let mut evidence = Evidence { listed: 100, on_lambda: Some(true), ..Evidence::default() };
    for exchange in matches {
        let origin = exchange.error.as_ref().expect("a failure").origin;
        *evidence.counts.entry(origin).or_default() += 1;
        evidence.matches.push(exchange.clone());
    }
    evidence.read = evidence.total();
    evidence
}

fn verdict(text: &str, evidence: &Evidence) -> (Option<Origin>, Confidence) {
    let verdict = judge(&question(text), Some(evidence));
    (verdict.origin, verdict.confidence)
}

const HIGH_DEMAND: &str = "may cause temporary errors";

#[test]
fn matches_of_one_origin_are_certain_and_of_several_only_likely() {
    let ours = failure(500, Origin::Openai, "server_error");
    let other = failure(500, Origin::Proxy, "proxy_internal");
    let one = evidence(&[ours.clone(), ours.clone()]);
    assert_eq!(verdict(HIGH_DEMAND, &one), (Some(Origin::Openai), Confidence::Certain));
    let two = evidence(&[ours.clone(), ours.clone(), other.clone()]);
    assert_eq!(verdict(HIGH_DEMAND, &two), (Some(Origin::Openai), Confidence::Likely));
    let tie = evidence(&[ours, other]);
    assert_eq!(verdict(HIGH_DEMAND, &tie), (None, Confidence::Unknown));
}

#[test]
fn what_was_not_read_forbids_certainty_unless_keys_decided() {
    let ours = failure(500, Origin::Openai, "server_error");
    let mut partial = evidence(std::slice::from_ref(&ours));
    partial.unread.push(crate::read::Unread {
        key: "logs/x".to_owned(),
        why: "broken".to_owned(),
        denied: false,
    });
    assert_eq!(verdict(HIGH_DEMAND, &partial).1, Confidence::Likely);
    let mut capped = evidence(&[ours]);
    capped.left_out = 7;
    assert_eq!(verdict(HIGH_DEMAND, &capped).1, Confidence::Likely);
    capped.by_key_only = 7;
    *capped.counts.entry(Origin::Openai).or_default() += 7;
    assert_eq!(verdict(HIGH_DEMAND, &capped).1, Confidence::Certain);
    capped.left_out_untold = 1;
    assert_eq!(verdict(HIGH_DEMAND, &capped).1, Confidence::Likely);
    capped.left_out_untold = 0;
    capped.matches.clear();
    assert_eq!(verdict(HIGH_DEMAND, &capped).1, Confidence::Likely, "keys alone, as on call");
}

#[test]
fn a_client_that_gave_up_on_a_silent_stream_is_not_to_blame_for_the_silence() {
    let mut gave_up = failure(200, Origin::Client, "client_closed");
    gave_up.ending = Some(schemas::origin::Ending::ClientClosed);
    let text = "stream disconnected before completion: idle timeout waiting for SSE";
    let silent = evidence(std::slice::from_ref(&gave_up));
    assert_eq!(verdict(text, &silent), (Some(Origin::Openai), Confidence::Likely));
    let text = "stream closed before response.completed";
    assert_eq!(verdict(text, &silent), (Some(Origin::Client), Confidence::Certain));
}

#[test]
fn the_exchange_whose_id_is_in_the_text_settles_it() {
    let mut named = evidence(&[failure(500, Origin::Openai, "server_error")]);
    named.named = Some(failure(401, Origin::Proxy, "proxy_invalid_token"));
    assert_eq!(verdict(HIGH_DEMAND, &named), (Some(Origin::Proxy), Confidence::Certain));
}

#[test]
fn a_429_without_an_id_is_not_one_of_those_that_passed_the_proxy() {
    let text = "exceeded retry limit, last status: 429 Too Many Requests";
    let mut logged = evidence(&[failure(429, Origin::Openai, "rate_limit_exceeded")]);
    assert_eq!(verdict(text, &logged), (Some(Origin::Aws), Confidence::Likely));
    logged.on_lambda = Some(false);
    assert_eq!(verdict(text, &logged), (None, Confidence::Unknown), "no Lambda, no throttle");
    let with_id = format!("{text}, request id: req_1234567890");
    assert_eq!(verdict(&with_id, &logged), (Some(Origin::Openai), Confidence::Certain));
}

#[test]
fn no_match_is_a_finding_and_never_a_default() {
    let nothing = evidence(&[]);
    assert_eq!(verdict(HIGH_DEMAND, &nothing), (None, Confidence::Unknown));
    assert_eq!(verdict("never printed by anybody", &nothing), (None, Confidence::Unknown));
    let mut hers = question(HIGH_DEMAND);
    hers.filters.developer = Some("dev-17".to_owned());
    let verdict = judge(&hers, Some(&nothing));
    assert_eq!((verdict.origin, verdict.confidence), (Some(Origin::Client), Confidence::Likely));
    assert_eq!(verdict.acts, Some(Acts::Developer));
}

#[test]
fn without_logs_the_text_alone_is_likely_at_best() {
    for (text, origin) in [
        (HIGH_DEMAND, None),
        ("Selected model is at capacity. Please try a different model.", Some(Origin::Openai)),
        ("exceeded retry limit, last status: 429 Too Many Requests", Some(Origin::Aws)),
        (
            "exceeded retry limit, last status: 429 Too Many Requests, request id: req_1234567890",
            Some(Origin::Openai),
        ),
        ("invalid or disabled token", Some(Origin::Proxy)),
        ("upstream request failed", Some(Origin::Network)),
        ("Missing environment variable: `OPENAI_API_KEY`.", Some(Origin::Client)),
        (
            "unexpected status 502 Bad Gateway: Internal Server Error, url: https://x",
            Some(Origin::Aws),
        ),
        ("<html><center>cloudflare</center></html>", Some(Origin::OpenaiEdge)),
        ("nobody prints this", None),
    ] {
        let verdict = judge(&question(text), None);
        assert_eq!(verdict.origin, origin, "{text}");
        let expected = if origin.is_some() { Confidence::Likely } else { Confidence::Unknown };
        assert_eq!(verdict.confidence, expected, "{text}");
        assert!(!verdict.next_steps.is_empty(), "{text}");
    }
}
