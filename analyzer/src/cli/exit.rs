//! How a command ends: one meaning per code, the same for every command.

use std::process::ExitCode;

/// The table, as `--help` prints it.
pub(super) const TABLE: &str = "\
Exit codes:
  0  a verdict was given, or all is well
  1  unknown, or nothing found
  2  the command line is wrong
  3  source or AWS unreachable, missing, or not allowed; a deployment that was named does not exist
  4  partial data: some logs could not be read, or what was asked of a named deployment was not seen
     and could change the answer
  5  unhealthy, or a --fail-on was met";

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// A verdict was given, or all is well.
    Answered = 0,
    /// Nothing was found, or nothing decides.
    Unknown = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The source cannot be used.
    Unreachable = 3,
    /// Some logs could not be read, or a right is missing.
    Partial = 4,
    /// What was checked is not well.
    Unhealthy = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
