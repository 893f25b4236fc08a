//! Where records go, as `--logs` says it, and under which key S3 encrypts them: read and checked.
//!
//! Whatever can never work is refused here, at the start, and not with the first record.

use std::path::PathBuf;

/// `DIR` or `s3://BUCKET[/PREFIX]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogPlace {
    /// A folder on this machine.
    Folder(PathBuf),
    /// An S3 bucket.
    Bucket {
        /// Its name.
        bucket: String,
        /// What the keys begin with; may be empty.
        prefix: String,
    },
}

impl LogPlace {
    /// Reads a place.
    ///
    /// # Errors
    ///
    /// A sentence about another scheme, an empty place, or a bucket that S3 cannot have.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why| format!("log place `{text}` {why}; expected DIR or s3://BUCKET[/PREFIX]");
        if text.trim().is_empty() {
            return Err(wrong("is empty"));
        }
        let Some((scheme, place)) = text.split_once("://") else {
            if text.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("s3:")) {
                return Err(wrong("is no folder, and lacks slashes for a bucket"));
            }
            return Ok(Self::Folder(text.into()));
        };
        if !scheme.eq_ignore_ascii_case("s3") {
            return Err(wrong("is neither a folder nor a bucket"));
        }
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        if bucket.is_empty() {
            return Err(wrong("names no bucket"));
        }
        if !is_bucket(bucket) {
            return Err(wrong(
                "names no bucket that S3 has: 3 to 63 lowercase letters, digits, `.` and `-`, a \
                 letter or digit first and last",
            ));
        }
        Ok(Self::Bucket { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
fn is_bucket(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let has_ends = |ends: [Option<u8>; 2]| ends.into_iter().flatten().all(is_plain);
    (3..=63).contains(&name.len())
        && name.bytes().all(|byte| is_plain(byte) || b".-".contains(&byte))
        && has_ends([name.bytes().next(), name.bytes().last()])
}

/// Checks that a text is the ARN of a KMS key, or of an alias of one.
///
/// # Errors
///
/// A sentence that names the text and what is expected.
pub fn check_kms_key(arn: &str) -> Result<(), String> {
    let is_word = |word: &str, also: &[u8]| {
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || also.contains(&byte);
        !word.is_empty() && word.bytes().all(is_known)
    };
    let is_arn = match arn.splitn(6, ':').collect::<Vec<_>>()[..] {
        ["arn", partition, "kms", region, account, resource] => {
            let names = resource.strip_prefix("key/").or_else(|| resource.strip_prefix("alias/"));
            (partition == "aws" || partition.strip_prefix("aws-").is_some_and(|p| is_word(p, b"-")))
                && is_word(region, b"-")
                && account.len() == 12
                && account.bytes().all(|byte| byte.is_ascii_digit())
                && names.is_some_and(|name| is_word(name, b"/_-"))
        }
        _ => false,
    };
    if is_arn {
        return Ok(());
    }
    Err(format!(
        "`{arn}` is no ARN of a KMS key; expected arn:aws:kms:REGION:ACCOUNT:key/ID or \
         arn:aws:kms:REGION:ACCOUNT:alias/NAME"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_folder_or_a_bucket() {
        let bucket = |bucket: &str, prefix: &str| {
            Ok(LogPlace::Bucket { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
        };
        assert_eq!(LogPlace::parse("./logs"), Ok(LogPlace::Folder("./logs".into())));
        assert_eq!(LogPlace::parse("C:\\logs"), Ok(LogPlace::Folder("C:\\logs".into())));
        assert_eq!(LogPlace::parse("s3://my-bucket"), bucket("my-bucket", ""));
        assert_eq!(LogPlace::parse("S3://my.bucket.1/A/b/"), bucket("my.bucket.1", "A/b/"));
        assert_eq!(
            LogPlace::parse(&format!("s3://{}", "a".repeat(63))),
            bucket(&"a".repeat(63), "")
        );
        let long = format!("s3://{}", "a".repeat(64));
        for text in [
            "", " ", "s3:a", "s3:/a", "s3://", "s3:///a", "s3://ab", "s3://A-b", "s3://a_b",
            "s3://ab-",
        ] {
            let error = LogPlace::parse(text).expect_err(text);
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
        for text in [&*long, "s3://.ab", "s3://a b", "s3://é23", "gs://bucket", "://"] {
            assert!(LogPlace::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_kms_key_is_named_by_its_arn() {
        for arn in [
            "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws-cn:kms:cn-north-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab",
            "arn:aws-us-gov:kms:us-gov-west-1:123456789012:alias/team/logs_1",
        ] {
            assert_eq!(check_kms_key(arn), Ok(()));
        }
        for arn in [
            "my-key",
            "arn:aws:s3:::my-bucket",
            "arn:aws:kms:eu-central-1:123456789012:key/",
            "arn:aws:kms:eu-central-1:123456789012:grant/x",
            "arn:aws:kms::123456789012:key/x",
            "arn:aws:kms:eu-central-1:1234:key/x",
            "arn:awsome:kms:eu-central-1:123456789012:key/x",
            "arn:aws:kms:eu-central-1:123456789012:key/x y",
        ] {
            let error = check_kms_key(arn).expect_err(arn);
            assert!(error.contains(arn), "{error}");
        }
    }
}
