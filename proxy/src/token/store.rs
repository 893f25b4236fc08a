//! The ability to say whose token it is.

use futures::future::BoxFuture;

use super::format::TokenHash;

/// Whose token it is, and whether it may still be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The developer's name.
    pub developer: String,
    /// False once the token was disabled; its owner is still known, for the log.
    pub enabled: bool,
}

/// The store did not answer, which says nothing about the token.
#[derive(Debug, thiserror::Error)]
#[error("token lookup failed: {0}")]
pub struct LookUpFailed(pub String);

/// Says whose token it is.
pub trait TokenStore: Send + Sync {
    /// Looks a token up by its hash; `None` when nobody owns it.
    fn look_up(&self, hash: TokenHash) -> BoxFuture<'_, Result<Option<Owner>, LookUpFailed>>;
}
