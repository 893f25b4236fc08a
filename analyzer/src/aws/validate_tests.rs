use jiff::Timestamp;

use super::facts::{Guard, Logs, SecretState, Tokens};
use super::*;
use crate::aws::Trouble;
use crate::aws::cloudwatch::{Configuration, Counts, Reserved};
use crate::aws::deployment::Guessed;
use crate::aws::deployment::lambda::{Account, FunctionUrl};
use crate::aws::permission::Action;

const BOTH: &str = r#"{"Statement":[
    {"Effect":"Allow","Principal":"*","Action":"lambda:InvokeFunctionUrl","Condition":{"StringEquals":{"lambda:FunctionUrlAuthType":"NONE"}}},
    {"Effect":"Allow","Principal":"*","Action":"lambda:InvokeFunction","Condition":{"Bool":{"lambda:InvokedViaFunctionUrl":"true"}}}]}"#;

/// A deployment in which all is well.
fn well() -> Facts {
    let now: Timestamp = "2026-11-22T02:42:00Z".parse().expect("a time");
    let text = |text: &str| text.to_owned();
    let counts = Counts {
        url_requests: Some(1_214),
        invocations: Some(1_214),
        throttles: Some(0),
        ..Counts::default()
    };
    Facts {
        now,
        region: text("eu-central-1"),
        function: text("codex-proxy"),
        naming: String::new(),
        log_group: text("/aws/lambda/codex-proxy"),
        source: Some(text("s3://my-bucket/codex")),
        table: Some(text("codex-proxy-tokens")),
        secret: Some(text("codex-proxy/key")),
        is_guessed: Guessed::default(),
        configuration: Ok(Configuration {
            timeout_s: Some(900),
            logs_json: Some(true),
            state: Some(text("Active")),
            reserved: Some(Reserved::Slots(25)),
            ..Configuration::default()
        }),
        url: Ok(FunctionUrl {
            url: text("https://x.lambda-url/"),
            mode: text("RESPONSE_STREAM"),
            auth: text("NONE"),
        }),
        policy: Ok(text(BOTH)),
        account: Ok(Account { slots: 1_000, unreserved: 975 }),
        recent: Ok(counts),
        today: Ok(counts),
        last_line: Ok(Some(now)),
        retention: Ok(Some(30)),
        tokens: Ok(Tokens { enabled: 12, disabled: 1, has_more: false }),
        logs: Ok(Logs { today: 42, yesterday: 7 }),
        guard: Ok(Guard::Whole),
        secret_state: Ok(SecretState::Present),
    }
}

fn unseen<T>(action: Action, trouble: Trouble) -> Result<T, Unseen> {
    Err(Unseen { action, trouble, means: "" })
}

/// The names of the checks that ended like this.
fn names(facts: &Facts, status: Status) -> Vec<&'static str> {
    check(facts).iter().filter(|check| check.status == status).map(|check| check.name).collect()
}

fn healthy(facts: &Facts) -> Health {
    health(&check(facts), facts.is_unreachable())
}

#[test]
fn a_deployment_that_is_well_is_healthy() {
    let facts = well();
    assert_eq!(names(&facts, Status::Ok).len(), 13, "{:?}", check(&facts));
    assert_eq!(healthy(&facts), Health::Healthy);
}

#[test]
fn each_fault_fails_its_check_alone_and_names_what_mends_it() {
    let configured = |change: fn(&mut Configuration)| {
        let mut facts = well();
        change(facts.configuration.as_mut().expect("seen"));
        facts
    };
    let url = |mode: &str, auth: &str| {
        Ok(FunctionUrl { url: String::new(), mode: mode.to_owned(), auth: auth.to_owned() })
    };
    let one = BOTH.replace("lambda:InvokeFunction\"", "lambda:Other\"");
    let throttled = Counts { throttles: Some(3), ..well().recent.expect("seen") };
    let cases = vec![
        (configured(|it| it.timeout_s = Some(3)), "time-out", "--timeout 900"),
        (configured(|it| it.logs_json = Some(false)), "log format", "LogFormat=JSON"),
        (configured(|it| it.reserved = Some(Reserved::Slots(0))), "slots", "deploy.sh"),
        (
            configured(|it| it.state = Some("Failed".to_owned())),
            "function",
            "get-function-configuration",
        ),
        (
            Facts { account: Ok(Account { slots: 10, unreserved: 10 }), ..well() },
            "slots",
            "L-B99A9384",
        ),
        (Facts { recent: Ok(throttled), ..well() }, "slots", "analyzer capacity"),
        (Facts { url: url("BUFFERED", "NONE"), ..well() }, "url mode", "RESPONSE_STREAM"),
        (
            Facts { url: url("RESPONSE_STREAM", "AWS_IAM"), ..well() },
            "url auth",
            "--auth-type NONE",
        ),
        (Facts { policy: Ok(one), ..well() }, "url policy", "--invoked-via-function-url"),
        (Facts { retention: Ok(None), ..well() }, "log retention", "put-retention-policy"),
        (Facts { last_line: Ok(None), ..well() }, "log lines", "logs:PutLogEvents"),
        (
            Facts { tokens: Ok(Tokens { disabled: 3, ..Tokens::default() }), ..well() },
            "tokens",
            "token enable",
        ),
        (
            Facts { tokens: unseen(Action::Scan, Trouble::Missing(String::new())), ..well() },
            "tokens",
            "create-table",
        ),
        (Facts { logs: Ok(Logs { today: 0, yesterday: 9 }), ..well() }, "logs", "analyzer recover"),
        (
            Facts { logs: unseen(Action::ListBucket, Trouble::Missing(String::new())), ..well() },
            "logs",
            "CODEX_PROXY_LOGS",
        ),
        (Facts { guard: Ok(Guard::Partial), ..well() }, "bucket guard", "put-public-access-block"),
        (Facts { guard: Ok(Guard::None), ..well() }, "bucket guard", "put-public-access-block"),
        (
            Facts { secret_state: Ok(SecretState::Deleted), ..well() },
            "openai key",
            "restore-secret",
        ),
        (
            Facts { secret_state: Ok(SecretState::Empty), ..well() },
            "openai key",
            "put-secret-value",
        ),
        (
            Facts {
                secret_state: unseen(Action::DescribeSecret, Trouble::Missing(String::new())),
                ..well()
            },
            "openai key",
            "create-secret",
        ),
    ];
    for (facts, name, hint) in cases {
        assert_eq!(names(&facts, Status::Failed), [name]);
        let failed = check(&facts).into_iter().find(|check| check.name == name).expect("failed");
        assert!(failed.hint.as_deref().is_some_and(|said| said.contains(hint)), "{failed:?}");
        assert_eq!(healthy(&facts), Health::Unhealthy);
    }
}

#[test]
fn a_fresh_stack_is_pending_and_not_broken() {
    let missing = |action| Unseen { action, trouble: Trouble::Missing(String::new()), means: "" };
    let fresh = Facts {
        recent: Ok(Counts::default()),
        today: Ok(Counts::default()),
        last_line: Err(missing(Action::FilterLogEvents)),
        retention: Err(missing(Action::DescribeLogGroups)),
        tokens: Ok(Tokens::default()),
        logs: Ok(Logs::default()),
        ..well()
    };
    assert_eq!(names(&fresh, Status::Failed), [""; 0]);
    assert_eq!(
        names(&fresh, Status::Pending),
        ["function", "log lines", "tokens", "logs", "log retention"]
    );
    assert_eq!(healthy(&fresh), Health::Pending);
    // Where it runs, the same absence is a failure.
    let runs = Facts { recent: well().recent, today: well().today, ..fresh };
    assert_eq!(names(&runs, Status::Failed), ["log lines", "logs"]);
}

#[test]
fn requests_that_never_ran_are_no_fresh_stack() {
    let counts = Counts { url_requests: Some(1_140), url_4xx: Some(1_140), ..Counts::default() };
    let refused = Facts {
        recent: Ok(counts),
        policy: unseen(Action::GetPolicy, Trouble::Missing(String::new())),
        ..well()
    };
    assert_eq!(names(&refused, Status::Failed), ["function", "url policy"]);
}

#[test]
fn a_missing_right_makes_its_check_unseen_and_ends_nothing() {
    let denied = || Trouble::Denied("AccessDenied".to_owned());
    let facts = Facts {
        policy: unseen(Action::GetPolicy, denied()),
        tokens: unseen(Action::Scan, denied()),
        ..well()
    };
    assert_eq!(names(&facts, Status::Unseen), ["tokens", "url policy"]);
    assert_eq!(healthy(&facts), Health::Partial);
    let checks = check(&facts);
    let said = checks.iter().find(|check| check.name == "tokens").expect("a check");
    assert_eq!(said.found, "dynamodb:Scan denied");
    // Broken is broken, whatever else could not be seen.
    assert_eq!(healthy(&Facts { guard: Ok(Guard::None), ..facts }), Health::Unhealthy);
}

#[test]
fn without_the_configuration_what_can_be_asked_by_name_is_checked() {
    let configuration = unseen(Action::GetFunctionConfiguration, Trouble::Denied(String::new()));
    let facts = Facts { configuration, source: None, secret: None, ..well() };
    let facts = Facts {
        logs: Ok(Logs::default()),
        secret_state: unseen(Action::DescribeSecret, Trouble::Missing(String::new())),
        ..facts
    };
    assert_eq!(names(&facts, Status::Failed), [""; 0]);
    assert_eq!(names(&facts, Status::Unseen), ["function", "logs", "openai key", "bucket guard"]);
    assert_eq!(healthy(&facts), Health::Partial);
}

#[test]
fn what_is_not_there_under_a_guessed_name_proves_nothing() {
    let missing = || Trouble::Missing(String::new());
    let guessed = || Facts {
        configuration: unseen(Action::GetFunctionConfiguration, Trouble::Denied(String::new())),
        is_guessed: Guessed { log_group: true, table: true },
        ..well()
    };
    let none = Facts {
        tokens: unseen(Action::Scan, missing()),
        last_line: unseen(Action::FilterLogEvents, missing()),
        retention: unseen(Action::DescribeLogGroups, missing()),
        ..guessed()
    };
    let disabled = Facts {
        tokens: Ok(Tokens { disabled: 3, ..Tokens::default() }),
        last_line: Ok(None),
        retention: Ok(None),
        ..guessed()
    };
    for facts in [none, disabled] {
        assert_eq!(names(&facts, Status::Failed), [""; 0]);
        assert_eq!(names(&facts, Status::Pending), [""; 0]);
        assert_eq!(
            names(&facts, Status::Unseen),
            ["function", "log lines", "tokens", "log retention"]
        );
        assert_eq!(healthy(&facts), Health::Partial);
        let checks = check(&facts);
        let tokens = checks.iter().find(|check| check.name == "tokens").expect("a check");
        assert!(tokens.found.contains("the name is only the usual one"), "{tokens:?}");
        assert!(tokens.hint.as_deref().is_some_and(|it| it.contains("--table")), "{tokens:?}");
        // A name that somebody gave is no guess.
        let named = Facts { is_guessed: Guessed::default(), ..facts };
        assert_eq!(healthy(&named), Health::Unhealthy);
    }
    // What is there is there.
    assert_eq!(names(&guessed(), Status::Unseen), ["function"]);
}

#[test]
fn a_door_past_the_url_is_a_warning_and_stops_no_work() {
    let open = BOTH.replace(
        r#","Condition":{"Bool":{"lambda:InvokedViaFunctionUrl":"true"}}"#,
        r#","Sid":"all""#,
    );
    let facts = Facts { policy: Ok(open), ..well() };
    assert_eq!(names(&facts, Status::Warning), ["url policy"]);
    assert_eq!(healthy(&facts), Health::Healthy);
    let checks = check(&facts);
    let warned = checks.iter().find(|check| check.name == "url policy").expect("a check");
    let hint = warned.hint.as_deref().unwrap_or_default();
    assert!(hint.contains("--statement-id all && ") && hint.contains("--invoked-via"), "{hint}");
}

#[test]
fn aws_out_of_reach_is_said_as_such() {
    let lost = || Trouble::Unreachable("connection refused".to_owned());
    let facts = Facts {
        configuration: unseen(Action::GetFunctionConfiguration, lost()),
        recent: unseen(Action::GetMetricData, lost()),
        today: unseen(Action::GetMetricData, lost()),
        policy: unseen(Action::GetPolicy, lost()),
        ..well()
    };
    assert_eq!(healthy(&facts), Health::Unreachable);
}
