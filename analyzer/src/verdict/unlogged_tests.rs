use jiff::SignedDuration;
use schemas::journal::Started;

use super::*;
use crate::aws::cloudwatch::{Configuration, Minute, Reserved};
use crate::question::Filters;
use crate::text::recognise::recognise;
use crate::verdict::Confidence;
use schemas::origin::Origin;

const RETRY_LIMIT: &str = "exceeded retry limit, last status: 429 Too Many Requests";
const CUT: &str = "stream disconnected before completion: stream closed before response.completed";
const FORBIDDEN: &str = r#"unexpected status 403 Forbidden: {"Message":"Forbidden"}, url: https://x.lambda-url.eu-central-1.on.aws/v1/responses"#;
const CRASHED: &str = "unexpected status 502 Bad Gateway: Internal Server Error, url: https://x.lambda-url.eu-central-1.on.aws/v1/responses";

fn now() -> Timestamp {
    "2026-11-22T03:00:00Z".parse().expect("a time")
}

fn window() -> Window {
    Window { since: now() - SignedDuration::from_hours(1), until: now() }
}

fn ask(text: &str) -> Question {
    Question {
        recognised: recognise(text),
        window: window(),
        filters: Filters::default(),
        all: false,
        max: None,
        now: now(),
    }
}

fn observed() -> Observed {
    Observed {
        lines_since: Some(window().since),
        ..Observed::nothing("codex-proxy", window(), now())
    }
}

fn minute(minutes_ago: i64, counts: Counts) -> Minute {
    Minute { at: now() - SignedDuration::from_mins(minutes_ago), period_s: 60, counts }
}

fn death(minutes_ago: i64, kind: DeathKind) -> Death {
    Death {
        at: now() - SignedDuration::from_mins(minutes_ago),
        request_id: Some(format!("request-{minutes_ago}")),
        kind,
        started: None,
        is_logged: false,
        line: "REPORT RequestId: request Status: timeout".to_owned(),
    }
}

#[track_caller]
fn made(unlogged: Unlogged) -> Made {
    match unlogged {
        Unlogged::Some(made) => made,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_kind_of_text_is_laid_at_the_act_that_can_produce_it() {
    for (text, act) in [
        (RETRY_LIMIT, Some(AwsAct::Throttle)),
        (
            r#"{"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}"#,
            Some(AwsAct::Throttle),
        ),
        (FORBIDDEN, Some(AwsAct::Forbid)),
        (
            r#"unexpected status 413 Payload Too Large: {"Message":"Request must be smaller than 6291456 bytes"}"#,
            Some(AwsAct::TooLarge),
        ),
        (CRASHED, Some(AwsAct::Die)),
        (CUT, Some(AwsAct::Cut)),
        ("experiencing high demand, which may cause temporary errors", None),
        (
            "exceeded retry limit, last status: 429 Too Many Requests, request id: req_4f8a1b2c3d4e",
            None,
        ),
        ("invalid or disabled token", None),
        ("Missing environment variable: `OPENAI_API_KEY`.", None),
    ] {
        assert_eq!(act_behind(&recognise(text)), act, "{text}");
    }
}

#[test]
fn throttles_are_counted_and_dated() {
    let mut observed = observed();
    let counts = |throttles| Counts {
        throttles: Some(throttles),
        invocations: Some(183),
        concurrent_max: Some(25),
        ..Counts::default()
    };
    observed.minutes = vec![minute(40, counts(0)), minute(30, counts(300)), minute(29, counts(18))];
    observed.configuration =
        Some(Configuration { reserved: Some(Reserved::Slots(25)), ..Configuration::default() });
    let question = ask(RETRY_LIMIT);
    let made = made(Unlogged::of(&question, None, &observed));
    assert_eq!((made.count, made.act), (318, AwsAct::Throttle));
    let verdict = made.verdict(&question, None, &observed);
    assert_eq!((verdict.origin, verdict.confidence), (Some(Origin::Aws), Confidence::Certain));
    assert_eq!(
        verdict.why,
        "Lambda refused the request, all 25 slots were busy. The proxy never saw it."
    );
    let proof = "CloudWatch 02:30-02:32 UTC: 318 throttles, 366 ran, concurrency 25 of 25";
    assert_eq!(verdict.proof[0], proof, "no log was looked at");
    let looked = made.verdict(&question, Some(&logs(366, 0, Some(1))), &observed);
    assert_eq!(looked.proof[0], format!("{proof}; 0 logged 429s"));
}

#[test]
fn no_data_point_neither_blames_nor_clears() {
    assert_eq!(
        Unlogged::of(&ask(RETRY_LIMIT), None, &observed()),
        Unlogged::Unknown(AwsAct::Throttle)
    );
    let mut calm = observed();
    calm.minutes = vec![minute(5, Counts { throttles: Some(0), ..Counts::default() })];
    assert_eq!(Unlogged::of(&ask(RETRY_LIMIT), None, &calm), Unlogged::None(AwsAct::Throttle));
    assert!(Unlogged::of(&ask(RETRY_LIMIT), None, &calm).excludes_aws());
    let mut outside = observed();
    outside.minutes = vec![minute(90, Counts { throttles: Some(9), ..Counts::default() })];
    assert_eq!(
        Unlogged::of(&ask(RETRY_LIMIT), None, &outside),
        Unlogged::Unknown(AwsAct::Throttle)
    );
}

fn logs(listed: u64, refusals: u64, newest_minutes_ago: Option<i64>) -> Evidence {
    let newest_log = newest_minutes_ago.map(|ago| now() - SignedDuration::from_mins(ago));
    Evidence { listed, newest_log, refusals, ..Evidence::default() }
}

#[test]
fn what_was_neither_run_nor_throttled_was_refused_at_the_door() {
    let mut observed = observed();
    let refused = Counts { url_requests: Some(1_140), url_4xx: Some(1_140), ..Counts::default() };
    observed.minutes = vec![minute(50, refused)];
    let (question, empty) = (ask(FORBIDDEN), logs(0, 0, None));
    let made = made(Unlogged::of(&question, Some(&empty), &observed));
    assert_eq!((made.count, made.act), (1_140, AwsAct::Forbid));
    let verdict = made.verdict(&question, Some(&empty), &observed);
    assert!(verdict.proof[0].contains("1,140 of 1,140 URL requests refused"), "{verdict:?}");
    assert_eq!(verdict.proof[1], "nobody got through since the first");
    assert_eq!(verdict.confidence, Confidence::Certain);
    let ran = Counts { invocations: Some(1_140), ..refused };
    observed.minutes = vec![minute(5, ran)];
    assert_eq!(Unlogged::of(&question, None, &observed), Unlogged::None(AwsAct::Forbid));
    observed.minutes = vec![minute(50, ran)];
    let late = Unlogged::of(&question, None, &observed);
    assert_eq!(late, Unlogged::Unknown(AwsAct::Forbid), "what came since cannot be seen yet");
}

#[test]
fn invocations_without_a_data_point_are_not_zero_where_logs_tell_of_some() {
    let mut observed = observed();
    let late = Counts { url_requests: Some(30), url_4xx: Some(30), ..Counts::default() };
    observed.minutes = vec![minute(3, late)];
    let question = ask(FORBIDDEN);
    assert_eq!(Unlogged::of(&question, None, &observed), Unlogged::Unknown(AwsAct::Forbid));
    let ran = logs(30, 0, Some(2));
    assert_eq!(Unlogged::of(&question, Some(&ran), &observed), Unlogged::None(AwsAct::Forbid));

    // Some ran, and some of these were refused by the proxy itself.
    let mixed = Counts { url_requests: Some(120), url_4xx: Some(25), ..Counts::default() };
    observed.minutes = vec![minute(3, mixed)];
    let all = logs(100, 20, Some(1));
    let found = made(Unlogged::of(&question, Some(&all), &observed));
    assert_eq!(found.count, 5);
    let verdict = found.verdict(&question, Some(&all), &observed);
    assert_eq!(verdict.confidence, Confidence::Likely, "others got through");
}

#[test]
fn a_refusal_for_its_size_is_certain_only_in_lambdas_own_words() {
    let mut observed = observed();
    let refused = Counts { url_requests: Some(9), url_4xx: Some(9), ..Counts::default() };
    observed.minutes = vec![minute(5, refused)];
    let empty = logs(0, 0, None);
    for (text, confidence) in [
        ("unexpected status 413 Payload Too Large: too big", Confidence::Likely),
        (
            r#"unexpected status 413 Payload Too Large: {"Message":"Request must be smaller than 6291456 bytes for the InvokeFunction operation"}"#,
            Confidence::Certain,
        ),
    ] {
        let question = ask(text);
        let found = made(Unlogged::of(&question, Some(&empty), &observed));
        let verdict = found.verdict(&question, Some(&empty), &observed);
        assert_eq!(verdict.confidence, confidence, "{text}");
    }
}

#[test]
fn the_dead_are_counted_by_lines_and_else_by_the_metric() {
    let mut observed = observed();
    assert_eq!(
        Unlogged::of(&ask(CUT), None, &observed),
        Unlogged::None(AwsAct::Cut),
        "lines tell of none"
    );
    observed.deaths = vec![
        death(20, DeathKind::Crash),
        death(10, DeathKind::TimeOut),
        death(5, DeathKind::TimeOut),
    ];
    observed.unended = vec![Started {
        exchange_id: "cpx_0".to_owned(),
        lambda_request_id: None,
        started_at: now() - SignedDuration::from_mins(30),
        method: "POST".to_owned(),
    }];
    let made_of = made(Unlogged::of(&ask(CUT), None, &observed));
    assert_eq!((made_of.count, made_of.died_of), (4, Some(DeathKind::TimeOut)));
    assert_eq!(made_of.first, now() - SignedDuration::from_mins(30));

    let mut blind = Observed::nothing("codex-proxy", window(), now());
    assert_eq!(Unlogged::of(&ask(CRASHED), None, &blind), Unlogged::Unknown(AwsAct::Die));
    blind.minutes = vec![minute(5, Counts { errors: Some(0), ..Counts::default() })];
    assert_eq!(Unlogged::of(&ask(CRASHED), None, &blind), Unlogged::None(AwsAct::Die));
    assert_eq!(
        Unlogged::of(&ask(CUT), None, &blind),
        Unlogged::Unknown(AwsAct::Cut),
        "a kill is no error"
    );
    blind.minutes = vec![minute(5, Counts { errors: Some(2), ..Counts::default() })];
    assert_eq!(made(Unlogged::of(&ask(CRASHED), None, &blind)).died_of, None);
}

#[test]
fn one_refusal_among_thousands_is_likely_and_says_nothing_of_slots_that_were_free() {
    let mut seen = observed();
    let counts = |throttles, most| Counts {
        throttles: Some(throttles),
        invocations: Some(5_500),
        concurrent_max: Some(most),
        ..Counts::default()
    };
    seen.configuration =
        Some(Configuration { reserved: Some(Reserved::Slots(25)), ..Configuration::default() });
    let question = ask(RETRY_LIMIT);
    for (throttles, most, confidence, says_busy) in
        [(1, 2, Confidence::Likely, false), (318, 25, Confidence::Certain, true)]
    {
        seen.minutes = vec![minute(50, counts(throttles, most))];
        let found = made(Unlogged::of(&question, None, &seen)).verdict(&question, None, &seen);
        assert_eq!(found.confidence, confidence, "{throttles}");
        assert_eq!(found.why.contains("all 25 slots were busy"), says_busy, "{found:?}");
    }
    let page =
        "unexpected status 504 Gateway Timeout: <html>504 ERROR Generated by cloudfront</html>";
    assert_eq!(act_behind(&recognise(page)), None, "no 504 is Lambda's");
}

/// A text of so many minutes ago, as Codex dates its lines.
fn timed(minutes_ago: i64, text: &str) -> Question {
    let at = now() - SignedDuration::from_mins(minutes_ago);
    ask(&format!("{} ERROR codex_core: {text}", at.strftime("%Y-%m-%dT%H:%M:%S.000000Z")))
}

#[test]
fn a_text_with_a_time_of_its_own_is_laid_at_what_was_then() {
    let throttles = |throttles| Counts { throttles: Some(throttles), ..Counts::default() };
    let mut observed = observed();
    observed.minutes =
        vec![minute(50, throttles(30)), minute(6, throttles(0)), minute(5, throttles(0))];
    let of = |question: &Question, observed: &Observed| Unlogged::of(question, None, observed);
    assert!(of(&timed(5, RETRY_LIMIT), &observed).excludes_aws(), "none were refused then");
    assert!(made(of(&timed(49, RETRY_LIMIT), &observed)).of_moment);
    assert!(!made(of(&timed(35, RETRY_LIMIT), &observed)).of_moment, "a quarter of an hour later");
    let in_gap = of(&timed(25, RETRY_LIMIT), &observed);
    assert_eq!(in_gap, Unlogged::Unknown(AwsAct::Throttle), "no data point is no zero");
    assert_eq!(of(&ask(RETRY_LIMIT), &observed).count(), 30);
}

#[test]
fn one_death_of_the_very_moment_is_no_exception() {
    let ran = Counts { invocations: Some(400), errors: Some(0), ..Counts::default() };
    let mut observed = observed();
    observed.minutes = vec![minute(20, ran), minute(2, ran)];
    observed.deaths = vec![death(8, DeathKind::TimeOut)];
    let confidence = |question: &Question| {
        made(Unlogged::of(question, None, &observed)).verdict(question, None, &observed).confidence
    };
    assert_eq!(confidence(&timed(8, CUT)), Confidence::Certain);
    assert_eq!(confidence(&ask(CUT)), Confidence::Likely);
}

#[test]
fn lines_without_any_invocation_do_not_speak_for_a_function_that_wrote_logs() {
    let logs = Evidence { listed: 40, on_lambda: Some(true), ..Evidence::default() };
    let of = |evidence: Option<&Evidence>, lines| {
        Unlogged::of(&ask(CRASHED), evidence, &Observed { lines, ..observed() })
    };
    assert_eq!(of(Some(&logs), 0), Unlogged::Unknown(AwsAct::Die));
    assert_eq!(of(Some(&logs), 80), Unlogged::None(AwsAct::Die));
    assert_eq!(of(None, 0), Unlogged::None(AwsAct::Die), "nothing ran, as far as anybody knows");
}
