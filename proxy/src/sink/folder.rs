//! Records in a folder, laid out as in a bucket.

use std::fs;
use std::io;
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
        match fs::write(&temporary, bytes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(folder)?;
                fs::write(&temporary, bytes)?;
            }
            written => written?,
        }
        fs::rename(&temporary, path)
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

    fn place(&self) -> String {
        self.root.display().to_string()
    }
}
