//! From what a developer pastes to what it proves.
//!
//! In comes a paste; out go the row of the symptom catalogue, who wrote the words, and what the logs
//! are to be searched for. Of several errors in one paste the last counts that only one program
//! prints: what other tools said later is not what is asked about.

mod conclude;

use std::sync::LazyLock;

use regex::Regex;
use regex::bytes::{RegexSet, RegexSetBuilder};
use schemas::catalogue::ErrorCode;
use schemas::origin::Origin;
use schemas::symptom::{self, Alone, Breadth, Condition};

use crate::text::fold::{Squeezed, fold};
use crate::text::ids::FEW_PIECES;
use crate::text::ours;
use crate::text::paste::{self, Body, Mark, Paste, Piece};
use crate::text::row::{Fragment, Row, SHORTEST_PIECE, without_spaces};
use crate::text::wanted::wants;
pub use crate::text::wanted::{Extent, Id, Recognised, Standing, StreamEnding, Wanted};
use conclude::by_lambda;

/// A message longer than this may have been cut by the client.
const CUT_BYTES: usize = 500;

/// How Codex begins to tell of a stream that began well, squeezed.
const STREAM: &str = "streamdisconnectedbeforecompletion:";

/// The row of headers that tell of Lambda where the proxy's mark is missing.
const LAMBDA_HEADER: &str = "header_of_lambda";

/// The row of pages that companies' gateways write.
const GATEWAY_PAGE: &str = "network_page";

/// Recognises a text.
#[must_use]
pub fn recognise(text: &str) -> Recognised {
    static RULES: LazyLock<Rules> = LazyLock::new(Rules::new);
    RULES.recognise(text)
}

struct Rules {
    set: RegexSet,
    rows: Vec<Row>,
    /// Where the words of a server end within a line of Codex, squeezed.
    tail: Regex,
    /// How Codex wraps an answer that it has no words of its own for, squeezed.
    wrapper: Regex,
}

/// One piece of a paste, and what was found in it.
struct Reading<'a> {
    piece: &'a Piece,
    folded: String,
    squeezed: Squeezed,
    body: Option<Body>,
    /// Index of the row.
    row: Option<usize>,
    is_piece: bool,
    ours: Option<ErrorCode>,
    /// What a server said, folded.
    message: Option<String>,
}

impl Reading<'_> {
    /// Tells how well a piece is known: by a text of its own, by one that many print, or not.
    fn known(&self, rows: &[Row]) -> Known {
        let breadth = self.row.map(|row| rows[row].symptom.breadth);
        match breadth {
            _ if self.ours.is_some() => Known::Own,
            Some(Breadth::Own) if !self.is_piece => Known::Own,
            Some(_) => Known::Common,
            None if self.body.is_some() => Known::Common,
            None => Known::Not,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    Not,
    Common,
    Own,
}

impl Rules {
    fn new() -> Self {
        let regex = |pattern: &str| Regex::new(pattern).expect("tested with the catalogue");
        let set = RegexSetBuilder::new(symptom::catalogue().map(without_spaces))
            // Of bytes, which halves the time to build it: no pattern needs more.
            .unicode(false)
            .size_limit(64 << 20)
            .dfa_size_limit(64 << 20)
            .build();
        Self {
            set: set.expect("tested with the catalogue"),
            rows: symptom::catalogue().map(Row::of).collect(),
            wrapper: regex(r"unexpectedstatus(?<status>[0-9]{3})[^:0-9]*:(?<message>.+)"),
            tail: regex(
                r",?(?:url:(?:https?|wss?)://|cf-ray:|requestid:|autherror(?:code)?:).*$|;retrying[0-9]+/[0-9]+.*$",
            ),
        }
    }

    fn recognise(&self, text: &str) -> Recognised {
        let paste = paste::read(text);
        let words: Vec<_> = paste.pieces.iter().map(|piece| &*piece.words).collect();
        let whole = Piece::new(Mark::None, words.join("\n"));
        let mut reading = self.choose(&paste, &whole);
        if let Some(traced) = self.traced(&paste, &reading) {
            reading = traced;
        }
        self.conclude(reading, &paste, &whole)
    }

    /// Chooses the piece that the developer is left with.
    fn choose<'a>(&self, paste: &'a Paste, whole: &'a Piece) -> Reading<'a> {
        let mut common = None;
        let mut last_marked: Option<Reading<'a>> = None;
        let mut last = None;
        for piece in paste.pieces.iter().rev() {
            // Above an error that Codex itself marked, talk about errors is only talk.
            let is_talk = piece.mark == Mark::None
                && last_marked.as_ref().is_some_and(|marked| marked.piece.mark == Mark::Sign);
            if is_talk {
                continue;
            }
            let reading = self.read(piece);
            match reading.known(&self.rows) {
                Known::Own => return reading,
                Known::Common if common.is_none() => common = Some(reading),
                Known::Not if piece.mark != Mark::None && last_marked.is_none() => {
                    last_marked = Some(reading);
                }
                Known::Not if last.is_none() => last = Some(reading),
                Known::Common | Known::Not => {}
            }
        }
        // A terminal may have broken a line where it looks like the beginning of another.
        let is_split = (2..FEW_PIECES).contains(&paste.pieces.len());
        let at_once = is_split.then(|| self.read(whole));
        let at_once = at_once.filter(|reading| reading.known(&self.rows) == Known::Own);
        // What only the developer's machine says above an error that nobody knows is another matter.
        let is_aside = |reading: &Reading<'_>| {
            let row = reading.row.map(|row| self.rows[row].symptom.proves);
            last_marked.is_some() && row == Some(Condition::NothingSent)
        };
        let common = common.filter(|reading| !is_aside(reading));
        let chosen = at_once.or(common).or(last_marked).or(last);
        chosen.unwrap_or_else(|| self.read(whole))
    }

    /// Some versions trace the answer whose words their error hides on a line before it.
    fn traced<'a>(&self, paste: &'a Paste, chosen: &Reading<'_>) -> Option<Reading<'a>> {
        let symptom = self.rows[chosen.row?].symptom;
        let hides_words = symptom.author == Origin::Client && chosen.message.is_none();
        let status = match symptom.proves {
            Condition::StatusInText(_) | Condition::Status(_) => {
                let captures = self.rows[chosen.row?].captures(&chosen.squeezed.text);
                wants(symptom, captures.as_ref(), false).statuses.first().copied()?
            }
            _ => return None,
        };
        let trace = format!("error=http{status}");
        let pieces = paste.pieces.iter().rev().filter(|_| hides_words);
        let mut readings = pieces
            .take(FEW_PIECES)
            .filter(|piece| piece.words.contains("error=http"))
            .map(|piece| self.read(piece))
            .filter(|reading| reading.squeezed.text.contains(&trace));
        readings.find(|reading| reading.known(&self.rows) != Known::Not)
    }

    /// Reads one piece.
    fn read<'a>(&self, piece: &'a Piece) -> Reading<'a> {
        let folded = fold(&piece.words);
        let squeezed = Squeezed::of(&folded);
        let body = paste::body_in(&piece.words);
        // AWS's headers stand on the proxy's answers, too, beside its mark.
        let is_marked = !by_lambda(&squeezed.text);
        let is_meant = |row: &usize| !(is_marked && self.rows[*row].symptom.id == LAMBDA_HEADER);
        let matched: Vec<usize> =
            self.set.matches(squeezed.text.as_bytes()).iter().filter(is_meant).collect();
        let by_code = |body: &Body| {
            let code = body.error.code_or_kind()?;
            self.rows.iter().position(
                |row| matches!(row.symptom.proves, Condition::Code(codes) if codes.contains(&code)),
            )
        };
        // What is told of an answer goes before what stands around it of the developer's machine.
        let is_local = |row: &usize| matches!(self.rows[*row].symptom.alone, Alone::Proven(_));
        let tells_status = |row: &usize| {
            let proves = self.rows[*row].symptom.proves;
            matches!(proves, Condition::StatusInText(_) | Condition::Status(_))
        };
        // A page is a gateway's, whatever it says of policies and refusals.
        let is_gateways = |row: &usize| self.rows[*row].symptom.id == GATEWAY_PAGE;
        let is_page = squeezed.text.contains("<html") || squeezed.text.contains("<title");
        let page = matched.iter().copied().find(is_gateways).filter(|_| is_page);
        let whole = page.or(matched.first().copied());
        let whole =
            match whole.filter(is_local).and_then(|_| matched.iter().copied().find(tells_status)) {
                Some(answer) => Some(answer),
                None => whole,
            };
        // A code in a body says more than the sentence around it.
        let says_little = whole.is_none_or(|row| {
            let proves = self.rows[row].symptom.proves;
            matches!(proves, Condition::StatusInText(_) | Condition::StatusAlone)
        });
        let by_code = body.as_ref().and_then(by_code).filter(|_| says_little);
        let part = || self.piece_of(&folded, &squeezed.text);
        let row = by_code.or(whole).or_else(part);
        let is_piece = by_code.is_none() && whole.is_none() && row.is_some();
        let captures = row.and_then(|row| self.rows[row].captures(&squeezed.text));
        let wrapper = self.wrapper.captures(&squeezed.text);
        let wraps = wrapper.as_ref().and_then(|c| c.name("message"));
        let said = captures.as_ref().and_then(|c| c.name("message")).or(wraps);
        let message = said.map(|said| {
            let end = self.tail.find(said.as_str()).map_or(said.len(), |tail| tail.start());
            squeezed.back(&folded, said.start()..said.start() + end).to_owned()
        });
        let message = body.as_ref().map(|body| fold(&body.error.message)).or(message);
        // Codex cuts long bodies, and says so with dots.
        let uncut = |message: String| match message.strip_suffix("...") {
            Some(cut) if message.len() > CUT_BYTES => cut.to_owned(),
            _ => message,
        };
        let message = message.map(uncut).filter(|message| !message.is_empty());
        let said = message.as_deref().unwrap_or(&folded);
        let code = body.as_ref().and_then(|body| body.error.code.as_deref());
        let code = code.and_then(ErrorCode::from_name);
        let ours = code.or_else(|| ours::message(said)).or_else(|| ours::message(&folded));
        let ours = ours.or_else(|| self.our_words(row, &folded, &squeezed.text));
        // The proxy adds nothing to a stream: what Codex says of one are somebody else's words.
        let ours = ours.filter(|_| !squeezed.text.contains(STREAM));
        Reading { piece, folded, squeezed, body, row, is_piece, ours, message }
    }

    /// Finds a message of the proxy's among other words, unless the row says more.
    fn our_words(&self, row: Option<usize>, folded: &str, squeezed: &str) -> Option<ErrorCode> {
        let says_more = |row: usize| {
            let symptom = self.rows[row].symptom;
            let is_wrapper =
                matches!(symptom.proves, Condition::StatusInText(_) | Condition::Words)
                    && symptom.author == Origin::Client;
            symptom.breadth == Breadth::Own && !is_wrapper
        };
        if row.is_some_and(says_more) {
            return None;
        }
        ours::among(folded, squeezed).or_else(|| ours::end_of_one(squeezed))
    }

    /// Finds the known text that a piece belongs to: of several only where they prove the same.
    fn piece_of(&self, folded: &str, squeezed: &str) -> Option<usize> {
        let tells = folded.len() >= SHORTEST_PIECE
            && folded.contains(' ')
            && ours::message(folded).is_none();
        let piece = Fragment::of(folded, squeezed);
        let is_sentence = |&row: &usize| {
            let row = &self.rows[row];
            row.symptom.author == Origin::Client && row.holds(&piece)
        };
        let mut holds = (0..self.rows.len()).filter(|row| tells && is_sentence(row));
        let first = holds.next()?;
        let of_first = self.rows[first].symptom;
        let same = |row: usize| {
            let symptom = self.rows[row].symptom;
            symptom.proves == of_first.proves && symptom.alone == of_first.alone
        };
        holds.all(same).then_some(first)
    }
}

#[cfg(test)]
#[path = "recognise_tests.rs"]
mod tests;
