//! One answer, three forms: text for a terminal, Markdown for chats and tickets, JSON for programs.

mod clock;
mod unseen;
mod exchange;
mod json;
mod lines;
mod markdown;
mod page;
mod text;
mod triage;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use schemas::origin::Origin;
use schemas::symptom::Symptom;

use crate::aws::cloudwatch::{Observed, Sum};
use crate::logs::classify::Exchange;
use crate::text::recognise::Recognised;
use crate::verdict::Verdict;
use crate::verdict::evidence::Evidence;
use crate::window::Window;

pub use exchange::{Line, duration};
pub use json::{JsonAnswer, render as to_json, schema};
pub use lines::printable;
pub use markdown::{render as to_markdown, render_list as list_in_markdown};
pub use page::render_page;
pub use text::{render as to_text, render_list};
pub use triage::{
    Paint, page_schema, page_tables, page_to_html, page_to_json, page_to_markdown, page_to_text,
};

/// Everything that an answer says.
#[derive(Debug)]
pub struct Answer {
    /// The text as it was given.
    pub query: String,
    /// What it was taken for.
    pub recognised: Recognised,
    /// What the logs say; `None` without a source.
    pub evidence: Option<Evidence>,
    /// What AWS saw; `None` where it was not asked.
    pub observed: Option<Observed>,
    /// Whether every request is accounted for.
    pub sum: Option<Sum>,
    /// Why the logs could not be looked at, where there is a source of them.
    pub blocked: Option<String>,
    /// Whose failure it was.
    pub verdict: Verdict,
    /// Which time was looked at.
    pub window: Window,
    /// The zone of whoever asks.
    pub zone: TimeZone,
    /// When it was asked.
    pub now: Timestamp,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// A limit on reading was given and reached.
    pub capped: bool,
}

impl Answer {
    fn symptom(&self) -> Option<&'static Symptom> {
        self.recognised.symptom
    }

    /// Who wrote the words: known by the text, else by the logs, if all that match say them.
    fn author(&self) -> Option<Origin> {
        let logged = || {
            let matches = &self.evidence.as_ref()?.matches;
            let wanted = &self.recognised.wanted;
            let first = matches.first()?.error.as_ref()?.origin;
            let says = |exchange: &Exchange| {
                let is_of_first = exchange.error.as_ref().is_some_and(|it| it.origin == first);
                is_of_first && wanted.is_said_in(&exchange.searched)
            };
            matches.iter().all(says).then_some(first)
        };
        self.recognised.author.or_else(|| logged().filter(|_| self.recognised.other.is_none()))
    }

    /// Tells whether matches came in the last minutes, and the window ends now.
    fn is_ongoing(&self) -> bool {
        let recent = self.evidence.as_ref().is_some_and(|evidence| evidence.recent.0 > 0);
        recent && self.window.until >= self.now
    }

    /// The window that was asked about, without the future, which is only there for clocks that are
    /// ahead.
    fn asked_about(&self) -> Window {
        self.window.up_to(self.now)
    }

    /// The time whose logs were looked at: that window, or the hours of the ids in the text.
    fn looked_at(&self) -> Window {
        let by_id = self.evidence.as_ref().and_then(|evidence| evidence.looked.as_ref());
        by_id.unwrap_or(&self.window).up_to(self.now)
    }
}
