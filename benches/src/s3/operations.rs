//! The S3 operations, answered from the store.
//!
//! `s3s` has parsed the request and checked its signature; here it is counted, may meet an ordered
//! failure, and gets what the store holds. Operations that nobody here uses answer `NotImplemented`.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::SystemTime,
};

use async_trait::async_trait;
use bytes::Bytes;
use s3s::{
    Body as S3Body, S3, S3Request, S3Response, S3Result,
    dto::{
        AbortMultipartUploadInput, AbortMultipartUploadOutput, BucketLocationConstraint,
        CommonPrefix, CompleteMultipartUploadInput, CompleteMultipartUploadOutput,
        CreateBucketInput, CreateBucketOutput, CreateMultipartUploadInput,
        CreateMultipartUploadOutput, DeleteObjectInput, DeleteObjectOutput, ETag, ETagCondition,
        GetBucketLocationInput, GetBucketLocationOutput, GetObjectInput, GetObjectOutput,
        HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListObjectsV2Input,
        ListObjectsV2Output, Object as ListedObject, PutObjectInput, PutObjectOutput,
        StreamingBlob, UploadPartInput, UploadPartOutput,
    },
    s3_error,
};

use super::{
    State, condition,
    failure::{Failure, Operation},
    lock,
    store::{Bucket, Listing, Object, Position},
};
use crate::body::{Body, Ending};

/// The most keys that S3 lists on one page.
const MOST_KEYS: i32 = 1000;

pub(super) struct Operations(pub(super) Arc<Mutex<State>>);

impl Operations {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    /// Counts a request; returns the failure that only its end shows, or fails here and now.
    fn begin<T>(&self, operation: Operation, request: &S3Request<T>) -> S3Result<Option<Failure>> {
        self.state().counts.add(operation);
        let failure = request.extensions.get::<Failure>().copied();
        match failure.and_then(Failure::error) {
            Some(error) => Err(error),
            None => Ok(failure),
        }
    }
}

#[async_trait]
impl S3 for Operations {
    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let mut state = self.state();
        if state.store.get(&request.input.bucket).is_some() {
            return Err(s3_error!(BucketAlreadyOwnedByYou));
        }
        state.store.create(&request.input.bucket);
        Ok(S3Response::new(CreateBucketOutput::default()))
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        existing(self.state().store.get(&request.input.bucket))?;
        // Some clients ask for it first, and go on with what it says.
        let bucket_region = Some("eu-central-1".to_owned());
        Ok(S3Response::new(HeadBucketOutput { bucket_region, ..Default::default() }))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        existing(self.state().store.get(&request.input.bucket))?;
        let region = BucketLocationConstraint::from_static("eu-central-1");
        let output = GetBucketLocationOutput { location_constraint: Some(region) };
        Ok(S3Response::new(output))
    }

    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let failure = self.begin(Operation::Put, &request)?;
        let input = request.input;
        let body = stored(input.body).await?;
        let object = Object {
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            metadata: input.metadata,
            ..Object::new(body, now())
        };

        let output = PutObjectOutput { e_tag: Some(etag(&object)), ..Default::default() };
        let (some, none) = (input.if_match.as_ref(), input.if_none_match.as_ref());
        self.state().put(&input.bucket, input.key, object, some, none)?;
        match failure {
            Some(Failure::StoredUntold) => Err(s3_error!(InternalError)),
            Some(Failure::StoredUnanswered) => std::future::pending().await,
            _ => Ok(S3Response::new(output)),
        }
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.begin(Operation::CreateUpload, &request)?;
        let input = request.input;
        let mut state = self.state();
        existing(state.store.get(&input.bucket))?;
        let (bucket, key) = (input.bucket, input.key);
        let id = state.uploads.begin(bucket.clone(), key.clone(), input.content_type);
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(bucket),
            key: Some(key),
            upload_id: Some(id),
            ..Default::default()
        }))
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        self.begin(Operation::UploadPart, &request)?;
        let input = request.input;
        let part = Object::new(stored(input.body).await?, now());
        let output = UploadPartOutput { e_tag: Some(etag(&part)), ..Default::default() };
        self.state().uploads.put(&input.upload_id, input.part_number, part)?;
        Ok(S3Response::new(output))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let failure = self.begin(Operation::CompleteUpload, &request)?;
        let input = request.input;
        let named = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let output = {
            let mut state = self.state();
            let upload = state.uploads.get(&input.upload_id, &input.bucket, &input.key)?.clone();
            let (body, end) = upload.join(&named)?;
            let mut object = Object::new(body, now());
            object.etag.push_str(&end);
            object.content_type = upload.content_type;
            let e_tag = Some(etag(&object));
            let (some, none) = (input.if_match.as_ref(), input.if_none_match.as_ref());
            state.put(&input.bucket, input.key, object, some, none)?;
            state.uploads.end(&input.upload_id)?;
            CompleteMultipartUploadOutput { e_tag, ..Default::default() }
        };
        match failure {
            Some(Failure::StoredUntold) => Err(s3_error!(InternalError)),
            Some(Failure::StoredUnanswered) => std::future::pending().await,
            _ => Ok(S3Response::new(output)),
        }
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.begin(Operation::AbortUpload, &request)?;
        self.state().uploads.end(&request.input.upload_id)?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let failure = self.begin(Operation::Get, &request)?;
        let input = request.input;
        let object = object(existing(self.state().store.get(&input.bucket))?, &input.key)?.clone();

        condition::if_match(input.if_match.as_ref(), Some(&object))?;
        let whole = length(object.body.len());
        let (body, content_range) = match input.range {
            Some(range) => {
                let range = range.check(object.body.len() as u64)?;
                // S3 gives none of an empty object, not even its end.
                if range.is_empty() {
                    return Err(s3_error!(InvalidRange, "The requested range is not satisfiable"));
                }
                let text = format!("bytes {}-{}/{whole}", range.start, range.end - 1);
                (object.body.slice(index(range.start)..index(range.end)), Some(text))
            }
            None => (object.body.clone(), None),
        };
        let content_length = length(body.len());
        self.state().counts.got_bytes += body.len() as u64;
        let body = match failure {
            Some(Failure::Truncate) => {
                let half = body.slice(..body.len() / 2);
                S3Body::http_body(Body::new([half], Ending::Break))
            }
            _ => S3Body::from(body),
        };
        Ok(S3Response::new(GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(content_length),
            content_range,
            e_tag: Some(etag(&object)),
            last_modified: Some(object.last_modified.into()),
            content_type: object.content_type,
            content_encoding: object.content_encoding,
            metadata: object.metadata,
            body: Some(StreamingBlob::from(body)),
            ..Default::default()
        }))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        self.begin(Operation::Head, &request)?;
        let input = request.input;
        let object = object(existing(self.state().store.get(&input.bucket))?, &input.key)?.clone();
        Ok(S3Response::new(HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(length(object.body.len())),
            e_tag: Some(etag(&object)),
            last_modified: Some(object.last_modified.into()),
            content_type: object.content_type,
            content_encoding: object.content_encoding,
            metadata: object.metadata,
            ..Default::default()
        }))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let mut state = self.state();
        // S3 answers the same whether there was such a key or not.
        existing(state.store.get_mut(&request.input.bucket))?.remove(&request.input.key);
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.begin(Operation::List, &request)?;
        let input = request.input;
        let max_keys = input.max_keys.unwrap_or(MOST_KEYS).clamp(0, MOST_KEYS);
        let after = match &input.continuation_token {
            Some(token) => Some(Position::parse(token).ok_or_else(|| {
                s3_error!(InvalidArgument, "The continuation token provided is incorrect")
            })?),
            None => input.start_after.clone().map(Position::Key),
        };
        let listing = Listing {
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter: input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty()),
            after,
            limit: usize::try_from(max_keys).expect("clamped to 0 or more"),
        };
        let state = self.state();
        let page = listing.page(existing(state.store.get(&input.bucket))?);
        let contents: Vec<_> =
            page.objects.iter().map(|(key, object)| listed(key, object)).collect();
        let common_prefixes: Vec<_> =
            page.prefixes.into_iter().map(|prefix| CommonPrefix { prefix: Some(prefix) }).collect();
        let key_count = contents.len() + common_prefixes.len();
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: input.prefix,
            delimiter: input.delimiter,
            start_after: input.start_after,
            continuation_token: input.continuation_token,
            max_keys: Some(max_keys),
            key_count: i32::try_from(key_count).ok(),
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next.as_ref().map(Position::token),
            contents: Some(contents),
            common_prefixes: Some(common_prefixes),
            ..Default::default()
        }))
    }
}

/// Stores a body in memory.
async fn stored(body: Option<StreamingBlob>) -> S3Result<Bytes> {
    let mut body = body.map_or_else(S3Body::empty, S3Body::from);
    let stored = body.store_all_limited(usize::MAX).await;
    stored.map_err(|error| s3s::S3Error::with_source(s3s::S3ErrorCode::IncompleteBody, error))
}

impl State {
    /// Puts an object, if the conditions hold: from the check to the insertion under one lock, so that
    /// of two writers only one finds no object.
    fn put(
        &mut self,
        bucket: &str,
        key: String,
        object: Object,
        if_match: Option<&ETagCondition>,
        if_none_match: Option<&ETagCondition>,
    ) -> S3Result {
        let there = existing(self.store.get_mut(bucket))?;
        let stored = there.get(&key);
        condition::if_match(if_match, stored)?;
        condition::if_none_match(if_none_match, stored)?;
        if stored.is_some_and(|stored| stored.etag != object.etag) {
            self.overwritten.push(key.clone());
        }
        there.insert(key, object);
        Ok(())
    }
}

fn existing<T>(bucket: Option<T>) -> S3Result<T> {
    bucket.ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))
}

fn object<'a>(bucket: &'a Bucket, key: &str) -> S3Result<&'a Object> {
    bucket.get(key).ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))
}

fn listed(key: &str, object: &Object) -> ListedObject {
    ListedObject {
        key: Some(key.to_owned()),
        e_tag: Some(etag(object)),
        last_modified: Some(object.last_modified.into()),
        size: Some(length(object.body.len())),
        ..Default::default()
    }
}

fn etag(object: &Object) -> ETag {
    ETag::Strong(object.etag.clone())
}

fn length(bytes: usize) -> i64 {
    i64::try_from(bytes).expect("memory is smaller than 2^63 bytes")
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("the offset lies within a body in memory")
}

#[expect(clippy::disallowed_methods, reason = "S3 sets the time of an upload by its own clock")]
fn now() -> SystemTime {
    SystemTime::now()
}
