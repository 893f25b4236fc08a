//! Somebody sees a failure that is not logged for them: do they reach this proxy at all?
//!
//! In: a name, and what the logs say. Out: a verdict that rests on when they were last here.

use schemas::origin::Origin;

use crate::verdict::Verdict;
use crate::verdict::evidence::Evidence;

/// A developer sees a failure that this proxy has not logged for them: do they reach it at all?
pub(crate) fn absent(developer: &str, evidence: Option<&Evidence>, checks: &[&str]) -> Verdict {
    let last = evidence.and_then(|evidence| evidence.last_of_developer.as_ref());
    let all_read =
        evidence.is_some_and(|e| e.unread_successes == 0 && e.left_out == 0 && !e.is_partial());
    let mut verdict = match last {
        Some(last) => {
            let mut verdict = Verdict::unknown(
                "this proxy logged no such failure for them, though they do reach it.",
            );
            let status = last.status.map(|status| format!(", {status}")).unwrap_or_default();
            let time = last.started_at.strftime("%d %b %H:%M:%S");
            verdict.proof.push(format!("{developer}'s last exchange here: {time} UTC{status}"));
            verdict
        }
        None if all_read => Verdict::likely(
            Origin::Client,
            &format!("{developer}'s Codex does not seem to reach this proxy in this window."),
        ),
        None => {
            let mut verdict = Verdict::unknown("this proxy logged no such failure for them.");
            verdict
                .next_steps
                .push("read every log: --all; it tells when they were last here".to_owned());
            verdict
        }
    };
    if let Some(before) = evidence.and_then(|evidence| evidence.last_before.as_ref()) {
        let status = before.status.map(|status| format!(", {status}")).unwrap_or_default();
        let time = before.started_at.strftime("%d %b %H:%M:%S");
        verdict.proof.push(format!("{developer}'s last exchange here: {time} UTC{status}"));
    } else if last.is_none() {
        verdict.next_steps.push(format!("is `{developer}` the name? codex-proxy token list"));
    }
    verdict.next_steps.extend(checks.iter().map(|&check| check.to_owned()));
    verdict
}
