//! What CloudWatch adds to a verdict that rests on text and logs.
//!
//! Failures that AWS made by itself leave no log, so a verdict from logs alone has to leave them open.
//! Here they are laid beside the logs: AWS is found to have done it, or known not to have; and where
//! every request that came is accounted for, a failure that no log holds never came by here.

use jiff::SignedDuration;
use schemas::origin::{Acts, Origin};
use schemas::symptom::{Alone, AwsAct, Condition};

use crate::aws::cloudwatch::{Observed, Sum};
use crate::number::grouped;
use crate::question::Question;
use crate::text::ids::Host;
use crate::verdict::by_id::did_not_pass;
use crate::verdict::evidence::Evidence;
use crate::verdict::judge::{AHEAD, OLD, is_anothers, is_of_another_time};
use crate::verdict::unlogged::{Made, Unlogged, act_behind};
use crate::verdict::{About, Confidence, Doubt, Verdict};
use crate::window::ago;

/// How long after what AWS did a text may speak of it: a period of metrics, and what a client needs.
const SOON: SignedDuration = SignedDuration::from_mins(5);

/// Lays what AWS saw beside a verdict. `evidence` is `None` when there is no source of logs; `sum` says
/// whether every request is accounted for.
#[must_use]
pub fn corroborate(
    verdict: Verdict,
    question: &Question,
    evidence: Option<&Evidence>,
    observed: &Observed,
    sum: &Sum,
) -> Verdict {
    let symptom = question.recognised.symptom;
    let is_settled = verdict.about == About::Named
        || is_of_another_time(question)
        || question.recognised.other.is_some()
        || symptom.is_some_and(|symptom| matches!(symptom.alone, Alone::Proven(_)));
    if is_settled {
        return verdict;
    }
    let unlogged = Unlogged::of(question, evidence, observed);
    match &unlogged {
        Unlogged::Some(made) => beside(verdict, made, question, evidence, observed),
        Unlogged::None(_) => without_aws(verdict, question, evidence, sum),
        Unlogged::Unknown(_) | Unlogged::NotAws => accounted(verdict, question, evidence, sum),
    }
}

/// AWS made failures of this kind: alone, or beside those that the logs hold.
fn beside(
    mut verdict: Verdict,
    made: &Made,
    question: &Question,
    evidence: Option<&Evidence>,
    observed: &Observed,
) -> Verdict {
    let logged = evidence.map_or(0, Evidence::total);
    // An answer that did not come by the proxy is none of those that are logged.
    let recognised = &question.recognised;
    let shows_none = recognised.host == Some(Host::Lambda)
        && recognised.ids.is_empty()
        && recognised.ours.is_none()
        && !recognised.by_old_client;
    let by_old_client = evidence.is_some_and(Evidence::has_old_client);
    let is_none_of_them = (shows_none || did_not_pass(recognised)) && !by_old_client;
    // Of the text's own moment, what failed at other times is no rival.
    let is_elsewhen = made.of_moment && evidence.is_some_and(|logs| !logs.has_focus);
    let rivals = if is_none_of_them || is_elsewhen { 0 } else { logged };
    let all = made.count + rivals;
    let until = question.window.until.min(question.now);
    let is_past = until.duration_since(made.last) > OLD;
    if rivals == 0 || made.count * 3 >= all * 2 {
        let mut found = made.verdict(question, evidence, observed);
        // Whoever was refused left no name; and old refusals are hardly the one that is seen now.
        let anybodys = !question.filters.are_empty() || is_anothers(recognised);
        let elsewhen = recognised
            .at
            .filter(|text| text.has_zone)
            .is_some_and(|text| text.at < made.first - AHEAD || text.at > made.last + SOON);
        if rivals > 0
            || anybodys
            || (is_past && !made.of_moment)
            || elsewhen
            || recognised.is_vague()
        {
            found.confidence = Confidence::Likely;
        }
        if is_past && !made.of_moment {
            found.proof.push(format!("the last of these is {} old", ago(made.last, question.now)));
        }
        found.other = (rivals > 0).then(|| format!("also: {} logged here", shares(evidence)));
        return found;
    }
    if made.count * 3 > all {
        let mut both =
            Verdict::unknown("AWS and an answer that is logged here both look like this.");
        both.proof = vec![
            made.proof(question, observed, Some(logged)),
            format!("{} logged here", shares(evidence)),
        ];
        both.next_steps = vec![
            "paste the whole line: with a request id it is an answer, without one Lambda's refusal"
                .to_owned(),
            "narrow it down: --developer, --session or --since".to_owned(),
        ];
        return both;
    }
    let also = format!("AWS made {} more by itself", grouped(made.count));
    verdict.other = Some(match verdict.other.take() {
        Some(other) => format!("{other}; {also}"),
        None => also,
    });
    if verdict.confidence == Confidence::Certain {
        verdict.confidence = Confidence::Likely;
    }
    verdict
}

/// AWS made none: what rests on that becomes certain, and what presumed the opposite falls.
fn without_aws(
    mut verdict: Verdict,
    question: &Question,
    evidence: Option<&Evidence>,
    sum: &Sum,
) -> Verdict {
    if verdict.doubt == Some(Doubt::Aws) {
        verdict.doubt = None;
        // An invocation that left no trace may have died over its answer.
        let dies = matches!(act_behind(&question.recognised), Some(AwsAct::Die | AwsAct::Cut));
        let is_open = dies && sum.untold().is_some_and(|untold| untold > 0);
        if !is_open {
            verdict.confidence = Confidence::Certain;
        }
        let then = if question.moment_on_aws().is_some() { " at that time" } else { "" };
        verdict.proof.push(sum.none_by_itself() + then);
        return verdict;
    }
    let presumed_aws = verdict.about == About::Nothing && verdict.origin == Some(Origin::Aws);
    if !presumed_aws || sum.is_behind() {
        return accounted(verdict, question, evidence, sum);
    }
    let mut elsewhere = Verdict::likely(
        Origin::Client,
        "neither this proxy nor its function answered this; that Codex seems to talk to another address.",
    );
    elsewhere.acts = Some(Acts::Developer);
    let then = if question.moment_on_aws().is_some() { " at that time" } else { "" };
    elsewhere.proof = vec![sum.none_by_itself() + then];
    elsewhere.proof.extend(verdict.proof);
    elsewhere.next_steps = vec![
        "`base_url` in the developer's config.toml: is it this function's URL?".to_owned(),
        "HTTPS_PROXY on the developer's machine: a middlebox can answer in our place".to_owned(),
    ];
    accounted(elsewhere, question, evidence, sum)
}

/// Where every request that came is accounted for, a failure without a log never came by here.
fn accounted(
    mut verdict: Verdict,
    question: &Question,
    evidence: Option<&Evidence>,
    sum: &Sum,
) -> Verdict {
    let Some(evidence) = evidence.filter(|_| verdict.about == About::Nothing) else {
        return verdict;
    };
    // A stream that broke for the client is a success where the proxy does not see the client's side.
    let would_be_logged = question.recognised.symptom.is_some_and(|symptom| {
        matches!(symptom.proves, Condition::Status(_) | Condition::StatusInText(_))
    });
    let is_here = evidence.last_of_developer.is_some() || evidence.last_of_filtered.is_some();
    let looked_at_all = !evidence.is_partial() && evidence.left_out == 0;
    let is_open = verdict.confidence == Confidence::Unknown && evidence.total() == 0;
    let names_somebody = question.filters.developer.is_some() || question.filters.session.is_some();
    // Whoever is asked about may be among the successes that were not read.
    let was_here = names_somebody && (is_here || evidence.unread_successes > 0);
    if is_whole(sum) && is_open && would_be_logged && looked_at_all && !was_here {
        let mut elsewhere = Verdict::likely(
            Origin::Client,
            "no such answer passed this proxy; that Codex is not reaching it.",
        );
        elsewhere.proof = std::mem::take(&mut verdict.proof);
        elsewhere.next_steps = std::mem::take(&mut verdict.next_steps);
        elsewhere.say = Some(
            "Your Codex isn't using our proxy. Run `codex doctor` and send me your base_url line."
                .to_owned(),
        );
        verdict = elsewhere;
    }
    if sum.saw_metrics || sum.saw_lines {
        let at = verdict.proof.len().min(1);
        verdict.proof.insert(at, format!("CloudWatch: {}", sum.line()));
    }
    verdict
}

/// Tells whether every request left a log: none refused, none lost, none still running.
fn is_whole(sum: &Sum) -> bool {
    sum.url_requests.is_some()
        && sum.refused() == Some(0)
        && sum.throttled.unwrap_or(0) == 0
        && sum.died == 0
        && sum.in_flight == 0
        && sum.untold().is_some_and(|untold| untold <= 0)
}

fn shares(evidence: Option<&Evidence>) -> String {
    let counts = evidence.into_iter().flat_map(|evidence| &evidence.counts);
    let shares: Vec<_> = counts.map(|(origin, count)| format!("{origin} {count}")).collect();
    shares.join(", ")
}

#[cfg(test)]
#[path = "corroborate_tests.rs"]
mod tests;
