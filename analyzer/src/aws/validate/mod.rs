//! Is a deployment well? The five checks of what must be there, and of what breaks in practice.
//!
//! In: facts, each of them seen or not. Out: a [`Check`] for each, with what was found and the
//! command that mends it. A fresh stack, in which nothing has happened yet, is pending and not broken;
//! a missing right makes a check unseen and ends nothing.

pub(crate) mod door;
mod facts;
mod flow;
mod store;

use serde::Serialize;

pub(crate) use self::facts::{Facts, gather};
use crate::aws::cloudwatch::Unseen;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is well.
    Ok,
    /// It works, and leaves open what should be shut.
    Warning,
    /// Nothing has happened yet, so there is nothing to see.
    Pending,
    /// It is not well.
    Failed,
    /// It could not be seen.
    Unseen,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// How it ended.
    pub status: Status,
    /// What was found.
    pub found: String,
    /// What mends it.
    pub hint: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, status: Status::Ok, found: found.into(), hint: None }
    }

    fn pending(name: &'static str, found: impl Into<String>, hint: impl Into<String>) -> Self {
        let hint = Some(hint.into());
        Self { name, status: Status::Pending, found: found.into(), hint }
    }

    fn warning(name: &'static str, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { status: Status::Warning, ..Self::failed(name, found, hint) }
    }

    /// Takes back what was found out about a name that nothing tells but habit: it may be another's,
    /// or nobody's.
    fn of_a_guess(self, is_guessed: bool, flag: &str) -> Self {
        if !is_guessed || matches!(self.status, Status::Ok | Status::Unseen) {
            return self;
        }
        let found = format!("{}; but the name is only the usual one", self.found);
        let hint =
            Some(format!("the function's configuration would tell it; or name it: {flag} NAME"));
        Self { status: Status::Unseen, found, hint, ..self }
    }

    fn failed(name: &'static str, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, status: Status::Failed, found: found.into(), hint: Some(hint.into()) }
    }

    fn unseen(name: &'static str, unseen: &Unseen) -> Self {
        let found = format!("{} {}", unseen.action.name(), unseen.trouble.word());
        let hint = match &unseen.trouble {
            crate::aws::Trouble::Denied(_) => Some(format!(
                "let this role do {}: analyzer permissions validate",
                unseen.action.name()
            )),
            trouble => Some(trouble.hint().map_or_else(|| trouble.to_string(), str::to_owned)),
        };
        Self { name, status: Status::Unseen, found, hint }
    }
}

/// How a deployment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Every check is well, or warns of something that does not stop the work.
    Healthy,
    /// Nothing is broken, and something has not happened yet.
    Pending,
    /// A check failed.
    Unhealthy,
    /// Nothing failed, and not everything could be seen.
    Partial,
    /// AWS could not be reached at all.
    Unreachable,
}

/// Checks a deployment.
#[must_use]
pub(crate) fn check(facts: &Facts) -> Vec<Check> {
    let mut checks = vec![
        flow::function(facts),
        flow::lines(facts).of_a_guess(facts.is_guessed.log_group, "--log-group"),
        store::tokens(facts).of_a_guess(facts.is_guessed.table, "--table"),
        store::logs(facts),
        store::secret(facts),
    ];
    checks.extend(door::url(facts));
    checks.push(door::policy(facts));
    checks.extend(flow::settings(facts));
    checks.push(flow::slots(facts));
    let retention = flow::retention(facts);
    checks.push(retention.of_a_guess(facts.is_guessed.log_group, "--log-group"));
    checks.push(store::guard(facts));
    checks
}

/// Sums checks up.
#[must_use]
pub fn health(checks: &[Check], is_unreachable: bool) -> Health {
    let any = |status| checks.iter().any(|check| check.status == status);
    match () {
        () if any(Status::Failed) => Health::Unhealthy,
        () if is_unreachable => Health::Unreachable,
        () if any(Status::Unseen) => Health::Partial,
        () if any(Status::Pending) => Health::Pending,
        () => Health::Healthy,
    }
}

#[cfg(test)]
#[path = "../validate_tests.rs"]
mod tests;
