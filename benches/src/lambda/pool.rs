//! All environments of a function, and the choice of the one that gets an invocation.
//!
//! A free environment is taken before a new one is started, and when all that may be are busy the
//! invocation is refused. Whoever asked gets the pieces of the answer; the invocation runs on its own,
//! whether somebody takes them or not.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex},
};

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc::Receiver;

use super::{
    clock::Clock,
    environment::Environment,
    function::Function,
    invocation::{Call, Invocation, Part, Stamp},
    lock,
    order::Order,
    process::Output,
};

/// All environments were busy, and no more were allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttled;

/// What came back from an invocation with an event made by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoked {
    /// The prelude, as the function wrote it; `None`: it gave no answer.
    pub prelude: Option<Bytes>,
    /// The body, as far as it came.
    pub body: Bytes,
    /// The body ended well.
    pub is_whole: bool,
}

/// What belongs to all environments.
pub(super) struct Pool {
    pub(super) function: Function,
    pub(super) clock: Clock,
    pub(super) stdout: Output,
    pub(super) stderr: Output,
    environments: Mutex<Vec<Arc<Environment>>>,
    calls: Mutex<Vec<Arc<Call>>>,
    orders: Mutex<VecDeque<Order>>,
}

impl Pool {
    pub(super) fn new(function: Function) -> Self {
        Self {
            function,
            clock: Clock::start(),
            stdout: Output::default(),
            stderr: Output::default(),
            environments: Mutex::default(),
            calls: Mutex::default(),
            orders: Mutex::default(),
        }
    }

    pub(super) fn order(&self, order: Order) {
        lock(&self.orders).push_back(order);
    }

    pub(super) fn environments(&self) -> Vec<Arc<Environment>> {
        lock(&self.environments).clone()
    }

    /// Forgets all environments, which know this pool.
    pub(super) fn take_environments(&self) -> Vec<Arc<Environment>> {
        mem::take(&mut *lock(&self.environments))
    }

    pub(super) fn invocations(&self) -> Vec<Invocation> {
        lock(&self.calls).iter().map(|call| call.seen()).collect()
    }

    /// Invokes the function; the pieces of its answer come out of the receiver.
    pub(super) fn invoke(
        self: &Arc<Self>,
        event: Bytes,
        stamp: Option<Stamp>,
    ) -> Result<Receiver<Part>, Throttled> {
        let stamp = stamp.unwrap_or_else(Stamp::fresh);
        let mut environments = lock(&self.environments);
        let order = lock(&self.orders).pop_front();
        let (call, parts) = Call::new(stamp, event, order, self.clock);
        let call = Arc::new(call);
        let free = environments.iter().find(|environment| environment.claim(&call)).cloned();
        let is_cold = free.is_none();
        let environment = if let Some(environment) = free {
            environment
        } else {
            let busy = environments.iter().filter(|environment| environment.is_alive()).count();
            if busy >= self.function.concurrency {
                // It is for an invocation, and this will be none.
                if let Some(order) = order {
                    lock(&self.orders).push_front(order);
                }
                return Err(Throttled);
            }
            let index = environments.len();
            let environment = Environment::new(index, Arc::clone(self), Arc::clone(&call));
            environments.push(Arc::new(environment));
            Arc::clone(&environments[index])
        };
        drop(environments);
        call.note(|invocation, _| {
            invocation.environment = environment.index;
            invocation.is_cold = is_cold;
        });
        lock(&self.calls).push(Arc::clone(&call));
        tokio::spawn(async move {
            if is_cold {
                environment.start().await;
            }
            environment.deliver(&call);
        });
        Ok(parts)
    }
}

/// Waits for all that an invocation answers.
pub(super) async fn collect(mut parts: Receiver<Part>) -> Invoked {
    let mut invoked = Invoked { prelude: None, body: Bytes::new(), is_whole: false };
    let mut body = BytesMut::new();
    while let Some(part) = parts.recv().await {
        match part {
            Part::Prelude(prelude) => invoked.prelude = Some(prelude),
            Part::Body(piece) => body.extend_from_slice(&piece),
            Part::End => invoked.is_whole = true,
        }
    }
    Invoked { body: body.freeze(), ..invoked }
}
