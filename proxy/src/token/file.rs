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
use super::store::{LookUpFailed, Owner, TokenStore};

/// One token, as the file holds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenRow {
    /// `sha256:` and 64 hex digits.
    pub token: String,
    /// Whose it is.
    pub developer: String,
    /// Whether it may be used.
    pub enabled: bool,
    /// When it was made, RFC 3339.
    pub created_at: String,
}

#[derive(Default, Serialize, Deserialize)]
struct Content {
    tokens: Vec<TokenRow>,
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

    /// Returns where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads every token; none when the file does not exist.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is not a token file.
    pub fn rows(&self) -> Result<Vec<TokenRow>, TokenFileError> {
        let text = match fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.map_err(|source| self.io("read", source))?,
        };
        let content: Content = serde_json::from_slice(&text).map_err(|error| {
            TokenFileError::Format { path: self.path.clone(), line: error.line() }
        })?;
        Ok(content.tokens)
    }

    /// Changes the tokens under the file's lock. `change` says whether to write.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, locked or replaced; it is then as it was.
    pub fn change<T>(
        &self,
        change: impl FnOnce(&mut Vec<TokenRow>) -> T,
    ) -> Result<T, TokenFileError> {
        let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new("."));
        fs::create_dir_all(folder).map_err(|source| self.io("create the folder of", source))?;
        let lock_path = self.path.with_extension("lock");
        let lock = File::create(&lock_path).map_err(|source| self.io("lock", source))?;
        lock.lock().map_err(|source| self.io("lock", source))?;

        let mut content = Content { tokens: self.rows()? };
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
        for row in self.rows()? {
            let Some(hash) = TokenHash::parse(&row.token) else { continue };
            let owner = Owner { developer: row.developer, enabled: row.enabled };
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
    fn look_up(&self, hash: TokenHash) -> BoxFuture<'_, Result<Option<Owner>, LookUpFailed>> {
        let owners = self
            .owners()
            .map_err(|error| LookUpFailed(format!("{:#}", anyhow::Error::from(error))));
        Box::pin(ready(owners.map(|owners| owners.get(&hash).cloned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(token: &str, developer: &str, enabled: bool) -> TokenRow {
        let token = TokenHash::of(token).to_string();
        let created_at = "2026-11-22T00:00:00Z".to_owned();
        TokenRow { token, developer: developer.to_owned(), enabled, created_at }
    }

    #[tokio::test]
    async fn a_change_of_the_file_is_seen_by_the_next_look_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = TokenFile::new(&folder.path().join("deep/tokens.json"));
        let look_up = async |token| store.look_up(TokenHash::of(token)).await.expect("readable");
        assert_eq!(look_up("a").await, None, "no file is no token");
        store.change(|rows| rows.push(row("a", "dev-01", true))).expect("writable");
        let owner = look_up("a").await.expect("known");
        assert_eq!((owner.developer.as_str(), owner.enabled), ("dev-01", true));
        store.change(|rows| rows[0].enabled = false).expect("writable");
        assert!(!look_up("a").await.expect("still known, for the log").enabled);
        assert_eq!(look_up("b").await, None);
    }

    #[tokio::test]
    async fn a_broken_file_is_a_failed_look_up_and_not_an_unknown_token() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tokens.json");
        fs::write(&path, "not json").expect("writable");
        assert!(TokenFile::new(&path).look_up(TokenHash::of("a")).await.is_err());
    }

    #[tokio::test]
    async fn of_two_rows_for_one_token_the_disabled_one_wins() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = TokenFile::new(&folder.path().join("tokens.json"));
        let rows = [row("a", "dev-01", true), row("a", "dev-01", false)];
        store.change(|all| all.extend(rows)).expect("writable");
        let owner = store.look_up(TokenHash::of("a")).await.expect("readable");
        assert_eq!(owner.map(|o| o.enabled), Some(false));
    }
}
