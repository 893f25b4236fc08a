//! What the logs of a window say about a question: matched and counted.
//!
//! Where the key alone decides a match (a status, and no filter), every log of the window counts
//! and reading only adds detail. Everywhere else only what was read can count, and the answer says
//! so. Each exchange counts once, whatever the number of its objects.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use schemas::catalogue::ErrorCode;
use schemas::key::LogKey;
use schemas::origin::Origin;

use crate::logs::classify::Exchange;
use crate::logs::find::BEFORE;
use crate::logs::list::{Entry, Logs};
use crate::logs::read::{Reading, Unread};
use crate::question::{Filters, Question, Selection};
use crate::verdict::turn::{self, Try, Turns};
use crate::window::Window;

/// How long ago a failure still counts as going on.
const RECENT: SignedDuration = SignedDuration::from_mins(5);

/// The first version of Codex CLI that was seen to show ids is 0.47; 0.36 was seen to show none.
const SHOWS_IDS: (u32, u32) = (0, 47);
/// Fewer exchanges than this tell nothing about who sends much.
const FEW: u64 = 10;

/// What the logs say.
#[derive(Debug, Default)]
pub struct Evidence {
    /// When only the exchanges of ids were looked for; `None` where the window was.
    pub looked: Option<Window>,
    /// Logs listed in the window.
    pub listed: u64,
    /// Logs read.
    pub read: u64,
    /// Bytes of them, as stored.
    pub bytes: u64,
    /// Logs that could not be read.
    pub unread: Vec<Unread>,
    /// Candidates that `--max` left unread.
    pub left_out: u64,
    /// Of these, how many have a key that tells no outcome.
    pub left_out_untold: u64,
    /// Objects that are no logs by their name.
    pub unrecognised: Vec<String>,
    /// Keys that disagree with their record.
    pub mismatched: Vec<String>,
    /// Exchanges that stood in more than one object.
    pub duplicates: u64,
    /// Matching failures by origin, read or told by their key.
    pub counts: BTreeMap<Origin, u64>,
    /// Of these, how many are known by their key alone.
    pub by_key_only: u64,
    /// Only failures of the text's own moment count, because some are of it.
    pub has_focus: bool,
    /// Failures that match and are of another moment than the text.
    pub elsewhen: u64,
    /// Successes that only quote the words.
    pub quoted: u64,
    /// Matching failures that were read, newest first.
    pub matches: Vec<Exchange>,
    /// The exchanges whose ids the text carries, newest first; successes too.
    pub named: Vec<Exchange>,
    /// Developers hurt, of the matches that were read.
    pub developers: BTreeSet<String>,
    /// Tokens hurt, of all matches.
    pub tokens: BTreeSet<String>,
    /// Turns hurt, and their tries, of the matches that were read.
    pub turns: Turns,
    /// Every developer in the logs that were read.
    pub names: BTreeSet<String>,
    /// How tokens were used, by their first 8 digits: those of matches, and others of the same
    /// developers.
    pub tokens_seen: BTreeMap<String, TokenUse>,
    /// Who sent the most in the 15 minutes up to the last match.
    pub busiest: Option<Busiest>,
    /// Models, of the matches that were read.
    pub models: BTreeSet<String>,
    /// First match.
    pub first_seen: Option<Timestamp>,
    /// Last match.
    pub last_seen: Option<Timestamp>,
    /// Matches and logs in the last five minutes of the window.
    pub recent: (u64, u64),
    /// Matches in the last five minutes, by origin.
    pub recent_origins: BTreeMap<Origin, u64>,
    /// Successes after the last match.
    pub since_then: u64,
    /// Whether a Lambda function wrote logs that were read; `None` where none of them says.
    pub on_lambda: Option<bool>,
    /// The newest exchange that was read and passes the filters, matching or not.
    pub last_of_filtered: Option<Exchange>,
    /// The newest exchange of the developer who is asked about, whatever the other filters.
    pub last_of_developer: Option<Exchange>,
    /// Where there is none in the window: their last one before it.
    pub last_before: Option<Exchange>,
    /// Successes in the window of which nobody knows whose they are: their logs were not read, nor any
    /// other of the same token.
    pub unread_successes: u64,
    /// Failures that were read and tell no status, and may have been an HTTP 500, where a text wants one.
    pub statusless: BTreeMap<Origin, u64>,
    /// The newest log of the window, whatever it holds.
    pub newest_log: Option<Timestamp>,
    /// Logs of the window that are, or may be, of an answer of 400 to 499.
    pub refusals: u64,
}

/// How a token was used in the window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenUse {
    /// Whose it is, where a log that was read says so.
    pub developer: Option<String>,
    /// Exchanges in which it was not refused.
    pub accepted: u64,
    /// The last of these.
    pub last_accepted: Option<Timestamp>,
}

/// Who sent the most exchanges in a span of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busiest {
    /// First 8 hex digits of the token.
    pub token8: String,
    /// Whose it is, where a log that was read says so.
    pub developer: Option<String>,
    /// Of a hundred exchanges.
    pub share: u64,
    /// All exchanges of that time.
    pub exchanges: u64,
}

/// What was read.
struct Seen {
    keys: HashSet<String>,
    ids: HashSet<String>,
    /// Where failures have to have ended to count.
    focus: Option<Window>,
}

impl Question {
    /// Gathers what listing and reading gave.
    #[must_use]
    pub fn gather(&self, logs: &Logs, selection: &Selection, reading: Reading) -> Evidence {
        let began_within =
            |entry: &&Entry| entry.told.is_none_or(|told| self.window.contains(told.started_at));
        let mut evidence = Evidence {
            listed: logs.entries.iter().filter(|entry| began_within(entry)).count() as u64,
            read: reading.read,
            bytes: reading.bytes,
            unread: reading.unread,
            left_out: selection.left_out as u64,
            left_out_untold: selection.left_out_untold as u64,
            unrecognised: logs.unrecognised.clone(),
            looked: logs.looked.clone(),
            mismatched: reading.mismatched,
            ..Evidence::default()
        };
        let wanted = &self.recognised.wanted;
        let focus = self.focus(logs, &reading.exchanges);
        evidence.has_focus = focus.is_some();
        let keys: HashSet<_> = reading.exchanges.iter().map(|read| read.key.clone()).collect();
        let mut ids = HashSet::new();
        let mut tries = Vec::new();
        let mut owners = HashMap::new();
        let recent = self.window.until.min(self.now) - RECENT;
        for exchange in reading.exchanges {
            if !ids.insert(exchange.exchange_id.clone()) {
                evidence.duplicates += 1;
                continue;
            }
            // Whatever the text names is meant, whenever it was.
            let is_named = self.names_exchange(&exchange);
            if !is_named && !self.includes(&exchange) {
                continue;
            }
            if let Some(on_lambda) = exchange.on_lambda {
                evidence.on_lambda = Some(on_lambda || evidence.on_lambda == Some(true));
            }
            if let Some(name) = &exchange.developer {
                evidence.names.insert(name.clone());
                owners.extend(exchange.token8.clone().map(|token| (token, name.clone())));
            }
            if self.filters.hold(&exchange) && evidence.last_of_filtered.is_none() {
                evidence.last_of_filtered = Some(exchange.clone());
            }
            if self.filters.developer.is_some()
                && self.filters.developer == exchange.developer
                && evidence.last_of_developer.is_none()
            {
                evidence.last_of_developer = Some(exchange.clone());
            }
            if is_named {
                evidence.named.push(exchange.clone());
            }
            if !self.filters.hold(&exchange) {
                continue;
            }
            let Some(error) = &exchange.error else {
                evidence.quoted += u64::from(wanted.is_said_in(&exchange.searched));
                tries.push(Try::of(&exchange, false));
                continue;
            };
            if !is_named && !wanted.matches(&exchange) {
                let internal = ErrorCode::Internal.entry().name;
                let is_500 = ["server_error", "http_500", internal].contains(&&*error.code);
                if is_500 && exchange.status.is_none() && wanted.statuses.contains(&500) {
                    *evidence.statusless.entry(error.origin).or_default() += 1;
                }
                continue;
            }
            if !is_named && !focus.as_ref().is_none_or(|it| it.contains(exchange.ended_at())) {
                evidence.elsewhen += 1;
                continue;
            }
            *evidence.counts.entry(error.origin).or_default() += 1;
            evidence.note_time(exchange.ended_at(), error.origin, recent);
            evidence.developers.extend(exchange.developer.clone());
            evidence.tokens.extend(exchange.token8.clone());
            evidence.models.extend(exchange.model.clone());
            tries.push(Try::of(&exchange, true));
            evidence.matches.push(exchange);
        }
        evidence.turns = turn::count(tries);
        evidence.count_tokens(logs, &owners);
        self.count_keys(logs, &Seen { keys, ids, focus }, recent, &mut evidence);
        self.count_unread(logs, selection, &mut evidence);
        evidence.busiest = evidence.last_seen.and_then(|last| busiest(logs, last, &owners));
        evidence
    }

    /// Counts the successes of which nobody knows whose they are. Which session or model it was, only
    /// the log itself tells.
    fn count_unread(&self, logs: &Logs, selection: &Selection, evidence: &mut Evidence) {
        let Filters { developer, session, model } = &self.filters;
        let by_token = developer.is_some() && session.is_none() && model.is_none();
        let successes = logs.entries.iter().filter_map(|entry| entry.told);
        let successes = successes.filter(|told| told.error_origin.is_none());
        let is_told = |told: &LogKey| {
            by_token && told.token8.is_some_and(|token| selection.tokens.contains(&token))
        };
        let untold = successes.filter(|told| !is_told(told)).count() as u64;
        let read = if by_token { selection.tokenless } else { selection.successes };
        evidence.unread_successes = untold.saturating_sub(read);
    }

    /// Counts what the keys tell by themselves.
    fn count_keys(&self, logs: &Logs, read: &Seen, recent: Timestamp, evidence: &mut Evidence) {
        let key_decides = self.filters.are_empty();
        let mut seen = HashSet::new();
        for entry in &logs.entries {
            evidence.newest_log = evidence.newest_log.max(Some(entry.time));
            let is_refusal = |told: LogKey| (400..500).contains(&told.status);
            evidence.refusals += u64::from(entry.told.is_none_or(is_refusal));
            let Some(told) = entry.told else { continue };
            if !seen.insert(told.exchange_id) {
                evidence.duplicates += 1;
                continue;
            }
            evidence.recent.1 += u64::from(told.started_at >= recent);
            // What was read has counted, even where its record names another exchange.
            if read.keys.contains(&entry.key) {
                continue;
            }
            if read.ids.contains(&told.exchange_id.to_string()) {
                evidence.duplicates += 1;
                continue;
            }
            let Some(origin) = told.error_origin else { continue };
            let decided = key_decides && self.recognised.wanted.key_decides(&told);
            let is_in_focus = read.focus.as_ref().is_none_or(|it| it.contains(told.started_at));
            evidence.elsewhen += u64::from(decided && !is_in_focus);
            if decided && is_in_focus {
                *evidence.counts.entry(origin).or_default() += 1;
                evidence.by_key_only += 1;
                evidence.tokens.extend(told.token8.map(|token| format!("{token:08x}")));
                evidence.note_time(told.started_at, origin, recent);
            }
        }
        if let Some(last) = evidence.last_seen {
            let successes = logs.entries.iter().filter_map(|entry| entry.told);
            let after = successes.filter(|t| t.error_origin.is_none() && t.started_at > last);
            evidence.since_then = after.count() as u64;
        }
    }
}

/// Finds by the keys whose token was used most before a moment.
fn busiest(logs: &Logs, last: Timestamp, owners: &HashMap<String, String>) -> Option<Busiest> {
    let entries = if logs.looked.is_some() { &logs.beside } else { &logs.entries };
    let told = entries.iter().filter_map(|entry| entry.told);
    let before = told.filter(|told| told.started_at <= last && told.started_at >= last - BEFORE);
    let mut counts = BTreeMap::<u32, u64>::new();
    for token in before.filter_map(|told| told.token8) {
        *counts.entry(token).or_default() += 1;
    }
    let exchanges: u64 = counts.values().sum();
    if exchanges < FEW {
        return None;
    }
    let (token, most) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    let token8 = format!("{token:08x}");
    let developer = owners.get(&token8).cloned();
    Some(Busiest { token8, developer, share: most * 100 / exchanges, exchanges })
}

impl Evidence {
    /// Returns how many failures match.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Tells whether a match came from a client so old that it shows no id: a line without one may
    /// be about that.
    #[must_use]
    pub fn has_old_client(&self) -> bool {
        self.matches.iter().any(|exchange| {
            let version = exchange.client_version.as_deref().and_then(minor);
            version.is_some_and(|version| version < SHOWS_IDS)
        })
    }

    /// Returns the origin of most of what fails now: of two of three, and of three at least.
    #[must_use]
    pub fn recent_origin(&self) -> Option<Origin> {
        let all: u64 = self.recent_origins.values().sum();
        let most = self.recent_origins.iter().max_by_key(|(_, count)| **count);
        most.filter(|(_, count)| **count >= 3 && **count * 3 >= all * 2).map(|(origin, _)| *origin)
    }

    /// Counts the tokens hurt of which nobody knows whose they are.
    #[must_use]
    pub fn nameless_tokens(&self) -> u64 {
        let owner = |token| self.tokens_seen.get(token).and_then(|seen| seen.developer.as_ref());
        self.tokens.iter().filter(|token| owner(*token).is_none()).count() as u64
    }

    /// Tells whether a part of the logs could not be looked at.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Counts the use of the tokens of the matches, and of others of the same developers.
    fn count_tokens(&mut self, logs: &Logs, owners: &HashMap<String, String>) {
        let of_matches: BTreeSet<_> =
            self.matches.iter().filter_map(|m| m.token8.clone()).collect();
        let is_hurt = |name: &String| self.developers.contains(name);
        let theirs = owners.iter().filter(|(_, name)| is_hurt(name)).map(|(token, _)| token);
        let wanted = of_matches.iter().chain(theirs);
        let mut uses: BTreeMap<String, TokenUse> = wanted
            .map(|token| {
                let developer = owners.get(token).cloned();
                (token.clone(), TokenUse { developer, ..TokenUse::default() })
            })
            .collect();
        for told in logs.entries.iter().filter_map(|entry| entry.told) {
            let Some(token) = told.token8.filter(|_| told.status != 401) else { continue };
            if let Some(seen) = uses.get_mut(&format!("{token:08x}")) {
                seen.accepted += 1;
                seen.last_accepted = seen.last_accepted.max(Some(told.started_at));
            }
        }
        self.tokens_seen = uses;
    }

    fn note_time(&mut self, time: Timestamp, origin: Origin, recent: Timestamp) {
        if time >= recent {
            *self.recent_origins.entry(origin).or_default() += 1;
        }
        self.first_seen = Some(self.first_seen.map_or(time, |first| first.min(time)));
        self.last_seen = Some(self.last_seen.map_or(time, |last| last.max(time)));
        self.recent.0 += u64::from(time >= recent);
    }
}

/// Reads the first two numbers of a version.
fn minor(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}
