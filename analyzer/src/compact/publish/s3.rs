//! Publishing in S3: one conditional PUT, or one conditional completion of a multipart upload.
//!
//! The condition is S3's own: nothing there (`If-None-Match: *`), or the version that was read
//! (`If-Match`). A refusal may be of a second try whose first one succeeded and was not heard of, so
//! it decides nothing by itself: whoever asked reads back.

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use futures::future::BoxFuture;

use super::{Publication, PublishError, Publisher};
use crate::aws::{self, Trouble};
use crate::logs::source::Version;

/// What other programs are told that the object is.
const CONTENT_TYPE: &str = "application/vnd.apache.parquet";

/// How often each request is tried.
const TRIES: u32 = 8;

/// Publishes below a prefix of a bucket.
pub struct S3Publisher {
    client: Client,
    bucket: String,
    /// Empty, or with its slash.
    prefix: String,
}

impl S3Publisher {
    /// Publishes below a prefix of a bucket.
    #[must_use]
    pub fn new(config: &SdkConfig, bucket: &str, prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        // A large hour has many parts, and each of them has to arrive.
        let patient =
            config.to_builder().retry_config(RetryConfig::standard().with_max_attempts(TRIES));
        let client = aws::s3(&patient.build());
        Self { client, bucket: bucket.to_owned(), prefix }
    }
}

/// An object that is being written, in parts if it is large.
struct Upload<'a> {
    to: &'a S3Publisher,
    key: String,
    over: Option<&'a Version>,
    /// Its id, once a part was sent.
    id: Option<String>,
    parts: Vec<CompletedPart>,
}

impl Publisher for S3Publisher {
    fn begin<'a>(
        &'a self,
        key: &'a str,
        over: Option<&'a Version>,
    ) -> BoxFuture<'a, Result<Box<dyn Publication + 'a>, PublishError>> {
        let key = format!("{}{key}", self.prefix);
        let upload = Upload { to: self, key, over, id: None, parts: Vec::new() };
        Box::pin(std::future::ready(Ok(Box::new(upload) as _)))
    }
}

impl Upload<'_> {
    /// The condition: `If-None-Match`, `If-Match`.
    fn condition(&self) -> (Option<String>, Option<String>) {
        match self.over {
            None => (Some("*".to_owned()), None),
            Some(Version(etag)) => (None, Some(etag.clone())),
        }
    }

    /// Starts the upload, if that has not been done; returns its id.
    async fn id(&mut self) -> Result<String, PublishError> {
        if let Some(id) = &self.id {
            return Ok(id.clone());
        }
        let S3Publisher { client, bucket, .. } = self.to;
        let create = client.create_multipart_upload().bucket(bucket).key(&self.key);
        let created = create.content_type(CONTENT_TYPE).send().await;
        let created = created.map_err(|error| explain(&self.key, &error))?;
        let id = created.upload_id.ok_or_else(|| {
            PublishError::Unreachable(format!("cannot write `{}`: no upload id", self.key))
        })?;
        Ok(self.id.insert(id).clone())
    }

    async fn upload_part(&mut self, part: Bytes) -> Result<(), PublishError> {
        let id = self.id().await?;
        let number = i32::try_from(self.parts.len()).unwrap_or(i32::MAX).saturating_add(1);
        let S3Publisher { client, bucket, .. } = self.to;
        let upload = client.upload_part().bucket(bucket).key(&self.key).upload_id(id);
        let upload = upload.part_number(number).body(ByteStream::from(part));
        let uploaded = upload.send().await.map_err(|error| explain(&self.key, &error))?;
        let part = CompletedPart::builder().part_number(number).set_e_tag(uploaded.e_tag);
        self.parts.push(part.build());
        Ok(())
    }

    async fn put(&self, all: Bytes) -> Result<(), PublishError> {
        let (none, some) = self.condition();
        let S3Publisher { client, bucket, .. } = self.to;
        let put = client.put_object().bucket(bucket).key(&self.key).body(ByteStream::from(all));
        let put = put.set_if_none_match(none).set_if_match(some).content_type(CONTENT_TYPE);
        put.send().await.map(|_| ()).map_err(|error| unsure(explain(&self.key, &error)))
    }

    async fn complete(&mut self, id: &str) -> Result<(), PublishError> {
        let (none, some) = self.condition();
        let parts = std::mem::take(&mut self.parts);
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let S3Publisher { client, bucket, .. } = self.to;
        let complete = client.complete_multipart_upload().bucket(bucket).key(&self.key);
        let complete = complete.upload_id(id).multipart_upload(parts);
        let complete = complete.set_if_none_match(none).set_if_match(some);
        complete.send().await.map(|_| ()).map_err(|error| unsure(explain(&self.key, &error)))
    }
}

impl Publication for Upload<'_> {
    fn write(&mut self, part: Bytes) -> BoxFuture<'_, Result<(), PublishError>> {
        Box::pin(self.upload_part(part))
    }

    fn publish(&mut self, rest: Bytes) -> BoxFuture<'_, Result<(), PublishError>> {
        Box::pin(async move {
            let Some(id) = self.id.clone() else { return self.put(rest).await };
            if !rest.is_empty() {
                self.upload_part(rest).await?;
            }
            self.complete(&id).await
        })
    }

    fn abandon(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let Some(id) = self.id.take() else { return };
            let S3Publisher { client, bucket, .. } = self.to;
            let abort = client.abort_multipart_upload().bucket(bucket).key(&self.key);
            // What is left of it is removed by the bucket's lifecycle.
            let _ = abort.upload_id(id).send().await;
        })
    }
}

/// What a refusal of the last step means: nothing, by itself. Only a missing right is one.
fn unsure(error: PublishError) -> PublishError {
    match error {
        PublishError::Denied(said) => PublishError::Denied(said),
        PublishError::Unsure(said) | PublishError::Unreachable(said) => PublishError::Unsure(said),
    }
}

fn explain<E>(key: &str, error: &SdkError<E, HttpResponse>) -> PublishError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let trouble = Trouble::of(error);
    let text = format!("cannot write `{key}`: {trouble}");
    match trouble {
        Trouble::Denied(_) | Trouble::Credentials(_) | Trouble::NoRegion => {
            PublishError::Denied(text)
        }
        _ => PublishError::Unreachable(text),
    }
}
