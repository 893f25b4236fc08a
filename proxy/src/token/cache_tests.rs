//! Time, number and simultaneity of what is remembered, on a store that counts.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt as _;
use tokio::task::yield_now;

use super::*;
use crate::clock::HandClock;

/// Knows `dev-*`, lets others in before it answers, and counts.
#[derive(Default)]
struct Counting {
    asked: AtomicUsize,
    disabled: Mutex<bool>,
    fails: Mutex<bool>,
}

impl Counting {
    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl TokenStore for Counting {
    fn look_up<'a>(
        &'a self,
        token: &'a Secret,
        _: TokenHash,
    ) -> BoxFuture<'a, Result<Option<Owner>, LookUpFailed>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let enabled = !*self.disabled.lock().expect("no panic");
            yield_now().await;
            if *self.fails.lock().expect("no panic") {
                return Err(LookUpFailed("as told".to_owned()));
            }
            let developer = token.expose().starts_with("dev").then(|| token.expose().to_owned());
            Ok(developer.map(|developer| Owner { developer: Some(developer), enabled }))
        })
    }
}

fn cached(limit: usize) -> (CachedTokens, Arc<Counting>, Arc<HandClock>) {
    let (store, clock) = (Arc::new(Counting::default()), HandClock::new());
    let inner = Arc::clone(&store) as Arc<dyn TokenStore>;
    let cache = CachedTokens::with(inner, Arc::clone(&clock) as Arc<dyn Clock>, TTL, limit);
    (cache, store, clock)
}

async fn look_up(cache: &CachedTokens, token: &str) -> Result<Option<Owner>, LookUpFailed> {
    cache.look_up(&Secret::new(token), TokenHash::of(token)).await
}

async fn is_enabled(cache: &CachedTokens, token: &str) -> bool {
    look_up(cache, token).await.expect("an answer").expect("an owner").enabled
}

#[tokio::test]
async fn a_disabled_token_stops_within_the_ttl_and_keeps_its_owner() {
    let (cache, store, clock) = cached(LIMIT);
    assert!(is_enabled(&cache, "dev-01").await);
    *store.disabled.lock().expect("no panic") = true;
    clock.pass(Duration::from_millis(29_999));
    assert!(is_enabled(&cache, "dev-01").await, "this is what a cache costs");
    clock.pass(Duration::from_millis(1));
    assert!(!is_enabled(&cache, "dev-01").await);
    let owner = look_up(&cache, "dev-01").await.expect("an answer").expect("an owner");
    assert_eq!(owner.developer.as_deref(), Some("dev-01"));
    assert_eq!(store.asked(), 2);
}

#[tokio::test]
async fn a_stranger_is_remembered_for_the_same_time_and_a_failure_is_not() {
    let (cache, store, clock) = cached(LIMIT);
    for _ in 0..10 {
        assert_eq!(look_up(&cache, "stranger").await, Ok(None));
    }
    assert_eq!(store.asked(), 1);
    clock.pass(TTL);
    assert_eq!(look_up(&cache, "stranger").await, Ok(None));
    assert_eq!(store.asked(), 2);

    *store.fails.lock().expect("no panic") = true;
    for asked in 3..6 {
        look_up(&cache, "dev-01").await.expect_err("as told");
        assert_eq!(store.asked(), asked);
    }
    *store.fails.lock().expect("no panic") = false;
    assert!(is_enabled(&cache, "dev-01").await);
}

#[tokio::test]
async fn simultaneous_requests_share_one_look_up_also_when_the_first_gives_up() {
    let (cache, store, _) = cached(LIMIT);
    let all = futures::future::join_all((0..50).map(|_| is_enabled(&cache, "dev-01"))).await;
    assert!(all.into_iter().all(|enabled| enabled));
    assert_eq!(store.asked(), 1);

    let mut first = Box::pin(look_up(&cache, "dev-02"));
    assert!((&mut first).now_or_never().is_none());
    let second = look_up(&cache, "dev-02");
    let gives_up = async {
        yield_now().await;
        drop(first);
    };
    assert!(futures::join!(second, gives_up).0.is_ok());
    assert_eq!(store.asked(), 2);

    assert!(look_up(&cache, "dev-03").now_or_never().is_none());
    assert!(is_enabled(&cache, "dev-03").await, "what everybody gave up is asked anew");
    assert_eq!(store.asked(), 4);
}

#[tokio::test]
async fn a_flood_of_strangers_pushes_out_nobody_known_and_does_not_grow() {
    let (cache, store, _) = cached(100);
    for n in 0..20 {
        assert!(is_enabled(&cache, &format!("dev-{n}")).await);
    }
    futures::future::join_all((0..1_000).map(|n| {
        let cache = &cache;
        async move { look_up(cache, &format!("stranger-{n}")).await }
    }))
    .await;
    let asked = store.asked();
    for n in 0..20 {
        assert!(is_enabled(&cache, &format!("dev-{n}")).await);
    }
    assert_eq!(store.asked(), asked);
    let memory = cache.memory();
    assert_eq!((memory.unknown.answers.len(), memory.unknown.order.len()), (100, 100));
    assert_eq!((memory.owned.answers.len(), memory.asking.len()), (20, 0));
}

#[tokio::test]
async fn what_is_over_its_time_makes_room_first() {
    let (cache, _, clock) = cached(3);
    for n in 0..3 {
        is_enabled(&cache, &format!("dev-{n}")).await;
    }
    clock.pass(TTL);
    is_enabled(&cache, "dev-1").await;
    assert_eq!(cache.memory().owned.answers.len(), 1);
    for n in 5..9 {
        is_enabled(&cache, &format!("dev-{n}")).await;
    }
    let memory = cache.memory();
    assert_eq!((memory.owned.answers.len(), memory.owned.order.len()), (3, 3));
}

#[tokio::test]
async fn an_answer_ages_from_when_it_was_asked_for() {
    let (cache, store, clock) = cached(LIMIT);
    let slow = async {
        yield_now().await;
        clock.pass(Duration::from_secs(5));
    };
    let _ = futures::join!(look_up(&cache, "dev-01"), slow);
    clock.pass(Duration::from_secs(25));
    is_enabled(&cache, "dev-01").await;
    assert_eq!(store.asked(), 2);
}
