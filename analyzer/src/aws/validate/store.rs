//! Checks of what the function needs around it: tokens, logs, and the OpenAI key.

use super::Check;
use super::facts::{Facts, Guard, Logs, SecretState, Tokens};
use crate::aws::Trouble;
use crate::number::grouped;

const TOKENS: &str = "tokens";
const LOGS: &str = "logs";
const SECRET: &str = "openai key";
const GUARD: &str = "bucket guard";

pub(super) fn tokens(facts: &Facts) -> Check {
    let Some(table) = &facts.table else {
        return Check::failed(
            TOKENS,
            "CODEX_PROXY_TOKENS names no DynamoDB table",
            "a function keeps no files: set it to dynamodb://TABLE",
        );
    };
    let add = format!("codex-proxy token add NAME --tokens dynamodb://{table}");
    match &facts.tokens {
        Ok(Tokens { enabled: 0, disabled: 0, has_more: false }) => {
            Check::pending(TOKENS, format!("table {table} is empty: nobody can pass yet"), add)
        }
        Ok(Tokens { enabled: 0, disabled, has_more: false }) => {
            let found = format!("all {disabled} tokens of table {table} are disabled");
            let hint = format!("codex-proxy token enable NAME --tokens dynamodb://{table}");
            Check::failed(TOKENS, found, hint)
        }
        Ok(Tokens { enabled, disabled, has_more }) => {
            let more = if *has_more { "at least " } else { "" };
            let off = if *disabled > 0 { format!(", {disabled} disabled") } else { String::new() };
            Check::ok(TOKENS, format!("{more}{enabled} enabled{off} in table {table}"))
        }
        Err(unseen) => match &unseen.trouble {
            Trouble::Missing(_) => Check::failed(
                TOKENS,
                format!("there is no table {table} in {}", facts.region),
                format!(
                    "name it with --table, or make it: aws dynamodb create-table --table-name {table} \
                     --attribute-definitions AttributeName=token,AttributeType=S \
                     --key-schema AttributeName=token,KeyType=HASH --billing-mode PAY_PER_REQUEST"
                ),
            ),
            _ => Check::unseen(TOKENS, unseen),
        },
    }
}

pub(super) fn logs(facts: &Facts) -> Check {
    let Some(source) = &facts.source else {
        return match &facts.configuration {
            Ok(_) => Check::failed(
                LOGS,
                "CODEX_PROXY_LOGS is not set: the proxy answers `internal error` to everything",
                "set it to s3://BUCKET[/PREFIX]: scripts/deploy.sh",
            ),
            Err(unseen) => {
                let check = Check::unseen(LOGS, unseen);
                let hint = Some("name them: --source s3://BUCKET[/PREFIX]".to_owned());
                Check { hint, ..check }
            }
        };
    };
    if !source.starts_with("s3://") {
        let hint = "set CODEX_PROXY_LOGS to s3://BUCKET[/PREFIX]";
        return Check::failed(LOGS, format!("`{source}` is no bucket"), hint);
    }
    let ran_today = match &facts.today {
        Ok(counts) => counts.invocations.is_some_and(|count| count > 0),
        Err(_) => false,
    };
    match &facts.logs {
        Ok(Logs { today: 0, .. }) if ran_today => Check::failed(
            LOGS,
            format!("the function ran today, and left no log in {source}"),
            "the function's role needs s3:PutObject there (and kms:GenerateDataKey); what it could not \
             put waits in its lines: analyzer recover",
        ),
        Ok(Logs { today: 0, yesterday: 0 }) => {
            Check::pending(LOGS, format!("none today in {source}"), "the first exchange leaves one")
        }
        Ok(Logs { today: 0, .. }) => Check::pending(
            LOGS,
            format!("none today (UTC) yet in {source}, some yesterday"),
            "wait for one",
        ),
        Ok(Logs { today, .. }) => {
            // A listing has at most a thousand.
            let more = if *today >= 1_000 { "at least " } else { "" };
            Check::ok(LOGS, format!("{more}{} today in {source}", grouped(*today as u64)))
        }
        Err(unseen) => match &unseen.trouble {
            Trouble::Missing(_) => Check::failed(
                LOGS,
                format!("there is no bucket for {source}"),
                "check CODEX_PROXY_LOGS and the region, or make it: scripts/deploy.sh",
            ),
            _ => Check::unseen(LOGS, unseen),
        },
    }
}

pub(super) fn secret(facts: &Facts) -> Check {
    let name = facts.secret.as_deref().unwrap_or("no secret");
    let put = format!(
        "aws secretsmanager put-secret-value --secret-id {name} --secret-string file:///dev/stdin"
    );
    match &facts.secret_state {
        Ok(SecretState::Present) => Check::ok(SECRET, format!("secret {name} has a current value")),
        Ok(SecretState::Empty) => {
            Check::failed(SECRET, format!("secret {name} has no current value"), put)
        }
        Ok(SecretState::Deleted) => Check::failed(
            SECRET,
            format!("secret {name} is to be deleted"),
            format!("aws secretsmanager restore-secret --secret-id {name}"),
        ),
        Ok(SecretState::InEnvironment) => Check {
            hint: Some(
                "better in Secrets Manager, where not everybody who reads the configuration sees it"
                    .to_owned(),
            ),
            ..Check::ok(SECRET, "stands in the function's environment")
        },
        Err(unseen) => match (&unseen.trouble, &facts.secret, &facts.configuration) {
            (Trouble::Missing(_), Some(name), _) => Check::failed(
                SECRET,
                format!("there is no secret {name} in {}", facts.region),
                format!("aws secretsmanager create-secret --name {name} --secret-string file:///dev/stdin"),
            ),
            (Trouble::Missing(_), None, Ok(_)) => Check::failed(
                SECRET,
                "neither OPENAI_API_KEY_SECRET nor OPENAI_API_KEY is set: the proxy answers `internal error`",
                "set OPENAI_API_KEY_SECRET to the secret's name or ARN: scripts/deploy.sh",
            ),
            (Trouble::Missing(_), None, Err(unseen)) => Check {
                hint: Some("name the secret: --secret NAME".to_owned()),
                ..Check::unseen(SECRET, unseen)
            },
            _ => Check::unseen(SECRET, unseen),
        },
    }
}

pub(super) fn guard(facts: &Facts) -> Check {
    let bucket = facts.source.as_deref().and_then(|place| place.strip_prefix("s3://"));
    let Some(bucket) = bucket.map(|place| place.split('/').next().unwrap_or(place)) else {
        return match &facts.configuration {
            Ok(_) => {
                Check::failed(GUARD, "there is no bucket to guard", "see the check of the logs")
            }
            Err(unseen) => Check::unseen(GUARD, unseen),
        };
    };
    let shut = format!(
        "aws s3api put-public-access-block --bucket {bucket} --public-access-block-configuration \
         BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true"
    );
    match &facts.guard {
        Ok(Guard::Whole) => Check::ok(GUARD, format!("bucket {bucket} blocks all public access")),
        Ok(Guard::Partial) => {
            Check::failed(GUARD, format!("bucket {bucket} blocks only some public access"), shut)
        }
        Ok(Guard::None) => {
            Check::failed(GUARD, format!("bucket {bucket} does not block public access"), shut)
        }
        Err(unseen) => match &unseen.trouble {
            Trouble::Missing(_) => Check::failed(
                GUARD,
                format!("there is no bucket {bucket}"),
                "see the check of the logs",
            ),
            _ => Check::unseen(GUARD, unseen),
        },
    }
}
