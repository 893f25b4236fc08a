//! Which of the listed logs are read, in which order: told by their keys, before anything is read.

use std::collections::HashSet;

use super::Question;
use crate::logs::list::Entry;

/// Newest successes that are read where somebody is asked about: they tell who got an answer in the end.
const PEEK: usize = 200;

/// Which logs are read.
#[derive(Debug, Default)]
pub struct Selection {
    /// Logs that are read.
    pub chosen: u64,
    /// Of them, how many are rows of compacted hours.
    pub rows: u64,
    /// Bytes of the others, as stored.
    pub bytes: u64,
    /// Logs that would have been read without `--max`.
    pub left_out: usize,
    /// Of these, how many have a key that tells no outcome, and so may say anything.
    pub left_out_untold: usize,
    /// Of the chosen, how many have a key that tells a success.
    pub successes: u64,
    /// Of these, how many have a key without a token.
    pub tokenless: u64,
    /// Tokens of which a log is read, where somebody is asked about: it tells whose all the others are.
    pub tokens: HashSet<u32>,
}

/// Chooses which logs to read while they are being listed: with `--max` those that can hold the
/// answer first, each group newest first, which is the order they have to come in.
pub struct Chooser<'a> {
    question: &'a Question,
    /// What is read if there is room at the end: its words may match; it is of whom is asked about.
    second: Vec<Entry>,
    third: Vec<Entry>,
    /// Tokens of which a success was taken.
    tokens: HashSet<u32>,
    peeked: usize,
    selection: Selection,
}

/// When a log is read.
#[derive(Clone, Copy)]
enum Turn {
    First,
    Second,
    Third,
}

impl Chooser<'_> {
    /// Takes the next log; returns it if it is to be read now.
    pub fn take(&mut self, entry: &Entry) -> Option<Entry> {
        let turn = self.turn(entry)?;
        let later = match (self.question.max, turn) {
            (None, _) | (_, Turn::First) => return self.choose(entry.clone()),
            (Some(_), Turn::Second) => &mut self.second,
            (Some(_), Turn::Third) => &mut self.third,
        };
        later.push(entry.clone());
        None
    }

    /// Returns what is to be read after all have been taken, and what was chosen in sum.
    #[must_use]
    pub fn finish(mut self) -> (Vec<Entry>, Selection) {
        let later = std::mem::take(&mut self.second).into_iter();
        let later: Vec<_> = later.chain(std::mem::take(&mut self.third)).collect();
        let rest = later.into_iter().filter_map(|entry| self.choose(entry)).collect();
        (rest, self.selection)
    }

    /// Returns what is chosen so far.
    #[must_use]
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    fn choose(&mut self, entry: Entry) -> Option<Entry> {
        if self.question.max.is_some_and(|max| self.selection.chosen >= max as u64) {
            self.selection.left_out += 1;
            self.selection.left_out_untold += usize::from(entry.told.is_none());
            return None;
        }
        self.selection.chosen += 1;
        self.selection.rows += u64::from(entry.row.is_some());
        self.selection.bytes += entry.bytes;
        if let Some(told) = entry.told {
            let is_success = told.error_origin.is_none();
            self.selection.successes += u64::from(is_success);
            self.selection.tokenless += u64::from(is_success && told.token8.is_none());
            if self.question.filters.developer.is_some() {
                self.selection.tokens.extend(told.token8);
            }
        }
        Some(entry)
    }

    fn turn(&mut self, entry: &Entry) -> Option<Turn> {
        let question = self.question;
        let wanted = &question.recognised.wanted;
        let developer = question.filters.developer.is_some();
        let Some(told) = entry.told else { return Some(Turn::First) };
        if question.names(&told) {
            return Some(Turn::First);
        }
        if told.error_origin.is_none() {
            // The newest of a token tells whose it is, and when they were last here.
            let is_first = told.token8.is_some_and(|token| self.tokens.insert(token));
            let peeks = developer && (is_first || self.peeked < PEEK);
            self.peeked += usize::from(peeks);
            return (question.all || peeks).then_some(Turn::Third);
        }
        if wanted.key_can_match(&told) {
            return Some(Turn::First);
        }
        if wanted.words_can_match(&told) {
            return Some(Turn::Second);
        }
        // Whoever is asked about is looked for in every error.
        developer.then_some(Turn::Third)
    }
}

impl Question {
    /// Begins to choose which logs to read.
    #[must_use]
    pub fn chooser(&self) -> Chooser<'_> {
        Chooser {
            question: self,
            second: Vec::new(),
            third: Vec::new(),
            tokens: HashSet::new(),
            peeked: 0,
            selection: Selection::default(),
        }
    }
}
