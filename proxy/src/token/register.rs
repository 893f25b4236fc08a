//! The ability to administer tokens, which `codex-proxy token` needs and a server does not.

use futures::future::BoxFuture;

use super::dynamodb::TableError;
use super::file::TokenFileError;
use super::format::{TokenHash, fault, is_like_a_hash};
use super::store::TokenStore;
use crate::secret::Secret;

/// What a row is kept under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredAs {
    /// The token's hash.
    Hash(TokenHash),
    /// The token itself, as before hashing.
    Plain(Secret),
    /// Something that no token can match.
    Unusable(Secret),
}

impl StoredAs {
    /// Reads the key of a row, of a store that may hold old rows.
    #[must_use]
    pub fn parse(key: &str) -> Self {
        match TokenHash::parse(key) {
            Some(hash) => Self::Hash(hash),
            None if is_like_a_hash(key) || fault(key).is_some() => Self::Unusable(Secret::new(key)),
            None => Self::Plain(Secret::new(key)),
        }
    }

    /// Returns the key of the row; a secret, unless it is a hash.
    #[must_use]
    pub fn key(&self) -> Secret {
        match self {
            Self::Hash(hash) => Secret::new(&hash.to_string()),
            Self::Plain(key) | Self::Unusable(key) => key.clone(),
        }
    }
}

/// One row of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// What it is kept under.
    pub stored: StoredAs,
    /// Whose it is; `None` where an old row does not say.
    pub developer: Option<String>,
    /// Whether it may be used.
    pub enabled: bool,
    /// When it was made, RFC 3339; `None` where an old row does not say.
    pub created_at: Option<String>,
}

impl TokenRow {
    /// Returns the id that logs show of this row's token; `None` for a row that none can match.
    #[must_use]
    pub fn token_id(&self) -> Option<String> {
        match &self.stored {
            StoredAs::Hash(hash) => Some(hash.token_id()),
            StoredAs::Plain(token) => Some(TokenHash::of(token.expose()).token_id()),
            StoredAs::Unusable(_) => None,
        }
    }
}

/// A store could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The file.
    #[error(transparent)]
    File(#[from] TokenFileError),
    /// The table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A token with this hash is there already.
    #[error("a token with the id {0} exists already")]
    Exists(String),
    /// Some of several rows were changed, and the others were not.
    #[error("only {changed} of {meant} rows were changed")]
    Partly {
        /// Rows that are as they should be.
        changed: usize,
        /// Rows that should be.
        meant: usize,
        /// What went wrong first.
        source: Box<TableError>,
    },
}

impl RegisterError {
    /// Returns what to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File(_) => None,
            Self::Table(error) => error.hint(),
            Self::Exists(_) => Some("nothing was changed; run it again for another one".to_owned()),
            Self::Partly { .. } => Some("run it again until it succeeds".to_owned()),
        }
    }
}

/// Lists, adds and switches tokens.
pub trait TokenRegister: TokenStore {
    /// Makes sure that look-ups work, and counts the enabled tokens where that is cheap.
    fn ready(&self) -> BoxFuture<'_, Result<Option<usize>, RegisterError>>;

    /// Returns every row, in no order.
    fn rows(&self) -> BoxFuture<'_, Result<Vec<TokenRow>, RegisterError>>;

    /// Adds a row; a row of the same token is never overwritten.
    fn add(&self, row: TokenRow) -> BoxFuture<'_, Result<(), RegisterError>>;

    /// Enables or disables the rows that are meant, and leaves all else in them as it is. Returns
    /// how many were meant.
    fn set_enabled<'a>(
        &'a self,
        is_meant: &'a (dyn Fn(&TokenRow) -> bool + Sync),
        enabled: bool,
    ) -> BoxFuture<'a, Result<usize, RegisterError>>;

    /// Returns where the tokens are kept, for people.
    fn place(&self) -> String;

    /// Returns when a running server obeys a change, for people.
    fn takes_effect(&self) -> String;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_kept_under_a_hash_under_a_token_or_under_nothing_usable() {
        let hash = TokenHash::of("abc");
        assert_eq!(StoredAs::parse(&hash.to_string()), StoredAs::Hash(hash));
        assert_eq!(StoredAs::parse("abc"), StoredAs::Plain(Secret::new("abc")));
        let upper = hash.to_string().to_uppercase();
        for unusable in ["", "a b", "sha256:12", &upper, "cpt_typo", &"x".repeat(513)] {
            assert!(matches!(StoredAs::parse(unusable), StoredAs::Unusable(_)), "{unusable}");
            assert_eq!(StoredAs::parse(unusable).key().expose(), unusable);
        }
    }
}
