//! What a text proves, as the other stages take it: who wrote it, and what the logs are searched for.

use regex::Captures;
use schemas::catalogue::ErrorCode;
use schemas::origin::Origin;
use schemas::symptom::{Condition, Symptom};

use crate::text::elsewhere::Other;
use crate::text::fold::squeeze;
use crate::text::ids::{Host, Moment};

/// Fewer words than this, which nobody is known to print, many errors say by chance.
const FEWEST_WORDS: usize = 4;

/// What was recognised in a text.
#[derive(Clone, Debug)]
pub struct Recognised {
    /// The text, folded.
    pub folded: String,
    /// The row of the catalogue.
    pub symptom: Option<&'static Symptom>,
    /// The proxy's own error that the text carries.
    pub ours: Option<ErrorCode>,
    /// Who wrote the words; `None` where nothing tells.
    pub author: Option<Origin>,
    /// What to search the logs for.
    pub wanted: Wanted,
    /// Ids of an answer that the text carries, as they stand in it.
    pub ids: Vec<String>,
    /// Those of them that are Lambda's: they say nothing about who answered.
    pub lambda_ids: Vec<String>,
    /// Session that the text names.
    pub session: Option<String>,
    /// When it happened, if the text says so.
    pub at: Option<Moment>,
    /// Where the request went, if the text says so.
    pub host: Option<Host>,
    /// What the text says of an id that it does not have.
    pub id: Id,
    /// The text carries an error of OpenAI's shape that is not the proxy's.
    pub has_openai_body: bool,
    /// Whom it is about, if not this system.
    pub other: Option<Other>,
    /// How much of a known text it is.
    pub extent: Extent,
    /// How the proxy's messages stand in it.
    pub standing: Standing,
    /// It was printed by a client that shows no ids.
    pub by_old_client: bool,
}

/// How much of a known text was pasted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// What tells it from others.
    Telling,
    /// The same inside other words: somebody may only tell of it.
    Told,
    /// No more than a piece of it.
    Piece,
}

/// What a text without an id says of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Id {
    /// Nothing: it has one, or would show none.
    Untold,
    /// There was none: the line is whole, and would show it.
    Missing,
    /// There was one, and it was cut off.
    CutOff,
}

/// How a message of the proxy's stands in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As an answer's, if there is one.
    Own,
    /// The text speaks of it, or of several.
    Named,
    /// As the words of a stream, to which the proxy adds none.
    InStream,
    /// It is none, but an error of the proxy's kind, as another version may have it.
    Kin,
}

impl Recognised {
    /// Tells whether the text is a whole line that would show an id if the answer had had one.
    #[must_use]
    pub fn would_show_id(&self) -> bool {
        self.id == Id::Missing
    }

    /// Tells whether the text is only a word or two that many errors say, or a bare status, which any
    /// program prints of anything.
    pub(crate) fn is_vague(&self) -> bool {
        let is_bare = self.symptom.is_some_and(|s| s.proves == Condition::StatusAlone);
        let is_known = (self.symptom.is_some() && self.extent != Extent::Piece && !is_bare)
            || self.ours.is_some();
        !is_known && (is_bare || self.folded.split(' ').count() < FEWEST_WORDS)
    }

    /// Tells whether an id in the text is not the proxy's, and so OpenAI's or its edge's.
    pub(crate) fn has_foreign_id(&self) -> bool {
        let is_foreign = |id: &&String| !id.starts_with("cpx_") && !self.lambda_ids.contains(id);
        self.ids.iter().any(|id| is_foreign(&id))
    }

    /// Tells whether an id in the text is the proxy's.
    pub(crate) fn has_our_id(&self) -> bool {
        self.ids.iter().any(|id| id.starts_with("cpx_"))
    }
}

/// What to search the logs for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// One of these statuses.
    pub statuses: Vec<u16>,
    /// One of these error codes.
    pub codes: Vec<String>,
    /// A stream that ended like this.
    pub ending: Option<StreamEnding>,
    /// Folded words of an error text; empty for none.
    pub words: String,
    /// The words must be there too; otherwise they are another way to match.
    pub words_required: bool,
    /// Only an answer without any words of its own will do.
    pub without_words: bool,
    /// The words may be broken where no white space was.
    pub is_broken: bool,
}

/// What a text says of an answer.
pub(crate) enum Says {
    /// Nothing that could be looked for.
    Nothing,
    /// That it had no words.
    NoWords,
    /// These words, folded.
    Words(String),
}

impl Says {
    /// Of the words behind a status, else of the whole text.
    pub(crate) fn of(message: Option<String>, folded: &str) -> Self {
        match message {
            // The client's word for an empty body: in no log, and of no answer that had words.
            Some(said) if said == "unknown error" => Self::NoWords,
            Some(said) => Self::Words(said),
            None => Self::Words(folded.to_owned()),
        }
    }
}

impl Wanted {
    /// Wants the words of an answer, or that it had none.
    pub(crate) fn want_words(&mut self, says: Says, squeezed: &str) {
        match says {
            Says::Nothing => {}
            Says::NoWords => self.without_words = true,
            Says::Words(words) => self.words = words,
        }
        if squeezed.contains("(nobody)") {
            (self.without_words, self.words) = (true, String::new());
        }
        self.words_required &= !self.words.is_empty();
    }

    /// Tells whether a folded text says the words.
    pub(crate) fn is_said_in(&self, searched: &str) -> bool {
        !self.words.is_empty()
            && (searched.contains(&self.words)
                || (self.is_broken && squeeze(searched).contains(&squeeze(&self.words))))
    }
}

/// How a stream ended, as Codex sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEnding {
    /// Without a terminal event.
    NoTerminalEvent,
    /// In the middle of the body.
    BodyCut,
    /// In silence.
    Silence,
    /// In any way but a good one.
    Broken,
    /// As the words say.
    Said,
}

/// Bytes, squeezed, of what programs put before an error: a time, a name, "error".
const BEFORE_BYTES: usize = 60;

/// Tells how much of a known text a squeezed one is.
pub(crate) fn extent(is_piece: bool, captures: Option<&Captures<'_>>, squeezed: &str) -> Extent {
    let is_first = captures.and_then(|captures| captures.get(0)).is_some_and(|found| {
        // What stands before a body is what counts, not what the body says first.
        let before = &squeezed[..found.start()];
        let before = before.find('{').map_or(before, |at| &before[..at]);
        // JSON has its quotes, too, but no words before the first of them.
        let quote = before.find(['"', '\u{201c}', '\u{201d}']);
        let is_quoted = quote.is_some_and(|at| before[..at].chars().any(char::is_alphabetic));
        before.len() <= BEFORE_BYTES && !is_quoted
    });
    match (is_piece, is_first) {
        (true, _) => Extent::Piece,
        (false, true) => Extent::Telling,
        (false, false) => Extent::Told,
    }
}

/// Makes what a row wants searched for, with what its pattern took from the text.
pub(crate) fn wants(
    symptom: &Symptom,
    captures: Option<&Captures<'_>>,
    has_message: bool,
) -> Wanted {
    let group =
        |name: &str| captures.and_then(|captures| captures.name(name)).map(|found| found.as_str());
    let mut wanted = Wanted::default();
    match symptom.proves {
        Condition::Status(statuses) => wanted.statuses = statuses.to_vec(),
        Condition::StatusInText(unsaid) => {
            let said = group("status").and_then(|status| status.parse().ok());
            wanted.statuses = said.or(unsaid).into_iter().collect();
            wanted.words_required = has_message;
        }
        Condition::StatusAlone => {
            let said = group("status").and_then(|status| status.parse().ok());
            wanted.statuses = said.into_iter().collect();
        }
        Condition::Code(codes) => {
            wanted.codes = codes.iter().map(|&c| c.to_owned()).collect();
            // What Codex passes on behind words of its own is what the server said.
            wanted.words_required = has_message && symptom.author == Origin::Client;
        }
        Condition::CodeInText => {
            wanted.codes = group("code").map(str::to_owned).into_iter().collect();
        }
        Condition::NoTerminalEvent => wanted.ending = Some(StreamEnding::NoTerminalEvent),
        Condition::BodyCut => wanted.ending = Some(StreamEnding::BodyCut),
        Condition::Silence => wanted.ending = Some(StreamEnding::Silence),
        Condition::StreamBroken => wanted.ending = Some(StreamEnding::Broken),
        Condition::Words | Condition::NoAnswer | Condition::NothingSent => {}
    }
    wanted
}
