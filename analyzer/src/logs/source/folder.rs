//! Logs in a folder.

use std::fs;
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::future::BoxFuture;
use jiff::Timestamp;

use super::{Depth, Listed, Listing, LogSource, Part, Piece, Rates, SourceError, Span, Version};

/// Reads logs below a folder.
pub struct FolderSource {
    root: PathBuf,
}

impl FolderSource {
    /// Opens a folder.
    ///
    /// # Errors
    ///
    /// When it is not there, is no folder, or may not be read.
    pub fn open(root: &Path) -> Result<Self, SourceError> {
        match fs::read_dir(root) {
            Ok(_) => Ok(Self { root: root.to_owned() }),
            Err(error) => Err(explain(root, &error)),
        }
    }

    fn walk(&self, prefix: &str, depth: Depth, into: &mut Listing) -> Result<(), SourceError> {
        let folder = self.root.join(prefix);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            read => read.map_err(|error| explain(&folder, &error))?,
        };
        for entry in entries {
            let entry = entry.map_err(|error| explain(&folder, &error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                // A file on its way to its name; the proxy renames it when it is whole.
                continue;
            }
            // A linked folder is not entered: it may lead in a circle, or to logs already seen.
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let metadata = fs::metadata(entry.path());
            if is_folder {
                let below = format!("{prefix}{name}/");
                match depth {
                    Depth::Here => into.folders.push(below),
                    Depth::Below => self.walk(&below, depth, into)?,
                }
                continue;
            }
            let modified = metadata.as_ref().ok().and_then(|metadata| metadata.modified().ok());
            into.objects.push(Listed {
                key: format!("{prefix}{name}"),
                bytes: metadata.as_ref().map_or(0, fs::Metadata::len),
                modified: modified.and_then(|time| Timestamp::try_from(time).ok()),
            });
        }
        Ok(())
    }
}

impl LogSource for FolderSource {
    fn list<'a>(
        &'a self,
        prefix: &'a str,
        depth: Depth,
    ) -> BoxFuture<'a, Result<Listing, SourceError>> {
        Box::pin(async move {
            let mut listing = Listing::default();
            self.walk(prefix, depth, &mut listing)?;
            listing.objects.sort_unstable_by(|a, b| a.key.cmp(&b.key));
            Ok(listing)
        })
    }

    fn get<'a>(&'a self, key: &'a str, part: Part) -> BoxFuture<'a, Result<Bytes, SourceError>> {
        Box::pin(async move {
            let path = self.root.join(key);
            read_file(&path, part).map(Bytes::from).map_err(|error| explain(&path, &error))
        })
    }

    fn read<'a>(
        &'a self,
        key: &'a str,
        span: Span,
        of: Option<&'a Version>,
    ) -> BoxFuture<'a, Result<Piece, SourceError>> {
        Box::pin(async move {
            let path = self.root.join(key);
            let piece = read_piece(&path, &span).map_err(|error| explain(&path, &error))?;
            if of.is_some_and(|version| *version != piece.version) {
                let text = format!("`{}` was replaced meanwhile", path.display());
                return Err(SourceError::Changed(text));
            }
            Ok(piece)
        })
    }

    fn concurrency(&self) -> usize {
        8
    }

    fn rates(&self) -> Rates {
        Rates::DISK
    }

    fn place(&self) -> String {
        self.root.display().to_string()
    }
}

/// Reads a file, and nothing that could go on for ever: a pipe or a device.
fn read_file(path: &Path, part: Part) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let most = match part {
        Part::Whole => u64::MAX,
        Part::Head(bytes) => bytes,
    };
    let size = usize::try_from(metadata.len().min(most)).unwrap_or(0);
    let mut bytes = Vec::with_capacity(size);
    fs::File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a stretch of a file. A file is replaced by renaming, so its number tells its version; the rest
/// tells one that was written in place.
fn read_piece(path: &Path, span: &Span) -> io::Result<Piece> {
    let mut file = fs::File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let size = metadata.len();
    let range = match span {
        Span::Last(bytes) => size.saturating_sub(*bytes)..size,
        Span::Range(range) => range.start.min(size)..range.end.min(size),
    };
    file.seek(io::SeekFrom::Start(range.start))?;
    let length = range.end.saturating_sub(range.start);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Piece { bytes: bytes.into(), version: version_of(&metadata), size })
}

/// Tells the version of a file.
pub(crate) fn version_of(metadata: &fs::Metadata) -> Version {
    let written = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
    let written = written.map_or(0, Timestamp::as_nanosecond);
    Version(format!("{}-{written}-{}", number_of(metadata), metadata.len()))
}

#[cfg(unix)]
fn number_of(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn number_of(_: &fs::Metadata) -> u64 {
    0
}

fn explain(path: &Path, error: &io::Error) -> SourceError {
    let text = format!("cannot read `{}`: {error}", path.display());
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => SourceError::Missing(text),
        io::ErrorKind::PermissionDenied => SourceError::Denied(text),
        _ => SourceError::Unreachable(text),
    }
}
