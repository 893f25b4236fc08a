//! The last copy of a record that the log refused for good: on stdout, which Lambda hands to
//! CloudWatch Logs, as [`schemas::spill`] writes it.

use std::io;

use crate::encode::LogObject;
use crate::stdout::Lines;

/// Writes an object to stdout, and blocks until it is there.
///
/// # Errors
///
/// When stdout cannot be written to.
pub fn spill(object: &LogObject, lines: &Lines) -> io::Result<()> {
    lines.say_all(schemas::spill::lines(&object.key, &object.bytes))
}
