//! The other ways to GET from S3: the AWS SDK, and `object_store`.

use aws_config::BehaviorVersion;
use bytes::Bytes;
use futures::future::BoxFuture;
use object_store::ObjectStoreExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder};

use crate::Getter;

/// The AWS SDK.
pub(crate) struct Sdk {
    client: aws_sdk_s3::Client,
    bucket: String,
}

impl Sdk {
    pub(crate) async fn new(place: &str) -> Self {
        let http = aws_smithy_http_client::Builder::new().build_http();
        let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await;
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build();
        let client = aws_sdk_s3::Client::from_conf(s3);
        Self { client, bucket: bucket(place).to_owned() }
    }
}

impl Getter for Sdk {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, anyhow::Result<Bytes>> {
        Box::pin(async move {
            let got = self.client.get_object().bucket(&self.bucket).key(key).send().await?;
            Ok(got.body.collect().await?.into_bytes())
        })
    }
}

/// `object_store`.
pub(crate) struct ObjectStore(AmazonS3);

impl ObjectStore {
    pub(crate) fn new(place: &str) -> anyhow::Result<Self> {
        let builder = AmazonS3Builder::from_env().with_bucket_name(bucket(place));
        let url = std::env::var("AWS_ENDPOINT_URL")?;
        Ok(Self(builder.with_endpoint(url).with_allow_http(true).build()?))
    }
}

impl Getter for ObjectStore {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, anyhow::Result<Bytes>> {
        Box::pin(async move {
            let got = self.0.get(&key.into()).await?;
            Ok(got.bytes().await?)
        })
    }
}

fn bucket(place: &str) -> &str {
    let bucket = place.trim_start_matches("s3://");
    bucket.split_once('/').map_or(bucket, |(bucket, _)| bucket)
}
