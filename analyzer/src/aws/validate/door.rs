//! Checks of the Function URL: that it streams, and that it lets requests in.

use serde_json::Value;

use super::Check;
use super::facts::Facts;
use crate::aws::Trouble;

const MODE: &str = "url mode";
const AUTH: &str = "url auth";
const POLICY: &str = "url policy";

pub(super) fn url(facts: &Facts) -> Vec<Check> {
    let name = &facts.function;
    let url = match &facts.url {
        Ok(url) => url,
        Err(unseen) => {
            return vec![match &unseen.trouble {
                Trouble::Missing(_) => Check::failed(
                    MODE,
                    format!("{name} has no Function URL"),
                    format!(
                        "scripts/deploy.sh, or: aws lambda create-function-url-config --function-name {name} \
                         --auth-type NONE --invoke-mode RESPONSE_STREAM"
                    ),
                ),
                _ => Check::unseen(MODE, unseen),
            }];
        }
    };
    let update = format!("aws lambda update-function-url-config --function-name {name}");
    let mode = if url.mode == "RESPONSE_STREAM" {
        Check::ok(MODE, format!("{} at {}", url.mode, url.url))
    } else {
        Check::failed(
            MODE,
            format!("{}: answers arrive whole at their end, and large ones not at all", url.mode),
            format!("{update} --invoke-mode RESPONSE_STREAM"),
        )
    };
    let auth = if url.auth == "NONE" {
        Check::ok(AUTH, "NONE; the proxy checks tokens itself")
    } else {
        Check::failed(
            AUTH,
            format!("{}: Lambda refuses developers, who do not sign requests", url.auth),
            format!("{update} --auth-type NONE"),
        )
    };
    vec![mode, auth]
}

pub(super) fn policy(facts: &Facts) -> Check {
    let name = &facts.function;
    let policy = match &facts.policy {
        Ok(policy) => policy.as_str(),
        Err(unseen) if matches!(unseen.trouble, Trouble::Missing(_)) => "{}",
        Err(unseen) => return Check::unseen(POLICY, unseen),
    };
    let add = format!("aws lambda add-permission --function-name {name} --principal '*'");
    let rights = [
        (
            "lambda:InvokeFunctionUrl",
            format!(
                "{add} --statement-id url --action lambda:InvokeFunctionUrl --function-url-auth-type NONE"
            ),
        ),
        (
            "lambda:InvokeFunction",
            format!(
                "{add} --statement-id url-invoke --action lambda:InvokeFunction --invoked-via-function-url"
            ),
        ),
    ];
    let missing: Vec<_> =
        rights.iter().filter(|(right, _)| !allows_everybody(policy, right)).collect();
    let names: Vec<_> = missing.iter().map(|(right, _)| *right).collect();
    if missing.is_empty() {
        return Check::ok(POLICY, "allows lambda:InvokeFunctionUrl and lambda:InvokeFunction");
    }
    let found = format!("does not allow {}: Lambda answers 403", names.join(" and "));
    let hint: Vec<_> = missing.iter().map(|(_, command)| command.as_str()).collect();
    Check::failed(POLICY, found, format!("scripts/deploy.sh, or: {}", hint.join(" && ")))
}

/// Tells whether a policy allows everybody to do something through an unsigned URL.
fn allows_everybody(policy: &str, right: &str) -> bool {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    let all = |value: &Value| match value {
        Value::Array(values) => values.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    all(&policy["Statement"]).iter().any(|statement| {
        let action = |action: &Value| {
            let matches = |word: &str| match word.strip_suffix('*') {
                Some(start) => right.to_lowercase().starts_with(&start.to_lowercase()),
                None => word.eq_ignore_ascii_case(right),
            };
            action.as_str().is_some_and(matches)
        };
        let principal = &statement["Principal"];
        let is_everybody = |value: &Value| all(value).iter().any(|name| name == "*");
        statement["Effect"] == "Allow"
            && (is_everybody(principal) || is_everybody(&principal["AWS"]))
            && all(&statement["Action"]).iter().any(action)
            && conditions_hold(&statement["Condition"])
    })
}

/// Tells whether conditions hold for a request that came through an unsigned Function URL.
fn conditions_hold(condition: &Value) -> bool {
    let Value::Object(operators) = condition else { return true };
    let mut each = operators.values().filter_map(Value::as_object).flatten();
    each.all(|(key, value)| {
        let is = |word: &str| match value {
            Value::Array(values) => values.iter().any(|value| value == word),
            Value::Bool(value) => value.to_string() == word,
            value => value == word,
        };
        match key.to_lowercase().as_str() {
            "lambda:functionurlauthtype" => is("NONE"),
            "lambda:invokedviafunctionurl" => is("true"),
            // An address, an organisation: not everybody.
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(action: &str, condition: &str) -> String {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":"*","Action":{action},"Resource":"arn","Condition":{condition}}}]}}"#
        )
    }

    #[test]
    fn a_policy_lets_everybody_in_only_where_it_says_so() {
        let none = r#"{"StringEquals":{"lambda:FunctionUrlAuthType":"NONE"}}"#;
        let via = r#"{"Bool":{"lambda:InvokedViaFunctionUrl":"true"}}"#;
        let (url, invoke) = ("lambda:InvokeFunctionUrl", "lambda:InvokeFunction");
        for (action, condition, right, expected) in [
            (r#""lambda:InvokeFunctionUrl""#, none, url, true),
            (r#""lambda:InvokeFunctionUrl""#, none, invoke, false),
            (r#""lambda:InvokeFunction""#, via, invoke, true),
            (r#""lambda:InvokeFunction""#, via, url, false),
            (r#"["lambda:Get","lambda:InvokeFunction*"]"#, none, invoke, true),
            (r#"["lambda:InvokeFunction*"]"#, none, url, true),
            (r#""lambda:*""#, "null", url, true),
            (url_iam(), r#"{"StringEquals":{"lambda:FunctionUrlAuthType":"AWS_IAM"}}"#, url, false),
            (url_iam(), r#"{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}"#, url, false),
        ] {
            assert_eq!(
                allows_everybody(&policy(action, condition), right),
                expected,
                "{action} {condition}"
            );
        }
        let somebody = policy(r#""lambda:*""#, "null")
            .replace(r#""Principal":"*""#, r#""Principal":{"AWS":"arn:x"}"#);
        assert!(!allows_everybody(&somebody, url));
        let denies = policy(r#""lambda:*""#, "null").replace("Allow", "Deny");
        assert!(!allows_everybody(&denies, url));
        for broken in ["", "{}", "[]", r#"{"Statement":7}"#] {
            assert!(!allows_everybody(broken, url), "{broken}");
        }
    }

    fn url_iam() -> &'static str {
        r#""lambda:InvokeFunctionUrl""#
    }
}
