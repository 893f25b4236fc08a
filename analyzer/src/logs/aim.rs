//! What logs are read for: which of them may matter, how much of each is needed, and when it is enough.

use crate::logs::classify::Exchange;
use crate::logs::needle::Prefilter;
use crate::logs::queue::Numbered;
use crate::logs::source::Part;
use crate::logs::understand::Understanding;

/// The beginning of an object that holds the small fields of its record.
const HEAD: u64 = 16 << 10;
/// Of an object larger than this the beginning is asked for first, where that may be enough.
const LARGE: u64 = 64 << 10;
/// The beginning that holds them packed, as the proxy packs them: 1 to 2 KB mostly.
const SMALL_FIELDS: u64 = 4 << 10;
/// Logs that are classified whatever they hold: they tell what kind of proxy wrote the rest.
pub(super) const SAMPLE: u64 = 8;

/// Tells whether an exchange is the one that was looked for.
pub type Wanted = Box<dyn Fn(&Exchange) -> bool + Send + Sync>;

/// How much of each log is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// What stands before the body, of every log; the body only where that does not tell the outcome.
    SmallFields,
    /// Whatever decides whether it matters.
    Body,
}

/// What is read for.
pub struct Aim {
    /// How much of each log is needed.
    pub needs: Needs,
    /// Which logs may matter.
    pub prefilter: Prefilter,
    /// Folded words that a success may quote; empty for none.
    pub words: String,
    /// Reading ends with the first exchange, in the order of the logs, that is wanted.
    pub until: Option<Wanted>,
}

impl Aim {
    /// Reads the small fields of every log.
    #[must_use]
    pub fn small_fields() -> Self {
        Self {
            needs: Needs::SmallFields,
            prefilter: Prefilter::everything(),
            words: String::new(),
            until: None,
        }
    }

    /// Returns how much of a log is asked for first.
    pub(super) fn part(&self, (number, entry): &Numbered) -> Part {
        match self.needs {
            Needs::SmallFields => Part::Head(SMALL_FIELDS),
            Needs::Body => {
                let head = Understanding::needs_only_head(&self.prefilter, entry)
                    && *number >= SAMPLE
                    && entry.bytes > LARGE;
                if head { Part::Head(HEAD) } else { Part::Whole }
            }
        }
    }
}
