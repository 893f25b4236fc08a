//! Publishing in a folder: written beside under a hidden name, then renamed under a lock.
//!
//! A lock is the operating system's: it ends with the process that holds it, however that ends. The
//! hidden file is locked while it is written, so that one whose writer died can be told and removed.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::future::BoxFuture;

use super::{Publication, PublishError, Publisher};
use crate::logs::source::{Version, version_of};

/// What the names of files begin with that are being written; readers pass over a leading dot.
const HIDDEN: &str = ".exchanges.parquet.";
/// The name of the lock of an hour.
const LOCK: &str = ".lock";

/// Publishes below a folder.
pub struct FolderPublisher {
    root: PathBuf,
}

impl FolderPublisher {
    /// Publishes below this folder.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }
}

/// A hidden file that is being written.
struct HiddenFile {
    path: PathBuf,
    over: Option<Version>,
    hidden: PathBuf,
    file: File,
}

impl Publisher for FolderPublisher {
    fn begin<'a>(
        &'a self,
        key: &'a str,
        over: Option<&'a Version>,
    ) -> BoxFuture<'a, Result<Box<dyn Publication + 'a>, PublishError>> {
        Box::pin(async move {
            let path = self.root.join(key);
            let begun = begin(&path).map_err(|error| explain(&path, &error))?;
            let (hidden, file) = begun;
            Ok(Box::new(HiddenFile { path, over: over.cloned(), hidden, file }) as _)
        })
    }
}

impl Publication for HiddenFile {
    fn write(&mut self, part: Bytes) -> BoxFuture<'_, Result<(), PublishError>> {
        Box::pin(async move {
            self.file.write_all(&part).map_err(|error| explain(&self.hidden, &error))
        })
    }

    fn publish(&mut self, rest: Bytes) -> BoxFuture<'_, Result<(), PublishError>> {
        Box::pin(async move {
            let done = self.file.write_all(&rest).and_then(|()| self.file.sync_all());
            done.map_err(|error| explain(&self.hidden, &error))?;
            let is_ours = rename(&self.hidden, &self.path, self.over.as_ref());
            if is_ours.map_err(|error| explain(&self.path, &error))? {
                return Ok(());
            }
            let path = self.path.display();
            Err(PublishError::Unsure(format!("`{path}` was published by somebody else")))
        })
    }

    fn abandon(&mut self) -> BoxFuture<'_, ()> {
        // Whoever comes next removes what is left.
        let _ = fs::remove_file(&self.hidden);
        Box::pin(std::future::ready(()))
    }
}

/// Makes a hidden file beside `path`, and removes those whose writers have died.
fn begin(path: &Path) -> io::Result<(PathBuf, File)> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(HIDDEN)
            && let Ok(file) = File::open(entry.path())
            && file.try_lock().is_ok()
        {
            let _ = fs::remove_file(entry.path());
        }
    }
    for number in 0_u32.. {
        let hidden = folder.join(format!("{HIDDEN}{}-{number}", std::process::id()));
        let file = match File::create_new(&hidden) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            created => created?,
        };
        match file.try_lock() {
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) if hidden.exists() => return Ok((hidden, file)),
            // Somebody takes it for one of a dead writer, just now.
            Ok(()) | Err(TryLockError::WouldBlock) => {}
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Renames a whole file to its name, if `over` is what has that name now; tells whether it was.
fn rename(hidden: &Path, path: &Path, over: Option<&Version>) -> io::Result<bool> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let lock = File::options().create(true).truncate(false).write(true).open(folder.join(LOCK))?;
    lock.lock()?;
    let now = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        metadata => Some(version_of(&metadata?)),
    };
    if now.as_ref() != over {
        return Ok(false);
    }
    fs::rename(hidden, path)?;
    // The name is to outlast a loss of power, as the bytes do.
    File::open(folder)?.sync_all()?;
    Ok(true)
}

fn explain(path: &Path, error: &io::Error) -> PublishError {
    let text = format!("cannot write `{}`: {error}", path.display());
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            PublishError::Denied(text)
        }
        _ => PublishError::Unreachable(text),
    }
}
