//! The ability to say whose token it is.

use futures::future::BoxFuture;

use super::format::TokenHash;
use crate::secret::Secret;

/// Whose token it is, and whether it may still be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The developer's name; `None` where an old row does not say.
    pub developer: Option<String>,
    /// False once the token was disabled; its owner is still known, for the log.
    pub enabled: bool,
}

/// The store did not answer, which says nothing about the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("token lookup failed: {0}")]
pub struct LookUpFailed(pub String);

/// Says whose token it is.
pub trait TokenStore: Send + Sync {
    /// Looks a presented token up; `None` when nobody owns it. `hash` is the token's: most rows are
    /// kept under it, old ones under the token itself.
    fn look_up<'a>(
        &'a self,
        token: &'a Secret,
        hash: TokenHash,
    ) -> BoxFuture<'a, Result<Option<Owner>, LookUpFailed>>;
}
