//! Where tokens are kept, as `--tokens` says it, and how a server and an administrator open it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use super::cache::CachedTokens;
use super::dynamodb::DynamoDbTokens;
use super::file::TokenFile;
use super::register::{RegisterError, TokenRegister};
use super::store::TokenStore;
use crate::clock::SystemClock;

/// `FILE` or `dynamodb://TABLE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenPlace {
    /// A file on this machine.
    File(PathBuf),
    /// A DynamoDB table.
    Table(String),
}

impl TokenPlace {
    /// Reads a place.
    ///
    /// # Errors
    ///
    /// A sentence about a table name that DynamoDB does not know, another scheme, or nothing at all.
    pub fn parse(text: OsString) -> Result<Self, String> {
        if text.is_empty() {
            return Err("token store `` is empty; expected FILE or dynamodb://TABLE".to_owned());
        }
        let Some((scheme, table)) = text.to_str().and_then(|text| text.split_once("://")) else {
            return Ok(Self::File(text.into()));
        };
        let wrong = |why| format!("token store `{scheme}://{table}` {why}");
        if scheme != "dynamodb" {
            return Err(wrong("is no kind of store; expected FILE or dynamodb://TABLE"));
        }
        let is_known = |c: u8| c.is_ascii_alphanumeric() || b"_.-".contains(&c);
        if !(3..=255).contains(&table.len()) || !table.bytes().all(is_known) {
            return Err(wrong("names no table: 3 to 255 letters, digits, `_`, `.`, `-`"));
        }
        Ok(Self::Table(table.to_owned()))
    }

    /// Opens the store for an administrator.
    ///
    /// # Errors
    ///
    /// When nothing says which region the table is in.
    pub async fn register(&self) -> Result<Arc<dyn TokenRegister>, RegisterError> {
        Ok(match self {
            Self::File(path) => Arc::new(TokenFile::new(path)),
            Self::Table(table) => Arc::new(DynamoDbTokens::open(table).await?),
        })
    }

    /// Puts before the store what a server needs: a cache where every look-up is a round trip.
    #[must_use]
    pub fn for_server(&self, register: Arc<dyn TokenRegister>) -> Arc<dyn TokenStore> {
        match self {
            Self::File(_) => register,
            Self::Table(_) => Arc::new(CachedTokens::new(register, Arc::new(SystemClock))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_file_or_a_table() {
        let parse = |text: &str| TokenPlace::parse(text.into());
        assert_eq!(parse("a/tokens.json"), Ok(TokenPlace::File("a/tokens.json".into())));
        assert_eq!(parse("C:\\tokens.json"), Ok(TokenPlace::File("C:\\tokens.json".into())));
        let table = "codex-proxy-tokens";
        assert_eq!(parse(&format!("dynamodb://{table}")), Ok(TokenPlace::Table(table.to_owned())));
        for text in ["", "dynamodb://", "dynamodb://a b c", "dynamodb://ab", "s3://bucket", "://"] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(text), "{error}");
        }
    }
}
