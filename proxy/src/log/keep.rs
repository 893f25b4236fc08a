//! What becomes of a record that the sink refuses.

use std::io;
use std::sync::Arc;

use crate::encode::LogObject;
use crate::spool::Spool;

/// Where a record goes that the sink refuses.
pub enum Keep {
    /// Nowhere: it is lost, which is said.
    Nowhere,
    /// It stays in the spool until the sink takes it.
    Spool(Arc<Spool>),
    /// Somewhere else, once.
    Refuge(Arc<dyn Refuge>),
}

/// Keeps a record that the sink refused, where somebody can bring it back from.
pub trait Refuge: Send + Sync {
    /// Keeps key and bytes as they are.
    ///
    /// # Errors
    ///
    /// When it cannot: the record is lost then.
    fn keep(&self, object: &LogObject) -> io::Result<()>;
}

/// How many records are not where they belong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unwritten {
    /// Nobody has them.
    pub lost: u64,
    /// They are in the spool, and the next start brings them.
    pub waiting: u64,
}
