//! Time, refusals and failures, on a vault that says what it is told to say.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt as _;
use tokio::task::yield_now;

use super::*;
use crate::aws::Trouble;
use crate::clock::HandClock;

#[derive(Default)]
struct Script {
    key: Mutex<Option<&'static str>>,
    asked: AtomicUsize,
}

impl Script {
    fn say(&self, key: Option<&'static str>) {
        *self.key.lock().expect("no panic") = key;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn gone() -> KeyUnavailable {
    let trouble = Trouble::Missing("ResourceNotFoundException: no such secret".to_owned());
    KeyUnavailable::Fetch { secret: "s".to_owned(), region: "r".to_owned(), trouble }
}

impl KeyVault for Arc<Script> {
    fn fetch(&self) -> BoxFuture<'_, Result<OpenAiKey, KeyUnavailable>> {
        Box::pin(async {
            self.asked.fetch_add(1, Ordering::SeqCst);
            yield_now().await;
            let key = *self.key.lock().expect("no panic");
            key.map(|key| OpenAiKey::parse(key).expect("a good key")).ok_or_else(gone)
        })
    }
}

fn rotating(key: Option<&'static str>) -> (RotatingKey, Arc<Script>, Arc<HandClock>) {
    let (script, clock) = (Arc::new(Script::default()), HandClock::new());
    script.say(key);
    let source = RotatingKey::new(Arc::clone(&script), Arc::clone(&clock) as Arc<dyn Clock>);
    (source, script, clock)
}

async fn current(source: &RotatingKey) -> OpenAiKey {
    source.current().await.expect("a key")
}

fn known(source: &RotatingKey) -> Vec<String> {
    source.known().iter().map(|secret| secret.expose().to_owned()).collect()
}

/// Lets time pass, and what runs in the background finish.
async fn pass(clock: &HandClock, seconds: u64) {
    clock.pass(Duration::from_secs(seconds));
    for _ in 0..10 {
        yield_now().await;
    }
}

#[tokio::test]
async fn many_first_requests_ask_the_vault_once() {
    let (source, script, _) = rotating(Some("sk-one"));
    let all = futures::future::join_all((0..50).map(|_| source.current())).await;
    assert!(all.iter().all(|key| key.as_ref().is_ok_and(|key| key.key.expose() == "sk-one")));
    assert_eq!(script.asked(), 1);
}

#[tokio::test]
async fn a_key_is_refreshed_behind_the_requests_that_still_use_the_old_one() {
    let (source, script, clock) = rotating(Some("sk-one"));
    current(&source).await;
    script.say(Some("sk-two"));
    pass(&clock, TTL.as_secs() - 1).await;
    assert_eq!(current(&source).await.key.expose(), "sk-one");
    assert_eq!(script.asked(), 1, "not before its time");
    pass(&clock, 1).await;
    for _ in 0..5 {
        let key = source.current().now_or_never().expect("nobody waits").expect("a key");
        assert_eq!(key.key.expose(), "sk-one");
    }
    pass(&clock, 1).await;
    assert_eq!(current(&source).await.key.expose(), "sk-two");
    assert_eq!(script.asked(), 2);
    assert_eq!(known(&source), ["sk-two", "sk-one"], "both are masked");
}

#[tokio::test]
async fn a_refused_key_is_asked_for_anew_at_most_once_a_minute() {
    let (source, script, clock) = rotating(Some("sk-one"));
    let old = current(&source).await;
    for _ in 0..59 {
        source.refused(&old);
        pass(&clock, 1).await;
    }
    assert_eq!(script.asked(), 2, "the first, and one for all refusals");
    script.say(Some("sk-two"));
    pass(&clock, 1).await;
    source.refused(&old);
    pass(&clock, 1).await;
    assert_eq!(script.asked(), 3);
    assert_eq!(current(&source).await.key.expose(), "sk-two");
    pass(&clock, 60).await;
    source.refused(&old);
    pass(&clock, 1).await;
    assert_eq!(script.asked(), 3, "a late refusal of the old key says nothing about the new one");
}

#[tokio::test]
async fn a_refresh_that_fails_leaves_the_old_key_and_is_tried_once_a_minute() {
    let (source, script, clock) = rotating(Some("sk-one"));
    current(&source).await;
    script.say(None);
    pass(&clock, TTL.as_secs()).await;
    for _ in 0..120 {
        assert_eq!(current(&source).await.key.expose(), "sk-one");
        pass(&clock, 1).await;
    }
    assert_eq!(script.asked(), 3, "the first and two in two minutes");
    script.say(Some("sk-two"));
    pass(&clock, 60).await;
    current(&source).await;
    pass(&clock, 1).await;
    assert_eq!(current(&source).await.key.expose(), "sk-two");
}

#[tokio::test]
async fn without_any_key_the_vault_is_asked_once_a_second_and_a_key_is_used_when_it_comes() {
    let (source, script, clock) = rotating(None);
    let all = futures::future::join_all((0..50).map(|_| source.current())).await;
    assert!(all.iter().all(|key| key == &Err(gone())));
    assert_eq!(script.asked(), 1, "those that waited share the failure");
    assert!(gone().needs_operator());
    source.current().await.expect_err("still none");
    assert_eq!(script.asked(), 1);
    pass(&clock, 1).await;
    source.current().await.expect_err("still none");
    assert_eq!(script.asked(), 2);
    script.say(Some("sk-one"));
    pass(&clock, 1).await;
    assert_eq!(current(&source).await.key.expose(), "sk-one");
}

#[tokio::test]
async fn a_first_request_that_gives_up_half_way_leaves_the_turn_to_the_next() {
    let (source, script, _) = rotating(Some("sk-one"));
    assert!(source.current().now_or_never().is_none());
    assert_eq!(current(&source).await.key.expose(), "sk-one");
    assert_eq!(script.asked(), 2);
}
