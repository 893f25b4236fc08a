//! One execution environment: a child process and the rules by which it may run.
//!
//! It starts, waits for its runtime and all registered extensions to ask for Next, and is then ready for
//! an event. When all of them have asked again, it is frozen, and free for another invocation. It ends
//! by itself, by a time-out, or by a test; the invocation that it then has ends with it.

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
    lock,
    pool::Pool,
    process::Process,
    runtime_api,
};
use crate::server::Server;

/// So long the last bytes of a dead process may take to get to the client.
const DRAIN: Duration = Duration::from_secs(5);

/// What tests see of an environment.
#[derive(Clone, Debug)]
pub struct EnvironmentView {
    /// Its number, from 0.
    pub index: usize,
    /// Its process, dead or alive; `None`: there never was one.
    pub pid: Option<u32>,
    /// It is not dead, and nobody has killed it.
    pub is_alive: bool,
    /// It is stopped, and free for an invocation.
    pub is_frozen: bool,
    /// The names of the extensions that registered.
    pub extensions: Vec<String>,
    /// What the runtime or an extension reported to `/init/error` or `/exit/error`.
    pub errors: Vec<String>,
}

pub(super) struct Environment {
    pub(super) index: usize,
    pub(super) pool: Arc<Pool>,
    process: OnceLock<Process>,
    api: Mutex<Option<Server>>,
    /// One holder more for each connection to the API.
    connections: Arc<()>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Somebody has yet to ask for the first event.
    Starting,
    /// It can be given an event, and somebody is about to do so.
    Ready,
    /// Somebody has yet to ask for the next event.
    Working,
    /// Frozen.
    Free,
    /// Killed, or ended.
    Dead,
}

struct State {
    stage: Stage,
    call: Option<Arc<Call>>,
    /// Why it was killed.
    end: Option<Outcome>,
    runtime_waits: bool,
    /// What the runtime has yet to fetch.
    event: Option<Arc<Call>>,
    extensions: Vec<Extension>,
    errors: Vec<String>,
}

struct Extension {
    id: String,
    name: String,
    hears_invoke: bool,
    waits: bool,
    event: Option<Value>,
}

impl Environment {
    /// Makes one that is yet to be started, for this invocation.
    pub(super) fn new(index: usize, pool: Arc<Pool>, call: Arc<Call>) -> Self {
        let state = State {
            stage: Stage::Starting,
            call: Some(call),
            end: None,
            runtime_waits: false,
            event: None,
            extensions: Vec::new(),
            errors: Vec::new(),
        };
        Self {
            index,
            pool,
            process: OnceLock::new(),
            api: Mutex::default(),
            connections: Arc::default(),
            state: Mutex::new(state),
            changed: Notify::new(),
        }
    }

    pub(super) fn view(&self) -> EnvironmentView {
        let state = lock(&self.state);
        EnvironmentView {
            index: self.index,
            pid: self.process.get().map(Process::pid),
            is_alive: state.stage != Stage::Dead,
            is_frozen: state.stage == Stage::Free,
            extensions: state.extensions.iter().map(|extension| extension.name.clone()).collect(),
            errors: state.errors.clone(),
        }
    }

    pub(super) fn is_alive(&self) -> bool {
        lock(&self.state).stage != Stage::Dead
    }

    /// Binds an invocation to this environment, if it is free: from now on they die together.
    pub(super) fn claim(&self, call: &Arc<Call>) -> bool {
        let mut state = lock(&self.state);
        let is_free = state.stage == Stage::Free;
        if is_free {
            state.stage = Stage::Ready;
            state.call = Some(Arc::clone(call));
        }
        is_free
    }

    /// Starts the process, and waits until it is ready or dead.
    pub(super) async fn start(self: &Arc<Self>) {
        if let Err(error) = self.spawn().await {
            lock(&self.state).stage = Stage::Dead;
            self.bury(Outcome::Exited(error.to_string()));
            return;
        }
        let ready = async {
            loop {
                let changed = self.changed.notified();
                if lock(&self.state).stage != Stage::Starting {
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
        let process = Process::start(command, self.index, outputs)?;
        let process = self.process.get_or_init(|| process);
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
            let mut state = lock(&self.state);
            state.stage = Stage::Dead;
            state.end.take().unwrap_or_else(|| Outcome::Exited(status.to_string()))
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
        if let Some(call) = lock(&self.state).call.take() {
            call.conclude(Some(outcome));
        }
    }

    /// Kills the process; its invocation, if there is one, ends with this outcome.
    pub(super) fn end(&self, outcome: Outcome) {
        {
            let mut state = lock(&self.state);
            if state.stage == Stage::Dead {
                return;
            }
            state.stage = Stage::Dead;
            state.end = Some(outcome);
        }
        self.changed.notify_waiters();
        if let Some(process) = self.process.get() {
            process.kill();
        }
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
        {
            let mut state = lock(&self.state);
            if state.stage != Stage::Ready {
                return;
            }
            state.stage = Stage::Working;
            state.runtime_waits = false;
            state.event = Some(Arc::clone(call));
            let deadline_ms = clock::now().as_millisecond() + limit_ms;
            let event = json!({
                "eventType": "INVOKE",
                "deadlineMs": deadline_ms,
                "requestId": call.request_id,
                "invokedFunctionArn": ARN,
                "tracing": {"type": "X-Amzn-Trace-Id", "value": call.trace},
            });
            for extension in state.extensions.iter_mut().filter(|extension| extension.hears_invoke)
            {
                extension.waits = false;
                extension.event = Some(event.clone());
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

    fn time_out(&self, call: &Arc<Call>) {
        let is_current = lock(&self.state).call.as_ref().is_some_and(|at| Arc::ptr_eq(at, call));
        if is_current {
            self.end(Outcome::TimedOut);
        }
    }

    /// Waits, for the runtime, for the next event.
    pub(super) async fn next_invocation(&self) -> Arc<Call> {
        {
            let mut state = lock(&self.state);
            state.runtime_waits = true;
            if let Some(call) = &state.call {
                call.note(|invocation, now| invocation.runtime_next = Some(now));
            }
            self.settle(&mut state);
        }
        loop {
            let changed = self.changed.notified();
            if let Some(call) = lock(&self.state).event.take() {
                return call;
            }
            changed.await;
        }
    }

    /// Waits, for the extension of this id, for its next event; `None`: there is no such extension.
    pub(super) async fn next_event(&self, id: &str) -> Option<Value> {
        {
            let mut state = lock(&self.state);
            let extension = state.extensions.iter_mut().find(|extension| extension.id == id)?;
            extension.waits = true;
            let was_told = extension.hears_invoke;
            if let (true, Some(call)) = (was_told, &state.call) {
                call.note(|invocation, now| invocation.extension_next = Some(now));
            }
            self.settle(&mut state);
        }
        loop {
            let changed = self.changed.notified();
            {
                let mut state = lock(&self.state);
                let extension = state.extensions.iter_mut().find(|extension| extension.id == id)?;
                if let Some(event) = extension.event.take() {
                    return Some(event);
                }
            }
            changed.await;
        }
    }

    /// Sees whether everybody waits, and what follows from it.
    fn settle(&self, state: &mut State) {
        if !state.runtime_waits || state.extensions.iter().any(|extension| !extension.waits) {
            return;
        }
        match state.stage {
            Stage::Starting => {
                state.stage = Stage::Ready;
                self.changed.notify_waiters();
            }
            Stage::Working => {
                if let Some(process) = self.process.get() {
                    process.freeze();
                }
                state.stage = Stage::Free;
                if let Some(call) = state.call.take() {
                    call.conclude(None);
                }
            }
            Stage::Ready | Stage::Free | Stage::Dead => {}
        }
    }

    /// Takes in an extension, which gets an id; `None`: it may not register.
    pub(super) fn register(&self, name: &str, events: &[&str]) -> Option<String> {
        let mut state = lock(&self.state);
        // Those of a bootstrap are internal ones, which are told of no shutdown.
        let is_allowed = self.pool.function.register == Register::Allowed
            && state.stage == Stage::Starting
            && events.iter().all(|event| *event == "INVOKE")
            && state.extensions.iter().all(|extension| extension.name != name);
        is_allowed.then(|| {
            let id = Uuid::now_v7().to_string();
            state.extensions.push(Extension {
                id: id.clone(),
                name: name.to_owned(),
                hears_invoke: events.contains(&"INVOKE"),
                waits: false,
                event: None,
            });
            id
        })
    }

    /// Notes what the process reported to go wrong outside of an invocation.
    pub(super) fn note_error(&self, error: String) {
        lock(&self.state).errors.push(error);
    }

    /// Returns the invocation of this id, if it is the one that runs here.
    pub(super) fn call(&self, request_id: &str) -> Option<Arc<Call>> {
        let state = lock(&self.state);
        state.call.clone().filter(|call| call.request_id == request_id)
    }
}
