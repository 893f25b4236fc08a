//! The rules of one execution environment, without its process.
//!
//! Who asks for what comes in, what follows from it goes out: whether the environment is ready for an
//! event, or to be frozen. It is neither before the runtime and all extensions have asked for Next.

use std::sync::Arc;

use serde_json::Value;

use super::invocation::{Call, Outcome};

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

/// How far an environment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
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

/// What follows from a request for Next.
pub(super) enum Step {
    /// Somebody else has yet to ask.
    Wait,
    /// The environment has become ready for its first event.
    Open,
    /// The environment is to be frozen, and this invocation is over.
    Freeze(Option<Arc<Call>>),
}

pub(super) struct Lifecycle {
    pub(super) stage: Stage,
    /// The invocation that it lives and dies with.
    pub(super) call: Option<Arc<Call>>,
    /// Why it was killed.
    pub(super) end: Option<Outcome>,
    /// What the process reported to go wrong outside of an invocation.
    pub(super) errors: Vec<String>,
    pub(super) extensions: Vec<Extension>,
    runtime_waits: bool,
    event: Option<Arc<Call>>,
}

pub(super) struct Extension {
    pub(super) name: String,
    id: String,
    hears_invoke: bool,
    waits: bool,
    event: Option<Value>,
}

impl Lifecycle {
    pub(super) fn new(call: Arc<Call>) -> Self {
        Self {
            stage: Stage::Starting,
            call: Some(call),
            end: None,
            errors: Vec::new(),
            extensions: Vec::new(),
            runtime_waits: false,
            event: None,
        }
    }

    pub(super) fn view(&self, index: usize, pid: Option<u32>) -> EnvironmentView {
        EnvironmentView {
            index,
            pid,
            is_alive: self.stage != Stage::Dead,
            is_frozen: self.stage == Stage::Free,
            extensions: self.extensions.iter().map(|extension| extension.name.clone()).collect(),
            errors: self.errors.clone(),
        }
    }

    /// Takes in an extension; returns whether it may take part.
    pub(super) fn register(&mut self, id: &str, name: &str, events: &[&str]) -> bool {
        // Those of a bootstrap are internal ones: they come before the first Next, and are told of no
        // shutdown.
        let is_allowed = self.stage == Stage::Starting
            && events.iter().all(|event| *event == "INVOKE")
            && self.extensions.iter().all(|extension| extension.name != name);
        if is_allowed {
            self.extensions.push(Extension {
                name: name.to_owned(),
                id: id.to_owned(),
                hears_invoke: events.contains(&"INVOKE"),
                waits: false,
                event: None,
            });
        }
        is_allowed
    }

    /// Binds an invocation to a free environment; returns whether it is free.
    pub(super) fn claim(&mut self, call: &Arc<Call>) -> bool {
        let is_free = self.stage == Stage::Free;
        if is_free {
            self.stage = Stage::Ready;
            self.call = Some(Arc::clone(call));
        }
        is_free
    }

    /// Lays out an event for the runtime and the extensions; returns whether anybody is there.
    pub(super) fn deliver(&mut self, call: &Arc<Call>, notice: &Value) -> bool {
        let is_ready = self.stage == Stage::Ready;
        if is_ready {
            self.stage = Stage::Working;
            self.runtime_waits = false;
            self.event = Some(Arc::clone(call));
            for extension in self.extensions.iter_mut().filter(|extension| extension.hears_invoke) {
                extension.waits = false;
                extension.event = Some(notice.clone());
            }
        }
        is_ready
    }

    /// The runtime asks for its next event.
    pub(super) fn runtime_asks(&mut self) -> Step {
        self.runtime_waits = true;
        if let Some(call) = self.running() {
            call.note(|invocation, now| invocation.runtime_next = Some(now));
        }
        self.settle()
    }

    /// An extension asks for its next event; `None`: it is not registered.
    pub(super) fn extension_asks(&mut self, id: &str) -> Option<Step> {
        let extension = self.extension(id)?;
        extension.waits = true;
        let was_told = extension.hears_invoke;
        if let Some(call) = self.running().filter(|_| was_told) {
            call.note(|invocation, now| invocation.extension_next = Some(now));
        }
        Some(self.settle())
    }

    /// Hands the event to the runtime, once.
    pub(super) fn take_event(&mut self) -> Option<Arc<Call>> {
        self.event.take()
    }

    /// Hands the event to an extension, once.
    pub(super) fn take_notice(&mut self, id: &str) -> Option<Value> {
        self.extension(id)?.event.take()
    }

    fn extension(&mut self, id: &str) -> Option<&mut Extension> {
        self.extensions.iter_mut().find(|extension| extension.id == id)
    }

    fn running(&self) -> Option<&Arc<Call>> {
        self.call.as_ref().filter(|_| self.stage == Stage::Working)
    }

    fn settle(&mut self) -> Step {
        if !self.runtime_waits || self.extensions.iter().any(|extension| !extension.waits) {
            return Step::Wait;
        }
        match self.stage {
            Stage::Starting => {
                self.stage = Stage::Ready;
                Step::Open
            }
            Stage::Working => {
                self.stage = Stage::Free;
                Step::Freeze(self.call.take())
            }
            Stage::Ready | Stage::Free | Stage::Dead => Step::Wait,
        }
    }
}
