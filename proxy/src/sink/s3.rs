//! Records in an S3 bucket.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use futures::future::BoxFuture;

use super::{LogSink, SinkError};
use crate::aws;
use crate::encode::LogObject;

/// How long S3 may take to answer one try; the SDK itself would wait for ever, and so would a
/// shutdown.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// Writes records below a prefix of a bucket. Credentials, region and endpoint come from where the
/// AWS CLI takes them.
pub struct S3Sink {
    client: Client,
    bucket: String,
    prefix: String,
}

impl S3Sink {
    /// Opens a bucket; asks nothing of it yet, because the right to write may be all we have.
    pub async fn open(bucket: &str, prefix: &str) -> Self {
        let config = aws::config().await;
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ANSWER_TIME).build();
        // A server with an endpoint of its own rarely answers to `bucket.host`.
        let own_endpoint = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]
            .iter()
            .any(|name| std::env::var_os(name).is_some());
        let s3 = aws_sdk_s3::config::Builder::from(config).timeout_config(timeouts);
        let path_style = own_endpoint || config.endpoint_url().is_some();
        Self::new(Client::from_conf(s3.force_path_style(path_style).build()), bucket, prefix)
    }

    /// Writes with this client.
    #[must_use]
    pub fn new(client: Client, bucket: &str, prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { client, bucket: bucket.to_owned(), prefix }
    }
}

impl LogSink for S3Sink {
    fn put<'a>(&'a self, object: &'a LogObject) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            let key = format!("{}{}", self.prefix, object.key);
            let put = self
                .client
                .put_object()
                .bucket(&self.bucket)
                .key(&key)
                .content_type("application/zstd")
                .body(ByteStream::from(object.bytes.clone()));
            put.send().await.map(drop).map_err(|error| SinkError {
                place: format!("s3://{}/{key}", self.bucket),
                reason: aws::explain(&error),
            })
        })
    }

    fn place(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix)
    }
}
