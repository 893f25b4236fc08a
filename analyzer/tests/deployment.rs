//! The commands about a deployment, asked of moto and of scripted answers: capacity, validate,
//! permissions.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::common::aws::{Moto, lead, script};
use crate::common::{Answer, analyzer, run};

fn ago(minutes: i64) -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "CloudWatch answers about the present")]
    let now = Timestamp::now();
    now - SignedDuration::from_mins(minutes)
}

fn ask(url: &str, arguments: &[&str]) -> Answer {
    let mut command = analyzer(arguments);
    lead(&mut command, url);
    run(command, "")
}

/// Names of the checks that ended like this.
fn names(answer: &Value, status: &str) -> Vec<String> {
    let checks = answer["checks"].as_array().into_iter().flatten();
    let named = checks.filter(|check| check["status"] == status);
    named.filter_map(|check| check["name"].as_str().map(str::to_owned)).collect()
}

pub(crate) const ACCOUNT: &str = r#"{"AccountLimit":{"ConcurrentExecutions":1065,"UnreservedConcurrentExecutions":1040,"CodeSizeUnzipped":1,"CodeSizeZipped":1,"TotalCodeSize":1},"AccountUsage":{"FunctionCount":1,"TotalCodeSize":1}}"#;

/// The answer to `GetMetricData` that holds these figures of one period.
pub(crate) fn figures(figures: &[(usize, f64)]) -> String {
    let at = ago(5);
    let result = |(metric, value): &(usize, f64)| {
        format!(
            "<member><Id>m{metric}</Id><Label>x</Label><StatusCode>Complete</StatusCode><Timestamps><member>{at}</member></Timestamps><Values><member>{value}</member></Values></member>"
        )
    };
    let results: String = figures.iter().map(result).collect();
    format!(
        "<GetMetricDataResponse xmlns=\"http://monitoring.amazonaws.com/doc/2010-08-01/\"><GetMetricDataResult><MetricDataResults>{results}</MetricDataResults></GetMetricDataResult></GetMetricDataResponse>"
    )
}

#[test]
fn capacity_says_how_many_slots_were_needed_and_the_command_that_changes_it() {
    let (url, _) = script(|operation, _| match operation {
        "GetMetricData" => {
            (200, figures(&[(0, 68.0), (3, 36.0), (5, 32.0), (6, 25.0), (7, 36.0 * 41_000.0)]))
        }
        _ if operation.contains("/account-settings") => (200, ACCOUNT.to_owned()),
        _ if operation.contains("/concurrency") => {
            (200, r#"{"ReservedConcurrentExecutions":25}"#.to_owned())
        }
        _ => (200, r#"{"FunctionName":"codex-proxy","Timeout":900}"#.to_owned()),
    });
    let answer = ask(&url, &["capacity"]).ends(5);
    for line in [
        "short: Lambda refused 32 requests to codex-proxy for want of a slot.\nacts    us\n",
        "slots   25 reserved; used at most: 25; needed: 47\n",
        "formula 1.13 requests a second in the busiest refused minute",
        " x 41 s each\n",
        ": 32 throttles, 36 ran, concurrency 25\n",
        "account 1,065 slots, 940 free to reserve\n",
        "do      scripts/deploy.sh --reserved-concurrent-executions 75   (now 25, needed 47, free 940)\n",
    ] {
        assert!(answer.stdout.contains(line), "{line} in {}", answer.stdout);
    }
    assert!(answer.stdout.lines().count() <= 12);
    assert_eq!(answer.stderr, "");
    let json = ask(&url, &["capacity", "--json", "--since", "2h"]).ends(5).json();
    assert_eq!(
        (&json["capacity"]["needed"], &json["capacity"]["state"]),
        (&47.into(), &"short".into())
    );
    assert_eq!(json["command"], "scripts/deploy.sh --reserved-concurrent-executions 75");
}

#[tokio::test(flavor = "multi_thread")]
async fn capacity_of_a_calm_function_is_enough_and_no_data_point_is_unknown() {
    let Some(moto) = Moto::start() else { return };
    moto.function("codex-proxy", &[]).await;
    let figures = [("Invocations", 60.0), ("Throttles", 0.0), ("ConcurrentExecutions", 7.0)];
    moto.metrics("codex-proxy", ago(10), &figures).await;
    // moto knows no account's limits: that is said, and the answer stands.
    let answer = ask(moto.url(), &["capacity"]).ends(4);
    assert!(answer.stdout.starts_with("enough: nobody was refused"), "{answer:?}");
    assert!(answer.stdout.contains("25 reserved; used at most: 7; needed: 7"), "{answer:?}");
    assert!(answer.stderr.contains("lambda:GetAccountSettings"), "{answer:?}");
    let silent = ask(moto.url(), &["capacity", "--function", "another"]);
    assert!(silent.stdout.starts_with("unknown: CloudWatch has no data point for another"));
    assert!(!silent.stdout.contains("do      nothing"));
}

#[test]
fn capacity_without_aws_ends_with_3_and_without_rights_with_4() {
    let mut nowhere = analyzer(&["capacity"]);
    nowhere.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
    let answer = run(nowhere, "").ends(3);
    assert!(answer.stderr.contains("no AWS region is set"), "{answer:?}");
    assert!(answer.stderr.contains("set AWS_REGION"), "{answer:?}");
    let mut anonymous = analyzer(&["capacity"]);
    anonymous.env("AWS_REGION", "eu-central-1").env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    let answer = run(anonymous, "").ends(3);
    assert!(answer.stderr.contains("no valid credentials"), "{answer:?}");
    let (url, _) = script(|operation, _| {
        match operation {
        "GetMetricData" => {
            (403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>".to_owned())
        }
        _ => (403, r#"{"__type":"AccessDeniedException","message":"no"}"#.to_owned()),
    }
    });
    let answer = ask(&url, &["capacity"]).ends(4);
    assert!(answer.stdout.starts_with("unknown: the metrics of codex-proxy could not be read"));
    assert!(answer.stderr.contains("cloudwatch:GetMetricData denied"), "{answer:?}");
    assert!(answer.stderr.contains("analyzer permissions capacity"), "{answer:?}");
}

#[test]
fn credentials_that_have_expired_are_said_with_what_renews_them() {
    let (url, _) = script(|operation, _| {
        match operation {
        "GetMetricData" => {
            (403, "<ErrorResponse><Error><Code>ExpiredToken</Code><Message>old</Message></Error></ErrorResponse>".to_owned())
        }
        _ => (403, r#"{"__type":"ExpiredTokenException","message":"old"}"#.to_owned()),
    }
    });
    for arguments in [&["capacity"][..], &["validate", "--source", "s3://my-bucket"]] {
        let answer = ask(&url, arguments).ends(3);
        let said = format!("{}{}", answer.stdout, answer.stderr);
        assert!(said.contains("no valid credentials") && said.contains("aws sso login"), "{said}");
    }
    let mut unnamed = analyzer(&["capacity"]);
    lead(&mut unnamed, &url);
    unnamed.env("ANALYZER_STACK", "");
    assert!(run(unnamed, "").stdout.contains("codex-proxy"), "set to nothing names nothing");
}

#[test]
fn a_policy_is_printed_even_where_nothing_is_known() {
    let mut offline = analyzer(&["permissions", "origin", "--source", "s3://my-bucket/codex"]);
    offline.env("AWS_REGION", "eu-central-1").env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    offline.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
    let answer = run(offline, "").ends(0);
    assert!(answer.stdout.starts_with("{\n  \"Version\": \"2012-10-17\",\n"), "{}", answer.stdout);
    let policy = answer.json();
    let text = policy.to_string();
    assert!(text.contains("arn:aws:s3:::my-bucket/codex/logs/*"), "{text}");
    assert!(
        text.contains("arn:aws:logs:eu-central-1:ACCOUNT_ID:log-group:/aws/lambda/codex-proxy:*")
    );
    assert!(answer.stderr.contains("put names in the place of ACCOUNT_ID\n"), "{}", answer.stderr);
    assert!(answer.stderr.contains("cloudwatch:GetMetricData"), "{}", answer.stderr);
    run(analyzer(&["permissions", "nonsense"]), "").ends(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_names_what_the_deployment_really_uses() {
    let Some(moto) = Moto::start() else { return };
    let kms = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let environment = [
        ("CODEX_PROXY_LOGS", "s3://blue-logs"),
        ("CODEX_PROXY_TOKENS", "dynamodb://blue-tokens"),
        ("OPENAI_API_KEY_SECRET", "blue/key"),
        ("LOG_KMS_KEY_ARN", kms),
        ("OPENAI_API_KEY", "sk-canary-0123456789"),
    ];
    moto.function("blue", &environment).await;
    let answer = ask(moto.url(), &["permissions", "--stack", "blue"]).ends(0);
    for arn in [
        "arn:aws:s3:::blue-logs/logs/*",
        "arn:aws:dynamodb:eu-central-1:123456789012:table/blue-tokens",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:blue/key-??????",
        "arn:aws:lambda:eu-central-1:123456789012:function:blue",
        kms,
    ] {
        assert!(answer.stdout.contains(arn), "{arn} in {}", answer.stdout);
    }
    assert!(!answer.stderr.contains("in the place of"), "{}", answer.stderr);
    for said in [&answer.stdout, &answer.stderr] {
        assert!(!said.contains("canary"), "the key stands in the configuration, and nowhere else");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn validate_walks_from_an_empty_account_to_a_deployment_that_is_well() {
    let Some(moto) = Moto::start() else { return };
    let ask = |arguments: &[&str]| ask(moto.url(), &[&["validate", "--json"], arguments].concat());
    let empty =
        ask(&["--source", "s3://my-bucket/codex", "--secret", "codex-proxy/key"]).ends(5).json();
    let failed = names(&empty, "failed");
    for name in ["function", "logs", "openai key", "url mode", "url policy"] {
        assert!(failed.iter().any(|failed| failed == name), "{name} in {failed:?}");
    }
    // No function tells their names.
    for name in ["log lines", "tokens", "log retention"] {
        assert!(names(&empty, "unseen").iter().any(|unseen| unseen == name), "{empty:#}");
    }
    let named = ask(&["--table", "codex-proxy-tokens", "--log-group", "/aws/lambda/codex-proxy"]);
    let named = named.ends(5).json();
    assert!(names(&named, "failed").contains(&"tokens".to_owned()), "{named:#}");
    assert_eq!(names(&named, "pending"), ["log lines", "log retention"]);

    // A fresh stack: everything is there, and nothing has happened yet.
    let environment = [
        ("CODEX_PROXY_LOGS", "s3://my-bucket/codex"),
        ("OPENAI_API_KEY_SECRET", "codex-proxy/key"),
        ("OPENAI_API_KEY", "sk-canary-0123456789"),
    ];
    moto.function("codex-proxy", &environment).await;
    set_up(&moto).await;
    // moto knows no account's limits.
    let fresh = ask(&[]).ends(4);
    assert!(!fresh.stdout.contains("canary") && !fresh.stderr.contains("canary"), "{fresh:?}");
    let fresh = fresh.json();
    assert_eq!(names(&fresh, "failed"), [""; 0], "{fresh:#}");
    assert_eq!(
        names(&fresh, "pending"),
        ["function", "log lines", "tokens", "logs", "log retention"]
    );
    assert_eq!(names(&fresh, "unseen"), ["slots"]);

    // It runs, but leaves nothing behind.
    moto.metrics("codex-proxy", ago(25), &[("Invocations", 5.0), ("UrlRequestCount", 5.0)]).await;
    let silent = ask(&[]).ends(5).json();
    assert!(names(&silent, "failed").contains(&"log lines".to_owned()), "{silent:#}");

    work(&moto).await;
    let well = ask(&[]).ends(5).json();
    assert_eq!(names(&well, "failed"), ["log retention"], "{well:#}");
    assert_eq!(names(&well, "pending"), [""; 0]);
    let logs = aws_sdk_cloudwatchlogs::Client::new(&moto.config());
    let keep = logs.put_retention_policy().log_group_name("/aws/lambda/codex-proxy");
    keep.retention_in_days(30).send().await.expect("kept for a month");
    let well = ask(&[]).ends(4).json();
    assert_eq!((names(&well, "failed").len(), names(&well, "ok").len()), (0, 10), "{well:#}");
    // moto keeps no condition that ties a right to the URL.
    assert_eq!(names(&well, "warning"), ["url policy"]);
}

/// Makes URL, policy, table, bucket and secret, as `deploy.sh` would.
async fn set_up(moto: &Moto) {
    use aws_sdk_dynamodb::types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    };
    use aws_sdk_lambda::types::{FunctionUrlAuthType, InvokeMode};
    let config = moto.config();
    let lambda = aws_sdk_lambda::Client::new(&config);
    let url = lambda.create_function_url_config().function_name("codex-proxy");
    let url = url.auth_type(FunctionUrlAuthType::None).invoke_mode(InvokeMode::ResponseStream);
    url.send().await.expect("a URL");
    for (id, action) in [("url", "lambda:InvokeFunctionUrl"), ("invoke", "lambda:InvokeFunction")] {
        let add = lambda.add_permission().function_name("codex-proxy").statement_id(id);
        add.action(action).principal("*").send().await.expect("a permission");
    }
    let attribute = AttributeDefinition::builder().attribute_name("token");
    let attribute = attribute.attribute_type(ScalarAttributeType::S).build();
    let key = KeySchemaElement::builder().attribute_name("token").key_type(KeyType::Hash);
    let table = aws_sdk_dynamodb::Client::new(&config);
    let table = table.create_table().table_name("codex-proxy-tokens");
    let table = table.attribute_definitions(attribute.expect("whole"));
    let table = table.key_schema(key.build().expect("whole"));
    table.billing_mode(BillingMode::PayPerRequest).send().await.expect("a table");
    let place = aws_sdk_s3::types::CreateBucketConfiguration::builder()
        .location_constraint(aws_sdk_s3::types::BucketLocationConstraint::EuCentral1)
        .build();
    let s3 = s3(moto);
    let made = s3.create_bucket().bucket("my-bucket").create_bucket_configuration(place);
    made.send().await.expect("a bucket");
    let shut = aws_sdk_s3::types::PublicAccessBlockConfiguration::builder()
        .block_public_acls(true)
        .ignore_public_acls(true)
        .block_public_policy(true)
        .restrict_public_buckets(true)
        .build();
    let put = s3.put_public_access_block().bucket("my-bucket");
    put.public_access_block_configuration(shut).send().await.expect("a guard");
    let secrets = aws_sdk_secretsmanager::Client::new(&config);
    let secret = secrets.create_secret().name("codex-proxy/key");
    secret.secret_string("sk-canary-0123456789").send().await.expect("a secret");
}

/// Leaves what a first exchange leaves: a token's row, a log, lines.
async fn work(moto: &Moto) {
    use aws_sdk_dynamodb::types::AttributeValue;
    let table = aws_sdk_dynamodb::Client::new(&moto.config());
    let row = table.put_item().table_name("codex-proxy-tokens");
    let row = row.item("token", AttributeValue::S("sha256:canary".to_owned()));
    row.item("enabled", AttributeValue::Bool(true)).send().await.expect("a row");
    let line = (ago(1), "REPORT RequestId: a1 Duration: 1 ms".to_owned());
    moto.lines("/aws/lambda/codex-proxy", "s1", &[line]).await;
    // Of today, whatever the hour is.
    let day = ago(0).to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y/%m/%d").to_string();
    let log = s3(moto).put_object().bucket("my-bucket");
    log.key(format!("codex/logs/{day}/00/x.json")).send().await.expect("a log");
}

fn s3(moto: &Moto) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(&moto.config()).force_path_style(true);
    aws_sdk_s3::Client::from_conf(config.build())
}

#[test]
fn validate_without_rights_to_the_function_blames_no_name_that_it_guessed() {
    let (url, _) = script(|operation, _| match operation {
        "Scan" => (400, r#"{"__type":"ResourceNotFoundException","message":"no"}"#.to_owned()),
        "GetMetricData" => (200, figures(&[])),
        "FilterLogEvents" | "DescribeLogGroups" => {
            (200, r#"{"events":[],"logGroups":[]}"#.to_owned())
        }
        _ => (403, r#"{"__type":"AccessDeniedException","message":"no"}"#.to_owned()),
    });
    let answer = ask(&url, &["validate", "--function", "f-x"]).ends(4);
    assert!(
        answer.stdout.starts_with("f-x in eu-central-1, partial: nothing failed"),
        "{answer:?}"
    );
    assert!(answer.stdout.contains("unseen   tokens"), "{answer:?}");
}

#[test]
fn validate_without_aws_ends_with_3_and_without_rights_with_4() {
    let mut nobody = analyzer(&["validate"]);
    nobody.env("AWS_REGION", "eu-central-1").env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    nobody.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
    let answer = run(nobody, "").ends(3);
    assert!(answer.stdout.contains("unreachable: AWS could not be asked"), "{answer:?}");
    let (url, _) = script(|operation, _| {
        match operation {
        "GetMetricData" => {
            (403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>".to_owned())
        }
        _ => (403, r#"{"__type":"AccessDeniedException","message":"no"}"#.to_owned()),
    }
    });
    let answer = ask(&url, &["validate", "--source", "s3://my-bucket"]).ends(4);
    assert!(answer.stdout.contains("unseen   tokens         dynamodb:Scan denied\n"), "{answer:?}");
    assert!(answer.stdout.contains("analyzer permissions validate"), "{answer:?}");
    assert!(
        answer.stderr.contains("token table codex-proxy-tokens"),
        "what was assumed is said: {answer:?}"
    );
}
