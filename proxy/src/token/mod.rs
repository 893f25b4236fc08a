//! Tokens: their format, their hash, and the stores that know whose they are.
//!
//! A new token is `cpt_`, 30 random characters and a checksum of 6, so that scanners find leaked
//! ones and typos can be told from strangers. Only its SHA-256 is ever stored.

mod file;
mod format;
mod store;

pub use file::{TokenFile, TokenFileError, TokenRow};
pub use format::{PREFIX, TOKEN_LENGTH, TokenHash, checksum_holds, generate};
pub use store::{LookUpFailed, Owner, TokenStore};
