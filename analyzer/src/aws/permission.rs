//! Rights of AWS: one table says which command needs which, on what, and why.
//!
//! Policies (`analyzer permissions`), hints and what could not be seen
//! ([`crate::aws::cloudwatch::Unseen`]) all take their names from here.

use clap::ValueEnum;

/// A right, as IAM names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Reads metrics.
    GetMetricData,
    /// Reads the lines of a log group.
    FilterLogEvents,
    /// Reads a log group's settings.
    DescribeLogGroups,
    /// Reads a function's settings.
    GetFunctionConfiguration,
    /// Reads how many slots a function has.
    GetFunctionConcurrency,
    /// Reads the settings of a Function URL.
    GetFunctionUrlConfig,
    /// Reads who may invoke a function.
    GetPolicy,
    /// Reads the account's limits.
    GetAccountSettings,
    /// Reads a table's rows.
    Scan,
    /// Lists a bucket.
    ListBucket,
    /// Reads an object.
    GetObject,
    /// Writes an object.
    PutObject,
    /// Reads a compacted hour.
    GetHour,
    /// Writes a compacted hour.
    PutHour,
    /// Removes the parts of one that was not finished.
    AbortHour,
    /// Reads a bucket's guard against the public.
    GetBucketPublicAccessBlock,
    /// Reads what is encrypted under a key.
    Decrypt,
    /// Encrypts under a key.
    GenerateDataKey,
    /// Reads a secret's settings, and not the secret.
    DescribeSecret,
}

/// What a right is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Thing {
    /// Rights that IAM knows for everything only.
    Everything,
    Function,
    LogGroup,
    /// Log groups are described by a prefix of their names.
    LogGroups,
    Table,
    /// The bucket, listed below the logs.
    Listing,
    Bucket,
    /// The logs in it.
    Logs,
    /// The compacted hours in it.
    Hours,
    /// The key that the logs are encrypted under.
    LogsKey,
    Secret,
}

/// A right: its name, and what it is about.
pub(super) struct Entry {
    pub(super) action: Action,
    pub(super) name: &'static str,
    pub(super) thing: Thing,
}

const fn entry(action: Action, name: &'static str, thing: Thing) -> Entry {
    Entry { action, name, thing }
}

/// Every right, in the order of [`Action`].
const ENTRIES: [Entry; 19] = [
    entry(Action::GetMetricData, "cloudwatch:GetMetricData", Thing::Everything),
    entry(Action::FilterLogEvents, "logs:FilterLogEvents", Thing::LogGroup),
    entry(Action::DescribeLogGroups, "logs:DescribeLogGroups", Thing::LogGroups),
    entry(Action::GetFunctionConfiguration, "lambda:GetFunctionConfiguration", Thing::Function),
    entry(Action::GetFunctionConcurrency, "lambda:GetFunctionConcurrency", Thing::Function),
    entry(Action::GetFunctionUrlConfig, "lambda:GetFunctionUrlConfig", Thing::Function),
    entry(Action::GetPolicy, "lambda:GetPolicy", Thing::Function),
    entry(Action::GetAccountSettings, "lambda:GetAccountSettings", Thing::Everything),
    entry(Action::Scan, "dynamodb:Scan", Thing::Table),
    entry(Action::ListBucket, "s3:ListBucket", Thing::Listing),
    entry(Action::GetObject, "s3:GetObject", Thing::Logs),
    entry(Action::PutObject, "s3:PutObject", Thing::Logs),
    entry(Action::GetHour, "s3:GetObject", Thing::Hours),
    entry(Action::PutHour, "s3:PutObject", Thing::Hours),
    entry(Action::AbortHour, "s3:AbortMultipartUpload", Thing::Hours),
    entry(Action::GetBucketPublicAccessBlock, "s3:GetBucketPublicAccessBlock", Thing::Bucket),
    entry(Action::Decrypt, "kms:Decrypt", Thing::LogsKey),
    entry(Action::GenerateDataKey, "kms:GenerateDataKey", Thing::LogsKey),
    entry(Action::DescribeSecret, "secretsmanager:DescribeSecret", Thing::Secret),
];

const _: () = {
    let mut index = 0;
    while index < ENTRIES.len() {
        assert!(ENTRIES[index].action as usize == index, "the table has the order of the type");
        index += 1;
    }
};

impl Action {
    pub(super) fn entry(self) -> &'static Entry {
        &ENTRIES[self as usize]
    }

    /// Returns its name, as IAM writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().name
    }
}

/// A command that asks AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Asking {
    /// Whose error a text is.
    Origin,
    /// One incident on one page.
    Triage,
    /// One exchange, whole.
    Show,
    /// New exchanges as they land.
    Tail,
    /// Whether there are slots enough.
    Capacity,
    /// Logs to Parquet: writes `parquet/`.
    Compact,
    /// SQL over logs and Parquet.
    Sql,
    /// Spilled records to their place: writes `logs/`.
    Recover,
    /// Whether a deployment is well.
    Validate,
}

/// A right that a command uses, and what for.
pub struct Need {
    /// The right.
    pub action: Action,
    /// What for.
    pub why: &'static str,
}

const fn need(action: Action, why: &'static str) -> Need {
    Need { action, why }
}

const FIND: Need = need(Action::GetFunctionConfiguration, "finds bucket, table and log group");
const LIST: Need = need(Action::ListBucket, "lists the logs of a window; keys alone tell much");
const READ: Need = need(Action::GetObject, "reads logs: request ids, models, words");
const HOURS: Need = need(Action::GetHour, "reads hours that are compacted");
const DECRYPT: Need = need(Action::Decrypt, "reads logs of an encrypted bucket");
const METRICS: Need =
    need(Action::GetMetricData, "counts what Lambda refused, and what is missing");
const LINES: Need = need(Action::FilterLogEvents, "finds what died, spilled or is still running");
const SLOTS: Need = need(Action::GetFunctionConcurrency, "knows how many slots there are");
const ACCOUNT: Need = need(Action::GetAccountSettings, "knows how many slots are free");

impl Asking {
    /// Every command that asks AWS.
    pub const ALL: [Self; 9] = [
        Self::Origin,
        Self::Triage,
        Self::Show,
        Self::Tail,
        Self::Capacity,
        Self::Compact,
        Self::Sql,
        Self::Recover,
        Self::Validate,
    ];

    /// Returns what it needs. Without one of these it answers less, and says so.
    #[must_use]
    pub fn needs(self) -> &'static [Need] {
        match self {
            Self::Origin => {
                const {
                    &[
                        FIND,
                        LIST,
                        READ,
                        HOURS,
                        DECRYPT,
                        METRICS,
                        LINES,
                        SLOTS,
                        ACCOUNT,
                        need(Action::GetPolicy, "names the permission that a refusal lacks"),
                    ]
                }
            }
            Self::Triage => const { &[FIND, LIST, READ, HOURS, DECRYPT, METRICS, LINES, SLOTS] },
            Self::Show | Self::Sql => const { &[FIND, LIST, READ, HOURS, DECRYPT] },
            Self::Tail => const { &[FIND, LIST, READ, DECRYPT] },
            Self::Compact => {
                const {
                    &[
                        FIND,
                        LIST,
                        READ,
                        need(Action::GetHour, "merges late logs, and reads back what it published"),
                        need(Action::PutHour, "publishes an hour by one conditional write"),
                        need(
                            Action::AbortHour,
                            "removes the parts of an hour that another was quicker with",
                        ),
                        DECRYPT,
                        need(Action::GenerateDataKey, "encrypts what it publishes"),
                    ]
                }
            }
            Self::Capacity => const { &[SLOTS, ACCOUNT, METRICS] },
            Self::Recover => {
                const {
                    &[
                        FIND,
                        LINES,
                        need(Action::PutObject, "puts a record in its place"),
                        need(Action::GetObject, "compares what stands there already"),
                        need(Action::ListBucket, "tells what is missing from what is denied"),
                        DECRYPT,
                        need(Action::GenerateDataKey, "encrypts what it puts"),
                    ]
                }
            }
            Self::Validate => {
                const {
                    &[
                        FIND,
                        SLOTS,
                        ACCOUNT,
                        need(Action::GetFunctionUrlConfig, "checks streaming and the URL's door"),
                        need(Action::GetPolicy, "checks both rights to call the URL"),
                        need(Action::GetMetricData, "looks for recent invocations"),
                        need(Action::FilterLogEvents, "looks for recent lines"),
                        need(Action::DescribeLogGroups, "checks how long lines are kept"),
                        need(Action::Scan, "counts tokens, and reads none"),
                        need(Action::ListBucket, "looks for today's logs"),
                        need(Action::GetBucketPublicAccessBlock, "checks that logs stay private"),
                        need(Action::DescribeSecret, "checks the OpenAI key without reading it"),
                    ]
                }
            }
        }
    }
}
