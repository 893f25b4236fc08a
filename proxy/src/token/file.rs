//! The token store of a local server: a JSON file of hashes, edited by `codex-proxy token`.
//!
//! The server sees a change with its next request: a look at the file's metadata is a microsecond.
//! Writers take a lock beside the file and replace it by a rename, so that a reader sees the old
//! file or the new one.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use futures::future::{BoxFuture, ready};
use serde::{Deserialize, Serialize};

use super::format::TokenHash;
use super::register::{RegisterError, StoredAs, TokenRegister, TokenRow};
use super::store::{LookUpFailed, Owner, TokenStore};
use crate::secret::Secret;

/// One token, as the file holds it.
#[derive(Clone, Serialize, Deserialize)]
struct FileRow {
    /// `sha256:` and 64 hex digits.
    token: String,
    developer: String,
    enabled: bool,
    /// RFC 3339.
    created_at: String,
}

#[derive(Default, Serialize, Deserialize)]
struct Content {
    tokens: Vec<FileRow>,
}

impl From<&FileRow> for TokenRow {
    fn from(row: &FileRow) -> Self {
        // This store never held plaintext tokens, so whatever is no hash is a mistake.
        let unusable = || StoredAs::Unusable(Secret::new(&row.token));
        Self {
            stored: TokenHash::parse(&row.token).map_or_else(unusable, StoredAs::Hash),
            developer: Some(row.developer.clone()),
            enabled: row.enabled,
            created_at: Some(row.created_at.clone()),
        }
    }
}

/// What can go wrong with a token file.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// The file cannot be read or written.
    #[error("cannot {action} token file `{path}`")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The file is not what `codex-proxy token` writes.
    #[error("token file `{path}` is not what `codex-proxy token` writes, from line {line} on")]
    Format {
        /// The file.
        path: PathBuf,
        /// Where it goes wrong; not what stands there, which may be a token.
        line: usize,
    },
}

/// Tells one state of the file from the next.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Version {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

type Owners = Arc<HashMap<TokenHash, Owner>>;

/// A token file.
pub struct TokenFile {
    path: PathBuf,
    loaded: Mutex<Option<(Version, Owners)>>,
}

impl TokenFile {
    /// Names a token file; it need not exist yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), loaded: Mutex::new(None) }
    }

    /// Reads every token; none when the file does not exist.
    fn read(&self) -> Result<Vec<FileRow>, TokenFileError> {
        let text = match fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.map_err(|source| self.io("read", source))?,
        };
        let content: Content = serde_json::from_slice(&text).map_err(|error| {
            TokenFileError::Format { path: self.path.clone(), line: error.line() }
        })?;
        Ok(content.tokens)
    }

    /// Changes the tokens under the file's lock. On an error the file is as it was.
    fn change<T>(&self, change: impl FnOnce(&mut Vec<FileRow>) -> T) -> Result<T, TokenFileError> {
        let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new("."));
        fs::create_dir_all(folder).map_err(|source| self.io("create the folder of", source))?;
        let lock_path = self.path.with_extension("lock");
        let lock = File::create(&lock_path).map_err(|source| self.io("lock", source))?;
        lock.lock().map_err(|source| self.io("lock", source))?;

        let mut content = Content { tokens: self.read()? };
        let result = change(&mut content.tokens);
        let json = serde_json::to_vec_pretty(&content).map_err(|error| TokenFileError::Format {
            path: self.path.clone(),
            line: error.line(),
        })?;
        let temporary = self.path.with_extension("new");
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&temporary).map_err(|source| self.io("write", source))?;
        file.write_all(&json).map_err(|source| self.io("write", source))?;
        file.sync_all().map_err(|source| self.io("write", source))?;
        fs::rename(&temporary, &self.path).map_err(|source| self.io("replace", source))?;
        Ok(result)
    }

    fn owners(&self) -> Result<Owners, TokenFileError> {
        let version = self.version()?;
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, owners)) = loaded.as_ref().filter(|(seen, _)| *seen == version) {
            return Ok(Arc::clone(owners));
        }
        let mut owners = HashMap::<TokenHash, Owner>::new();
        for row in self.read()? {
            let Some(hash) = TokenHash::parse(&row.token) else { continue };
            let owner = Owner { developer: Some(row.developer), enabled: row.enabled };
            // A token that stands twice is disabled if either row says so.
            let known = owners.entry(hash).or_insert_with(|| owner.clone());
            known.enabled &= owner.enabled;
        }
        let owners = Arc::new(owners);
        *loaded = Some((version, Arc::clone(&owners)));
        Ok(owners)
    }

    fn version(&self) -> Result<Version, TokenFileError> {
        match fs::metadata(&self.path) {
            Ok(metadata) => Ok(Version {
                modified: metadata.modified().ok(),
                length: metadata.len(),
                #[cfg(unix)]
                inode: std::os::unix::fs::MetadataExt::ino(&metadata),
                #[cfg(not(unix))]
                inode: 0,
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Version { modified: None, length: 0, inode: 0 })
            }
            Err(source) => Err(self.io("read", source)),
        }
    }

    fn io(&self, action: &'static str, source: io::Error) -> TokenFileError {
        TokenFileError::Io { action, path: self.path.clone(), source }
    }
}

impl TokenStore for TokenFile {
    fn look_up<'a>(
        &'a self,
        _: &'a Secret,
        hash: TokenHash,
    ) -> BoxFuture<'a, Result<Option<Owner>, LookUpFailed>> {
        let owners = self
            .owners()
            .map_err(|error| LookUpFailed(format!("{:#}", anyhow::Error::from(error))));
        Box::pin(ready(owners.map(|owners| owners.get(&hash).cloned())))
    }
}

impl TokenRegister for TokenFile {
    fn ready(&self) -> BoxFuture<'_, Result<Option<usize>, RegisterError>> {
        let rows = self.read().map_err(RegisterError::from);
        let enabled = rows.map(|rows| Some(rows.iter().filter(|row| row.enabled).count()));
        Box::pin(ready(enabled))
    }

    fn rows(&self) -> BoxFuture<'_, Result<Vec<TokenRow>, RegisterError>> {
        let rows = self.read().map(|rows| rows.iter().map(TokenRow::from).collect());
        Box::pin(ready(rows.map_err(RegisterError::from)))
    }

    fn add(&self, row: TokenRow) -> BoxFuture<'_, Result<(), RegisterError>> {
        let token = row.stored.key().expose().to_owned();
        let id = row.token_id().unwrap_or_default();
        let row = FileRow {
            token,
            developer: row.developer.unwrap_or_default(),
            enabled: row.enabled,
            created_at: row.created_at.unwrap_or_default(),
        };
        let added = self.change(|rows| {
            let is_new = rows.iter().all(|other| other.token != row.token);
            rows.extend(is_new.then_some(row));
            is_new
        });
        let added = added.map_err(RegisterError::from);
        Box::pin(ready(
            added.and_then(|is_new| if is_new { Ok(()) } else { Err(RegisterError::Exists(id)) }),
        ))
    }

    fn set_enabled<'a>(
        &'a self,
        is_meant: &'a (dyn Fn(&TokenRow) -> bool + Sync),
        enabled: bool,
    ) -> BoxFuture<'a, Result<usize, RegisterError>> {
        let changed = self.change(|rows| {
            let meant = rows.iter_mut().filter(|row| is_meant(&TokenRow::from(&**row)));
            meant.map(|row| row.enabled = enabled).count()
        });
        Box::pin(ready(changed.map_err(RegisterError::from)))
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn takes_effect(&self) -> String {
        "with its next request".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(token: &str, developer: &str, enabled: bool) -> FileRow {
        let token = TokenHash::of(token).to_string();
        let created_at = "2026-11-22T00:00:00Z".to_owned();
        FileRow { token, developer: developer.to_owned(), enabled, created_at }
    }

    async fn look_up(store: &TokenFile, token: &str) -> Result<Option<Owner>, LookUpFailed> {
        store.look_up(&Secret::new(token), TokenHash::of(token)).await
    }

    #[tokio::test]
    async fn a_change_of_the_file_is_seen_by_the_next_look_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = TokenFile::new(&folder.path().join("deep/tokens.json"));
        assert_eq!(look_up(&store, "a").await, Ok(None), "no file is no token");
        store.change(|rows| rows.push(row("a", "dev-01", true))).expect("writable");
        let owner = Owner { developer: Some("dev-01".to_owned()), enabled: true };
        assert_eq!(look_up(&store, "a").await, Ok(Some(owner.clone())));
        store.change(|rows| rows[0].enabled = false).expect("writable");
        let owner = Owner { enabled: false, ..owner };
        assert_eq!(look_up(&store, "a").await, Ok(Some(owner)), "still known, for the log");
        assert_eq!(look_up(&store, "b").await, Ok(None));
    }

    #[tokio::test]
    async fn a_broken_file_is_a_failed_look_up_and_not_an_unknown_token() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tokens.json");
        fs::write(&path, "not json").expect("writable");
        assert!(look_up(&TokenFile::new(&path), "a").await.is_err());
    }

    #[tokio::test]
    async fn of_two_rows_for_one_token_the_disabled_one_wins() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = TokenFile::new(&folder.path().join("tokens.json"));
        let rows = [row("a", "dev-01", true), row("a", "dev-01", false)];
        store.change(|all| all.extend(rows)).expect("writable");
        let owner = look_up(&store, "a").await.expect("readable");
        assert_eq!(owner.map(|o| o.enabled), Some(false));
    }
}
