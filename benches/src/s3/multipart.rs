//! Multipart uploads: parts that nobody sees until one request makes an object of them.
//!
//! The rules are S3's: a part but the last has 5 MiB at least, the parts come in order and with the
//! entity tags that they were given, and an upload that is completed or aborted is gone. Whether it may take
//! the place of what is there is decided under the same lock that puts it there.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use s3s::{S3Result, dto::CompletedPart, s3_error};

use super::store::Object;

/// The least that a part has which is not the last.
const LEAST_BYTES: usize = 5 << 20;

/// Uploads under way, by their ids.
#[derive(Default)]
pub(crate) struct Uploads {
    open: BTreeMap<String, Upload>,
    begun: u64,
}

/// An upload under way.
#[derive(Clone)]
pub(crate) struct Upload {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) content_type: Option<String>,
    parts: BTreeMap<i32, Object>,
}

impl Uploads {
    /// Begins an upload; returns its id.
    pub(crate) fn begin(
        &mut self,
        bucket: String,
        key: String,
        content_type: Option<String>,
    ) -> String {
        self.begun += 1;
        let id = format!("upload-{}", self.begun);
        let upload = Upload { bucket, key, content_type, parts: BTreeMap::new() };
        self.open.insert(id.clone(), upload);
        id
    }

    /// Takes a part; one of the same number takes the place of the last.
    pub(crate) fn put(&mut self, id: &str, number: i32, part: Object) -> S3Result {
        let upload = self.open.get_mut(id).ok_or_else(missing)?;
        if !(1..=10_000).contains(&number) {
            return Err(s3_error!(InvalidArgument, "Part number must be from 1 to 10000"));
        }
        upload.parts.insert(number, part);
        Ok(())
    }

    /// Returns an upload of this key.
    pub(crate) fn get(&self, id: &str, bucket: &str, key: &str) -> S3Result<&Upload> {
        let is_it = |upload: &&Upload| upload.bucket == bucket && upload.key == key;
        self.open.get(id).filter(is_it).ok_or_else(missing)
    }

    /// Forgets an upload.
    pub(crate) fn end(&mut self, id: &str) -> S3Result<Upload> {
        self.open.remove(id).ok_or_else(missing)
    }

    /// Returns the keys of the uploads under way.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.open.values().map(|upload| upload.key.clone()).collect()
    }
}

impl Upload {
    /// Puts the parts together that were named; returns the bytes, and what its entity tag ends in.
    pub(crate) fn join(&self, named: &[CompletedPart]) -> S3Result<(Bytes, String)> {
        let mut joined = BytesMut::new();
        let mut last = 0;
        for (at, part) in named.iter().enumerate() {
            let number = part.part_number.unwrap_or_default();
            if number <= last {
                return Err(s3_error!(InvalidPartOrder, "The list of parts was not in order"));
            }
            last = number;
            let wrong = || s3_error!(InvalidPart, "A part could not be found, or has another ETag");
            let stored = self.parts.get(&number).ok_or_else(wrong)?;
            if part.e_tag.as_ref().is_none_or(|etag| etag.value() != stored.etag) {
                return Err(wrong());
            }
            if at + 1 < named.len() && stored.body.len() < LEAST_BYTES {
                return Err(s3_error!(EntityTooSmall, "A part is smaller than 5 MiB"));
            }
            joined.extend_from_slice(&stored.body);
        }
        if named.is_empty() {
            return Err(s3_error!(MalformedXML, "There is no part"));
        }
        Ok((joined.freeze(), format!("-{}", named.len())))
    }
}

fn missing() -> s3s::S3Error {
    s3_error!(NoSuchUpload, "The specified multipart upload does not exist.")
}
