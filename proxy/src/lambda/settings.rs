//! Settings from Lambda's environment variables.
//!
//! A setting that is missing or wrong does not end the process: Lambda would start it over and over,
//! and answer in its own words. Its name goes into the log, and every request is answered
//! `internal error`, with a record like any other.

use std::sync::Arc;

use crate::clock::SystemClock;
use crate::handle::Proxy;
use crate::stdout::Lines;

/// Makes the proxy that the environment asks for.
pub(super) async fn proxy(
    _read: impl Fn(&str) -> Option<String>,
    _lines: &Lines,
) -> std::io::Result<Arc<Proxy>> {
    let _ = SystemClock;
    Err(std::io::Error::other("not yet"))
}
