//! Logs in an S3 bucket.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use bytes::Bytes;
use futures::future::BoxFuture;
use jiff::Timestamp;

use super::{Depth, Listed, Listing, LogSource, SourceError};
use crate::aws;

/// Reads logs below a prefix of a bucket. Credentials, region and endpoint come from where the AWS
/// CLI takes them.
pub struct S3Source {
    client: Client,
    bucket: String,
    /// Empty, or with its slash.
    prefix: String,
}

impl S3Source {
    /// Opens a bucket; the first listing tells whether it can be read.
    pub async fn open(bucket: &str, prefix: &str) -> Self {
        Self::new(aws::s3(&aws::load().await), bucket, prefix)
    }

    /// Reads a bucket through a client that is set up already.
    #[must_use]
    pub fn new(client: Client, bucket: &str, prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { client, bucket: bucket.to_owned(), prefix }
    }

    async fn list_pages(&self, prefix: &str, depth: Depth) -> Result<Listing, SourceError> {
        let whole = format!("{}{prefix}", self.prefix);
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(&whole);
        let request = request.set_delimiter((depth == Depth::Here).then(|| "/".to_owned()));
        let mut pages = request.into_paginator().send();
        let mut listing = Listing::default();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.explain(&whole, &error))?;
            let strip = |key: &str| key.strip_prefix(&self.prefix).unwrap_or(key).to_owned();
            for object in page.contents() {
                listing.objects.push(Listed {
                    key: strip(object.key().unwrap_or_default()),
                    bytes: object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
                    modified: object.last_modified().and_then(|time| {
                        Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok()
                    }),
                });
            }
            let folders = page.common_prefixes().iter().filter_map(|folder| folder.prefix());
            listing.folders.extend(folders.map(strip));
        }
        Ok(listing)
    }

    async fn get_whole(&self, key: &str) -> Result<Bytes, SourceError> {
        let whole = format!("{}{key}", self.prefix);
        let get = self.client.get_object().bucket(&self.bucket).key(&whole).send().await;
        let answer = get.map_err(|error| self.explain(&whole, &error))?;
        let body = answer.body.collect().await.map_err(|error| {
            let place = format!("s3://{}/{whole}", self.bucket);
            SourceError::Unreachable(format!("cannot read `{place}` to its end: {error}"))
        })?;
        Ok(body.into_bytes())
    }

    fn explain<E>(&self, key: &str, error: &SdkError<E>) -> SourceError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let place = format!("s3://{}/{key}", self.bucket);
        let status = error.raw_response().map(|response| response.status().as_u16());
        let Some(code) = error.code().or(status.map(|_| "")) else {
            let why = root_cause(error);
            return SourceError::Unreachable(format!("cannot reach `{place}`: {why}"));
        };
        let message = error.message().unwrap_or_default();
        let status = status.unwrap_or_default();
        let text = format!("cannot read `{place}`: HTTP {status} {code} {message}");
        let text = text.trim_end().to_owned();
        match status {
            404 => SourceError::Missing(text),
            301 | 400 | 401 | 403 => SourceError::Denied(text),
            _ => SourceError::Unreachable(text),
        }
    }
}

impl LogSource for S3Source {
    fn list<'a>(
        &'a self,
        prefix: &'a str,
        depth: Depth,
    ) -> BoxFuture<'a, Result<Listing, SourceError>> {
        Box::pin(self.list_pages(prefix, depth))
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Bytes, SourceError>> {
        Box::pin(self.get_whole(key))
    }

    fn concurrency(&self) -> usize {
        64
    }

    fn place(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix)
    }
}

/// Returns the first line of the innermost error: the SDK wraps what happened five times.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let text = cause.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.trim_end_matches(" Attempted:").trim_end_matches('.').to_owned()
}
