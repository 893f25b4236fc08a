//! What an answer tells to do, where logs and AWS know the figures: a command that can be pasted, and
//! whom to call.

use benches::corpus::Object;
use schemas::record::LogRecord;
use serde_json::{Value, json};

use crate::common::aws::{lead, script};
use crate::common::{Answer, Folder, analyzer, object, run, server_error};
use crate::deployment::{ACCOUNT, figures};
use crate::origin::with_window;

const NO_ID: &str = "exceeded retry limit, last status: 429 Too Many Requests";
const FORBIDDEN: &str = "unexpected status 403 Forbidden: {\"Message\":null}, url: https://x.lambda-url.eu-central-1.on.aws/v1/responses";

fn ask(url: &str, arguments: &[&str]) -> Answer {
    let mut command = analyzer(&[&["origin"], arguments].concat());
    lead(&mut command, url);
    run(command, "")
}

/// A function that refuses for want of slots.
fn refusing() -> String {
    let (url, _) = script(|operation, _| match operation {
        "GetMetricData" => {
            (200, figures(&[(0, 68.0), (3, 36.0), (5, 32.0), (6, 25.0), (7, 36.0 * 41_000.0)]))
        }
        "FilterLogEvents" => (200, r#"{"events":[]}"#.to_owned()),
        _ if operation.contains("/account-settings") => (200, ACCOUNT.to_owned()),
        _ if operation.contains("/concurrency") => {
            (200, r#"{"ReservedConcurrentExecutions":25}"#.to_owned())
        }
        _ => (200, r#"{"FunctionName":"f-h","Timeout":900}"#.to_owned()),
    });
    url
}

#[test]
fn throttles_are_mended_by_the_command_that_capacity_prints() {
    let url = refusing();
    let answer = ask(&url, &["--function", "f-h", NO_ID]).ends(0);
    let step = "do      scripts/deploy.sh --reserved-concurrent-executions 75   (now 25, needed 47, free 940)\n";
    assert!(answer.stdout.contains(step), "{}", answer.stdout);
    let mut capacity = analyzer(&["capacity", "--function", "f-h"]);
    lead(&mut capacity, &url);
    assert!(run(capacity, "").ends(5).stdout.contains(step));
}

/// No more slots are to be had in this account, so no command is known that would help at once.
#[test]
fn without_figures_the_command_that_finds_them_names_the_deployment_as_its_user_did() {
    let full = r#"{"AccountLimit":{"ConcurrentExecutions":125,"UnreservedConcurrentExecutions":100,"CodeSizeUnzipped":1,"CodeSizeZipped":1,"TotalCodeSize":1},"AccountUsage":{"FunctionCount":1,"TotalCodeSize":1}}"#;
    let (url, _) = script(move |operation, _| match operation {
        "GetMetricData" => (200, figures(&[(0, 5.0), (5, 5.0)])),
        "FilterLogEvents" => (200, r#"{"events":[]}"#.to_owned()),
        _ if operation.contains("/account-settings") => (200, full.to_owned()),
        _ if operation.contains("/concurrency") => {
            (200, r#"{"ReservedConcurrentExecutions":25}"#.to_owned())
        }
        _ => (200, r#"{"FunctionName":"f-h","Timeout":900}"#.to_owned()),
    });
    for (naming, named) in [
        (&["--function", "f-h"][..], " --function f-h"),
        (&["--stack", "blue"], " --stack blue"),
        (&["--stack", "blue", "--function", "f-h"], " --stack blue --function f-h"),
    ] {
        let answer = ask(&url, &[naming, &["--since", "3h", NO_ID]].concat());
        let step = format!("do      analyzer capacity{named} --since 3h   (");
        assert!(answer.stdout.contains(&step), "{step} in {}", answer.stdout);
    }
}

#[test]
fn a_refusal_at_the_door_names_the_right_that_is_missing() {
    let policy = json!({"Statement": [{"Effect": "Allow", "Principal": "*",
        "Action": "lambda:InvokeFunctionUrl",
        "Condition": {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}}}]});
    let policy = json!({"Policy": policy.to_string()}).to_string();
    let (url, _) = script(move |operation, _| match operation {
        // Invocations and throttles are known to be none.
        "GetMetricData" => (200, figures(&[(0, 1_140.0), (1, 1_140.0), (3, 0.0), (5, 0.0)])),
        "FilterLogEvents" => (200, r#"{"events":[]}"#.to_owned()),
        _ if operation.contains("/policy") => (200, policy.clone()),
        _ => (200, r#"{"FunctionName":"f-h","Timeout":900}"#.to_owned()),
    });
    let answer = ask(&url, &["--function", "f-h", FORBIDDEN]).ends(0);
    for line in [
        "the Function URL refuses everyone; permission lambda:InvokeFunction is missing.\n",
        "the function's policy does not allow lambda:InvokeFunction; AWS asks for it, too\n",
        "do      analyzer validate --function f-h   (",
    ] {
        assert!(answer.stdout.contains(line), "{line} in {}", answer.stdout);
    }
}

/// One exchange of somebody's, refused for its rate or answered.
fn exchange(number: u32, developer: &str, is_refused: bool) -> LogRecord {
    let mut record = server_error(number, &format!("2026-11-22T02:{:02}:00.000Z", number % 14));
    let ms = record.started_at.as_millisecond();
    record.exchange_id = format!("cpx_{ms:012x}7b3e9f1c2d4a{number:08x}");
    record.developer = Some(developer.to_owned());
    record.token_id = Some(format!("{:0<16}", &developer[4..]));
    let mut value = serde_json::to_value(&record).expect("JSON");
    if is_refused {
        value["status"] = 429.into();
        value["upstream"]["status"] = 429.into();
        value["upstream"]["ratelimit"] = json!({
            "limit-tokens": "2000000", "remaining-tokens": "0", "reset-tokens": "18s",
            "limit-requests": "10000", "remaining-requests": "9000", "reset-requests": "6ms"});
        value["error"]["code"] = "rate_limit_exceeded".into();
        value["error"]["message"] = "Rate limit reached for gpt-5.5".into();
        value["response_body"] = "{}".into();
    } else {
        value["status"] = 200.into();
        value["error"] = Value::Null;
        value["response_body"] = "data: [DONE]\n\n".into();
    }
    serde_json::from_value(value).expect("a record")
}

/// Forty exchanges in a quarter of an hour: of each five, so many are dev-09's; two of them were
/// refused, and the newest of dev-04's.
fn busy(of_five: u32) -> (Vec<Object>, LogRecord) {
    let mut records: Vec<_> = (0..40)
        .map(|number| {
            let is_hers = number % 5 < of_five;
            let developer =
                if is_hers { "dev-09".to_owned() } else { format!("dev-{:02}", 10 + number % 7) };
            exchange(number, &developer, number < 2)
        })
        .collect();
    let mut last = exchange(41, "dev-04", true);
    last = LogRecord { started_at: "2026-11-22T02:14:30Z".parse().expect("a time"), ..last };
    let ms = last.started_at.as_millisecond();
    last.exchange_id = format!("cpx_{ms:012x}7b3e9f1c2d4a00000041");
    records.push(last.clone());
    (records.iter().map(object).collect(), last)
}

#[test]
fn a_rate_limit_names_what_is_left_and_who_sends_the_most() {
    let (objects, last) = busy(4);
    let folder = Folder::of(&objects);
    let openai = last.upstream.as_ref().and_then(|up| up.request_id.clone()).expect("an id");
    for id in [last.exchange_id.clone(), openai] {
        let text = format!("{NO_ID}, request id: {id}");
        let json = folder.ask(&with_window(&[&text])).ends(0).json();
        let verdict = &json["verdict"];
        assert_eq!((&verdict["origin"], &verdict["acts"]), (&json!("openai"), &json!("us")));
        let proof = verdict["proof"][0].as_str().unwrap_or_default();
        assert!(proof.starts_with(&last.exchange_id), "{proof}");
        assert!(proof.contains("02:14:30 UTC, dev-04, "), "{proof}");
        assert!(proof.ends_with("; tokens left 0, reset in 18 s"), "{proof}");
        let cause = verdict["cause"].as_str().unwrap_or_default();
        assert!(cause.contains("sent 78% of the 41 exchanges of the 15 min before"), "{cause}");
        let step = json["next_steps"][0].as_str().unwrap_or_default().to_owned();
        // Whose token it is, a log tells that was read: with an id of ours only one is.
        if id.starts_with("cpx_") {
            assert_eq!(step, "whose token is 09000000? codex-proxy token list", "{step}");
        } else {
            assert!(cause.starts_with("dev-09 "), "{cause}");
            assert!(step.contains("codex-proxy token disable dev-09"), "{step}");
        }
    }
}

#[test]
fn where_everybody_sends_alike_nobody_is_blamed() {
    let (objects, last) = busy(1);
    let folder = Folder::of(&objects);
    let text = format!("{NO_ID}, request id: {}", last.exchange_id);
    let json = folder.ask(&with_window(&[&text])).ends(0).json();
    let cause = json["verdict"]["cause"].as_str().unwrap_or_default();
    assert!(cause.starts_with("no single developer"), "{cause}");
    assert!(!json["next_steps"].to_string().contains("disable"), "{json:#}");
}
