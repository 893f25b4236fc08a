use super::*;

fn places() -> Places {
    Places {
        partition: "aws".to_owned(),
        region: "eu-central-1".to_owned(),
        account: "123456789012".to_owned(),
        function: "codex-proxy".to_owned(),
        log_group: "/aws/lambda/codex-proxy".to_owned(),
        table: "codex-proxy-tokens".to_owned(),
        bucket: "my-bucket".to_owned(),
        prefix: "codex/".to_owned(),
        secret: Some("codex-proxy/openai-key".to_owned()),
        kms_key: None,
    }
}

fn policy(commands: &[Asking], places: &Places) -> Value {
    serde_json::to_value(super::policy(commands, places)).expect("JSON")
}

fn names(policy: &Value) -> Vec<&str> {
    let statements = policy["Statement"].as_array().into_iter().flatten();
    let actions =
        statements.flat_map(|statement| statement["Action"].as_array().into_iter().flatten());
    actions.filter_map(Value::as_str).collect()
}

#[test]
fn a_policy_names_what_the_command_needs_and_nothing_else() {
    let policy = policy(&[Asking::Capacity], &places());
    let expected =
        ["cloudwatch:GetMetricData", "lambda:GetAccountSettings", "lambda:GetFunctionConcurrency"];
    assert_eq!(names(&policy), expected);
    let function = "arn:aws:lambda:eu-central-1:123456789012:function:codex-proxy";
    assert_eq!(policy["Statement"][1]["Resource"], function);
    assert_eq!(policy["Version"], "2012-10-17");
}

#[test]
fn logs_are_listed_and_read_below_their_prefix_only() {
    let policy = policy(&[Asking::Show], &places());
    let text = policy.to_string();
    assert!(text.contains(r#""Resource":"arn:aws:s3:::my-bucket/codex/logs/*""#), "{text}");
    assert!(text.contains(r#""Resource":"arn:aws:s3:::my-bucket/codex/parquet/*""#), "{text}");
    assert!(text.contains(r#""s3:prefix":["codex/logs/*","codex/parquet/*"]"#), "{text}");
    assert!(!text.contains("kms:"), "no key of our own, no right to one: {text}");
    let kms_key = Some("arn:aws:kms:eu-central-1:123456789012:key/1".to_owned());
    let encrypted =
        super::tests::policy(&[Asking::Show], &Places { kms_key, ..places() }).to_string();
    assert!(encrypted.contains("kms:Decrypt"), "{encrypted}");
}

#[test]
fn rights_to_everything_are_only_those_that_iam_knows_no_other_way() {
    for command in Asking::ALL {
        let policy = policy(&[command], &places());
        for statement in policy["Statement"].as_array().into_iter().flatten() {
            let is_wide = statement["Resource"] == "*";
            let narrow = ["cloudwatch:GetMetricData", "lambda:GetAccountSettings"];
            for action in statement["Action"].as_array().into_iter().flatten() {
                let action = action.as_str().expect("a name");
                assert!(!action.contains('*'), "{action}");
                assert_eq!(is_wide, narrow.contains(&action), "{action}");
            }
        }
    }
}

#[test]
fn all_commands_together_name_each_right_once_and_two_of_them_write() {
    let all = policy(&Asking::ALL, &places());
    let mut rights: Vec<String> = Vec::new();
    for statement in all["Statement"].as_array().into_iter().flatten() {
        for action in statement["Action"].as_array().into_iter().flatten() {
            rights.push(format!("{action} {}", statement["Resource"]));
        }
    }
    let count = rights.len();
    rights.sort_unstable();
    rights.dedup();
    assert_eq!(rights.len(), count);
    let writes = ["s3:PutObject", "s3:AbortMultipartUpload", "kms:GenerateDataKey"];
    let may_write = [Asking::Recover, Asking::Compact];
    for command in Asking::ALL.into_iter().filter(|command| !may_write.contains(command)) {
        let policy = policy(&[command], &places());
        assert!(names(&policy).iter().all(|name| !writes.contains(name)), "{command:?}");
    }
    // The key is never read: only that it is there.
    assert!(!all.to_string().contains("GetSecretValue"));
}

#[test]
fn what_is_not_known_stands_as_a_word_in_capitals() {
    let unknown = Places {
        account: ACCOUNT_ID.to_owned(),
        bucket: BUCKET.to_owned(),
        prefix: String::new(),
        secret: None,
        ..places()
    };
    let open = |command, places| super::policy(&[command], places).open();
    assert_eq!(open(Asking::Validate, &unknown), ["ACCOUNT_ID", "BUCKET", "SECRET"]);
    assert_eq!(open(Asking::Capacity, &unknown), ["ACCOUNT_ID"]);
    let text = policy(&[Asking::Validate], &unknown).to_string();
    for part in [":ACCOUNT_ID:", "arn:aws:s3:::BUCKET\"", "secret:SECRET-??????"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(open(Asking::Validate, &places()).is_empty());
}

#[test]
fn every_need_says_what_for() {
    for need in Asking::ALL.into_iter().flat_map(Asking::needs) {
        assert!(!need.why.is_empty() && !need.why.ends_with('.'));
        assert!(need.action.name().contains(':'));
    }
}
