//! Recovered records into a bucket, each by one conditional PUT.

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ServerSideEncryption::AwsKms;
use futures::future::BoxFuture;

use super::Destination;
use crate::aws::permission::Action;
use crate::aws::{self, Trouble};

/// Another writer of the same key was at work; S3 asks to try again.
const CONFLICT: u16 = 409;
/// Something is there.
const CONDITION_FAILED: u16 = 412;
/// Tries while others write the same key.
const TRIES: usize = 5;

/// Logs below a prefix of a bucket.
pub(super) struct Bucket {
    client: Client,
    name: String,
    /// Empty, or with its slash.
    prefix: String,
    kms_key: Option<String>,
}

impl Bucket {
    pub(super) fn new(
        config: &SdkConfig,
        bucket: &str,
        prefix: &str,
        kms_key: Option<&str>,
    ) -> Self {
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let kms_key = kms_key.map(str::to_owned);
        Self { client: aws::s3(config), name: bucket.to_owned(), prefix, kms_key }
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }
}

/// Says what happened, and which right is missing, if one is.
fn explain(action: Action, trouble: &Trouble) -> String {
    match trouble {
        Trouble::Denied(said) => format!("{} denied ({said})", action.name()),
        trouble => trouble.to_string(),
    }
}

impl Destination for Bucket {
    fn put_new<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<bool, String>> {
        Box::pin(async move {
            let mut tries = 0;
            loop {
                tries += 1;
                let put = self
                    .client
                    .put_object()
                    .bucket(&self.name)
                    .key(self.key(key))
                    .if_none_match("*")
                    .content_type("application/zstd")
                    .set_server_side_encryption(self.kms_key.is_some().then_some(AwsKms))
                    .set_ssekms_key_id(self.kms_key.clone())
                    .body(ByteStream::from(bytes.to_vec()));
                let Err(error) = put.send().await else { return Ok(true) };
                match error.raw_response().map(|response| response.status().as_u16()) {
                    Some(CONDITION_FAILED) => return Ok(false),
                    Some(CONFLICT) if tries < TRIES => {}
                    _ => return Err(explain(Action::PutObject, &Trouble::of(&error))),
                }
            }
        })
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, String>> {
        Box::pin(async move {
            let get = self.client.get_object().bucket(&self.name).key(self.key(key)).send().await;
            let object = match get {
                Ok(object) => object,
                Err(error)
                    if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) =>
                {
                    return Ok(None);
                }
                Err(error) => return Err(explain(Action::GetObject, &Trouble::of(&error))),
            };
            let body = object.body.collect().await.map_err(|error| error.to_string())?;
            Ok(Some(body.to_vec()))
        })
    }
}
