//! Rights of AWS: one table says which command needs which, on what, and why.
//!
//! Policies (`analyzer permissions`), hints and what could not be seen
//! ([`crate::cloudwatch::Unseen`]) all take their names from here.

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
    /// Reads a table's settings.
    DescribeTable,
    /// Reads a table's rows.
    Scan,
    /// Lists a bucket.
    ListBucket,
    /// Reads an object.
    GetObject,
    /// Writes an object.
    PutObject,
    /// Reads a bucket's guard against the public.
    GetBucketPublicAccessBlock,
    /// Reads what is encrypted under a key.
    Decrypt,
    /// Encrypts under a key.
    GenerateDataKey,
    /// Reads a secret's settings, and not the secret.
    DescribeSecret,
}

impl Action {
    /// Returns its name, as IAM writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GetMetricData => "cloudwatch:GetMetricData",
            Self::FilterLogEvents => "logs:FilterLogEvents",
            Self::DescribeLogGroups => "logs:DescribeLogGroups",
            Self::GetFunctionConfiguration => "lambda:GetFunctionConfiguration",
            Self::GetFunctionConcurrency => "lambda:GetFunctionConcurrency",
            Self::GetFunctionUrlConfig => "lambda:GetFunctionUrlConfig",
            Self::GetPolicy => "lambda:GetPolicy",
            Self::GetAccountSettings => "lambda:GetAccountSettings",
            Self::DescribeTable => "dynamodb:DescribeTable",
            Self::Scan => "dynamodb:Scan",
            Self::ListBucket => "s3:ListBucket",
            Self::GetObject => "s3:GetObject",
            Self::PutObject => "s3:PutObject",
            Self::GetBucketPublicAccessBlock => "s3:GetBucketPublicAccessBlock",
            Self::Decrypt => "kms:Decrypt",
            Self::GenerateDataKey => "kms:GenerateDataKey",
            Self::DescribeSecret => "secretsmanager:DescribeSecret",
        }
    }
}
