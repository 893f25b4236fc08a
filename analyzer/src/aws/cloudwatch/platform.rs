//! What Lambda's own lines say of an invocation that died: one [`Death`] for each, however many lines
//! tell it.
//!
//! Three shapes are in use. The old text names the cause in a line of its own (`Task timed out`,
//! `Runtime exited with error`). The new text says it in the `REPORT` line alone (`Status: timeout`).
//! The JSON shape has `platform.*` events. Fields come in any order, with tabs or spaces between them.
//! A start-up that fails within an invocation is told twice, once for the start-up and once for the
//! invocation; the stream that both stand in joins them.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::{Death, DeathKind};

/// Characters of a line that are kept; the cause stands at its beginning.
const KEPT: usize = 400;

/// What one line of the platform says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Said {
    about: About,
    /// What died; `None` for a line that tells a success, or figures alone.
    failed: Option<DeathKind>,
    /// The process was killed from outside.
    killed: bool,
    /// It used all the memory that there is.
    full: bool,
    /// The line; empty where nothing failed.
    line: String,
}

#[derive(Clone, Debug, PartialEq)]
enum About {
    /// An invocation; `is_over` when this is its last line.
    Invocation { request_id: String, is_over: bool },
    /// A start-up.
    StartUp,
}

impl Said {
    /// Returns the invocation that is over, whatever came of it.
    pub(super) fn over(&self) -> Option<&str> {
        match &self.about {
            About::Invocation { request_id, is_over: true } => Some(request_id),
            _ => None,
        }
    }
}

/// Reads one line; `None` for a line that is none of the platform's, or tells nothing of an end.
pub(super) fn parse(text: &str) -> Option<Said> {
    let text = text.trim();
    let said = if text.starts_with('{') { of_json(text) } else { of_text(text) }?;
    let line = said.failed.map(|_| one_line(text)).unwrap_or_default();
    Some(Said { line, ..said })
}

fn of_text(text: &str) -> Option<Said> {
    let about = |about, failed| Said {
        about,
        failed,
        killed: text.contains("signal: killed"),
        full: false,
        line: String::new(),
    };
    if text.starts_with("INIT_REPORT") {
        let kind = kind(field(text, "Status:")?, field(text, "Error Type:"))?;
        let kind = if kind == DeathKind::OutOfMemory { kind } else { DeathKind::StartUp };
        return Some(about(About::StartUp, Some(kind)));
    }
    if let Some(report) = text.strip_prefix("REPORT") {
        let request_id = field(report, "RequestId:")?.to_owned();
        let failed = field(report, "Status:").and_then(|s| kind(s, field(report, "Error Type:")));
        let used = field(report, "Max Memory Used:");
        let full = used.is_some() && used == field(report, "Memory Size:");
        let said = about(About::Invocation { request_id, is_over: true }, failed);
        return Some(Said { full, ..said });
    }
    if let Some(rest) = text.strip_prefix("RequestId:") {
        let (request_id, what) = rest.trim_start().split_once(char::is_whitespace)?;
        let what = what.trim_start();
        let died = what.starts_with("Error:") || what.starts_with("Process exited");
        let is_late = what.contains("Task timed out") || what.contains("Sandbox.Timedout");
        let kind = match what.contains("Runtime.OutOfMemory") {
            true => DeathKind::OutOfMemory,
            false if is_late => DeathKind::TimeOut,
            false => DeathKind::Crash,
        };
        let request_id = request_id.to_owned();
        return died.then(|| about(About::Invocation { request_id, is_over: false }, Some(kind)));
    }
    // `<time> <id> Task timed out after`: nothing else before it, or somebody quotes it.
    let (before, _) = text.split_once("Task timed out after")?;
    let mut words = before.split_whitespace();
    let (time, request_id) = (words.next()?, words.next()?);
    let is_whole = words.next().is_none() && time.ends_with('Z') && is_id(request_id);
    let request_id = request_id.to_owned();
    let about = about(About::Invocation { request_id, is_over: false }, Some(DeathKind::TimeOut));
    is_whole.then_some(about)
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    record: EventRecord,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventRecord {
    request_id: Option<String>,
    status: Option<String>,
    error_type: Option<String>,
    metrics: Option<EventMetrics>,
}

#[derive(Deserialize)]
struct EventMetrics {
    #[serde(rename = "memorySizeMB")]
    size: Option<f64>,
    #[serde(rename = "maxMemoryUsedMB")]
    used: Option<f64>,
}

fn of_json(text: &str) -> Option<Said> {
    // Nearly every line is one of ours: parsing them all would cost.
    if !text.contains("\"platform.") {
        return None;
    }
    let Event { kind: event, record } = serde_json::from_str(text).ok()?;
    let failed =
        record.status.as_deref().and_then(|status| kind(status, record.error_type.as_deref()));
    let full =
        record.metrics.is_some_and(|memory| memory.used.is_some() && memory.used == memory.size);
    let said = |about, failed| Said { about, failed, killed: false, full, line: String::new() };
    match event.as_str() {
        "platform.report" | "platform.runtimeDone" => {
            let is_over = event == "platform.report";
            let request_id = record.request_id?;
            Some(said(About::Invocation { request_id, is_over }, failed))
        }
        "platform.initReport" | "platform.initRuntimeDone" => {
            let kind = failed?;
            let kind = if kind == DeathKind::OutOfMemory { kind } else { DeathKind::StartUp };
            Some(said(About::StartUp, Some(kind)))
        }
        _ => None,
    }
}

/// Reads `success`, `timeout`, `error` or `failure`, and the type of the error.
fn kind(status: &str, error_type: Option<&str>) -> Option<DeathKind> {
    let error_type = error_type.unwrap_or_default();
    match status {
        "success" => None,
        _ if error_type.contains("OutOfMemory") => Some(DeathKind::OutOfMemory),
        "timeout" => Some(DeathKind::TimeOut),
        _ if error_type.contains("Timedout") => Some(DeathKind::TimeOut),
        "error" | "failure" => Some(DeathKind::Crash),
        _ => None,
    }
}

/// Returns the word or number after a label.
fn field<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    let mut rest = text;
    loop {
        let at = rest.find(label)?;
        let is_whole = rest[..at].chars().next_back().is_none_or(char::is_whitespace);
        let after = &rest[at + label.len()..];
        // `Memory Size:` is no `Size:`, but `Max Memory Used:` is no `Memory Used:` either.
        if is_whole {
            return after.split_whitespace().next();
        }
        rest = after;
    }
}

fn is_id(word: &str) -> bool {
    word.len() >= 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(KEPT).collect()
}

/// What several lines say of one end.
#[derive(Default)]
struct Case {
    at: Option<Timestamp>,
    kind: Option<DeathKind>,
    killed: bool,
    full: bool,
    at_start: bool,
    line: String,
}

impl Case {
    fn add(&mut self, at: Timestamp, said: &Said) {
        self.killed |= said.killed;
        self.full |= said.full;
        let Some(kind) = said.failed else { return };
        self.at.get_or_insert(at);
        if self.line.is_empty() {
            self.line.clone_from(&said.line);
        }
        self.kind = Some(self.kind.map_or(kind, |known| weightier(known, kind)));
    }

    fn death(self, request_id: Option<String>) -> Option<Death> {
        let kind = match self.kind? {
            DeathKind::OutOfMemory => DeathKind::OutOfMemory,
            _ if self.killed && self.full => DeathKind::OutOfMemory,
            _ if self.at_start => DeathKind::StartUp,
            kind => kind,
        };
        Some(Death {
            at: self.at?,
            request_id,
            kind,
            started: None,
            is_logged: false,
            line: self.line,
        })
    }
}

/// A line that names the cause says more than one that only tells the end.
fn weightier(a: DeathKind, b: DeathKind) -> DeathKind {
    let order = [DeathKind::OutOfMemory, DeathKind::TimeOut, DeathKind::StartUp, DeathKind::Crash];
    order.into_iter().find(|kind| [a, b].contains(kind)).unwrap_or(a)
}

/// Makes deaths of what the lines said, each with its time and its log stream, oldest first.
pub(super) fn deaths<'a>(
    said: impl IntoIterator<Item = (Timestamp, &'a str, &'a Said)>,
) -> Vec<Death> {
    let mut invocations = HashMap::<&str, Case>::new();
    let mut starting = HashMap::<&str, Case>::new();
    let mut deaths = Vec::new();
    for (at, stream, said) in said {
        let About::Invocation { request_id, is_over } = &said.about else {
            starting.entry(stream).or_default().add(at, said);
            continue;
        };
        let case = invocations.entry(request_id).or_default();
        case.add(at, said);
        if said.failed.is_some() {
            case.at_start |= starting.remove(stream).is_some();
        } else if *is_over {
            // It came up at the second try: nobody's request died of the first.
            deaths.extend(starting.remove(stream).and_then(|case| case.death(None)));
        }
    }
    let named = |(request_id, case): (&str, Case)| case.death(Some(request_id.to_owned()));
    deaths.extend(invocations.into_iter().filter_map(named));
    deaths.extend(starting.into_values().filter_map(|case| case.death(None)));
    deaths.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.request_id.cmp(&b.request_id)));
    deaths
}

#[cfg(test)]
#[path = "platform_tests.rs"]
mod tests;
