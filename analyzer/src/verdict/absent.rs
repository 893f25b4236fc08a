//! Somebody sees a failure that is not logged for them: do they reach this proxy at all?
//!
//! In: a name, and what the logs say. Out: a verdict that rests on when they were last here.

use schemas::origin::Origin;

use crate::question::Question;
use crate::verdict::Verdict;
use crate::verdict::evidence::Evidence;
use crate::verdict::judge::OLD;

/// Judges what a developer sees and this proxy has not logged for them. `asked` is what was asked and
/// found, where logs were looked at.
pub(crate) fn absent(
    developer: &str,
    asked: Option<(&Question, &Evidence)>,
    checks: &[&str],
) -> Verdict {
    let evidence = asked.map(|(_, evidence)| evidence);
    let last = evidence.and_then(|it| it.last_of_developer.as_ref().or(it.last_before.as_ref()));
    let all_read =
        evidence.is_some_and(|e| e.unread_successes == 0 && e.left_out == 0 && !e.is_partial());
    // Who was here just before reaches this proxy; who was here hours ago may not any more.
    let is_recent = asked.zip(last).is_some_and(|((question, _), last)| {
        let text = question.recognised.at.filter(|text| text.has_zone).map(|text| text.at);
        let seen = text.unwrap_or(question.now).min(question.window.until);
        seen.duration_since(last.ended_at()) < OLD
    });
    let mut verdict = if is_recent {
        Verdict::unknown("this proxy logged no such failure for them, though they do reach it.")
    } else if all_read {
        let why = format!("{developer}'s Codex does not seem to reach this proxy.");
        Verdict::likely(Origin::Client, &why)
    } else {
        let mut verdict = Verdict::unknown("this proxy logged no such failure for them.");
        let step = "read every log: --all; it tells when they were last here";
        verdict.next_steps.push(step.to_owned());
        verdict
    };
    if let Some(last) = last {
        let status = last.status.map(|status| format!(", {status}")).unwrap_or_default();
        let time = last.started_at.strftime("%d %b %H:%M:%S");
        verdict.proof.push(format!("{developer}'s last exchange here: {time} UTC{status}"));
    } else {
        verdict.next_steps.push(format!("is `{developer}` the name? codex-proxy token list"));
    }
    verdict.next_steps.extend(checks.iter().map(|&check| check.to_owned()));
    verdict
}
