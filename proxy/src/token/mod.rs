//! Tokens: their format, their hash, and the stores that know whose they are.
//!
//! A new token is `cpt_`, 30 random characters and a checksum of 6, so that scanners find leaked
//! ones and typos can be told from strangers. Only its SHA-256 is ever stored: in a file for a local
//! server, in a DynamoDB table (behind a short-lived cache) for a team's.

mod cache;
mod dynamodb;
mod file;
mod format;
mod place;
mod register;
mod store;

pub use cache::{CachedTokens, TTL};
pub use dynamodb::{DynamoDbTokens, TableError};
pub use file::{TokenFile, TokenFileError};
pub use format::{
    LONGEST, PREFIX, TOKEN_LENGTH, TokenHash, checksum_holds, fault, generate, is_like_a_hash,
};
pub use place::TokenPlace;
pub use register::{RegisterError, StoredAs, TokenRegister, TokenRow};
pub use store::{LookUpFailed, Owner, TokenStore};
