//! What could not be seen, one sentence each, what would tell the most first.

use std::sync::LazyLock;

use regex::Regex;

use super::Answer;
use crate::aws::Trouble;
use crate::aws::cloudwatch::Unseen;
use crate::aws::permission::Action;
use crate::number::count;
use crate::verdict::Confidence;

/// Says what could not be seen of the logs and, unless the verdict is certain without it, of the rest.
pub(super) fn unseen(answer: &Answer) -> Vec<String> {
    let mut said = Vec::new();
    said.extend(answer.blocked.as_ref().map(|blocked| format!("the logs: {blocked}")));
    let unread = || answer.evidence.iter().flat_map(|evidence| &evidence.unread);
    if let Some(denied) = unread().find(|unread| unread.denied) {
        let means = "no request ids, models or words";
        said.push(format!("s3:GetObject or kms:Decrypt denied{}: {means}", to_whom(&denied.why)));
    }
    let damaged = unread().filter(|unread| !unread.denied);
    if let Some(first) = damaged.clone().next() {
        let name = first.key.rsplit('/').next().unwrap_or_default();
        let logs = count(damaged.count() as u64, "log");
        said.push(format!("{logs}, as {name}: {}", first.why));
    }
    let observed = answer.observed.iter();
    let observed = observed.filter(|_| answer.verdict.confidence != Confidence::Certain);
    let mut rest: Vec<&Unseen> = observed.flat_map(|observed| &observed.unseen).collect();
    rest.sort_by_key(|unseen| rank(unseen.action));
    let decide = rest.partition_point(|unseen| rank(unseen.action) < OTHER);
    said.extend(rest[..decide].iter().map(|unseen| sentence(&[unseen.action], unseen)));
    // The function's settings are alike: one sentence for all that failed in one way.
    let mut others = rest[decide..].to_vec();
    while let Some(first) = others.first().copied() {
        let is_alike = |it: &&Unseen| it.trouble.word() == first.trouble.word();
        let actions: Vec<_> = others.iter().copied().filter(is_alike).map(|it| it.action).collect();
        others.retain(|it| !is_alike(it));
        said.push(sentence(&actions, first));
    }
    said
}

/// Tells whether a right is missing that a policy could give.
pub(super) fn is_denied(answer: &Answer) -> bool {
    let is_certain = answer.verdict.confidence == Confidence::Certain;
    let observed = answer.observed.iter().filter(|_| !is_certain);
    let mut unseen = observed.flat_map(|observed| &observed.unseen);
    let mut unread = answer.evidence.iter().flat_map(|evidence| &evidence.unread);
    unseen.any(|unseen| matches!(unseen.trouble, Trouble::Denied(_)))
        || unread.any(|unread| unread.denied)
        || answer.blocked.as_ref().is_some_and(|why| why.contains("AccessDenied"))
}

const OTHER: u8 = 2;

fn rank(action: Action) -> u8 {
    match action {
        Action::GetMetricData => 0,
        Action::FilterLogEvents => 1,
        _ => OTHER,
    }
}

fn sentence(actions: &[Action], unseen: &Unseen) -> String {
    let names: Vec<_> = actions.iter().map(|action| action.name()).collect();
    let whom = match &unseen.trouble {
        Trouble::Denied(said) => to_whom(said),
        _ => String::new(),
    };
    format!("{} {}{whom}: {}", names.join(", "), unseen.trouble.word(), unseen.means)
}

/// Reads whom AWS refused: ` to role OnCallReadOnly`.
fn to_whom(said: &str) -> String {
    static WHOM: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r":(?:assumed-(role)/([\w+=,.@-]+)|(user)/(?:[\w+=,.@-]+/)*([\w+=,.@-]+))")
            .expect("tested")
    });
    let Some(found) = WHOM.captures(said) else { return String::new() };
    let part = |at: usize| found.get(at).map(|part| part.as_str());
    match (part(1).or(part(3)), part(2).or(part(4))) {
        (Some(kind), Some(name)) => format!(" to {kind} {name}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_aws_refused_is_named() {
        for (said, whom) in [
            (
                "User: arn:aws:sts::1:assumed-role/OnCallReadOnly/x is not",
                " to role OnCallReadOnly",
            ),
            ("User: arn:aws:iam::1:user/ops/anna is not authorized", " to user anna"),
            ("Access Denied", ""),
        ] {
            assert_eq!(to_whom(said), whom);
        }
    }
}
