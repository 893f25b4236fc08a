//! Buckets, objects, and the pages of a listing.
//!
//! No request and no clock here: values come in, values go out.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    time::SystemTime,
};

use bytes::Bytes;
use s3s::crypto::{Checksum as _, Crc64Nvme};

/// The objects of one bucket, in the order that S3 lists them: by the bytes of the key.
pub(crate) type Bucket = BTreeMap<String, Object>;

/// All buckets by name.
#[derive(Default)]
pub(crate) struct Store(BTreeMap<String, Bucket>);

/// One stored object.
#[derive(Clone)]
pub(crate) struct Object {
    pub(crate) body: Bytes,
    pub(crate) etag: String,
    pub(crate) last_modified: SystemTime,
    pub(crate) content_type: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) metadata: Option<HashMap<String, String>>,
}

/// What a listing asks for.
pub(crate) struct Listing<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) delimiter: Option<&'a str>,
    pub(crate) after: Option<Position>,
    pub(crate) limit: usize,
}

/// Where a page begins: behind a key, or behind all keys with a common prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    Key(String),
    Prefix(String),
}

/// One page of a listing.
#[derive(Default)]
pub(crate) struct Page<'a> {
    pub(crate) objects: Vec<(&'a str, &'a Object)>,
    pub(crate) prefixes: Vec<String>,
    /// Where the next page begins; `None` on the last one.
    pub(crate) next: Option<Position>,
}

impl Store {
    pub(crate) fn get(&self, bucket: &str) -> Option<&Bucket> {
        self.0.get(bucket)
    }

    pub(crate) fn get_mut(&mut self, bucket: &str) -> Option<&mut Bucket> {
        self.0.get_mut(bucket)
    }

    /// Returns the bucket, made if there was none.
    pub(crate) fn create(&mut self, bucket: &str) -> &mut Bucket {
        self.0.entry(bucket.to_owned()).or_default()
    }
}

impl Object {
    pub(crate) fn new(body: Bytes, last_modified: SystemTime) -> Self {
        // As long as an MD5, told apart by contents and length, and far quicker to compute.
        let checksum = u64::from_be_bytes(Crc64Nvme::checksum(&body));
        let etag = format!("{checksum:016x}{:016x}", body.len());
        let (content_type, content_encoding, metadata) = (None, None, None);
        Self { body, etag, last_modified, content_type, content_encoding, metadata }
    }
}

impl Position {
    /// Reads a continuation token; `None` if it is none of ours.
    pub(crate) fn parse(token: &str) -> Option<Self> {
        match token.split_once(':')? {
            ("key", key) => Some(Self::Key(key.to_owned())),
            ("prefix", prefix) => Some(Self::Prefix(prefix.to_owned())),
            _ => None,
        }
    }

    /// Writes the continuation token.
    pub(crate) fn token(&self) -> String {
        match self {
            Self::Key(key) => format!("key:{key}"),
            Self::Prefix(prefix) => format!("prefix:{prefix}"),
        }
    }

    /// The bound behind which keys come next.
    fn bound(&self) -> Bound<String> {
        match self {
            Self::Key(key) => Bound::Excluded(key.clone()),
            // No key sorts behind it and still has the prefix, short of one that goes on with the
            // last character there is.
            Self::Prefix(prefix) => Bound::Excluded(format!("{prefix}{}", char::MAX)),
        }
    }
}

impl Listing<'_> {
    /// Returns the page, in a walk that jumps over what a common prefix stands for.
    pub(crate) fn page<'a>(&self, bucket: &'a Bucket) -> Page<'a> {
        let mut page = Page::default();
        let mut at = self.start();
        let mut last = None;
        while let Some((key, object)) = behind(bucket, &at) {
            if self.limit == 0 || !key.starts_with(self.prefix) {
                break;
            }
            if page.objects.len() + page.prefixes.len() == self.limit {
                page.next = last;
                break;
            }
            let position = if let Some(prefix) = self.common_prefix(key) {
                page.prefixes.push(prefix.to_owned());
                Position::Prefix(prefix.to_owned())
            } else {
                page.objects.push((key, object));
                Position::Key(key.clone())
            };
            at = position.bound();
            last = Some(position);
        }
        page
    }

    fn start(&self) -> Bound<String> {
        match &self.after {
            Some(position) => {
                let behind = position.bound();
                // A start before the prefix would find keys that do not have it.
                match &behind {
                    Bound::Excluded(key) if key.as_str() >= self.prefix => behind,
                    _ => Bound::Included(self.prefix.to_owned()),
                }
            }
            None => Bound::Included(self.prefix.to_owned()),
        }
    }

    fn common_prefix<'k>(&self, key: &'k str) -> Option<&'k str> {
        let delimiter = self.delimiter?;
        let found = key[self.prefix.len()..].find(delimiter)?;
        Some(&key[..self.prefix.len() + found + delimiter.len()])
    }
}

fn behind<'a>(bucket: &'a Bucket, at: &Bound<String>) -> Option<(&'a String, &'a Object)> {
    bucket.range::<str, _>((at.as_ref().map(String::as_str), Bound::Unbounded)).next()
}
