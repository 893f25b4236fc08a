//! The internal extension: holds the environment until the record of an invocation is written.
//!
//! Lambda freezes an environment once its runtime and all its extensions have asked for the next
//! event. The runtime asks as soon as the last byte of an answer is out; this extension asks when
//! the record is safe. So the client never waits for S3, and no record freezes half-written.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lambda_extension::{Error, Extension, LambdaEvent, NextEvent, service_fn};

use super::invocation::Invocations;
use super::say;
use crate::clock::Clock;
use crate::log::Log;
use crate::openai_key::KeySource;
use crate::stdout::Lines;

/// How long a fetch of the key may hold the environment: a little more than it takes at most.
const KEY_TIME: Duration = Duration::from_secs(9);

/// How long a registration may take: Lambda answers within milliseconds, and all that has to be done
/// before the first invocation gets 10 s.
const REGISTER_TIME: Duration = Duration::from_secs(3);

/// What has to be over before the environment may freeze.
#[derive(Clone)]
pub(super) struct Drain {
    pub(super) log: Arc<Log>,
    pub(super) lines: Lines,
    pub(super) openai_key: Arc<dyn KeySource>,
}

impl Drain {
    /// Waits until every record is in its place and every line is written.
    pub(super) async fn run(&self) {
        self.log.flush().await;
        let _ = tokio::time::timeout(KEY_TIME, self.openai_key.settled()).await;
        self.lines.flush().await;
    }
}

/// Registers the extension and runs it in the background. When Lambda refuses, or does not answer,
/// `None`: then the records have to be written before their answers end.
pub(super) async fn register(drain: Drain, clock: Arc<dyn Clock>) -> Option<Invocations> {
    let invocations = Invocations::default();
    let ended = invocations.clone();
    let processor = service_fn(move |event: LambdaEvent| {
        let (drain, ended) = (drain.clone(), ended.clone());
        let now = clock.now();
        async move {
            if let NextEvent::Invoke(invoked) = event.next {
                let left = until(now, invoked.deadline_ms);
                // Past the deadline Lambda kills the environment in any case.
                let _ = tokio::time::timeout(left, ended.ended(&invoked.request_id)).await;
                drain.run().await;
            }
            Ok::<(), Error>(())
        }
    });
    let extension = Extension::new()
        .with_extension_name("codex-proxy-log")
        .with_events(&["INVOKE"])
        .with_events_processor(processor)
        .register();
    match tokio::time::timeout(REGISTER_TIME, extension).await {
        Ok(Ok(extension)) => {
            tokio::spawn(async move {
                if let Err(error) = extension.run().await {
                    // An extension that asks no more keeps the environment from ever freezing, and
                    // every invocation would run into its time limit. Better a new environment.
                    say("extension_failed", &error.to_string());
                    super::give_up();
                }
            });
            Some(invocations)
        }
        Ok(Err(error)) => {
            say("extension_refused", &error.to_string());
            None
        }
        Err(_) => {
            let seconds = REGISTER_TIME.as_secs();
            say("extension_refused", &format!("no answer to the registration within {seconds} s"));
            None
        }
    }
}

/// Returns how long it is until a time that Lambda gives in milliseconds since 1970.
pub(super) fn until(now: Timestamp, deadline_ms: u64) -> Duration {
    let deadline_ms = i64::try_from(deadline_ms).unwrap_or(i64::MAX);
    let left = deadline_ms.saturating_sub(now.as_millisecond());
    Duration::from_millis(u64::try_from(left).unwrap_or(0))
}
