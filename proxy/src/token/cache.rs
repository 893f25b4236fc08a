//! A memory before a store of tokens, so that a request rarely waits for a round trip.
//!
//! An answer is kept for [`TTL`], counted from when it was asked for, and under the token's full
//! hash: a token that is disabled stops within that time, one that is added works within it. A
//! failed look-up is not kept. Requests that ask for the same token at the same time share one
//! look-up. Strangers have a shelf of their own: a flood of made-up tokens pushes out nobody known.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, WeakShared};

use super::format::TokenHash;
use super::store::{LookUpFailed, Owner, TokenStore};
use crate::clock::Clock;
use crate::secret::Secret;

/// How long an answer of the store is believed.
pub const TTL: Duration = Duration::from_secs(30);

/// Answers kept on either shelf: a few MB at most.
const LIMIT: usize = 10_000;

/// The time a look-up began, and its answer.
type Answer = (Instant, Result<Option<Owner>, LookUpFailed>);
type LookUp = BoxFuture<'static, Answer>;

/// A store behind a memory.
pub struct CachedTokens {
    store: Arc<dyn TokenStore>,
    clock: Arc<dyn Clock>,
    ttl: Duration,
    memory: Mutex<Memory>,
}

struct Memory {
    owned: Shelf,
    unknown: Shelf,
    /// Look-ups under way; those that everybody gave up stay until the map is swept.
    asking: HashMap<TokenHash, WeakShared<LookUp>>,
}

impl CachedTokens {
    /// Puts a memory before a store.
    #[must_use]
    pub fn new(store: Arc<dyn TokenStore>, clock: Arc<dyn Clock>) -> Self {
        Self::with(store, clock, TTL, LIMIT)
    }

    /// Puts a memory of another size before a store.
    #[must_use]
    pub fn with(
        store: Arc<dyn TokenStore>,
        clock: Arc<dyn Clock>,
        ttl: Duration,
        limit: usize,
    ) -> Self {
        let [owned, unknown] = [Shelf::new(limit), Shelf::new(limit)];
        let memory = Memory { owned, unknown, asking: HashMap::new() };
        Self { store, clock, ttl, memory: Mutex::new(memory) }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what is remembered, or the look-up to wait for.
    fn recall(&self, token: &Secret, hash: TokenHash) -> Result<Option<Owner>, Shared<LookUp>> {
        let now = self.clock.instant();
        let mut memory = self.memory();
        let [owned, unknown] = [&memory.owned, &memory.unknown];
        if let Some((_, owner)) = owned.get(hash, now).or_else(|| unknown.get(hash, now)) {
            return Ok(owner.clone());
        }
        if let Some(asking) = memory.asking.get(&hash).and_then(WeakShared::upgrade) {
            return Err(asking);
        }
        let (store, token) = (Arc::clone(&self.store), token.clone());
        let look_up = async move { (now, store.look_up(&token, hash).await) };
        let look_up = look_up.boxed().shared();
        if memory.asking.len() >= LIMIT {
            memory.asking.retain(|_, asking| asking.upgrade().is_some());
        }
        memory.asking.extend(look_up.downgrade().map(|weak| (hash, weak)));
        Err(look_up)
    }

    fn remember(&self, hash: TokenHash, (asked_at, answer): &Answer) {
        let mut memory = self.memory();
        memory.asking.remove(&hash);
        if let Ok(owner) = answer {
            let place = if owner.is_some() { &mut memory.owned } else { &mut memory.unknown };
            place.put(hash, owner.clone(), *asked_at + self.ttl, self.clock.instant());
        }
    }
}

impl TokenStore for CachedTokens {
    fn look_up<'a>(
        &'a self,
        token: &'a Secret,
        hash: TokenHash,
    ) -> BoxFuture<'a, Result<Option<Owner>, LookUpFailed>> {
        Box::pin(async move {
            let look_up = match self.recall(token, hash) {
                Ok(owner) => return Ok(owner),
                Err(look_up) => look_up,
            };
            let answer = look_up.await;
            self.remember(hash, &answer);
            answer.1
        })
    }
}

/// Answers that expire in the order in which they came, and a bound on their number.
struct Shelf {
    answers: HashMap<TokenHash, (Instant, Option<Owner>)>,
    order: VecDeque<(Instant, TokenHash)>,
    limit: usize,
}

impl Shelf {
    fn new(limit: usize) -> Self {
        Self { answers: HashMap::new(), order: VecDeque::new(), limit }
    }

    fn get(&self, hash: TokenHash, now: Instant) -> Option<&(Instant, Option<Owner>)> {
        self.answers.get(&hash).filter(|(until, _)| now < *until)
    }

    /// Keeps an answer; what is over its time goes, and the oldest if that leaves too many.
    fn put(&mut self, hash: TokenHash, owner: Option<Owner>, until: Instant, now: Instant) {
        if self.answers.get(&hash).is_some_and(|(kept, _)| *kept >= until) {
            return;
        }
        while let Some((oldest, _)) = self.order.front() {
            if *oldest > now && self.order.len() < self.limit {
                break;
            }
            let gone = self.order.pop_front();
            // The answer may have been replaced by a newer one since.
            if let Some((until, hash)) = gone
                && self.answers.get(&hash).is_some_and(|(kept, _)| *kept == until)
            {
                self.answers.remove(&hash);
            }
        }
        self.answers.insert(hash, (until, owner));
        self.order.push_back((until, hash));
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
