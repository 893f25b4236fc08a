//! One invocation: what the environment is given, and what is known about how it went.
//!
//! A [`Call`] lives from the request to the moment when the environment is free again or dead. It
//! owns the way to the client until a response takes that over; when nobody holds it any longer, the
//! client's answer ends. [`Invocation`] is the part that tests see.

use std::{sync::Mutex, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use uuid::Uuid;

use super::{
    clock::{self, Clock},
    function::MEMORY_MB,
    lock,
    order::Order,
};

/// So many pieces may wait for a client that reads slowly.
const WAITING_PIECES: usize = 1024;

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The function answered in full, and asked for the next event.
    Answered,
    /// The function reported this error in place of an answer.
    Failed(String),
    /// The function asked for the next event, but its response was refused, broken or missing.
    NoResponse,
    /// It took too long, and the environment was killed.
    TimedOut,
    /// The process ended by itself, with this status; or it could not be started.
    Exited(String),
    /// A test killed the environment.
    Killed,
}

/// What became of one invocation; all times count from the start of the [`Lambda`](super::Lambda).
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The id that function and client were told.
    pub request_id: String,
    /// The index of the environment that it ran in.
    pub environment: usize,
    /// Whether the environment was started for it.
    pub is_cold: bool,
    /// When the request came.
    pub requested: Duration,
    /// When the event was delivered; `None`: the environment never became ready.
    pub invoked: Option<Duration>,
    /// The deadline that the function was told, in milliseconds since 1970.
    pub deadline_ms: Option<i64>,
    /// When the prelude of the response had come.
    pub prelude: Option<Duration>,
    /// When the body of the response had ended well.
    pub body_end: Option<Duration>,
    /// When the runtime asked for the next event.
    pub runtime_next: Option<Duration>,
    /// When the last extension that was told of the invocation asked for its next event.
    pub extension_next: Option<Duration>,
    /// When the environment was free again, or known to be dead.
    pub ended: Option<Duration>,
    /// How it ended; `None`: not yet.
    pub outcome: Option<Outcome>,
    /// How many bytes of the body came.
    pub produced_bytes: usize,
    ended_at: Option<Timestamp>,
}

impl Invocation {
    /// Returns the log event `platform.report`; `None` while it runs.
    pub(super) fn report(&self) -> Option<Value> {
        let (status, error) = match self.outcome.as_ref()? {
            Outcome::Answered => ("success", None),
            Outcome::Failed(_) => ("error", Some("Runtime.Unknown")),
            Outcome::NoResponse => ("error", Some("Runtime.TruncatedResponse")),
            Outcome::TimedOut => ("timeout", None),
            Outcome::Exited(_) | Outcome::Killed => ("error", Some("Runtime.ExitError")),
        };
        let duration = self.ended?.saturating_sub(self.invoked.unwrap_or(self.requested));
        let duration_ms = milliseconds(duration);
        let mut record = json!({
            "requestId": self.request_id,
            "metrics": {
                "durationMs": duration_ms,
                "billedDurationMs": duration_ms.ceil(),
                "memorySizeMB": MEMORY_MB,
                "maxMemoryUsedMB": MEMORY_MB / 8,
            },
            "status": status,
        });
        if let Some(error) = error {
            record["errorType"] = error.into();
        }
        if let (true, Some(invoked)) = (self.is_cold, self.invoked) {
            let init = invoked.saturating_sub(self.requested);
            record["metrics"]["initDurationMs"] = json!(milliseconds(init));
        }
        let time = self.ended_at?.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
        Some(json!({"time": time, "type": "platform.report", "record": record}))
    }
}

/// Rounds as CloudWatch does, to two places.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e5).round() / 1e2
}

/// A piece of an answer on its way to the client.
#[derive(Debug)]
pub(super) enum Part {
    /// What came before the eight NUL bytes.
    Prelude(Bytes),
    /// Some of the body.
    Body(Bytes),
    /// The body is whole; without this part it is not.
    End,
}

/// An invocation as the emulator carries it.
pub(super) struct Call {
    pub(super) request_id: String,
    pub(super) trace: String,
    pub(super) event: Bytes,
    pub(super) order: Option<Order>,
    clock: Clock,
    parts: Mutex<Option<Sender<Part>>>,
    reply: Mutex<Option<Outcome>>,
    seen: Mutex<Invocation>,
}

impl Call {
    pub(super) fn new(
        stamp: Stamp,
        event: Bytes,
        order: Option<Order>,
        clock: Clock,
    ) -> (Self, Receiver<Part>) {
        let (sender, receiver) = channel(WAITING_PIECES);
        let seen = Invocation {
            request_id: stamp.request_id.clone(),
            environment: 0,
            is_cold: false,
            requested: clock.elapsed(),
            invoked: None,
            deadline_ms: None,
            prelude: None,
            body_end: None,
            runtime_next: None,
            extension_next: None,
            ended: None,
            outcome: None,
            produced_bytes: 0,
            ended_at: None,
        };
        let call = Self {
            request_id: stamp.request_id,
            trace: stamp.trace,
            event,
            order,
            clock,
            parts: Mutex::new(Some(sender)),
            reply: Mutex::default(),
            seen: Mutex::new(seen),
        };
        (call, receiver)
    }

    /// Hands out the way to the client, once.
    pub(super) fn take_parts(&self) -> Option<Sender<Part>> {
        lock(&self.parts).take()
    }

    /// Remembers what the function had to say; the outcome, if it lives on.
    pub(super) fn reply(&self, reply: Outcome) {
        *lock(&self.reply) = Some(reply);
    }

    pub(super) fn seen(&self) -> Invocation {
        lock(&self.seen).clone()
    }

    /// Changes what tests see; the change is told the time.
    pub(super) fn note(&self, change: impl FnOnce(&mut Invocation, Duration)) {
        change(&mut lock(&self.seen), self.clock.elapsed());
    }

    /// Ends the invocation: as the function replied, unless there is a worse outcome.
    pub(super) fn conclude(&self, outcome: Option<Outcome>) {
        let reply = lock(&self.reply).take();
        let outcome = outcome.or(reply).unwrap_or(Outcome::NoResponse);
        self.note(|invocation, now| {
            invocation.ended = Some(now);
            invocation.ended_at = Some(clock::now());
            invocation.outcome = Some(outcome);
        });
        drop(self.take_parts());
    }
}

/// The ids of one request.
#[derive(Clone)]
pub(super) struct Stamp {
    pub(super) request_id: String,
    pub(super) trace: String,
    pub(super) time: Timestamp,
}

impl Stamp {
    pub(super) fn fresh() -> Self {
        let time = clock::now();
        let mut stem = Uuid::now_v7().simple().to_string();
        let trace = format!("Root=1-{:08x}-{}", time.as_second(), stem.split_off(8));
        Self { request_id: Uuid::now_v7().to_string(), trace, time }
    }
}
