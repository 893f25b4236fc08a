//! What to presume of a failure that the logs do not hold: from the text, and from its absence.
//!
//! Nothing here is ever certain. A text can exclude layers (an id, a missing id, our own words); a
//! log that is not there is evidence too; where neither helps, the answer is what to check.

use schemas::catalogue::ErrorCode;
use schemas::origin::Origin;
use schemas::symptom::{Alone, Condition};

use crate::advice::{Advice, about};
use crate::evidence::Evidence;
use crate::proof::describe;
use crate::question::Question;
use crate::recognise::Recognised;
use crate::verdict::{Confidence, Verdict};

/// The logs hold no such failure, which is evidence too.
pub(crate) fn without_match(question: &Question, evidence: &Evidence) -> Verdict {
    let recognised = &question.recognised;
    let mut verdict = from_text(recognised, Some((question, evidence)));
    if verdict.origin == Some(Origin::Aws) && evidence.on_lambda == Some(false) {
        let why = "Lambda's words, but the proxy that wrote these logs does not run on Lambda.";
        verdict = Verdict { next_steps: verdict.next_steps, ..Verdict::unknown(why) };
    }
    let what = describe(recognised);
    if evidence.total() > 0 {
        let shares: Vec<_> = evidence.counts.iter().map(|(o, n)| format!("{o} {n}")).collect();
        let why = if recognised.ids.is_empty() {
            "each with an id, which this text would have shown"
        } else {
            "none with the id of the text, nor with one of its kind"
        };
        let (total, shares) = (evidence.total(), shares.join(", "));
        verdict.other = Some(format!("{total} logged here ({shares}), but {why}"));
    } else if evidence.listed == 0 {
        verdict.proof.push("no logs at all in this window".to_owned());
        verdict
            .next_steps
            .push("a wider window: --since 3d; the right source: --source".to_owned());
    } else {
        let whose = if question.filters.are_empty() { "" } else { " that passes the filters" };
        let listed = evidence.listed;
        verdict.proof.push(format!("no {what}{whose} among {listed} logs of this window"));
    }
    if evidence.quoted > 0 {
        verdict.proof.push(format!(
            "{} successful answers only quote these words, which is no error",
            evidence.quoted
        ));
    }
    if evidence.left_out > 0 && verdict.confidence != Confidence::Unknown {
        verdict
            .next_steps
            .push(format!("{} candidates are unread: raise --max", evidence.left_out));
    }
    verdict
}

/// What the text makes likely by itself. `asked` is given when logs were searched in vain.
pub(crate) fn from_text(recognised: &Recognised, asked: Option<(&Question, &Evidence)>) -> Verdict {
    let filtered = asked.and_then(|(question, _)| question.filters.developer.as_deref());
    if let Some(code) = recognised.ours {
        return from_our_words(code, asked.is_some());
    }
    let Some(symptom) = recognised.symptom else {
        let mut verdict = Verdict::unknown("nobody is known to print this text.");
        if recognised.author == Some(Origin::Openai) {
            verdict = Verdict::likely(
                Origin::Openai,
                "an error body of OpenAI's shape, not one of the proxy's.",
            );
            let status = recognised.wanted.statuses.first().copied();
            verdict.acts = Some(about(Origin::Openai, "", status).acts);
        }
        verdict.next_steps = vec![
            "paste the whole line as it stands in the terminal, with its id if it has one"
                .to_owned(),
        ];
        return verdict;
    };
    if let (Alone::IdDecides(_), Some(evidence)) = (symptom.alone, asked.map(|(_, e)| e))
        && recognised.would_show_id
    {
        return passed_by(recognised, evidence);
    }
    let likely = match symptom.alone {
        Alone::Open => None,
        Alone::Likely(origin) => Some(origin),
        Alone::IdDecides(_) => decided_by_id(recognised),
    };
    let mut verdict = match (likely, filtered) {
        (Some(origin), _) => Verdict::likely(origin, symptom.explains),
        (None, Some(developer)) if symptom.proves != Condition::NothingSent => {
            return absent(developer, asked.map(|(_, evidence)| evidence), symptom.checks);
        }
        (None, _) => Verdict::unknown("the text alone does not tell: several layers produce it."),
    };
    verdict.next_steps = symptom.checks.iter().map(|&check| check.to_owned()).collect();
    if let Some(origin) = verdict.origin.filter(|origin| *origin != Origin::Client) {
        let code = recognised.wanted.codes.first().map_or("", String::as_str);
        let status = recognised.wanted.statuses.first().copied();
        verdict.acts = Some(about(origin, code, status).acts);
    }
    verdict
}

/// A developer sees a failure that this proxy has not logged for them: do they reach it at all?
fn absent(developer: &str, evidence: Option<&Evidence>, checks: &[&str]) -> Verdict {
    let last = evidence.and_then(|evidence| evidence.last_of_filtered.as_ref());
    let all_read = evidence.is_some_and(|e| e.unread_successes == 0 && e.left_out == 0);
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
    if last.is_none() {
        verdict.next_steps.push(format!("is `{developer}` the name? codex-proxy token list"));
    }
    verdict.next_steps.extend(checks.iter().map(|&check| check.to_owned()));
    verdict
}

/// The text shows a status and no id, so the answer did not pass this proxy, which gives every
/// answer one. Who stands before the proxy is known only if it runs as a Lambda function.
fn passed_by(recognised: &Recognised, evidence: &Evidence) -> Verdict {
    const WHY: &str = "this answer did not pass the proxy, which gives every answer an id";
    let throttled = recognised.wanted.statuses == [429];
    let mut verdict = match (evidence.on_lambda, throttled) {
        (Some(false), _) => Verdict::unknown(&format!("{WHY}.")),
        (_, true) => Verdict::likely(
            Origin::Aws,
            "Lambda refused it, presumably with all slots busy; the proxy never saw it.",
        ),
        (_, false) => Verdict::likely(Origin::Aws, &format!("{WHY}; Lambda in front of it did.")),
    };
    if evidence.on_lambda == Some(false) {
        verdict.proof.push("the proxy that wrote these logs does not run on Lambda".to_owned());
        verdict
            .next_steps
            .push("`base_url` in config.toml, and HTTPS_PROXY: who else can answer?".to_owned());
    }
    let checks = recognised.symptom.map_or(&[][..], |symptom| symptom.checks);
    verdict.next_steps.extend(checks.iter().map(|&check| check.to_owned()));
    verdict
}

fn from_our_words(code: ErrorCode, searched: bool) -> Verdict {
    let entry = code.entry();
    let Advice { what, acts, step, say } = about(entry.origin, entry.name, Some(entry.status));
    let mut verdict = Verdict::likely(entry.origin, &what);
    verdict.acts = Some(acts);
    verdict.proof = vec![format!("these are the proxy's own words, {}", entry.name)];
    verdict.next_steps = vec![step];
    if searched {
        verdict
            .next_steps
            .push("not logged in this window: widen it (--since), or check --source".to_owned());
    }
    verdict.say = Some(say);
    verdict
}

/// For a text in which the id decides: whose answer it was. An answer of OpenAI's carries OpenAI's
/// id, any other answer that passed the proxy carries ours, and one without came from before it.
pub(crate) fn decided_by_id(recognised: &Recognised) -> Option<Origin> {
    let Alone::IdDecides(without) = recognised.symptom?.alone else { return None };
    if recognised.ids.iter().any(|id| id.starts_with("cpx_")) {
        // Ours: but of what the proxy passed on without an id of its own, only the log can tell.
        return None;
    }
    if !recognised.ids.is_empty() {
        return Some(Origin::Openai);
    }
    recognised.would_show_id.then_some(without)
}
