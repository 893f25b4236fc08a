//! What AWS saw of a function, read from moto: metrics, deaths, unfinished exchanges, spilled records.

use analyzer::aws::cloudwatch::{DeathKind, Observed, Scope, Trouble, observe};
use analyzer::aws::deployment::{Deployment, Names};
use analyzer::aws::permission::Action;
use analyzer::window::Window;
use jiff::{SignedDuration, Timestamp};
use schemas::journal::{Ended, Fate, Line, Started};

use crate::common::aws::{Moto, config, script};
use crate::common::{object, server_error};

/// A fixed moment would be forgotten by CloudWatch; the minute is whole so that periods are.
fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "CloudWatch answers about the present")]
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second() / 60 * 60).expect("a time")
}

fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

fn stack(name: &str) -> Names {
    Names { stack: name.to_owned(), ..Names::default() }
}

fn start(id: &str, request_id: &str, at: Timestamp) -> (Timestamp, String) {
    let line = Line::ExchangeStarted(Started {
        exchange_id: id.to_owned(),
        lambda_request_id: Some(request_id.to_owned()),
        started_at: at,
        method: "POST".to_owned(),
    });
    (at, serde_json::to_string(&line).expect("JSON"))
}

/// The end of an exchange, with the record that it left.
fn end(number: u32, started_at: Timestamp, fate: Fate) -> (Timestamp, String) {
    let record = server_error(number, &started_at.to_string());
    let line = Line::ExchangeEnded(Box::new(Ended::of(&record, fate)));
    (started_at + SignedDuration::from_secs(1), serde_json::to_string(&line).expect("JSON"))
}

async fn seen(config: aws_config::SdkConfig, hours: i64) -> Observed {
    let deployment = Deployment::resolve_with(stack("codex-proxy"), config).await;
    let window = Window { since: ago(hours * 3_600), until: now() + SignedDuration::from_mins(1) };
    observe(&deployment, &window, Scope::MetricsAndLines, now()).await
}

#[tokio::test]
async fn metrics_and_lines_of_a_function_tell_what_no_log_can() {
    let Some(moto) = Moto::start() else { return };
    moto.function("codex-proxy", &[("CODEX_PROXY_LOGS", "s3://my-bucket/codex")]).await;
    for (minutes, figures) in [
        (20, &[("UrlRequestCount", 40.0), ("Invocations", 9.0), ("Throttles", 31.0)][..]),
        (10, &[("UrlRequestCount", 2.0), ("Invocations", 2.0), ("ConcurrentExecutions", 25.0)]),
    ] {
        moto.metrics("codex-proxy", ago(minutes * 60), figures).await;
    }
    moto.metrics("another", ago(600), &[("Throttles", 99.0)]).await;
    let group = "/aws/lambda/codex-proxy";
    let record = server_error(9, &ago(1_700).to_string());
    let spilled = object(&record);
    let mut spill = schemas::spill::lines(&spilled.key, &spilled.bytes);
    let spill = spill.remove(0);
    let text = |text: &str| text.to_owned();
    moto.lines(
        group,
        "s1",
        &[
            start("cpx_dead", "11111111-aaaa-4bbb-8ccc-000000000001", ago(3_000)),
            (
                ago(2_100),
                text("REPORT RequestId: 11111111-aaaa-4bbb-8ccc-000000000001\tStatus: timeout"),
            ),
            start("cpx_gone", "r-gone", ago(2_000)),
            (ago(1_699), spill),
        ],
    )
    .await;
    moto.lines(
        group,
        "s2",
        &[
            start(&server_error(1, &ago(1_500).to_string()).exchange_id, "r-1", ago(1_500)),
            end(1, ago(1_500), Fate::Stored),
            start(&server_error(2, &ago(1_400).to_string()).exchange_id, "r-2", ago(1_400)),
            end(2, ago(1_400), Fate::Lost),
            (ago(900), text(r#"{"time":"x","type":"platform.report","record":{"requestId":"r-oom","status":"error","errorType":"Runtime.OutOfMemory"}}"#)),
            start("cpx_runs", "r-runs", ago(74)),
        ],
    )
    .await;
    let mut observed = seen(moto.config(), 1).await;
    assert_eq!(observed.unseen, [], "a function that may be asked");
    assert_eq!(observed.region.as_deref(), Some("eu-central-1"));
    let totals = observed.totals(&observed.window);
    assert_eq!((totals.url_requests, totals.invocations), (Some(42), Some(11)));
    assert_eq!((totals.throttles, totals.concurrent_max), (Some(31), Some(25)));
    assert_eq!(totals.url_4xx, None, "no data point is not zero");
    let deaths: Vec<_> = observed.deaths.iter().map(|death| death.kind).collect();
    assert_eq!(deaths, [DeathKind::TimeOut, DeathKind::OutOfMemory]);
    let held = observed.deaths[0].started.as_ref().map(|it| it.exchange_id.as_str());
    assert_eq!(held, Some("cpx_dead"));
    let ids =
        |starts: &[Started]| starts.iter().map(|it| it.exchange_id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&observed.unended), ["cpx_gone"]);
    assert_eq!(ids(&observed.in_flight), ["cpx_runs"]);
    assert_eq!(observed.age(&observed.in_flight[0]).as_secs(), 74);
    assert_eq!((observed.ended, observed.lost.len()), (2, 1));
    assert_eq!(observed.spilled.len(), 1);
    assert_eq!(observed.spilled[0].bytes, spilled.bytes);
    assert!(observed.saw_lines());
    let sum = observed.sum(&observed.window.clone(), 5);
    assert_eq!(
        sum.line(),
        "42 URL requests = 5 logged + 1 spilled + 1 lost + 3 died unlogged + 1 in flight (oldest 74 s) + 31 throttled + 0 refused"
    );
    let logged = ["cpx_gone", "cpx_dead", record.exchange_id.as_str()];
    observed.forget_logged(&logged.map(str::to_owned).into());
    assert!(observed.unended.is_empty() && observed.spilled.is_empty());
    assert_eq!(observed.deaths.iter().filter(|death| death.is_logged).count(), 1);
    assert_eq!(observed.sum(&observed.window.clone(), 8).died, 1);
}

#[tokio::test]
async fn a_function_that_is_not_there_leaves_names_to_ask_by() {
    let Some(moto) = Moto::start() else { return };
    moto.metrics("codex-proxy", ago(600), &[("Throttles", 3.0)]).await;
    let observed = seen(moto.config(), 1).await;
    assert_eq!(observed.totals(&observed.window).throttles, Some(3));
    let unseen: Vec<_> = observed.unseen.iter().map(|unseen| unseen.action).collect();
    assert!(unseen.contains(&Action::GetFunctionConfiguration), "{unseen:?}");
    assert!(unseen.contains(&Action::FilterLogEvents), "there is no log group: {unseen:?}");
    assert!(matches!(observed.unseen.last().map(|it| &it.trouble), Some(Trouble::Missing(_))));
}

const DENIED: &str =
    r#"{"__type":"AccessDeniedException","message":"User: on-call is not authorized"}"#;

fn denied_metrics() -> (u16, String) {
    let said = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not authorized</Message></Error><RequestId>1</RequestId></ErrorResponse>";
    (403, said.to_owned())
}

#[tokio::test]
async fn rights_that_are_missing_are_named_and_end_nothing() {
    let (url, _) = script(|operation, _| match operation {
        "GetMetricData" => denied_metrics(),
        _ => (403, DENIED.to_owned()),
    });
    let observed = seen(config(&url), 1).await;
    let unseen: Vec<_> = observed.unseen.iter().map(|it| (it.action, it.trouble.word())).collect();
    let denied = |action| (action, "denied");
    assert_eq!(
        unseen,
        [
            denied(Action::GetFunctionConfiguration),
            denied(Action::GetFunctionConcurrency),
            denied(Action::GetMetricData),
            denied(Action::FilterLogEvents),
        ]
    );
    assert!(!observed.saw_metrics() && !observed.saw_lines());
    let line = observed.sum(&observed.window.clone(), 3).line();
    assert_eq!(line, "URL requests not seen: 3 logged; what is in flight or died is not known");
}

#[tokio::test]
async fn being_asked_to_slow_down_is_no_answer_yet() {
    let (url, asked) = script(|operation, before| match (operation, before) {
        ("FilterLogEvents", 0 | 1) => {
            (400, r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#.to_owned())
        }
        ("FilterLogEvents", _) => (200, r#"{"events":[]}"#.to_owned()),
        ("GetMetricData", 0) => {
            let said = "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>";
            (400, said.to_owned())
        }
        ("GetMetricData", _) => {
            let nothing = "<GetMetricDataResponse><GetMetricDataResult><MetricDataResults/></GetMetricDataResult></GetMetricDataResponse>";
            (200, nothing.to_owned())
        }
        _ => (403, DENIED.to_owned()),
    });
    let observed = seen(config(&url), 1).await;
    assert!(observed.saw_metrics() && observed.saw_lines(), "{:?}", observed.unseen);
    let asked = asked.lock().expect("no panic");
    assert_eq!(asked.iter().filter(|it| *it == "GetMetricData").count(), 2);
}

#[tokio::test]
async fn nobody_who_answers_is_unseen_too() {
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let observed = seen(config(&url), 1).await;
    assert!(observed.unseen.iter().all(|it| matches!(it.trouble, Trouble::Unreachable(_))));
    assert_eq!(observed.unseen.len(), 4);
}
