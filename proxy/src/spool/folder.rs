//! Which process owns which segments: one folder each, locked for as long as the process lives.
//!
//! `SPOOL/.lock` is held while a process makes its folder and looks for those of the dead, so that
//! nobody takes a folder that is only just being made. The operating system lets go of a dead
//! process's locks; nothing has to be cleaned up by hand.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::parked::Parked;

const LOCK: &str = "lock";
const EXTENSION: &str = "segment";

/// The folder of one process. Dropping it removes it if it holds no segment any more.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes a folder for this process, and takes over those of dead ones with all they hold.
    pub(super) fn open(spool: &Path) -> io::Result<(Arc<Self>, Vec<Parked>)> {
        make(spool)?;
        let everybody = file(&spool.join(".lock"))?;
        everybody.lock()?;
        let mut orphans = Vec::new();
        for entry in fs::read_dir(spool)? {
            let path = entry?.path();
            if path.is_dir()
                && let Some(folder) = Self::take_over(path)?
            {
                orphans.extend(folder.segments()?);
            }
        }
        let nonce = getrandom::u64().map_err(io::Error::other)?;
        let path = spool.join(format!("{}-{nonce:016x}", std::process::id()));
        make(&path)?;
        let lock = file(&path.join(LOCK))?;
        lock.lock()?;
        Ok((Arc::new(Self { path, _lock: lock }), orphans))
    }

    /// Takes a folder if nobody lives in it.
    fn take_over(path: PathBuf) -> io::Result<Option<Arc<Self>>> {
        let lock = file(&path.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Arc::new(Self { path, _lock: lock }))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Returns all segments of a folder, oldest first.
    fn segments(self: &Arc<Self>) -> io::Result<Vec<Parked>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            let is_ours = path.extension().is_some_and(|extension| extension == EXTENSION);
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            if let Some(number) = number.filter(|_| is_ours) {
                found.push(Parked { folder: Arc::clone(self), number, is_left: true });
            }
        }
        found.sort_by_key(|parked| parked.number);
        Ok(found)
    }

    pub(super) fn segment(&self, number: u64) -> PathBuf {
        self.path.join(format!("{number}.{EXTENSION}"))
    }

    /// Makes a new segment file, for this user only.
    pub(super) fn create(&self, number: u64) -> io::Result<File> {
        file(&self.segment(number))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let is_left = |entry: &io::Result<fs::DirEntry>| {
            entry.as_ref().is_ok_and(|entry| entry.file_name() != LOCK)
        };
        if fs::read_dir(&self.path).is_ok_and(|mut entries| !entries.any(|e| is_left(&e))) {
            let _ = fs::remove_file(self.path.join(LOCK));
            let _ = fs::remove_dir(&self.path);
        }
    }
}

/// Makes a folder that only its user can look into: it holds answers.
fn make(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
