//! Records in an S3 bucket.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ServerSideEncryption::AwsKms;
use futures::future::BoxFuture;

use super::{LogSink, SinkError};
use crate::aws;
use crate::encode::LogObject;

/// Writes records below a prefix of a bucket. Credentials, region and endpoint come from where the
/// AWS CLI takes them.
pub struct S3Sink {
    client: Client,
    bucket: String,
    prefix: String,
    kms_key: Option<String>,
}

impl S3Sink {
    /// Opens a bucket; asks nothing of it yet, because the right to write may be all we have.
    /// Objects are encrypted under `kms_key` (an ARN), else as the bucket says.
    pub async fn open(bucket: &str, prefix: &str, kms_key: Option<&str>) -> Self {
        let config = aws::config().await;
        // A server with an endpoint of its own rarely answers to `bucket.host`.
        let own_endpoint = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]
            .iter()
            .any(|name| std::env::var_os(name).is_some());
        let s3 = aws_sdk_s3::config::Builder::from(config);
        let path_style = own_endpoint || config.endpoint_url().is_some();
        let client = Client::from_conf(s3.force_path_style(path_style).build());
        let kms_key = kms_key.map(str::to_owned);
        Self { kms_key, ..Self::new(client, bucket, prefix) }
    }

    /// Writes with this client.
    #[must_use]
    pub fn new(client: Client, bucket: &str, prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { client, bucket: bucket.to_owned(), prefix, kms_key: None }
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
                .set_server_side_encryption(self.kms_key.is_some().then_some(AwsKms))
                .set_ssekms_key_id(self.kms_key.clone())
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
