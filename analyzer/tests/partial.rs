//! What an answer says where a part could not be seen: records that S3 refused, rights that are missing.

use std::process::Command;

use benches::s3::{Failure, Operation};
use jiff::{SignedDuration, Timestamp};
use schemas::origin::Origin;
use schemas::record::LogRecord;

use crate::common::aws::{Moto, lead, script};
use crate::common::{BUCKET, Bucket, analyzer, object, run, server_error};

const HIGH_DEMAND: &str = "high demand, which may cause temporary errors";
const THROTTLED: &str = "exceeded retry limit, last status: 429 Too Many Requests";
const GROUP: &str = "/aws/lambda/codex-proxy";

fn ago(minutes: i64) -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "CloudWatch answers about the present")]
    let now = Timestamp::now();
    now - SignedDuration::from_mins(minutes)
}

fn failed(number: u32, minutes_ago: i64) -> LogRecord {
    server_error(number, &ago(minutes_ago).to_string())
}

/// A question to the logs in a bucket, and to a stand-in for the rest of AWS.
fn asked(bucket: &Bucket, url: &str, arguments: &[&str]) -> Command {
    let source = format!("s3://{BUCKET}/codex");
    let mut command = analyzer(&[&["origin", "--source", &source], arguments].concat());
    lead(&mut command, url);
    command.env("AWS_ENDPOINT_URL_S3", bucket.0.url());
    command.env("AWS_ACCESS_KEY_ID", benches::s3::ACCESS_KEY);
    command.env("AWS_SECRET_ACCESS_KEY", benches::s3::SECRET_KEY);
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_s3_refused_count_beside_those_that_it_took() {
    let Some(moto) = Moto::start() else { return };
    moto.function("codex-proxy", &[]).await;
    let bucket = Bucket::of(&[object(&failed(0, 9))]).await;
    let ask = |more: &[&str]| {
        let arguments =
            [&[HIGH_DEMAND, "--json", "--since", "1h", "--function", "codex-proxy"], more];
        asked(&bucket, moto.url(), &arguments.concat())
    };
    let alone = run(ask(&[]), "").ends(0).json();
    assert_eq!(
        (&alone["verdict"]["confidence"], &alone["counts"]["openai"]),
        (&"certain".into(), &1.into())
    );

    let mut lines = Vec::new();
    for number in 1..=5 {
        let mut record = failed(number, 8);
        record.error.as_mut().expect("a failure").origin = Origin::OpenaiEdge;
        let object = object(&record);
        let spilled = schemas::spill::lines(&object.key, &object.bytes);
        lines.extend(spilled.into_iter().map(|line| (ago(7), line)));
    }
    moto.lines(GROUP, "stream", &lines).await;
    let both = run(ask(&[]), "").ends(0).json();
    assert_eq!(both["verdict"]["origin"], "openai_edge", "{both}");
    assert_eq!(both["verdict"]["confidence"], "likely");
    assert_eq!((&both["counts"]["openai"], &both["counts"]["openai_edge"]), (&1.into(), &5.into()));

    // The proxy's own metric says that there is none: nothing is read for it.
    let calm = Bucket::of(&[object(&failed(0, 9))]).await;
    let (url, operations) = script(|operation, _| match operation {
        "GetMetricData" => (200, crate::deployment::figures(&[(0, 1.0), (3, 1.0), (8, 0.0)])),
        _ => (200, r#"{"events":[]}"#.to_owned()),
    });
    let arguments = [HIGH_DEMAND, "--json", "--since", "1h", "--function", "codex-proxy"];
    let json = run(asked(&calm, &url, &arguments), "").ends(0).json();
    assert_eq!(json["verdict"]["confidence"], "certain");
    let operations = operations.lock().expect("no panic").clone();
    assert!(operations.iter().any(|operation| operation == "GetMetricData"), "{operations:?}");
    assert!(!operations.iter().any(|operation| operation == "FilterLogEvents"), "{operations:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spilled_record_of_which_a_part_is_missing_is_named_and_makes_the_answer_partial() {
    let Some(moto) = Moto::start() else { return };
    moto.function("codex-proxy", &[]).await;
    let bucket = Bucket::of(&[object(&failed(0, 9))]).await;
    let mut record = failed(1, 8);
    // Noise, which no packing makes smaller.
    let noise = (0..400_000).scan(1_u64, |state, _| {
        *state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some(char::from(b'#' + u8::try_from(*state >> 58).unwrap_or(0)))
    });
    record.response_body = noise.collect();
    let object = object(&record);
    let mut lines = schemas::spill::lines(&object.key, &object.bytes);
    assert!(lines.len() > 1, "in parts");
    lines.pop();
    let lines: Vec<_> = lines.into_iter().map(|line| (ago(7), line)).collect();
    moto.lines(GROUP, "stream", &lines).await;
    let arguments = [HIGH_DEMAND, "--since", "1h", "--function", "codex-proxy"];
    let answer = run(asked(&bucket, moto.url(), &arguments), "").ends(4);
    assert!(answer.stdout.starts_with("openai, likely"), "it could say otherwise: {answer:?}");
    let name = object.key.rsplit('/').next().expect("a name");
    let said = answer.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains(&format!("unseen 1 log, as {name}: S3 refused it")), "{answer:?}");
    assert!(answer.stderr.contains(&object.key), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_right_to_list_what_aws_and_the_text_prove_is_still_said() {
    let Some(moto) = Moto::start() else { return };
    moto.function("codex-proxy", &[]).await;
    let figures = [("UrlRequestCount", 684.0), ("Invocations", 366.0), ("Throttles", 318.0)];
    moto.metrics("codex-proxy", ago(6), &figures).await;
    let bucket = Bucket::of(&[object(&failed(0, 9))]).await;
    bucket.0.fail_next(Operation::List, Failure::AccessDenied, 1_000);
    let ask = |text: &str, more: &[&str]| {
        let arguments = [&[text, "--since", "1h"], more].concat();
        run(asked(&bucket, moto.url(), &arguments), "")
    };
    let throttled = ask(THROTTLED, &["--function", "codex-proxy"]).ends(4);
    assert!(throttled.stdout.starts_with("aws, certain"), "{throttled:?}");
    assert!(throttled.stdout.contains("unseen  the logs: cannot read"), "{throttled:?}");
    assert!(throttled.stdout.contains("fix     analyzer permissions origin"), "{throttled:?}");
    assert!(throttled.stdout.contains("at the text and CloudWatch only"), "{throttled:?}");
    assert!(
        throttled.stderr.contains("without the logs") && throttled.stderr.contains("s3:ListBucket")
    );
    assert!(throttled.stdout.lines().count() <= 12);

    let proven = ask("Missing environment variable: `CODEX_PROXY_TOKEN`.", &["--no-cloudwatch"]);
    assert!(proven.ends(4).stdout.starts_with("client, certain"));
    let nothing = ask(HIGH_DEMAND, &["--no-cloudwatch"]).ends(3);
    assert!(nothing.stderr.contains("AccessDenied"), "{nothing:?}");
}

#[test]
fn what_was_asked_of_a_named_deployment_and_not_seen_is_no_whole_answer() {
    let busy = |operation: &str, _| {
        match operation {
        "GetMetricData" => (
            400,
            "<ErrorResponse><Error><Code>Throttling</Code><Message>slow</Message></Error></ErrorResponse>".to_owned(),
        ),
        _ => (400, r#"{"__type":"ThrottlingException","message":"slow"}"#.to_owned()),
    }
    };
    let ask = |url: &str, named: &[&str]| {
        let mut command =
            analyzer(&[&["origin", "nobody prints this text", "--since", "1h"], named].concat());
        lead(&mut command, url);
        run(command, "")
    };
    let (url, _) = script(busy);
    let answer = ask(&url, &["--function", "codex-proxy"]).ends(4);
    assert!(answer.stderr.contains("cloudwatch:GetMetricData"), "{answer:?}");

    let Some(moto) = Moto::start() else { return };
    let answer = ask(moto.url(), &["--stack", "nope"]).ends(3);
    assert!(answer.stderr.contains("nope"), "{answer:?}");
}

/// The metrics of a function of which S3 refused so many records.
fn refused(records: f64) -> (u16, String) {
    (200, crate::deployment::figures(&[(0, 6.0), (3, 6.0), (5, 0.0), (8, records)]))
}

const DENIED: &str = r#"{"__type":"AccessDeniedException","message":"User: arn:aws:sts::1:assumed-role/OnCallReadOnly/anna is not authorized"}"#;
const DENIED_METRICS: &str = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>User: arn:aws:sts::1:assumed-role/OnCallReadOnly/anna is not authorized</Message></Error></ErrorResponse>";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_records_that_nobody_may_read_take_certainty_back() {
    let bucket = Bucket::of(&[object(&failed(0, 9))]).await;
    let by_name = ["--function", "codex-proxy"];
    for (metrics, named, confidence, code) in [
        (refused(5.0), &by_name[..], "likely", 4),
        (refused(0.0), &by_name[..], "certain", 0),
        ((403, DENIED_METRICS.to_owned()), &by_name[..], "likely", 4),
        // In passing nobody knows whether there is a function at all.
        ((403, DENIED_METRICS.to_owned()), &[][..], "certain", 0),
    ] {
        let metrics_told = metrics.0 == 200;
        let (url, _) = script(move |operation, _| match operation {
            "GetMetricData" => metrics.clone(),
            _ => (403, DENIED.to_owned()),
        });
        let arguments = [&[HIGH_DEMAND, "--json", "--since", "1h"], named].concat();
        let answer = run(asked(&bucket, &url, &arguments), "").ends(code);
        let verdict = answer.json()["verdict"].clone();
        assert_eq!(verdict["confidence"], confidence, "{answer:?}");
        let other = verdict["other"].as_str().unwrap_or_default();
        assert_eq!(other.contains("S3 refused 5 more"), code == 4 && metrics_told, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_right_that_is_missing_is_named_with_whom_it_was_refused_to() {
    let bucket = Bucket::of(&[object(&failed(0, 9))]).await;
    bucket.0.fail_next(Operation::Get, Failure::AccessDenied, 1_000);
    let (url, _) = script(|operation, _| match operation {
        "GetMetricData" => (403, DENIED_METRICS.to_owned()),
        _ => (403, DENIED.to_owned()),
    });
    let arguments = [HIGH_DEMAND, "--since", "1h", "--function", "codex-proxy"];
    let answer = run(asked(&bucket, &url, &arguments), "").ends(4);
    let said = answer.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for right in [
        "unseen s3:GetObject or kms:Decrypt denied",
        "cloudwatch:GetMetricData denied to role OnCallReadOnly:",
        "logs:FilterLogEvents denied to role OnCallReadOnly:",
        "fix analyzer permissions origin prints the smallest policy that would",
    ] {
        assert!(said.contains(right), "{right}: {answer:?}");
    }
    assert!(answer.stdout.lines().count() <= 12 && !answer.stdout.contains("..."), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_out_of_reach_does_not_silence_what_aws_saw() {
    let Some(moto) = Moto::start() else { return };
    moto.function("codex-proxy", &[]).await;
    let figures = [("UrlRequestCount", 684.0), ("Invocations", 366.0), ("Throttles", 318.0)];
    moto.metrics("codex-proxy", ago(6), &figures).await;
    let ask = |text: &str, more: &[&str]| {
        let source = ["origin", "--source", "s3://no-such-bucket", "--since", "1h", text];
        let mut command = analyzer(&[&source, more].concat());
        lead(&mut command, moto.url());
        run(command, "")
    };
    let throttled = ask(THROTTLED, &["--function", "codex-proxy"]).ends(4);
    assert!(throttled.stdout.starts_with("aws, certain"), "{throttled:?}");
    assert!(throttled.stderr.contains("NoSuchBucket"), "{throttled:?}");
    let nothing = ask(HIGH_DEMAND, &["--no-cloudwatch"]).ends(3);
    assert_eq!(nothing.stdout, "", "{nothing:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_that_does_not_exist_is_an_error_beside_logs_that_do() {
    let Some(moto) = Moto::start() else { return };
    let bucket = Bucket::of(&[object(&failed(0, 9))]).await;
    let ask = |text: &str| {
        let arguments = [text, "--since", "1h", "--stack", "nope"];
        run(asked(&bucket, moto.url(), &arguments), "").ends(3)
    };
    for (text, begins) in [(HIGH_DEMAND, "openai, certain"), ("nobody prints this", "unknown")] {
        let answer = ask(text);
        assert!(answer.stdout.starts_with(begins), "{answer:?}");
        assert!(answer.stderr.contains("there is no function `nope`"), "{answer:?}");
    }
}

#[test]
fn no_key_that_was_pasted_is_said_again_in_any_form_or_error() {
    let key = "sk-proj-abcDEF1234567890abcdEF";
    let token = "cpt_AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGhIj";
    let text = format!("curl -H \"Authorization: Bearer {key}\" {token}: 401 Unauthorized");
    for form in ["text", "json", "markdown"] {
        let answer = run(analyzer(&["origin", "-", "-o", form]), &text);
        let said = format!("{}{}", answer.stdout, answer.stderr);
        assert!(!said.contains(&key[12..]) && !said.contains(&token[8..]), "{form}: {said}");
    }
    for wrong in [&["origin", "x y z", "--since", key][..], &["origin", &format!("--{key}")]] {
        let answer = run(analyzer(wrong), "").ends(2);
        assert!(!answer.stderr.contains(&key[12..]), "{answer:?}");
        assert!(answer.stderr.contains("[masked]"), "{answer:?}");
    }
}
