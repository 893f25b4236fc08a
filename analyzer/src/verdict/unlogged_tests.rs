use jiff::SignedDuration;
use schemas::journal::Started;

use super::*;
use crate::aws::cloudwatch::{Configuration, Minute};
use crate::question::Filters;
use crate::text::recognise::recognise;

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
    let made = made(Unlogged::of(&question, &observed));
    assert_eq!((made.count, made.act), (318, AwsAct::Throttle));
    let verdict = made.verdict(&question, &observed, 0);
    assert_eq!((verdict.origin, verdict.confidence), (Some(Origin::Aws), Confidence::Certain));
    assert_eq!(
        verdict.why,
        "Lambda refused the request, all 25 slots were busy. The proxy never saw it."
    );
    assert_eq!(
        verdict.proof[0],
        "CloudWatch 02:30-02:32 UTC: 318 throttles, 366 ran, concurrency 25 of 25; 0 logged 429s"
    );
}

#[test]
fn no_data_point_neither_blames_nor_clears() {
    assert_eq!(Unlogged::of(&ask(RETRY_LIMIT), &observed()), Unlogged::Unknown(AwsAct::Throttle));
    let mut calm = observed();
    calm.minutes = vec![minute(5, Counts { throttles: Some(0), ..Counts::default() })];
    assert_eq!(Unlogged::of(&ask(RETRY_LIMIT), &calm), Unlogged::None(AwsAct::Throttle));
    assert!(Unlogged::of(&ask(RETRY_LIMIT), &calm).excludes_aws());
    let mut outside = observed();
    outside.minutes = vec![minute(90, Counts { throttles: Some(9), ..Counts::default() })];
    assert_eq!(Unlogged::of(&ask(RETRY_LIMIT), &outside), Unlogged::Unknown(AwsAct::Throttle));
}

#[test]
fn what_was_neither_run_nor_throttled_was_refused_at_the_door() {
    let mut observed = observed();
    let refused = Counts { url_requests: Some(1_140), url_4xx: Some(1_140), ..Counts::default() };
    observed.minutes = vec![minute(50, refused)];
    let question = ask(FORBIDDEN);
    let made = made(Unlogged::of(&question, &observed));
    assert_eq!((made.count, made.act), (1_140, AwsAct::Forbid));
    let verdict = made.verdict(&question, &observed, 0);
    assert!(verdict.proof[0].contains("1,140 of 1,140 URL requests refused"), "{verdict:?}");
    assert_eq!(verdict.proof[1], "nobody got through since the first");
    let ran = Counts { invocations: Some(1_140), ..refused };
    observed.minutes = vec![minute(5, ran)];
    assert_eq!(Unlogged::of(&question, &observed), Unlogged::None(AwsAct::Forbid));
    observed.minutes = vec![minute(50, ran)];
    let late = Unlogged::of(&question, &observed);
    assert_eq!(late, Unlogged::Unknown(AwsAct::Forbid), "what came since cannot be seen yet");
}

#[test]
fn the_dead_are_counted_by_lines_and_else_by_the_metric() {
    let mut observed = observed();
    assert_eq!(
        Unlogged::of(&ask(CUT), &observed),
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
    let made_of = made(Unlogged::of(&ask(CUT), &observed));
    assert_eq!((made_of.count, made_of.died_of), (4, Some(DeathKind::TimeOut)));
    assert_eq!(made_of.first, now() - SignedDuration::from_mins(30));

    let mut blind = Observed::nothing("codex-proxy", window(), now());
    assert_eq!(Unlogged::of(&ask(CRASHED), &blind), Unlogged::Unknown(AwsAct::Die));
    blind.minutes = vec![minute(5, Counts { errors: Some(0), ..Counts::default() })];
    assert_eq!(Unlogged::of(&ask(CRASHED), &blind), Unlogged::None(AwsAct::Die));
    assert_eq!(
        Unlogged::of(&ask(CUT), &blind),
        Unlogged::Unknown(AwsAct::Cut),
        "a kill is no error"
    );
    blind.minutes = vec![minute(5, Counts { errors: Some(2), ..Counts::default() })];
    assert_eq!(made(Unlogged::of(&ask(CRASHED), &blind)).died_of, None);
}
