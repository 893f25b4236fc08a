//! The real key: what it is, and the ability to have the one that is valid now.
//!
//! It comes from an environment variable ([`FixedKey`]) or from Secrets Manager
//! ([`SecretsManager`], kept fresh by [`RotatingKey`]). It leaves the process in one place only: as
//! the `authorization` of a request to the configured upstream.

mod rotating;
mod secrets_manager;

use futures::future::{BoxFuture, ready};
use http::HeaderValue;

use crate::aws::Trouble;
use crate::secret::Secret;

pub use rotating::{KeyVault, RotatingKey};
pub use secrets_manager::SecretsManager;

/// The real key, as the header that carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenAiKey {
    /// The key itself, to mask it where it leaks.
    pub key: Secret,
    /// `Bearer …`, marked as sensitive, so that `Debug` does not print it.
    pub authorization: HeaderValue,
}

impl OpenAiKey {
    /// Returns what stands where there is no key.
    #[must_use]
    pub fn none() -> Self {
        Self { key: Secret::new(""), authorization: HeaderValue::from_static("") }
    }

    /// Takes a key, without the white space that a pasted one tends to end with.
    ///
    /// # Errors
    ///
    /// A sentence about what is wrong with it, without the key.
    pub fn parse(key: &str) -> Result<Self, String> {
        let key = key.trim();
        if key.is_empty() {
            return Err("the OpenAI key is empty".to_owned());
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("the OpenAI key has a space or a character that no key has".to_owned());
        }
        let mut authorization = HeaderValue::try_from(format!("Bearer {key}"))
            .map_err(|_| "the OpenAI key cannot stand in a header".to_owned())?;
        authorization.set_sensitive(true);
        Ok(Self { key: Secret::new(key), authorization })
    }
}

/// Tells whether a text that should name a secret holds a key instead, which nothing may repeat. No
/// name of a secret has these in it.
#[must_use]
pub fn looks_like_a_key(name: &str) -> bool {
    let name = name.trim();
    name.contains("sk-") || name.contains(|c: char| c.is_whitespace() || "{}\"".contains(c))
}

/// There is no key to be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyUnavailable {
    /// Secrets Manager did not hand the secret out.
    #[error("cannot read secret `{secret}` in {region}: {trouble}")]
    Fetch {
        /// Name or ARN.
        secret: String,
        /// Where it was looked for.
        region: String,
        /// Why not.
        trouble: Trouble,
    },
    /// The secret is there, and holds no key.
    #[error("secret `{secret}` holds no usable key: {reason}")]
    Content {
        /// Name or ARN.
        secret: String,
        /// What is wrong with it; nothing of what stands in it.
        reason: String,
    },
}

impl KeyUnavailable {
    /// Tells whether only an operator can help.
    #[must_use]
    pub fn needs_operator(&self) -> bool {
        match self {
            Self::Fetch { trouble, .. } => trouble.needs_operator(),
            Self::Content { .. } => true,
        }
    }

    /// Returns what to do about it; `None` where trying again is all.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Fetch { secret, region, trouble: Trouble::Missing(_) } => Some(format!(
                "put the key alone into a file, then: aws secretsmanager create-secret --region \
                 {region} --name {secret} --secret-string file://FILE"
            )),
            Self::Fetch { secret, trouble: Trouble::Denied(_), .. } => Some(format!(
                "the role or user needs `secretsmanager:GetSecretValue` on `{secret}` (and \
                 `kms:Decrypt` where the secret has a KMS key of its own)"
            )),
            Self::Fetch { trouble, .. } => trouble.hint(),
            Self::Content { .. } => Some(
                "store the key alone, or as {\"OPENAI_API_KEY\": \"...\"}: aws secretsmanager \
                 put-secret-value"
                    .to_owned(),
            ),
        }
    }
}

/// Has the key that is valid now.
pub trait KeySource: Send + Sync {
    /// Returns the key to send. Waits for the network only while there is none at all.
    fn current(&self) -> BoxFuture<'_, Result<OpenAiKey, KeyUnavailable>>;

    /// Takes note that OpenAI said this key is bad. Returns at once.
    fn refused(&self, key: &OpenAiKey);

    /// Waits until no fetch is under way: a process that freezes in the middle of one would find its
    /// connection dead.
    fn settled(&self) -> BoxFuture<'_, ()>;

    /// Returns the keys that a log must not hold: the present one, and the one before it.
    fn known(&self) -> Vec<Secret>;
}

/// A key that never changes while the process lives: the environment's.
pub struct FixedKey(pub OpenAiKey);

impl KeySource for FixedKey {
    fn current(&self) -> BoxFuture<'_, Result<OpenAiKey, KeyUnavailable>> {
        Box::pin(ready(Ok(self.0.clone())))
    }

    fn refused(&self, _: &OpenAiKey) {}

    fn settled(&self) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }

    fn known(&self) -> Vec<Secret> {
        vec![self.0.key.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_trimmed_checked_and_never_printed() {
        let key = OpenAiKey::parse(" sk-canary\r\n").expect("a good key");
        assert_eq!(key.key.expose(), "sk-canary");
        assert!(!format!("{key:?}").contains("canary"));
        for bad in ["", "  \n", "sk a", "sk-é"] {
            let error = OpenAiKey::parse(bad).expect_err("a bad key");
            assert!(bad.trim().is_empty() || !error.contains(bad), "{error}");
        }
    }
}
