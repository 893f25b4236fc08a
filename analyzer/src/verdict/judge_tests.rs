//! Verdicts from evidence made by hand: when is it certain, likely, unknown?

use jiff::{SignedDuration, Timestamp};
use schemas::origin::Acts;
use schemas::record::LoggedError;
use schemas::view::Timing;

use super::*;
use crate::question::Filters;
use crate::text::recognise::recognise;
use crate::window::Window;

pub(super) fn question(text: &str) -> Question {
    let [since, until] = ["2026-11-22T01:00:00Z", "2026-11-22T02:00:00Z"]
        .map(|moment| moment.parse().expect("a moment"));
    Question {
        recognised: recognise(text),
        window: Window { since, until },
        filters: Filters::default(),
        all: false,
        max: None,
        now: until,
    }
}

pub(super) fn failure(status: u16, origin: Origin, code: &str) -> Exchange {
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
        client_version: None,
        session_id: None,
        turn_id: None,
        upstream_request_id: id,
        cf_ray: None,
        ratelimit: std::collections::BTreeMap::new(),
        lambda_request_id: None,
        timing: Timing::default(),
        usage: None,
        path: None,
        proxy_version: None,
        proxy_region: None,
        on_lambda: Some(true),
        searched: String::new(),
    }
}

pub(super) fn evidence(matches: &[Exchange]) -> Evidence {
    let mut evidence = Evidence { listed: 100, on_lambda: Some(true), ..Evidence::default() };
    for exchange in matches {
        let origin = exchange.error.as_ref().expect("a failure").origin;
        *evidence.counts.entry(origin).or_default() += 1;
        evidence.matches.push(exchange.clone());
    }
    evidence.read = evidence.total();
    evidence
}

pub(super) fn verdict(text: &str, evidence: &Evidence) -> (Option<Origin>, Confidence) {
    let verdict = judge(&question(text), Some(evidence));
    (verdict.origin, verdict.confidence)
}

pub(super) const HIGH_DEMAND: &str = "may cause temporary errors";

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
    partial.unread.push(crate::logs::read::Unread {
        key: "logs/x".to_owned(),
        why: "broken".to_owned(),
        denied: false,
        gone: false,
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
    assert_eq!(verdict(text, &silent), (Some(Origin::Client), Confidence::Likely), "whose?");
    let mut hers = question(text);
    hers.filters.developer = Some("dev-04".to_owned());
    assert_eq!(judge(&hers, Some(&silent)).confidence, Confidence::Certain);
}

#[test]
fn the_exchange_whose_id_is_in_the_text_settles_it() {
    let mut named = evidence(&[failure(500, Origin::Openai, "server_error")]);
    named.named.push(failure(500, Origin::Proxy, "odd"));
    assert_eq!(verdict(HIGH_DEMAND, &named), (Some(Origin::Proxy), Confidence::Certain));
    // An id from elsewhere in the paste: the text tells of another failure.
    named.named[0] = failure(401, Origin::Proxy, "proxy_invalid_token");
    assert_eq!(verdict(HIGH_DEMAND, &named), (Some(Origin::Proxy), Confidence::Likely));
}

#[test]
fn a_429_without_an_id_is_not_one_of_those_that_passed_the_proxy() {
    let text = "exceeded retry limit, last status: 429 Too Many Requests";
    let mut logged = evidence(&[failure(429, Origin::Openai, "rate_limit_exceeded")]);
    assert_eq!(verdict(text, &logged), (Some(Origin::Aws), Confidence::Likely));
    logged.on_lambda = Some(false);
    assert_eq!(verdict(text, &logged), (None, Confidence::Unknown), "no Lambda, no throttle");
    let with_id = format!("{text}, request id: req_1234567890");
    assert_eq!(
        verdict(&with_id, &logged),
        (Some(Origin::Openai), Confidence::Likely),
        "another id"
    );
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

#[test]
fn an_id_that_is_not_here_is_another_exchange() {
    let logged = evidence(&[failure(429, Origin::Openai, "rate_limit_exceeded")]);
    let ours = "exceeded retry limit, last status: 429 Too Many Requests, request id: cpx_00000000000000000000000000000000";
    let relayed = (Some(Origin::Openai), Confidence::Likely);
    assert_eq!(verdict(ours, &logged), relayed, "the proxy never answers 429 by itself");
    let verdict = judge(&question(ours), Some(&logged));
    assert!(verdict.proof.iter().any(|line| line.contains("stands in none")), "{verdict:?}");
}

#[test]
fn two_ids_of_different_origin_are_not_certain_and_a_success_is_no_failure() {
    let mut named = evidence(&[]);
    named.named.push(failure(502, Origin::Network, "proxy_upstream_failed"));
    named.named.push(failure(401, Origin::Openai, "invalid_api_key"));
    let verdict = judge(&question(HIGH_DEMAND), Some(&named));
    assert_eq!((verdict.origin, verdict.confidence), (Some(Origin::Network), Confidence::Likely));
    assert!(verdict.other.is_some());
    named.named.truncate(1);
    named.named[0].error = None;
    assert_eq!(judge(&question(HIGH_DEMAND), Some(&named)).origin, None);
}

#[test]
fn what_is_long_over_is_told_as_past_and_not_as_certain() {
    let mut over = evidence(&[failure(500, Origin::Openai, "server_error")]);
    over.last_seen = "2026-11-22T00:30:00Z".parse().ok();
    over.since_then = 200;
    let verdict = judge(&question(HIGH_DEMAND), Some(&over));
    assert_eq!((verdict.origin, verdict.confidence), (Some(Origin::Openai), Confidence::Likely));
    assert!(verdict.say.is_some_and(|say| say.contains("old")));
}

#[test]
fn a_developer_who_is_seen_here_does_reach_the_proxy() {
    let mut hers = question(HIGH_DEMAND);
    hers.filters.developer = Some("dev-04".to_owned());
    let mut seen = evidence(&[]);
    let at = |ago| Exchange { started_at: hers.now - ago, ..failure(200, Origin::Openai, "x") };
    seen.last_of_developer = Some(at(SignedDuration::from_mins(5)));
    assert_eq!(judge(&hers, Some(&seen)).origin, None);
    seen.last_of_developer = Some(at(SignedDuration::from_hours(6)));
    assert_eq!(judge(&hers, Some(&seen)).origin, Some(Origin::Client), "not any more");
    let mut unread = evidence(&[]);
    unread.unread_successes = 5;
    assert_eq!(judge(&hers, Some(&unread)).origin, None, "she may be among the unread");
}

#[test]
fn code_and_status_are_told_of_one_and_the_same_exchange() {
    let stream = failure(200, Origin::Openai, "aa");
    let refused = failure(500, Origin::Openai, "zz");
    let mixed = evidence(&[stream, refused.clone(), refused]);
    let verdict = judge(&question("words nobody knows"), Some(&mixed));
    assert!(
        verdict.why.contains("among others") && verdict.why.contains("HTTP 500"),
        "{}",
        verdict.why
    );
    assert_eq!(verdict.other.as_deref(), Some("also: aa 1"));
}

#[test]
fn a_name_that_nobody_here_has_is_said_and_the_nearest_suggested() {
    let mut hers = question(HIGH_DEMAND);
    hers.filters.developer = Some("dev-71".to_owned());
    let mut seen = evidence(&[]);
    seen.names = ["dev-17", "dev-04"].map(str::to_owned).into();
    let verdict = judge(&hers, Some(&seen));
    assert_eq!(verdict.origin, None, "it says nothing about dev-17");
    assert!(verdict.next_steps[0].contains("--developer dev-17"), "{verdict:?}");
    hers.filters.developer = Some("somebody-else".to_owned());
    let verdict = judge(&hers, Some(&seen));
    assert_eq!((verdict.origin, verdict.confidence), (Some(Origin::Client), Confidence::Likely));
}

#[test]
fn a_bare_majority_is_not_enough_to_go_by() {
    let ours = failure(500, Origin::Openai, "server_error");
    let other = failure(500, Origin::Proxy, "proxy_internal");
    let close = [ours.clone(), ours.clone(), ours, other.clone(), other];
    assert_eq!(verdict(HIGH_DEMAND, &evidence(&close)), (None, Confidence::Unknown));
}

#[test]
fn a_piece_that_many_texts_have_is_never_certain() {
    let mut cut = failure(200, Origin::Openai, "upstream_cut");
    cut.ending = Some(schemas::origin::Ending::UpstreamCut);
    let here = evidence(&[cut]);
    assert_eq!(verdict("Transport error", &here), (Some(Origin::Openai), Confidence::Likely));
    let whole =
        "stream disconnected before completion: Transport error: error decoding response body";
    assert_eq!(verdict(whole, &here), (Some(Origin::Openai), Confidence::Certain));
}

#[test]
fn what_was_never_sent_is_the_clients_whatever_the_logs_hold() {
    let logged = evidence(&[failure(401, Origin::Proxy, "proxy_invalid_token")]);
    let text = "ERROR: Missing environment variable: `CODEX_PROXY_TOKEN`.";
    assert_eq!(verdict(text, &logged), (Some(Origin::Client), Confidence::Certain));
    let past_us = "unexpected status 401 Unauthorized: Missing bearer or basic authentication in header, url: https://api.openai.com/v1/responses";
    assert_eq!(verdict(past_us, &logged), (Some(Origin::Client), Confidence::Likely));
}

#[test]
fn a_text_that_says_when_it_was_is_not_about_another_time() {
    let here = evidence(&[failure(500, Origin::Openai, "server_error")]);
    let old = "[2025-09-30T12:00:00] ERROR: We're currently experiencing high demand, which may cause temporary errors.";
    let old = judge(&question(old), Some(&here));
    assert_eq!((old.origin, old.confidence), (None, Confidence::Unknown));
    assert!(old.next_steps[0].contains("--since 2025-09-30T11:00:00Z"), "{old:?}");
    let now = "[2026-11-22T01:30:00] ERROR: We're currently experiencing high demand, which may cause temporary errors.";
    assert_eq!(verdict(now, &here), (Some(Origin::Openai), Confidence::Certain));
}

#[test]
fn an_old_client_shows_no_id_so_that_none_says_nothing() {
    let logged = evidence(&[failure(429, Origin::Openai, "rate_limit_exceeded")]);
    let old = "stream error: exceeded retry limit, last status: 429 Too Many Requests; retrying 1/5 in 200ms…";
    assert_eq!(verdict(old, &logged), (Some(Origin::Openai), Confidence::Likely));
    let newer = "exceeded retry limit, last status: 401 Unauthorized";
    let refused = evidence(&[failure(401, Origin::Proxy, "proxy_invalid_token")]);
    assert_eq!(verdict(newer, &refused).0, Some(Origin::Proxy));
}

#[test]
fn of_a_refused_token_only_what_the_logs_prove_is_said() {
    let mut refused = failure(401, Origin::Proxy, "proxy_invalid_token");
    refused.token8 = Some("3fa9c1d2".to_owned());
    let mut here = evidence(&[refused.clone(), refused.clone()]);
    let text = "unexpected status 401 Unauthorized: invalid or disabled token";
    let alone = judge(&question(text), Some(&here));
    assert!(alone.why.contains("dev-04's token 3fa9c1d2"), "{alone:?}");
    assert!(alone.proof[0].contains("never accepted in this window"), "{alone:?}");
    assert!(alone.proof[1].contains("no use of another token"), "{alone:?}");
    assert_eq!((alone.confidence, alone.acts), (Confidence::Certain, Some(Acts::Developer)));
    let used = crate::verdict::evidence::TokenUse {
        developer: Some("dev-04".to_owned()),
        accepted: 3,
        last_accepted: Some(Timestamp::UNIX_EPOCH),
    };
    here.tokens_seen.insert("b71e0477".to_owned(), used);
    let other = judge(&question(text), Some(&here));
    assert!(other.proof[1].contains("b71e0477: accepted 3 times"), "{other:?}");
    for exchange in &mut here.matches {
        exchange.developer = None;
    }
    let unknown = judge(&question(text), Some(&here));
    assert!(unknown.why.contains("that we do not know"), "{unknown:?}");
}

#[test]
fn a_page_behind_a_status_is_found_by_its_status_and_its_words() {
    let page =
        "<html> <head><title>502 Bad Gateway</title></head> <center>cloudflare</center> </html>";
    let text = format!(
        "unexpected status 502 Bad Gateway: {page}, url: https://x.lambda-url.eu.on.aws/v1/responses, cf-ray: 8f0012345678abcd-FRA"
    );
    let wanted = recognise(&text).wanted;
    assert_eq!((wanted.statuses.as_slice(), wanted.words_required), (&[502][..], true));
    let mut edge = failure(502, Origin::OpenaiEdge, "edge_502");
    edge.searched = page.to_lowercase();
    assert!(wanted.matches(&edge));
    edge.cf_ray = Some("8f0012345678abcd-FRA".to_owned());
    let mut named = evidence(&[]);
    named.named.push(edge);
    assert_eq!(verdict(&text, &named), (Some(Origin::OpenaiEdge), Confidence::Certain));
}

#[test]
fn failures_of_another_hour_are_not_what_a_text_with_a_time_tells_of() {
    let mut all = evidence(&[failure(500, Origin::Openai, "server_error")]);
    let at = |time: &str| time.parse::<Timestamp>().ok();
    (all.first_seen, all.last_seen) = (at("2026-11-22T01:50:00Z"), at("2026-11-22T01:53:00Z"));
    let judged = |clock: &str| {
        let text = format!("2026-11-22T{clock}Z ERROR codex_core: {HIGH_DEMAND}");
        judge(&question(&text), Some(&all))
    };
    let far = judged("01:10:00");
    assert_eq!((far.origin, far.confidence), (None, Confidence::Unknown), "{far:?}");
    assert!(far.proof[1].contains("first 22 Nov 01:50:00 UTC"), "{far:?}");
    assert_eq!(judged("01:52:00").origin, Some(Origin::Openai));
}
