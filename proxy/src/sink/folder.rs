//! Records in a folder, laid out as in a bucket.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use futures::future::BoxFuture;

#[cfg(target_os = "linux")]
use super::unnamed;
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

    /// Writes a file that appears under its name when it is whole. What is there already stays: it is
    /// the same, by another try.
    fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
        let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        match Self::write_into(folder, path, bytes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(folder)?;
                Self::write_into(folder, path, bytes)
            }
            written => written,
        }
    }

    /// The same in a folder that exists: without a name until it is whole, where the file system can do
    /// that. Beside a name of its own first, it cost a third more, and up to three times as much where
    /// two threads wrote into one folder.
    fn write_into(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        match unnamed::write(folder, path, bytes) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
            written => return written,
        }
        Self::write_beside(path, bytes)
    }

    /// The same with a temporary name, for any file system.
    fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<()> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let temporary = path.with_file_name(format!(".{}.new", name.to_string_lossy()));
        Self::fill(&temporary, bytes)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_and_alone_whichever_way_the_file_system_takes() {
        type Write = fn(&Path, &[u8]) -> io::Result<()>;
        let ways: [Write; 2] = [FolderSink::write, FolderSink::write_beside];
        for write in ways {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let path = folder.path().join("log");
            for _ in 0..2 {
                write(&path, b"whole").expect("it can be written, also by another try");
            }
            let found: Vec<_> = fs::read_dir(folder.path())
                .expect("it can be listed")
                .map(|entry| entry.expect("an entry").file_name())
                .collect();
            assert_eq!(found, ["log"]);
            assert_eq!(fs::read(path).expect("it can be read"), b"whole");
        }
    }
}
