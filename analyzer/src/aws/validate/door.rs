//! Checks of the Function URL: that it streams, and that it lets requests in.

use serde_json::Value;

use super::Check;
use super::facts::Facts;
use crate::aws::Trouble;

const MODE: &str = "url mode";
const AUTH: &str = "url auth";
const POLICY: &str = "url policy";

/// The two rights that AWS asks for.
const INVOKE_URL: &str = "lambda:InvokeFunctionUrl";
const INVOKE: &str = "lambda:InvokeFunction";

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
    let via_url =
        format!("{add} --statement-id url-invoke --action {INVOKE} --invoked-via-function-url");
    let missing = missing(policy);
    if !missing.is_empty() {
        let found = format!("does not allow {}: Lambda answers 403", missing.join(" and "));
        let hint: Vec<_> = missing
            .iter()
            .map(|right| match *right {
                INVOKE => via_url.clone(),
                right => {
                    format!(
                        "{add} --statement-id url --action {right} --function-url-auth-type NONE"
                    )
                }
            })
            .collect();
        let hint = format!("scripts/deploy.sh, or: {}", hint.join(" && "));
        return Check::failed(POLICY, found, hint);
    }
    let found = format!("allows {INVOKE_URL} and {INVOKE}");
    let statements = statements(policy);
    let open = decides(&statements, INVOKE, Way::PastUrl);
    let Some(statement) = open else { return Check::ok(POLICY, found) };
    let found =
        format!("{found}, the latter also past the URL: anyone with an AWS account may invoke");
    let hint = match statement["Sid"].as_str() {
        Some(id) => format!(
            "aws lambda remove-permission --function-name {name} --statement-id {id} && {via_url}"
        ),
        None => format!("make {INVOKE} depend on lambda:InvokedViaFunctionUrl: {via_url}"),
    };
    Check::warning(POLICY, found, hint)
}

/// Returns the rights to call the function through its unsigned URL that a policy does not give to
/// everybody. AWS asks for both.
pub(crate) fn missing(policy: &str) -> Vec<&'static str> {
    let statements = statements(policy);
    let mut rights = vec![INVOKE_URL, INVOKE];
    rights.retain(|right| decides(&statements, right, Way::ThroughUrl).is_none());
    rights
}

/// How a request comes to the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Through the Function URL, unsigned.
    ThroughUrl,
    /// By `lambda:Invoke`, signed by whatever account.
    PastUrl,
}

/// Reads one value or a list of them.
fn all(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    }
}

fn statements(policy: &str) -> Vec<Value> {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    all(&policy["Statement"])
}

/// Finds the statement that allows everybody to do something, unless another one denies it.
fn decides<'a>(statements: &'a [Value], right: &str, way: Way) -> Option<&'a Value> {
    let find = |effect: &str| {
        let mut statements = statements.iter().filter(|statement| statement["Effect"] == effect);
        statements.find(|statement| is_about_everybody(statement, right, way))
    };
    find("Allow").filter(|_| find("Deny").is_none())
}

fn is_about_everybody(statement: &Value, right: &str, way: Way) -> bool {
    let is_right = |action: &Value| {
        let matches = |word: &str| match word.strip_suffix('*') {
            Some(start) => right.to_lowercase().starts_with(&start.to_lowercase()),
            None => word.eq_ignore_ascii_case(right),
        };
        action.as_str().is_some_and(matches)
    };
    let principal = &statement["Principal"];
    let is_everybody = |value: &Value| all(value).iter().any(|name| name == "*");
    (is_everybody(principal) || is_everybody(&principal["AWS"]))
        && all(&statement["Action"]).iter().any(is_right)
        && conditions_hold(&statement["Condition"], way)
}

/// Tells whether conditions hold for a request of somebody of whom nothing else is known.
fn conditions_hold(condition: &Value, way: Way) -> bool {
    let Value::Object(operators) = condition else { return true };
    let mut each = operators.iter().flat_map(|(operator, keys)| {
        keys.as_object().into_iter().flatten().map(move |(key, value)| (operator, key, value))
    });
    each.all(|(operator, key, value)| {
        let is = |word: &str| match value {
            Value::Array(values) => values.iter().any(|value| value == word),
            Value::Bool(value) => value.to_string() == word,
            value => value == word,
        };
        // Past the URL a request has neither of its keys, and a condition without its key fails,
        // unless it asks only where the key is there.
        let only_if_there = operator.ends_with("IfExists");
        match (key.to_lowercase().as_str(), way) {
            ("lambda:functionurlauthtype", Way::ThroughUrl) => is("NONE"),
            ("lambda:functionurlauthtype", Way::PastUrl) => only_if_there,
            ("lambda:invokedviafunctionurl", Way::ThroughUrl) => is("true"),
            ("lambda:invokedviafunctionurl", Way::PastUrl) => only_if_there || is("false"),
            // An address, an organisation: not everybody.
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows_everybody(policy: &str, right: &str) -> bool {
        decides(&statements(policy), right, Way::ThroughUrl).is_some()
    }

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

    #[test]
    fn a_right_that_does_not_depend_on_the_url_holds_past_it() {
        let none = r#"{"StringEquals":{"lambda:FunctionUrlAuthType":"NONE"}}"#;
        let via = r#"{"Bool":{"lambda:InvokedViaFunctionUrl":"true"}}"#;
        let if_there = r#"{"BoolIfExists":{"lambda:InvokedViaFunctionUrl":"true"}}"#;
        let past = r#"{"Bool":{"lambda:InvokedViaFunctionUrl":"false"}}"#;
        let ours = r#"{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}"#;
        let invoke = r#""lambda:InvokeFunction""#;
        for (action, condition, expected) in [
            (invoke, "null", true),
            (invoke, "{}", true),
            (r#""lambda:*""#, "null", true),
            (r#"["lambda:InvokeFunction*"]"#, if_there, true),
            (invoke, past, true),
            (invoke, via, false),
            (r#""lambda:*""#, none, false),
            (invoke, ours, false),
            (r#""lambda:InvokeFunctionUrl""#, "null", false),
        ] {
            let is_open =
                |policy: &str| decides(&statements(policy), INVOKE, Way::PastUrl).is_some();
            assert_eq!(is_open(&policy(action, condition)), expected, "{action} {condition}");
            let denies = policy(r#""lambda:InvokeFunction""#, past).replace("Allow", "Deny");
            let denies: Value = serde_json::from_str(&denies).expect("JSON");
            let mut both: Value = serde_json::from_str(&policy(action, condition)).expect("JSON");
            both["Statement"].as_array_mut().expect("some").push(denies["Statement"][0].clone());
            assert!(!is_open(&both.to_string()), "denied: {action} {condition}");
        }
    }

    fn url_iam() -> &'static str {
        r#""lambda:InvokeFunctionUrl""#
    }
}
