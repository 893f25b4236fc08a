//! A folder that changes while somebody reads it.

use std::sync::atomic::{AtomicUsize, Ordering};

use analyzer::logs::source::{
    Depth, FolderSource, Listing, LogSource, Part, Piece, Rates, SourceError, Span, Version,
};
use bytes::Bytes;
use futures::future::BoxFuture;

/// A folder whose objects cannot be read any more, though they were listed; and whose compacted hours are
/// published only after they were listed so many times.
pub(crate) struct Fading<F> {
    pub(crate) folder: FolderSource,
    /// Tells why an object cannot be read.
    pub(crate) fails: F,
    /// Listings of compacted hours that find none yet.
    pub(crate) unseen: AtomicUsize,
}

/// Tells that an object is gone.
pub(crate) fn gone(key: &str) -> SourceError {
    SourceError::Missing(format!("cannot read `{key}`: gone"))
}

impl<F: Fn(&str) -> Option<SourceError> + Send + Sync> LogSource for Fading<F> {
    fn list<'a>(
        &'a self,
        prefix: &'a str,
        depth: Depth,
    ) -> BoxFuture<'a, Result<Listing, SourceError>> {
        let before = |left: usize| left.checked_sub(1);
        let is_hours = prefix.starts_with("parquet/");
        let (set, fetch) = (Ordering::SeqCst, Ordering::SeqCst);
        if is_hours && self.unseen.fetch_update(set, fetch, before).is_ok() {
            return Box::pin(std::future::ready(Ok(Listing::default())));
        }
        self.folder.list(prefix, depth)
    }

    fn get<'a>(&'a self, key: &'a str, part: Part) -> BoxFuture<'a, Result<Bytes, SourceError>> {
        match (self.fails)(key) {
            Some(error) => Box::pin(std::future::ready(Err(error))),
            None => self.folder.get(key, part),
        }
    }

    fn read<'a>(
        &'a self,
        key: &'a str,
        span: Span,
        of: Option<&'a Version>,
    ) -> BoxFuture<'a, Result<Piece, SourceError>> {
        match (self.fails)(key) {
            Some(error) => Box::pin(std::future::ready(Err(error))),
            None => self.folder.read(key, span, of),
        }
    }

    fn concurrency(&self) -> usize {
        self.folder.concurrency()
    }

    fn rates(&self) -> Rates {
        self.folder.rates()
    }

    fn place(&self) -> String {
        self.folder.place()
    }
}
