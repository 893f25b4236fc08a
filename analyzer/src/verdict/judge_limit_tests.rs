//! What looks like a proof and is none: each of these was once called certain, or laid at the wrong layer.

use super::tests::{HIGH_DEMAND, evidence, failure, question, verdict};
use super::*;
use crate::text::recognise::recognise;

fn at(time: &str, mut exchange: Exchange) -> Exchange {
    exchange.started_at = time.parse().expect("a time");
    exchange
}

#[test]
fn a_single_failure_of_somebody_that_is_long_over_is_not_certainly_the_one() {
    let failed = at("2026-11-22T01:02:00Z", failure(500, Origin::Openai, "server_error"));
    let mut one = evidence(std::slice::from_ref(&failed));
    one.last_seen = Some(failed.started_at);
    assert_eq!(verdict(HIGH_DEMAND, &one), (Some(Origin::Openai), Confidence::Certain));
    one.since_then = 300;
    let over = judge(&question(HIGH_DEMAND), Some(&one));
    assert_eq!((over.origin, over.confidence), (Some(Origin::Openai), Confidence::Likely));
    assert!(
        over.say.as_ref().is_some_and(|say| say.contains("The last one is 58 min old")),
        "{over:?}"
    );
    let mut hers = question(HIGH_DEMAND);
    hers.filters.developer = Some("dev-04".to_owned());
    assert_eq!(judge(&hers, Some(&one)).confidence, Confidence::Certain, "it was hers");
    one.recent.0 = 1;
    assert_eq!(verdict(HIGH_DEMAND, &one).1, Confidence::Certain, "it goes on");
}

#[test]
fn a_text_with_a_time_and_its_zone_is_about_what_happened_then() {
    let failed = at("2026-11-22T01:50:00Z", failure(500, Origin::Openai, "server_error"));
    let here = evidence(std::slice::from_ref(&failed));
    let said = |time: &str| {
        verdict(&format!("{time} ERROR We're currently experiencing {HIGH_DEMAND}"), &here)
    };
    assert_eq!(said("2026-11-22T01:52:00Z"), (Some(Origin::Openai), Confidence::Certain));
    assert_eq!(said("2026-11-22T02:52:00+01:00"), (Some(Origin::Openai), Confidence::Certain));
    assert_eq!(said("2026-11-22T01:10:00Z"), (Some(Origin::Openai), Confidence::Likely));
    assert_eq!(said("2026-11-21T23:10:00Z").1, Confidence::Unknown, "not in this window");
}

#[test]
fn a_bare_status_is_never_certain() {
    let failed = evidence(&[failure(500, Origin::Openai, "server_error")]);
    for text in ["500", "HTTP 500", "500 Internal Server Error"] {
        assert_eq!(verdict(text, &failed), (Some(Origin::Openai), Confidence::Likely), "{text}");
    }
}

#[test]
fn a_line_without_an_id_may_be_of_a_client_that_shows_none() {
    let mut refused = failure(429, Origin::Openai, "rate_limit_exceeded");
    let text = "exceeded retry limit, last status: 429 Too Many Requests";
    refused.client_version = Some("0.98.0".to_owned());
    let newer = evidence(std::slice::from_ref(&refused));
    assert_eq!(verdict(text, &newer).0, Some(Origin::Aws));
    refused.client_version = Some("0.36.0".to_owned());
    let older = evidence(&[refused]);
    assert_eq!(verdict(text, &older), (Some(Origin::Openai), Confidence::Likely));
}

#[test]
fn an_id_that_is_cut_off_is_not_missing() {
    for text in [
        "exceeded retry limit, last status: 429 Too Many\nRequests, request id:",
        "exceeded retry limit, last status: 429",
        "exceeded retry limit, last status: 429 Too Many",
        "exceeded retry limit, last status: 429 Too Many Requests,",
        "exceeded retry limit, last status: 429 Too Many Requests, requ",
        "unexpected status 503 Service Unavailable: x, url: https://a.lambda-url.eu-central-1.on.aws/v1/resp",
        "unexpected status 503 Service Unavailable: x, url: https://h.on.aws/v1/responses, cf-",
    ] {
        assert!(!recognise(text).would_show_id(), "{text}");
    }
    for text in [
        "exceeded retry limit, last status: 429 Too Many Requests",
        "unexpected status 503 Service Unavailable: x, url: https://h.on.aws/v1/responses",
    ] {
        assert!(recognise(text).would_show_id(), "{text}");
    }
}

#[test]
fn what_codex_says_of_a_stream_is_nothing_that_the_proxy_says() {
    let text = "stream disconnected before completion: internal error";
    assert_eq!(recognise(text).ours, None);
    let mut ours = failure(503, Origin::Proxy, "proxy_internal");
    ours.searched = "internal error".to_owned();
    assert!(!recognise(text).wanted.matches(&ours), "Codex would have shown its status");
    assert_eq!(
        recognise("internal error").ours.map(|code| code.entry().name),
        Some("proxy_internal")
    );
}

#[test]
fn our_words_in_an_answer_of_openais_are_openais() {
    let mut theirs = failure(503, Origin::Openai, "server_error");
    theirs.error.as_mut().expect("a failure").message = "Internal error".to_owned();
    let found = judge(&question("internal error"), Some(&evidence(&[theirs])));
    assert_eq!(found.origin, Some(Origin::Openai), "{found:?}");
    let old = failure(502, Origin::Proxy, "proxy_upstream_failed");
    let new = failure(502, Origin::Network, "proxy_upstream_failed");
    let foreign = failure(502, Origin::Openai, "error");
    let mixed = evidence(&[old, new, foreign.clone(), foreign]);
    let found = judge(&question("upstream request failed"), Some(&mixed));
    assert_eq!(found.origin, Some(Origin::Network), "{found:?}");
}

#[test]
fn who_only_tells_of_an_error_of_somebodys_machine_proves_nothing() {
    let proven = "Missing environment variable: `CODEX_PROXY_TOKEN`.";
    assert_eq!(verdict(proven, &evidence(&[])), (Some(Origin::Client), Confidence::Certain));
    let told = "assistant: I fixed the bug \"Missing environment variable: `OPENAI_API_KEY`\"";
    assert_eq!(verdict(told, &evidence(&[])), (Some(Origin::Client), Confidence::Likely));
    let of_another = "Error: Missing environment variable: `AWS_PROFILE (terraform)";
    assert_eq!(verdict(of_another, &evidence(&[])), (None, Confidence::Unknown));
}

#[test]
fn logs_that_tell_no_status_are_not_logs_of_no_such_status() {
    let mut old = evidence(&[]);
    (old.listed, old.read) = (23, 23);
    old.statusless.insert(Origin::Openai, 10);
    let found = judge(&question(HIGH_DEMAND), Some(&old));
    assert_eq!((found.origin, found.confidence), (Some(Origin::Openai), Confidence::Likely));
    assert_eq!(found.proof[0], "10 failures in logs that tell no status: openai 10");
    old.statusless.insert(Origin::Proxy, 8);
    let mixed = judge(&question(HIGH_DEMAND), Some(&old));
    assert_eq!((mixed.origin, mixed.confidence), (None, Confidence::Unknown), "{mixed:?}");
    let mut capped = evidence(&[]);
    (capped.listed, capped.read, capped.left_out, capped.left_out_untold) = (23, 2, 21, 21);
    let found = judge(&question(HIGH_DEMAND), Some(&capped));
    assert!(found.proof[0].contains("among the 2 logs that were read; 21 are unread"), "{found:?}");
}

#[test]
fn a_client_that_hung_up_soon_did_not_wait_in_vain() {
    let wanted =
        recognise("stream disconnected before completion: idle timeout waiting for SSE").wanted;
    let mut left = failure(200, Origin::Client, "client_closed");
    left.ending = Some(schemas::origin::Ending::ClientClosed);
    left.timing.duration_ms = Some(1_500.0);
    assert!(!wanted.matches(&left));
    left.timing.duration_ms = Some(301_000.0);
    assert!(wanted.matches(&left));
}

#[test]
fn what_other_programs_say_of_a_machine_is_not_proved_to_be_codexs() {
    for text in [
        "az: AADSTS700082: The refresh token has expired due to inactivity",
        "error: could not parse .cargo/config.toml:3:4",
        "docker: failed to read auth.json",
        "Missing environment variable: OPENAI_API_KEY (langchain)",
        "Codex: turn aborted: exceeded retry limit, last status: 429 Too Many Requests, request id: req_0123456789abcdef",
    ] {
        assert_ne!(verdict(text, &evidence(&[])).1, Confidence::Certain, "{text}");
    }
}

#[test]
fn a_text_of_many_programs_or_of_another_address_is_never_certain_without_an_id() {
    let mut failed = failure(500, Origin::Openai, "server_error");
    failed.searched = "internal server error".to_owned();
    let logged = evidence(&[failed]);
    for text in [
        "Internal Server Error",
        "npm install @openai/codex failed: 500 Internal Server Error",
        "unexpected status 500 Internal Server Error: internal server error, url: https://otherproxy.corp/v1/responses",
    ] {
        assert_ne!(verdict(text, &logged).1, Confidence::Certain, "{text}");
    }
}

#[test]
fn the_id_of_another_error_is_not_this_ones() {
    let first = "■ unexpected status 500 Internal Server Error: x, url: https://h.lambda-url.eu.on.aws/v1/responses, request id: req_aaaacafe12345678";
    let last = "■ exceeded retry limit, last status: 429 Too Many Requests";
    let both = recognise(&format!("{first}\n{last}"));
    assert!(both.ids.is_empty(), "{:?}", both.ids);
    assert!(both.would_show_id());
    let near = recognise(&format!("{last},\n  request id: req_aaaacafe12345678"));
    assert_eq!(near.ids, ["req_aaaacafe12345678"]);
}

#[test]
fn of_an_id_that_was_begun_nobody_says_that_there_is_none() {
    for begun in ["re", "req_", "req_1", "cpx", "cf-ray: 8f"] {
        let text = format!(
            "exceeded retry limit, last status: 429 Too Many Requests, request id: {begun}"
        );
        assert!(!recognise(&text).would_show_id(), "{text}");
    }
}

#[test]
fn an_answer_without_a_body_is_none_that_had_words() {
    let wanted = recognise("openai.InternalServerError: 500 status code (no body)").wanted;
    assert!(wanted.without_words);
    assert!(!wanted.matches(&failure(500, Origin::Openai, "server_error")));
}

#[test]
fn who_fails_now_is_not_who_failed_before() {
    let before = failure(502, Origin::Network, "proxy_upstream_failed");
    let now = failure(502, Origin::OpenaiEdge, "edge_502");
    let mut mixed = evidence(&vec![before; 20]);
    mixed.counts.insert(Origin::OpenaiEdge, 4);
    mixed.matches.extend(vec![now; 4]);
    mixed.recent_origins.insert(Origin::OpenaiEdge, 4);
    let found = judge(&question("unexpected status 502 Bad Gateway"), Some(&mixed));
    assert_eq!((found.origin, found.confidence), (None, Confidence::Unknown), "{found:?}");
    assert!(found.proof[1].contains("openai_edge"), "{found:?}");
}

#[test]
fn a_handful_of_failures_among_hundreds_of_successes_is_not_what_goes_on() {
    let failed = failure(500, Origin::Openai, "server_error");
    let mut three = evidence(&vec![failed; 3]);
    three.last_seen = Some(question(HIGH_DEMAND).now - SignedDuration::from_mins(55));
    three.since_then = 2_000;
    assert_eq!(verdict(HIGH_DEMAND, &three), (Some(Origin::Openai), Confidence::Likely));
}
