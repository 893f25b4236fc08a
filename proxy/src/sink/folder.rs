//! Records in a folder, laid out as in a bucket.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use futures::future::BoxFuture;

use super::{LogSink, SinkError};
use crate::encode::LogObject;

/// Writes records below a folder.
pub struct FolderSink {
    root: PathBuf,
}

impl FolderSink {
    /// Opens a folder, made if it is missing.
    ///
    /// # Errors
    ///
    /// When the folder cannot be made or written to: better now than at the first record.
    pub fn open(root: &Path) -> io::Result<Self> {
        let logs = root.join("logs");
        fs::create_dir_all(&logs)?;
        let probe = logs.join(format!(".probe-{}", std::process::id()));
        fs::write(&probe, b"")?;
        fs::remove_file(&probe)?;
        Ok(Self { root: root.to_owned() })
    }

    /// Writes beside the place and renames into it, so that a reader sees a whole file or none.
    fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let temporary = folder.join(format!(".{}.new", name.to_string_lossy()));
        match Self::fill(&temporary, bytes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(folder)?;
                Self::fill(&temporary, bytes)?;
            }
            written => written?,
        }
        match fs::rename(&temporary, path) {
            // A try that was given up may still be at work. It writes the same bytes to the same
            // place, so that either may be the one that renames.
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.exists() => Ok(()),
            renamed => renamed,
        }
    }

    /// Writes a file without emptying it first: what another try has written stays whole.
    fn fill(path: &Path, bytes: &[u8]) -> io::Result<()> {
        match File::options().write(true).create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            file => return file?.write_all(bytes),
        }
        let mut file = File::options().write(true).create(true).truncate(false).open(path)?;
        file.write_all(bytes)?;
        file.set_len(bytes.len() as u64)
    }
}

impl LogSink for FolderSink {
    fn put<'a>(&'a self, object: &'a LogObject) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            let path = self.root.join(&object.key);
            let place = path.display().to_string();
            let bytes = object.bytes.clone();
            // A slow disk may hold up the log, and nothing else.
            let write = move || Self::write(&path, &bytes);
            let written = tokio::task::spawn_blocking(write).await;
            written
                .unwrap_or_else(|error| Err(io::Error::other(error)))
                .map_err(|error| SinkError { place, reason: error.to_string() })
        })
    }

    fn put_now(&self, object: &LogObject) -> Option<Result<(), SinkError>> {
        let path = self.root.join(&object.key);
        Some(Self::write(&path, &object.bytes).map_err(|error| SinkError {
            place: path.display().to_string(),
            reason: error.to_string(),
        }))
    }

    fn place(&self) -> String {
        self.root.display().to_string()
    }
}
