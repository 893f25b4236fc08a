//! Rights as a policy of IAM: the names of a deployment go in, and out comes the smallest policy for some
//! commands.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::permission::{Asking, Entry, Thing};
use crate::aws::deployment::Deployment;

/// Names of the things that rights are about: what is known, else a word in capitals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    partition: String,
    region: String,
    account: String,
    function: String,
    log_group: String,
    table: String,
    bucket: String,
    /// Empty, or with its slash.
    prefix: String,
    secret: Option<String>,
    kms_key: Option<String>,
}

const ACCOUNT_ID: &str = "ACCOUNT_ID";
const REGION: &str = "REGION";
const BUCKET: &str = "BUCKET";
const SECRET: &str = "SECRET";
const TABLE: &str = "TABLE";
/// The words that stand for names that are not known.
const OPEN: [&str; 5] = [REGION, ACCOUNT_ID, BUCKET, SECRET, TABLE];

impl Places {
    /// Takes the names of a deployment.
    #[must_use]
    pub fn of(deployment: &Deployment) -> Self {
        let configuration = deployment.configuration.as_ref();
        let bucket = deployment.source.as_deref().and_then(|place| place.strip_prefix("s3://"));
        let (bucket, prefix) =
            bucket.map_or((BUCKET, ""), |bucket| bucket.split_once('/').unwrap_or((bucket, "")));
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let owned = |text: &str| text.to_owned();
        Self {
            partition: owned(deployment.partition()),
            region: deployment.region.clone().unwrap_or_else(|| owned(REGION)),
            account: deployment.account().map_or_else(|| owned(ACCOUNT_ID), owned),
            function: deployment.function.clone(),
            log_group: deployment.log_group.clone(),
            table: deployment.table.clone().unwrap_or_else(|| owned(TABLE)),
            bucket: owned(bucket),
            prefix,
            secret: deployment.secret.clone(),
            // Whether the bucket is encrypted under a key of its own cannot be told from here.
            kms_key: configuration.and_then(|configuration| configuration.kms_key.clone()),
        }
    }

    /// Returns the ARN of a thing; `None` when there is no such thing here.
    fn arn(&self, thing: Thing) -> Option<String> {
        let Self { partition, region, account, function, log_group, table, bucket, prefix, .. } =
            self;
        let regional = |service: &str, rest: &str| {
            format!("arn:{partition}:{service}:{region}:{account}:{rest}")
        };
        Some(match thing {
            Thing::Everything => "*".to_owned(),
            Thing::Function => regional("lambda", &format!("function:{function}")),
            Thing::LogGroup => regional("logs", &format!("log-group:{log_group}:*")),
            Thing::LogGroups => regional("logs", "log-group:*"),
            Thing::Table => regional("dynamodb", &format!("table/{table}")),
            Thing::Listing | Thing::Bucket => format!("arn:{partition}:s3:::{bucket}"),
            Thing::Logs => format!("arn:{partition}:s3:::{bucket}/{prefix}logs/*"),
            Thing::Hours => format!("arn:{partition}:s3:::{bucket}/{prefix}parquet/*"),
            // A key of our own is only needed where there is one.
            Thing::LogsKey => return self.kms_key.clone(),
            Thing::Secret => match &self.secret {
                Some(arn) if arn.starts_with("arn:") => arn.clone(),
                // Secrets Manager adds a dash and six characters to the name.
                Some(name) => regional("secretsmanager", &format!("secret:{name}-??????")),
                None => regional("secretsmanager", &format!("secret:{SECRET}-??????")),
            },
        })
    }
}

/// A policy of IAM.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Policy {
    version: &'static str,
    statement: Vec<Statement>,
}

/// What it allows.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    sid: String,
    effect: &'static str,
    action: Vec<&'static str>,
    resource: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Value>,
}

impl Policy {
    /// Returns the words that stand in it for names that are not known.
    #[must_use]
    pub fn open(&self) -> Vec<&'static str> {
        let resources = || self.statement.iter().map(|statement| statement.resource.as_str());
        let stands = |word: &&str| {
            resources().any(|arn| arn.split([':', '/', '-']).any(|part| part == *word))
        };
        OPEN.into_iter().filter(|word| stands(word)).collect()
    }
}

/// Makes the smallest policy for commands.
#[must_use]
pub fn policy(commands: &[Asking], places: &Places) -> Policy {
    let mut by_thing = BTreeMap::<Thing, Vec<&'static str>>::new();
    for need in commands.iter().flat_map(|command| command.needs()) {
        let Entry { action: _, name, thing } = need.action.entry();
        let names = by_thing.entry(*thing).or_default();
        if !names.contains(name) {
            names.push(name);
        }
    }
    let statement = |(thing, mut action): (Thing, Vec<&'static str>)| {
        action.sort_unstable();
        let below = || {
            let prefixes = ["logs/*", "parquet/*"].map(|of| format!("{}{of}", places.prefix));
            json!({"StringLike": {"s3:prefix": prefixes}})
        };
        Some(Statement {
            sid: format!("{thing:?}"),
            effect: "Allow",
            action,
            resource: places.arn(thing)?,
            condition: (thing == Thing::Listing).then(below),
        })
    };
    Policy {
        version: "2012-10-17",
        statement: by_thing.into_iter().filter_map(statement).collect(),
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
