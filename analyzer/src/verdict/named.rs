//! What the exchanges say that a text names by their ids.
//!
//! In: a question whose text carries ids, and the evidence. Out: the verdict that the very exchange gives,
//! however old it is, or what it means that it is not here.

use jiff::SignedDuration;
use schemas::origin::Origin;

use crate::logs::classify::Exchange;
use crate::number::count;
use crate::question::Question;
use crate::verdict::advice::{Advice, about};
use crate::verdict::evidence::Evidence;
use crate::verdict::judge::from_matches;
use crate::verdict::presume::unfound;
use crate::verdict::proof::words_of;
use crate::verdict::rate::used_up;
use crate::verdict::{About, Confidence, Verdict};

/// A time of day alone says when something was that is younger than this.
const TODAY: SignedDuration = SignedDuration::from_hours(12);

/// The text names exchanges, a session or a turn, and nothing else or what is here.
pub(crate) fn from_names(question: &Question, evidence: &Evidence) -> Option<Verdict> {
    let has_id = |one: &&Exchange| question.recognised.ids.iter().any(|id| one.has_id(id));
    let alone = |newest: &Exchange, others: &[Exchange]| {
        let code = newest.error.as_ref().map_or("", |error| error.code.as_str());
        let verdict = from_exchange(question, newest, others);
        Some(used_up(verdict, Some(newest), evidence, code))
    };
    let itself: Vec<_> = evidence.named.iter().filter(has_id).cloned().collect();
    if let [newest, others @ ..] = itself.as_slice() {
        return alone(newest, others);
    }
    if !question.is_only_ids() {
        // A turn is tried again: the failure is meant, and not the try that succeeded.
        let failure = evidence.named.iter().find(|exchange| exchange.error.is_some());
        return alone(failure.or(evidence.named.first())?, &[]);
    }
    if evidence.total() > 0 {
        return Some(from_matches(question, evidence));
    }
    let mut verdict = Verdict::unknown(if evidence.named.is_empty() {
        "no failure with this id is logged here."
    } else {
        "what has this id succeeded here."
    });
    verdict.proof = vec![format!("{} in this window", count(evidence.listed, "log"))];
    verdict.proof.extend(unfound(question, evidence));
    verdict.next_steps = vec![
        "a wider window: --since 7d; successes too: --all".to_owned(),
        "paste the line of the failure".to_owned(),
    ];
    Some(verdict)
}

/// The text carries the id of an exchange, and that exchange is here.
fn from_exchange(question: &Question, exchange: &Exchange, others: &[Exchange]) -> Verdict {
    let who = exchange.developer.as_deref().map(|name| format!(", {name}")).unwrap_or_default();
    let openai_id = exchange.upstream_request_id.as_deref().map(|id| format!(", {id}"));
    let is_of_today = question.now.duration_since(exchange.started_at) < TODAY;
    let form = if is_of_today { "%H:%M:%S" } else { "%d %b %Y %H:%M:%S" };
    let time = exchange.started_at.strftime(form);
    let named =
        format!("{}, {time} UTC{who}{}", exchange.exchange_id, openai_id.unwrap_or_default());
    let Some(error) = &exchange.error else {
        let mut verdict = Verdict::unknown("the exchange with this id succeeded here.");
        verdict.proof = vec![named, words_of(exchange)];
        verdict.next_steps = vec!["paste the line of the failure, with its own id".to_owned()];
        return verdict;
    };
    let differs = |other: &&Exchange| other.error.as_ref().map(|e| e.origin) != Some(error.origin);
    let other = others.iter().find(differs);
    let other =
        other.map(|other| format!("the text names {} too: {}", other.exchange_id, words_of(other)));
    let wanted = &question.recognised.wanted;
    // Words that only AWS says are not those of an exchange that has a log.
    let is_of_aws = question.recognised.author == Some(Origin::Aws)
        && error.origin != Origin::Aws
        && !wanted.is_said_in(&exchange.searched);
    let agrees = (!wanted.has_condition() || wanted.matches(exchange)) && !is_of_aws;
    let other = other.or_else(|| {
        (!agrees).then(|| "the text tells of another failure than this exchange".to_owned())
    });
    let Advice { what, acts, step, say } = about(error.origin, &error.code, exchange.status);
    Verdict {
        origin: Some(error.origin),
        confidence: if other.is_some() { Confidence::Likely } else { Confidence::Certain },
        why: what,
        acts: Some(acts),
        proof: [vec![named, words_of(exchange)], not_theirs(question, exchange)].concat(),
        cause: None,
        other,
        next_steps: vec![step],
        say: Some(say),
        about: About::Named,
        doubt: None,
    }
}

/// Says that an id is of somebody else than the developer who is asked about.
fn not_theirs(question: &Question, exchange: &Exchange) -> Vec<String> {
    let asked = question.filters.developer.as_ref();
    let owner = exchange.developer.as_ref().filter(|owner| Some(*owner) != asked);
    let line = asked.zip(owner);
    line.map(|(asked, owner)| format!("it is an exchange of {owner}'s, not of {asked}'s"))
        .into_iter()
        .collect()
}
