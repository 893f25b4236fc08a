//! A key that is replaced while the proxy runs: fetched once, refreshed in the background.
//!
//! A request waits for the vault only while there is no key at all. Later the known key goes on
//! being used: for its time to live, while it is refreshed, and for as long as refreshing fails. A
//! key that OpenAI refuses is asked for anew at most once a minute.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;

use super::{KeySource, KeyUnavailable, OpenAiKey};
use crate::clock::Clock;
use crate::secret::Secret;

/// Age at which a key is refreshed: a rotated key is picked up in this time even if the old one
/// still works.
const TTL: Duration = Duration::from_mins(5);
/// Pause between two refreshes that refusals ask for, and after a refresh that failed.
const REFRESH_PAUSE: Duration = Duration::from_mins(1);
/// Pause after a failed fetch while there is no key: requests in between get the same failure.
const FETCH_PAUSE: Duration = Duration::from_secs(1);

/// Where a key is kept.
pub trait KeyVault: Send + Sync {
    /// Fetches the key that is valid now. Bounded in time.
    fn fetch(&self) -> BoxFuture<'_, Result<OpenAiKey, KeyUnavailable>>;
}

/// The key of a vault, kept and refreshed.
pub struct RotatingKey(Arc<Rotating>);

struct Rotating {
    vault: Box<dyn KeyVault>,
    clock: Arc<dyn Clock>,
    /// Held while the vault is asked, so that it is asked by one at a time.
    asking: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    current: Option<OpenAiKey>,
    previous: Option<Secret>,
    refresh_at: Option<Instant>,
    refused_at: Option<Instant>,
    failed: Option<(Instant, KeyUnavailable)>,
}

impl RotatingKey {
    /// Keeps the key of this vault; asks nothing yet.
    #[must_use]
    pub fn new(vault: impl KeyVault + 'static, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Rotating {
            vault: Box::new(vault),
            clock,
            asking: Arc::default(),
            state: Mutex::default(),
        }))
    }

    /// Refreshes in the background, unless that is under way. Returns whether it began.
    fn refresh(&self) -> bool {
        let Ok(turn) = Arc::clone(&self.0.asking).try_lock_owned() else { return false };
        let rotating = Arc::clone(&self.0);
        tokio::spawn(async move {
            let _turn = turn;
            // A failure has been told by `fetch`; the old key stays.
            let _ = rotating.fetch().await;
        });
        true
    }
}

impl KeySource for RotatingKey {
    fn current(&self) -> BoxFuture<'_, Result<OpenAiKey, KeyUnavailable>> {
        Box::pin(async {
            if let Some((key, is_due)) = self.0.kept() {
                if is_due {
                    self.refresh();
                }
                return Ok(key);
            }
            let _turn = self.0.asking.lock().await;
            // Whoever had the turn before may have got a key, or learned that there is none.
            if let Some((key, _)) = self.0.kept() {
                return Ok(key);
            }
            if let Some(failure) = self.0.just_failed() {
                return Err(failure);
            }
            self.0.fetch().await
        })
    }

    fn refused(&self, key: &OpenAiKey) {
        let now = self.0.clock.instant();
        let mut state = self.0.state();
        let is_current = state.current.as_ref() == Some(key);
        let is_early = state.refused_at.is_some_and(|at| now < at + REFRESH_PAUSE);
        if is_current && !is_early && self.refresh() {
            state.refused_at = Some(now);
        }
    }

    fn settled(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { drop(self.0.asking.lock().await) })
    }

    fn known(&self) -> Vec<Secret> {
        let state = self.0.state();
        let current = state.current.as_ref().map(|key| key.key.clone());
        current.into_iter().chain(state.previous.clone()).collect()
    }
}

impl Rotating {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the key at hand, and whether it is due for a refresh.
    fn kept(&self) -> Option<(OpenAiKey, bool)> {
        let state = self.state();
        let is_due = state.refresh_at.is_some_and(|at| at <= self.clock.instant());
        state.current.clone().map(|key| (key, is_due))
    }

    fn just_failed(&self) -> Option<KeyUnavailable> {
        let state = self.state();
        let (at, failure) = state.failed.as_ref()?;
        (self.clock.instant() < *at + FETCH_PAUSE).then(|| failure.clone())
    }

    async fn fetch(&self) -> Result<OpenAiKey, KeyUnavailable> {
        let fetched = self.vault.fetch().await;
        let now = self.clock.instant();
        let mut state = self.state();
        match &fetched {
            Ok(key) => {
                if state.current.as_ref() != Some(key) {
                    state.previous = state.current.replace(key.clone()).map(|old| old.key);
                }
                state.refresh_at = Some(now + TTL);
                state.failed = None;
            }
            Err(failure) => {
                state.refresh_at = Some(now + REFRESH_PAUSE);
                let told = state.failed.replace((now, failure.clone()));
                if told.is_none_or(|(_, told)| told != *failure) {
                    complain(failure, state.current.is_some());
                }
            }
        }
        fetched
    }
}

/// Says on stderr, as one line of JSON and once per cause, why there is no new key.
fn complain(failure: &KeyUnavailable, has_old_key: bool) {
    let event = if has_old_key { "openai_key_refresh_failed" } else { "openai_key_unavailable" };
    let line = serde_json::json!({
        "level": "error",
        "event": event,
        "error": failure.to_string(),
        "hint": failure.hint(),
    });
    #[expect(clippy::print_stderr, reason = "the client is told no more than the catalogue says")]
    {
        eprintln!("{line}");
    }
}

#[cfg(test)]
#[path = "rotating_tests.rs"]
mod tests;
