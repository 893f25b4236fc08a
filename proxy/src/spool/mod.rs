//! The spool of server mode: what is known of an exchange is in a local file before the client gets
//! it, so that `kill -9` loses nothing that a client got (the loss of power is another matter).
//!
//! Every running exchange has a [`Segment`], a file taken from a pool and given back, so that no file
//! is made or removed per exchange. Its way: begin → checked → answered → chunks → end → object (key
//! and bytes, before the first try to store them) → done. At the next start whatever is not done is
//! replayed: stored again under the same key if there was an object, else assembled from the frames
//! by the same code as any record. What the sink refuses waits here as a [`Parked`] segment.
//!
//! No secret is written (`mask`, `note`), no body where `LOG_BODY=none` (`outline`), and with
//! `LOG_BODY=errors` the file is emptied when its record is stored. A spool that cannot be written
//! is said once, and exchanges go on without.

mod folder;
mod segment;
mod connection;
mod note;
mod outline;
mod mask;
mod frame;
mod parked;
mod replay;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use folder::Folder;

use crate::facts::Facts;
use crate::secret::Secret;
use crate::settings::LogBody;

pub use connection::{Connection, Spooled};
pub use parked::{Brought, Parked};
pub use segment::Segment;

/// Files that are kept open for the next exchange.
const POOL: usize = 128;

/// A file that no exchange uses: itself, its number, and a buffer that has grown to fit.
type Free = (File, u64, Vec<u8>);

/// The segments of this process.
pub struct Spool {
    root: PathBuf,
    folder: Arc<Folder>,
    log_body: LogBody,
    free: Mutex<Vec<Free>>,
    made: AtomicU64,
    failures: AtomicU64,
}

impl Spool {
    /// Opens a spool folder, made if it is missing, and takes over what dead processes left in it.
    ///
    /// # Errors
    ///
    /// When the folder cannot be made, read or written.
    pub fn open(path: &Path, log_body: LogBody) -> io::Result<(Arc<Self>, Vec<Parked>)> {
        let (folder, orphans) = Folder::open(path)?;
        let spool = Self {
            root: path.to_owned(),
            folder,
            log_body,
            free: Mutex::default(),
            made: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        };
        Ok((Arc::new(spool), orphans))
    }

    /// Returns the folder that all processes share.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.root
    }

    /// Returns how many writes have failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    fn free(&self) -> MutexGuard<'_, Vec<Free>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to follow an exchange; `None` when there is no file for it.
    fn begin(self: &Arc<Self>, facts: &Facts, secrets: Vec<Secret>) -> Option<Segment> {
        let free = self.free().pop();
        let free = match free.map_or_else(|| self.create(), Ok) {
            Ok(free) => free,
            Err(error) => {
                self.complain(&error);
                return None;
            }
        };
        Some(Segment::begin(self, free, facts, secrets))
    }

    fn create(&self) -> io::Result<Free> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        Ok((self.folder.create(number)?, number, Vec::new()))
    }

    fn give_back(&self, free: Free) {
        let number = free.1;
        let mut pool = self.free();
        if pool.len() < POOL {
            pool.push(free);
        } else {
            drop(pool);
            self.remove(number);
        }
    }

    fn remove(&self, number: u64) {
        let _ = fs::remove_file(self.folder.segment(number));
    }

    fn read(&self, number: u64) -> io::Result<File> {
        File::open(self.folder.segment(number))
    }

    fn parked(&self, number: u64) -> Parked {
        Parked { folder: Arc::clone(&self.folder), number, is_left: false }
    }

    /// Counts a failed write, and says the first one on stderr as one line of JSON.
    pub(crate) fn complain(&self, error: &io::Error) {
        if self.failures.fetch_add(1, Ordering::Relaxed) == 0 {
            complain(&self.root, error);
        }
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        for (file, number, _) in std::mem::take(&mut *self.free()) {
            drop(file);
            self.remove(number);
        }
    }
}

/// Says on stderr, as one line of JSON, that exchanges go on without a spool.
pub fn complain(folder: &Path, error: &io::Error) {
    let line = serde_json::json!({
        "level": "error",
        "event": "spool_failed",
        "folder": folder.display().to_string(),
        "error": error.to_string(),
    });
    #[expect(clippy::print_stderr, reason = "the answers go on, only the operator can help")]
    {
        eprintln!("{line}");
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use bytes::Bytes;
    use http::Request;

    use super::*;
    use crate::encode::LogObject;
    use crate::facts::tests::facts_of;
    use crate::settings::tests::settings;

    fn facts() -> Facts {
        facts_of(&Request::post("/v1/responses").body(()).expect("a request"))
    }

    fn object() -> LogObject {
        LogObject { key: "logs/a".to_owned(), bytes: Bytes::from("bytes") }
    }

    #[test]
    fn a_file_is_used_again_and_what_is_done_is_never_replayed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (spool, orphans) = Spool::open(folder.path(), LogBody::Full).expect("a spool");
        assert!(orphans.is_empty());
        for _ in 0..3 {
            let mut segment = spool.begin(&facts(), Vec::new()).expect("a file");
            segment.end(&facts());
            assert!(segment.object(&object()));
            segment.done();
        }
        assert_eq!(spool.made.load(Ordering::Relaxed), 1);
        let parked = spool.parked(0);
        assert!(parked.object(&settings()).expect("it can be read").is_none());
        drop((spool, parked));
        let left = fs::read_dir(folder.path()).expect("it can be listed");
        assert_eq!(
            left.filter_map(|e| e.ok()?.file_name().into_string().ok()).collect::<Vec<_>>(),
            [".lock"]
        );
    }

    #[test]
    fn an_object_is_brought_as_it_was_written_and_frames_become_one_that_stays() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (spool, _) = Spool::open(folder.path(), LogBody::Full).expect("a spool");
        let mut segment = spool.begin(&facts(), Vec::new()).expect("a file");
        assert!(segment.object(&object()));
        let again = segment.park().object(&settings()).expect("it can be read").expect("an object");
        assert_eq!((again.object.key, again.object.bytes), (object().key, object().bytes));

        let parked = spool.begin(&facts(), Vec::new()).expect("a file").park();
        let first = parked.object(&settings()).expect("it can be read").expect("a record");
        let second = parked.object(&settings()).expect("it can be read").expect("a record");
        assert_eq!(
            (first.object.key, first.object.bytes),
            (second.object.key, second.object.bytes)
        );
    }

    #[test]
    fn a_file_that_cannot_be_written_is_complained_about_and_not_used_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (spool, _) = Spool::open(folder.path(), LogBody::Full).expect("a spool");
        let path = folder.path().join("read-only");
        fs::write(&path, b"").expect("it can be written");
        let read_only = File::open(&path).expect("it can be read");
        let free = (read_only, 99, Vec::new());
        let mut segment = Segment::begin(&spool, free, &facts(), Vec::new());
        segment.chunk(&facts(), b"data");
        segment.end(&facts());
        assert!(!segment.object(&object()), "the record has to be stored without it");
        segment.done();
        assert!(spool.failures() > 0 && spool.free().is_empty());
    }

    /// `cargo test --release spool_costs -- --ignored --nocapture`
    #[test]
    #[ignore = "a measurement"]
    fn spool_costs() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (spool, _) = Spool::open(folder.path(), LogBody::Full).expect("a spool");
        let secrets =
            vec![Secret::new("sk-canary-4f9d1c7a2b6e8053d1"), Secret::new("cpt_0123456789")];
        let chunk = b"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"words \",\"item_id\":\"msg_0123456789abcdef\",\"output_index\":0,\"content_index\":0}\n\n";
        let object = LogObject { key: "logs/a".to_owned(), bytes: Bytes::from(vec![7; 4_000]) };
        let (rounds, chunks) = (20_000_u32, 100_u32);
        for with_chunks in [0, chunks] {
            let begun = tokio::time::Instant::now();
            for _ in 0..rounds / (1 + with_chunks / 10) {
                let facts = facts();
                let mut segment = spool.begin(&facts, secrets.clone()).expect("a file");
                segment.checked(&facts);
                segment.commit();
                for _ in 0..with_chunks {
                    segment.chunk(black_box(&facts), black_box(chunk));
                    segment.commit();
                }
                segment.end(&facts);
                segment.object(&object);
                segment.done();
            }
            let each = begun.elapsed() / (rounds / (1 + with_chunks / 10));
            #[expect(clippy::print_stdout, reason = "what a measurement is for")]
            {
                println!("{with_chunks} chunks: {each:?} an exchange");
            }
        }
    }
}
