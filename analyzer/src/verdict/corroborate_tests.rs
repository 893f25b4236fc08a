use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::aws::cloudwatch::{Counts, Minute};
use crate::question::Filters;
use crate::text::recognise::recognise;
use crate::verdict::judge::judge;
use crate::window::Window;

const RETRY_LIMIT: &str = "exceeded retry limit, last status: 429 Too Many Requests";
const HIGH_DEMAND: &str = "experiencing high demand, which may cause temporary errors";

fn now() -> Timestamp {
    "2026-11-22T03:00:00Z".parse().expect("a time")
}

fn ask(text: &str) -> Question {
    Question {
        recognised: recognise(text),
        window: Window { since: now() - SignedDuration::from_hours(1), until: now() },
        filters: Filters::default(),
        all: false,
        max: None,
        now: now(),
    }
}

fn observed(counts: Counts) -> Observed {
    let question = ask(RETRY_LIMIT);
    let at = now() - SignedDuration::from_mins(5);
    Observed {
        minutes: vec![Minute { at, period_s: 60, counts }],
        lines_since: Some(question.window.since),
        ..Observed::nothing("codex-proxy", question.window, now())
    }
}

fn logs(listed: u64, counts: &[(Origin, u64)]) -> Evidence {
    Evidence {
        listed,
        read: listed,
        counts: counts.iter().copied().collect(),
        by_key_only: counts.iter().map(|(_, count)| count).sum(),
        on_lambda: Some(true),
        ..Evidence::default()
    }
}

fn verdict(text: &str, evidence: &Evidence, counts: Counts) -> Verdict {
    let question = ask(text);
    let judged = judge(&question, Some(evidence));
    laid_beside(judged, &question, evidence, &observed(counts))
}

fn laid_beside(
    judged: Verdict,
    question: &Question,
    evidence: &Evidence,
    seen: &Observed,
) -> Verdict {
    let sum = seen.sum(&question.window, evidence.listed);
    corroborate(judged, question, Some(evidence), seen, &sum)
}

fn told(verdict: &Verdict) -> (Option<Origin>, Confidence) {
    (verdict.origin, verdict.confidence)
}

/// Figures of an hour in which everything ran.
fn calm(requests: u64) -> Counts {
    Counts {
        url_requests: Some(requests),
        url_4xx: Some(0),
        url_5xx: Some(0),
        invocations: Some(requests),
        errors: Some(0),
        throttles: Some(0),
        concurrent_max: Some(3),
        duration_ms: None,
        spills: Some(0),
    }
}

#[test]
fn throttles_make_a_refusal_without_an_id_certain_and_their_absence_moves_it_elsewhere() {
    let throttled = Counts { throttles: Some(318), url_requests: Some(684), ..calm(366) };
    let found = verdict(RETRY_LIMIT, &logs(366, &[]), throttled);
    assert_eq!(told(&found), (Some(Origin::Aws), Confidence::Certain), "{found:?}");
    assert_eq!(found.acts, Some(Acts::Us));
    let cleared = verdict(RETRY_LIMIT, &logs(366, &[]), calm(366));
    assert_eq!(told(&cleared), (Some(Origin::Client), Confidence::Likely), "{cleared:?}");
    let blind = verdict(RETRY_LIMIT, &logs(366, &[]), Counts::default());
    assert_eq!(told(&blind), (Some(Origin::Aws), Confidence::Likely), "{blind:?}");
}

#[test]
fn logged_refusals_of_openai_do_not_answer_a_line_without_an_id() {
    let throttled = Counts { throttles: Some(5), url_requests: Some(371), ..calm(366) };
    let found = verdict(RETRY_LIMIT, &logs(366, &[(Origin::Openai, 90)]), throttled);
    assert_eq!(told(&found), (Some(Origin::Aws), Confidence::Certain), "{found:?}");
}

#[test]
fn a_fragment_is_laid_at_whoever_did_most_of_it() {
    let fragment = "exceeded retry limit 429";
    let counts = |throttles| Counts { throttles: Some(throttles), ..calm(366) };
    let openai = logs(366, &[(Origin::Openai, 90)]);
    let mostly = |throttles| told(&verdict(fragment, &openai, counts(throttles)));
    assert_eq!(mostly(900), (Some(Origin::Aws), Confidence::Likely));
    assert_eq!(mostly(90), (None, Confidence::Unknown));
    assert_eq!(mostly(9).0, Some(Origin::Openai));
}

#[test]
fn where_all_is_accounted_for_what_nobody_logged_never_came_by() {
    let found = verdict(HIGH_DEMAND, &logs(1_214, &[]), calm(1_214));
    assert_eq!(told(&found), (Some(Origin::Client), Confidence::Likely), "{found:?}");
    assert!(found.proof[1].contains("1,214 URL requests = 1,214 logged"), "{found:?}");
    let gap = verdict(HIGH_DEMAND, &logs(1_200, &[]), calm(1_214));
    assert_eq!(told(&gap), (None, Confidence::Unknown), "{gap:?}");
    assert!(gap.proof[1].contains("14 without a trace"), "{gap:?}");
    let blind = verdict(HIGH_DEMAND, &logs(1_214, &[]), Counts::default());
    assert_eq!(told(&blind), (None, Confidence::Unknown), "no data point is not zero: {blind:?}");
}

#[test]
fn old_refusals_and_anybodys_refusals_are_only_likely() {
    let throttled = Counts { throttles: Some(318), url_requests: Some(684), ..calm(366) };
    let mut question = ask(RETRY_LIMIT);
    question.filters.developer = Some("dev-17".to_owned());
    let evidence = logs(366, &[]);
    let judged = judge(&question, Some(&evidence));
    let found = laid_beside(judged, &question, &evidence, &observed(throttled));
    assert_eq!(told(&found), (Some(Origin::Aws), Confidence::Likely));

    let mut question = ask(RETRY_LIMIT);
    question.window.since = now() - SignedDuration::from_hours(24);
    let mut old = observed(throttled);
    old.minutes[0].at = now() - SignedDuration::from_hours(5);
    let judged = judge(&question, Some(&evidence));
    let found = laid_beside(judged, &question, &evidence, &old);
    assert_eq!(told(&found), (Some(Origin::Aws), Confidence::Likely), "{found:?}");
}

#[test]
fn who_was_seen_here_or_whose_stream_broke_is_not_said_to_talk_to_another_address() {
    let mut question = ask(HIGH_DEMAND);
    question.filters.developer = Some("dev-17".to_owned());
    let mut evidence = logs(1_214, &[]);
    let told_of = |question: &Question, evidence: &Evidence| {
        let judged = judge(question, Some(evidence));
        told(&laid_beside(judged, question, evidence, &observed(calm(1_214))))
    };
    assert_eq!(told_of(&question, &evidence), (Some(Origin::Client), Confidence::Likely));
    let sample = include_str!("../../../schemas/samples/proxy_upstream_failed.json");
    let view = schemas::view::RecordView::parse(sample.as_bytes()).expect("a record");
    evidence.last_of_developer = Some(crate::logs::classify::classify(&view, "logs/k", now()));
    assert_eq!(told_of(&question, &evidence), (None, Confidence::Unknown), "she does reach it");

    let cut = ask("stream disconnected before completion: stream closed before response.completed");
    let found = told_of(&cut, &logs(1_214, &[]));
    assert_eq!(found, (None, Confidence::Unknown), "the client's side of a stream leaves no log");
}

#[test]
fn while_an_invocation_left_no_trace_a_death_is_not_excluded() {
    let text = "unexpected status 502 Bad Gateway: Unknown error";
    let evidence = logs(366, &[]);
    let question = ask(text);
    assert_eq!(act_behind(&question.recognised), Some(AwsAct::Die));
    let doubtful = Verdict {
        doubt: Some(Doubt::Aws),
        about: About::Matches,
        ..Verdict::likely(Origin::Openai, "OpenAI answered HTTP 502.")
    };
    let beside =
        |counts| told(&laid_beside(doubtful.clone(), &question, &evidence, &observed(counts))).1;
    assert_eq!(beside(calm(366)), Confidence::Certain);
    assert_eq!(beside(calm(368)), Confidence::Likely);
}

#[test]
fn figures_behind_the_logs_do_not_move_a_refusal_elsewhere() {
    let found = verdict(RETRY_LIMIT, &logs(400, &[]), calm(366));
    assert_eq!(told(&found), (Some(Origin::Aws), Confidence::Likely), "{found:?}");
    let close = verdict(RETRY_LIMIT, &logs(368, &[]), calm(366));
    assert_eq!(close.origin, Some(Origin::Client), "two are on their way: {close:?}");
}

#[test]
fn a_death_of_the_text_s_moment_is_not_outvoted_by_cuts_of_other_times() {
    let cut = "stream disconnected before completion: stream closed before response.completed";
    let at = now() - SignedDuration::from_mins(20);
    let question = ask(&format!("{at} ERROR codex_core: {cut}"));
    let mut seen = observed(calm(400));
    seen.deaths = vec![crate::aws::cloudwatch::Death {
        at,
        request_id: Some("a".to_owned()),
        kind: crate::aws::cloudwatch::DeathKind::TimeOut,
        started: None,
        is_logged: false,
        line: "REPORT RequestId: a Status: timeout".to_owned(),
    }];
    let mut cuts = logs(400, &[(Origin::Openai, 3)]);
    let earlier = now() - SignedDuration::from_mins(55);
    (cuts.first_seen, cuts.last_seen) = (Some(earlier), Some(earlier));
    let judged = judge(&question, Some(&cuts));
    let found = laid_beside(judged, &question, &cuts, &seen);
    assert_eq!(found.origin, Some(Origin::Aws), "{found:?}");
    cuts.has_focus = true;
    let judged = judge(&question, Some(&cuts));
    let rivals = laid_beside(judged, &question, &cuts, &seen);
    assert_ne!(told(&rivals), (Some(Origin::Aws), Confidence::Certain), "{rivals:?}");
}
