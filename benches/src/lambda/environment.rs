//! One execution environment: a child process and the rules by which it may run.
//!
//! Does to the process what `lifecycle` says: lets it run, freezes it, and kills it at a time-out or
//! when a test wants it. When the process ends, for whatever reason, the invocation that it has ends with
//! it, but not before what it had sent by then is with the client.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
    time::{sleep, timeout},
};
use uuid::Uuid;

use super::{
    clock,
    function::{ARN, Register},
    invocation::{Call, Outcome},
    lifecycle::{EnvironmentView, Lifecycle, Stage, Step},
    lock,
    pool::Pool,
    process::Process,
    runtime_api,
};
use crate::server::Server;

/// So long the last bytes of a dead process may take to get to the client.
const DRAIN: Duration = Duration::from_secs(5);

/// What an internal extension gives the process to end by itself.
const SHUTDOWN: Duration = Duration::from_millis(500);

pub(super) struct Environment {
    pub(super) index: usize,
    pool: Arc<Pool>,
    process: OnceLock<Process>,
    api: Mutex<Option<Server>>,
    /// One holder more for each connection to the API.
    connections: Arc<()>,
    lifecycle: Mutex<Lifecycle>,
    changed: Notify,
}

impl Environment {
    /// Makes one that is yet to be started, for this invocation.
    pub(super) fn new(index: usize, pool: Arc<Pool>, call: Arc<Call>) -> Self {
        Self {
            index,
            pool,
            process: OnceLock::new(),
            api: Mutex::default(),
            connections: Arc::default(),
            lifecycle: Mutex::new(Lifecycle::new(call)),
            changed: Notify::new(),
        }
    }

    pub(super) fn view(&self) -> EnvironmentView {
        let pid = self.process.get().map(Process::pid);
        lock(&self.lifecycle).view(self.index, pid)
    }

    pub(super) fn is_alive(&self) -> bool {
        lock(&self.lifecycle).stage != Stage::Dead
    }

    /// Binds an invocation to this environment, if it is free: from now on they die together.
    pub(super) fn claim(&self, call: &Arc<Call>) -> bool {
        lock(&self.lifecycle).claim(call)
    }

    /// Starts the process, and waits until it is ready or dead.
    pub(super) async fn start(self: &Arc<Self>) {
        if let Err(error) = self.spawn().await {
            lock(&self.lifecycle).stage = Stage::Dead;
            self.bury(Outcome::Exited(error.to_string()));
            return;
        }
        let ready = async {
            loop {
                let changed = self.changed.notified();
                if lock(&self.lifecycle).stage != Stage::Starting {
                    break;
                }
                changed.await;
            }
        };
        if timeout(self.pool.function.init_timeout, ready).await.is_err() {
            self.end(Outcome::TimedOut);
        }
    }

    async fn spawn(self: &Arc<Self>) -> io::Result<()> {
        let service = runtime_api::service(Arc::clone(self), Arc::clone(&self.connections));
        let api = Server::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), service).await?;
        // Before the start, so that no end is missed.
        let children = signal(SignalKind::child())?;
        let command = self.pool.function.command(self.index, api.address());
        *lock(&self.api) = Some(api);
        let outputs = [&self.pool.stdout, &self.pool.stderr];
        let process = Process::start(command, self.index, outputs).map_err(|error| {
            let path = self.pool.function.bootstrap.display();
            io::Error::new(error.kind(), format!("cannot start `{path}`: {error}"))
        })?;
        let process = self.process.get_or_init(|| process);
        // A test may have been quicker.
        if !self.is_alive() {
            process.kill();
        }
        tokio::spawn(Arc::clone(self).watch(children));
        Ok(())
    }

    /// Waits for the end of the process.
    async fn watch(self: Arc<Self>, mut children: Signal) {
        let status = loop {
            match self.process.get().and_then(Process::exited) {
                Some(status) => break status,
                None => _ = children.recv().await,
            }
        };
        let outcome = {
            let mut lifecycle = lock(&self.lifecycle);
            lifecycle.stage = Stage::Dead;
            lifecycle.end.take().unwrap_or_else(|| Outcome::Exited(status.to_string()))
        };
        self.changed.notify_waiters();
        // What it wrote before its end is still read: two hold on without a connection, this
        // environment and the accept loop.
        let drained = async {
            while Arc::strong_count(&self.connections) > 2 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        let _ = timeout(DRAIN, drained).await;
        self.bury(outcome);
    }

    fn bury(&self, outcome: Outcome) {
        drop(lock(&self.api).take());
        if let Some(call) = lock(&self.lifecycle).call.take() {
            call.conclude(Some(outcome));
        }
    }

    /// Kills the process; its invocation, if there is one, ends with this outcome.
    pub(super) fn end(&self, outcome: Outcome) {
        if self.condemn(outcome, |lifecycle| lifecycle.stage != Stage::Dead) {
            self.kill();
        }
    }

    fn kill(&self) {
        if let Some(process) = self.process.get() {
            process.kill();
        }
    }

    /// Ends what has taken too long, if this invocation still runs.
    fn time_out(&self, call: &Arc<Call>) {
        let is_current = |lifecycle: &Lifecycle| {
            lifecycle.stage != Stage::Dead
                && lifecycle.call.as_ref().is_some_and(|current| Arc::ptr_eq(current, call))
        };
        if self.condemn(Outcome::TimedOut, is_current) {
            self.kill();
        }
    }

    /// Asks a frozen process to end, if an extension gives it time for that, and then kills it.
    pub(super) fn retire(self: &Arc<Self>) {
        let is_free = |lifecycle: &Lifecycle| lifecycle.stage == Stage::Free;
        if !self.condemn(Outcome::Killed, is_free) {
            return;
        }
        let environment = Arc::clone(self);
        tokio::spawn(async move {
            let Some(process) = environment.process.get() else { return };
            if !lock(&environment.lifecycle).extensions.is_empty() {
                process.terminate();
                process.thaw();
                sleep(SHUTDOWN).await;
            }
            process.kill();
        });
    }

    /// Takes the environment out of service, if it is as it should be; returns whether it was.
    fn condemn(&self, outcome: Outcome, is_so: impl FnOnce(&Lifecycle) -> bool) -> bool {
        let mut lifecycle = lock(&self.lifecycle);
        let is_condemned = is_so(&lifecycle);
        if is_condemned {
            lifecycle.stage = Stage::Dead;
            lifecycle.end = Some(outcome);
            self.changed.notify_waiters();
        }
        is_condemned
    }

    /// Kills the process and closes its API, for good.
    pub(super) fn close(&self) {
        self.end(Outcome::Killed);
        drop(lock(&self.api).take());
    }

    /// Hands the event to the runtime and the extensions, and lets the process run until the deadline.
    pub(super) fn deliver(self: &Arc<Self>, call: &Arc<Call>) {
        let limit = self.pool.function.timeout;
        let limit_ms = i64::try_from(limit.as_millis()).unwrap_or(i64::MAX / 2);
        let deadline_ms = clock::now().as_millisecond() + limit_ms;
        let notice = json!({
            "eventType": "INVOKE",
            "deadlineMs": deadline_ms,
            "requestId": call.request_id,
            "invokedFunctionArn": ARN,
            "tracing": {"type": "X-Amzn-Trace-Id", "value": call.trace},
        });
        {
            let mut lifecycle = lock(&self.lifecycle);
            if !lifecycle.deliver(call, &notice) {
                return;
            }
            call.note(|invocation, now| {
                invocation.invoked = Some(now);
                invocation.deadline_ms = Some(deadline_ms);
            });
            if let Some(process) = self.process.get() {
                process.thaw();
            }
        }
        self.changed.notify_waiters();
        let (environment, call) = (Arc::clone(self), Arc::clone(call));
        tokio::spawn(async move {
            sleep(limit).await;
            environment.time_out(&call);
        });
    }

    /// Waits, for the runtime, for the next event.
    pub(super) async fn next_invocation(&self) -> Arc<Call> {
        {
            let mut lifecycle = lock(&self.lifecycle);
            let step = lifecycle.runtime_asks();
            self.follow(step);
        }
        loop {
            let changed = self.changed.notified();
            if let Some(call) = lock(&self.lifecycle).take_event() {
                return call;
            }
            changed.await;
        }
    }

    /// Waits, for the extension of this id, for its next event; `None`: there is no such extension.
    pub(super) async fn next_notice(&self, id: &str) -> Option<Value> {
        {
            let mut lifecycle = lock(&self.lifecycle);
            let step = lifecycle.extension_asks(id)?;
            self.follow(step);
        }
        loop {
            let changed = self.changed.notified();
            if let Some(notice) = lock(&self.lifecycle).take_notice(id) {
                return Some(notice);
            }
            changed.await;
        }
    }

    /// Does what follows from a request for Next, while the lifecycle is locked.
    fn follow(&self, step: Step) {
        match step {
            Step::Wait => {}
            Step::Open => self.changed.notify_waiters(),
            Step::Freeze(call) => {
                if let Some(process) = self.process.get() {
                    process.freeze();
                }
                if let Some(call) = call {
                    call.conclude(None);
                }
            }
        }
    }

    /// Returns whether an extension that registers waits for ever.
    pub(super) fn leaves_extensions_unanswered(&self) -> bool {
        self.pool.function.register == Register::Unanswered
    }

    /// Takes in an extension, which gets an id; `None`: it may not register.
    pub(super) fn register(&self, name: &str, events: &[&str]) -> Option<String> {
        let id = Uuid::now_v7().to_string();
        let is_registered = self.pool.function.register == Register::Allowed
            && lock(&self.lifecycle).register(&id, name, events);
        is_registered.then_some(id)
    }

    /// Notes what the process reported to go wrong outside of an invocation.
    pub(super) fn note_error(&self, error: String) {
        lock(&self.lifecycle).errors.push(error);
    }

    /// Returns the invocation of this id, if it is the one that runs here.
    pub(super) fn call(&self, request_id: &str) -> Option<Arc<Call>> {
        let lifecycle = lock(&self.lifecycle);
        lifecycle.call.clone().filter(|call| call.request_id == request_id)
    }
}
