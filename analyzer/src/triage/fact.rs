//! What triage knows of each exchange: a row of a compacted hour, the small fields of a log, or, of those
//! that nobody read, what their keys tell. Names are numbers, so that a million fit into memory.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use schemas::key::ExchangeId;
use schemas::origin::Origin;
use schemas::record::Usage;
use schemas::view::Timing;
use sha2::{Digest as _, Sha256};

use super::fingerprint::masked;
use super::name::{Name, Names};
use crate::logs::classify::Exchange;
use crate::logs::list::Entry;
use crate::window::Window;

/// What exchanges are told apart by.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Model that was asked for.
    Model,
    /// Owner of the token; the token's first 8 digits where nobody owns it.
    Developer,
    /// Version of the client.
    ClientVersion,
    /// Version of the proxy.
    ProxyVersion,
    /// AWS region of the proxy.
    Region,
    /// Path of the request.
    Path,
}

impl Dimension {
    /// Every dimension, in the order in which reports list them.
    pub const ALL: [Self; 6] = [
        Self::Model,
        Self::Developer,
        Self::ClientVersion,
        Self::ProxyVersion,
        Self::Region,
        Self::Path,
    ];

    /// Returns what it is called.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Developer => "developer",
            Self::ClientVersion => "client version",
            Self::ProxyVersion => "proxy version",
            Self::Region => "region",
            Self::Path => "path",
        }
    }
}

/// What failed in an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The layer.
    pub origin: Origin,
    /// The code; `None` where only keys are known. Of a failure that nobody read, that of the nearest one.
    pub code: Option<Name>,
    /// The words of the error, masked; the same.
    pub words: Option<Name>,
}

/// One exchange.
#[derive(Clone, Debug)]
pub struct Fact {
    /// When it began.
    pub at: Timestamp,
    /// Its identity.
    pub exchange_id: Box<str>,
    /// OpenAI's.
    pub request_id: Option<Box<str>>,
    /// Status that the client got.
    pub status: Option<u16>,
    /// What failed; `None` for a success.
    pub failure: Option<Failure>,
    /// First 8 hex digits of the token's hash.
    pub token: Option<Name>,
    /// The turn of the client that it was a try of.
    pub turn: Option<Name>,
    /// The client's session.
    pub session: Option<Name>,
    /// By [`Dimension`].
    of: [Option<Name>; Dimension::ALL.len()],
    /// How long it took.
    pub timing: Timing,
    /// Tokens that it used.
    pub usage: Option<Usage>,
    /// More is known than its key tells.
    pub is_read: bool,
}

impl Fact {
    /// Returns what it is in a dimension, where that is known.
    #[must_use]
    pub fn of(&self, dimension: Dimension) -> Option<Name> {
        self.of[dimension as usize]
    }
}

/// Exchanges of a stretch of time.
#[derive(Clone, Debug, Default)]
pub struct Half {
    /// In the order of time.
    pub facts: Vec<Fact>,
    /// How many successes each stands for that was read.
    pub success_weight: f64,
    /// How many failures each stands for that was read.
    pub failure_weight: f64,
}

impl Half {
    /// Tells whether those that were read can speak for all: some of the successes must be among them.
    #[must_use]
    pub fn is_told(&self) -> bool {
        let mut successes = self.facts.iter().filter(|fact| fact.failure.is_none()).peekable();
        successes.peek().is_none() || successes.any(|fact| fact.is_read)
    }
}

/// The exchanges of a window, and those before it that tell what is usual.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// What they are called.
    pub names: Names,
    /// Those in question.
    pub window: Half,
    /// Those before.
    pub baseline: Half,
    ids: HashSet<u128>,
}

impl Facts {
    /// Takes an exchange whose log was read; tells whether it was not known yet.
    pub fn add_exchange(
        &mut self,
        exchange: &Exchange,
        window: &Window,
        baseline: &Window,
    ) -> bool {
        let told = Told {
            at: exchange.started_at,
            exchange_id: &exchange.exchange_id,
            request_id: exchange.upstream_request_id.as_deref(),
            status: exchange.status,
            failure: exchange.error.as_ref().map(|it| (it.origin, &*it.code, &*it.message)),
            token8: exchange.token8.as_deref(),
            developer: exchange.developer.as_deref(),
            turn: exchange.turn_id.as_deref(),
            session: exchange.session_id.as_deref(),
            model: exchange.model.as_deref(),
            client_version: exchange.client_version.as_deref(),
            proxy_version: exchange.proxy_version.as_deref(),
            region: exchange.proxy_region.as_deref(),
            path: exchange.path.as_deref(),
            timing: exchange.timing,
            usage: exchange.usage,
        };
        self.add(&told, window, baseline)
    }

    /// Takes what the key of a log tells that nobody read.
    pub fn add_key(&mut self, entry: &Entry, window: &Window, baseline: &Window) {
        let Some(told) = entry.told else { return };
        if !self.ids.insert(told.exchange_id.0) {
            return;
        }
        let token = told.token8.map(|token| self.names.number(&format!("{token:08x}")));
        let fact = Fact {
            at: told.started_at,
            exchange_id: told.exchange_id.to_string().into(),
            request_id: None,
            status: Some(told.status),
            failure: told.error_origin.map(|origin| Failure { origin, code: None, words: None }),
            token,
            turn: None,
            session: None,
            of: [None; Dimension::ALL.len()],
            timing: Timing::default(),
            usage: None,
            is_read: false,
        };
        self.place(fact, window, baseline);
    }

    /// Takes what is told of an exchange that was read; tells whether it was not known yet.
    pub(super) fn add(&mut self, told: &Told<'_>, window: &Window, baseline: &Window) -> bool {
        if !self.ids.insert(number_of(told.exchange_id)) {
            return false;
        }
        let names = &mut self.names;
        let mut name = |text: Option<&str>| text.map(|text| names.number(text));
        let token = name(told.token8);
        let of = [
            name(told.model),
            name(told.developer).or(token),
            name(told.client_version),
            name(told.proxy_version),
            name(told.region),
            name(told.path),
        ];
        let (turn, session) = (name(told.turn), name(told.session));
        let failure = told.failure.map(|(origin, code, message)| Failure {
            origin,
            code: name(Some(code)),
            words: name(Some(&masked(message))),
        });
        let fact = Fact {
            at: told.at,
            exchange_id: told.exchange_id.into(),
            request_id: told.request_id.map(Into::into),
            status: told.status,
            failure,
            token,
            turn,
            session,
            of,
            timing: told.timing,
            usage: told.usage,
            is_read: true,
        };
        self.place(fact, window, baseline);
        true
    }

    fn place(&mut self, fact: Fact, window: &Window, baseline: &Window) {
        if window.contains(fact.at) {
            self.window.facts.push(fact);
        } else if baseline.contains(fact.at) {
            self.baseline.facts.push(fact);
        }
    }

    /// Puts them in order, gives tokens their owners' names, and failures that nobody read the code of the
    /// nearest that was; counts what stands for how many.
    pub fn finish(&mut self) {
        let halves = [&mut self.window, &mut self.baseline];
        let mut owners = HashMap::new();
        for half in &halves {
            for fact in &half.facts {
                if let (Some(token), Some(owner)) = (fact.token, fact.of(Dimension::Developer)) {
                    owners.insert(token, owner);
                }
            }
        }
        for half in halves {
            half.facts.sort_by(|a, b| a.at.cmp(&b.at).then(a.exchange_id.cmp(&b.exchange_id)));
            for fact in &mut half.facts {
                let owner = fact.token.map(|token| owners.get(&token).copied().unwrap_or(token));
                fact.of[Dimension::Developer as usize] = fact.of(Dimension::Developer).or(owner);
            }
            infer_codes(&mut half.facts);
            half.success_weight = weight(&half.facts, false);
            half.failure_weight = weight(&half.facts, true);
        }
    }
}

/// Gives failures of which the key alone is known the code and the words of the nearest in time that was
/// read, of the same origin and status: those that are read lie evenly among them.
fn infer_codes(facts: &mut [Fact]) {
    let mut read: HashMap<_, Vec<(Timestamp, Failure)>> = HashMap::new();
    for fact in facts.iter().filter(|fact| fact.is_read) {
        if let Some(failure) = fact.failure {
            read.entry((failure.origin, fact.status)).or_default().push((fact.at, failure));
        }
    }
    for fact in facts.iter_mut().filter(|fact| !fact.is_read) {
        let Some(failure) = &mut fact.failure else { continue };
        let Some(read) = read.get(&(failure.origin, fact.status)) else { continue };
        let later = read.partition_point(|(at, _)| *at < fact.at);
        let around = &read[later.saturating_sub(1)..(later + 1).min(read.len())];
        let nearest = around.iter().min_by_key(|(at, _)| at.duration_since(fact.at).abs());
        if let Some((_, told)) = nearest {
            *failure = *told;
        }
    }
}

/// How many each stands for that was read.
fn weight(facts: &[Fact], failed: bool) -> f64 {
    let of = |fact: &&Fact| fact.failure.is_some() == failed;
    let read = facts.iter().filter(of).filter(|fact| fact.is_read).count();
    if read == 0 { 1.0 } else { facts.iter().filter(of).count() as f64 / read as f64 }
}

/// What is told of an exchange that was read.
pub(super) struct Told<'a> {
    pub(super) at: Timestamp,
    pub(super) exchange_id: &'a str,
    pub(super) request_id: Option<&'a str>,
    pub(super) status: Option<u16>,
    /// Origin, code and words.
    pub(super) failure: Option<(Origin, &'a str, &'a str)>,
    pub(super) token8: Option<&'a str>,
    pub(super) developer: Option<&'a str>,
    pub(super) turn: Option<&'a str>,
    pub(super) session: Option<&'a str>,
    pub(super) model: Option<&'a str>,
    pub(super) client_version: Option<&'a str>,
    pub(super) proxy_version: Option<&'a str>,
    pub(super) region: Option<&'a str>,
    pub(super) path: Option<&'a str>,
    pub(super) timing: Timing,
    pub(super) usage: Option<Usage>,
}

/// Tells one exchange from any other.
fn number_of(exchange_id: &str) -> u128 {
    ExchangeId::parse(exchange_id).map_or_else(
        || {
            let digest = Sha256::digest(exchange_id);
            digest.iter().take(16).fold(0, |sum, byte| (sum << 8) | u128::from(*byte))
        },
        |id| id.0,
    )
}
