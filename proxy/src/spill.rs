//! The last copy of a record that the log refused for good: on stdout, which Lambda hands to
//! CloudWatch Logs, as [`schemas::spill`] writes it.

use std::io;

use crate::encode::LogObject;
use crate::log::Refuge;
use crate::stdout::Lines;

/// Spills records to stdout.
pub struct Spill(pub Lines);

impl Refuge for Spill {
    fn keep(&self, object: &LogObject) -> io::Result<()> {
        self.0.say_all(schemas::spill::lines(&object.key, &object.bytes))
    }
}
