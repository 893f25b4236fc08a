//! From a recognised text and the evidence to a verdict. Pure; the one place that says "certain".
//!
//! - `certain` needs evidence that excludes the other layers: the very exchange, or every match of
//!   one origin with nothing left unread that could say otherwise, for a text that is not vague.
//! - `likely` is what most of the evidence, or the text alone, points at.
//! - Else the answer is `unknown`, with what to check. Never a silent default.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use schemas::origin::Origin;
use schemas::symptom::{Alone, Breadth, Condition};

use crate::logs::classify::Exchange;
use crate::number::count;
use crate::question::Question;
use crate::text::fold::fold;
use crate::text::ids::Host;
use crate::text::recognise::{Extent, Recognised, StreamEnding};
use crate::verdict::advice::{Advice, about};
use crate::verdict::by_id::did_not_pass;
use crate::verdict::evidence::Evidence;
use crate::verdict::named::from_names;
use crate::verdict::presume::{from_text, unfound, without_match};
use crate::verdict::proof::{commonest, counted, shares, words_of};
use crate::verdict::rate::used_up;
use crate::verdict::refusal::refused;
use crate::verdict::{About, Confidence, Doubt, Verdict};
use crate::window::{Window, ago};

/// A failure older than this is hardly the one that somebody sees now.
pub(crate) const OLD: SignedDuration = SignedDuration::from_hours(1);

/// How far a moment in a text without a zone may be off.
const ZONES: SignedDuration = SignedDuration::from_hours(14);

/// How long before a text an exchange can have begun that it tells of: Lambda's longest.
pub(crate) const BEFORE: SignedDuration = SignedDuration::from_mins(20);

/// How much the clock of a developer's machine may be behind.
pub(crate) const AHEAD: SignedDuration = SignedDuration::from_mins(2);

/// Fewer failures than this, which are over, may all be somebody else's.
const FEW: u64 = 3;

/// As many successes as this for each failure since then say that it is over.
const MANY: u64 = 10;

/// And as many that what failed was an exception, however often it failed.
const FAR: u64 = 100;

/// Judges. `evidence` is `None` when there is no source of logs.
#[must_use]
pub fn judge(question: &Question, evidence: Option<&Evidence>) -> Verdict {
    let recognised = &question.recognised;
    let Some(evidence) = evidence else { return from_text(recognised, None) };
    if let Some(verdict) = from_names(question, evidence) {
        return verdict;
    }
    if let Some(verdict) = of_another_time(question, evidence) {
        return verdict;
    }
    // What was never sent here stands in no log; what matches is about something else.
    let is_local = recognised.ours.is_none()
        && recognised.symptom.is_some_and(|symptom| {
            symptom.proves == Condition::NothingSent && symptom.alone != Alone::Open
        });
    // An answer that came through this proxy has an id. A line that would show one and does not is
    // about another answer, however many of that status are logged; and so is one with another id.
    let other_id = !evidence.matches.is_empty()
        && !evidence.matches.iter().any(|exchange| could_have_id(exchange, &recognised.ids));
    // Somebody else's failure may hold our words; whoever shows ours had an answer of ours.
    let others_words = recognised.ours.is_some_and(|code| {
        let is_it = |exchange: &Exchange| {
            exchange.error.as_ref().is_some_and(|error| {
                error.code == code.entry().name
                    || fold(&error.message) == fold(code.entry().message)
            })
        };
        !evidence.matches.is_empty() && !evidence.matches.iter().any(is_it)
    });
    // A client that shows no ids may have printed it, where one like that failed here.
    let did_not_pass = did_not_pass(recognised) && !evidence.has_old_client();
    let is_elsewhere = is_local || recognised.other.is_some() || did_not_pass;
    if evidence.total() == 0 || is_elsewhere || other_id || others_words {
        return without_match(question, evidence);
    }
    from_matches(question, evidence)
}

/// The text says when it happened, and that is not in the window: no log of the window is about it.
fn of_another_time(question: &Question, evidence: &Evidence) -> Option<Verdict> {
    let at = question.recognised.at.filter(|_| is_of_another_time(question))?;
    if question.recognised.symptom.is_some_and(|s| matches!(s.alone, Alone::Proven(_))) {
        return None;
    }
    let mut verdict = from_text(&question.recognised, None).at_most_likely();
    verdict.proof.insert(
        0,
        format!("the text is of {}, outside this window", at.at.strftime("%d %b %Y %H:%M")),
    );
    if evidence.total() > 0 {
        let total = evidence.total();
        verdict.other = Some(format!("{total} like it in this window, which are others"));
    }
    let since = at.at.checked_sub(OLD).unwrap_or(at.at).strftime("%Y-%m-%dT%H:%M:%SZ");
    verdict.next_steps.insert(0, format!("look there: --since {since}"));
    Some(verdict)
}

/// Tells whether the text says a time that does not lie in the window.
pub(crate) fn is_of_another_time(question: &Question) -> bool {
    let window = &question.window;
    question.recognised.at.is_some_and(|text| {
        let off = if text.has_zone { AHEAD } else { ZONES };
        text.at < window.since - off || text.at > window.until + off
    })
}

/// Tells whether the text says exactly when it was, and no match that was read is near that.
fn is_of_another_moment(question: &Question, evidence: &Evidence) -> bool {
    question.recognised.at.filter(|text| text.has_zone).is_some_and(|text| {
        let near = Window { since: text.at - BEFORE, until: text.at + AHEAD };
        !evidence.matches.iter().any(|exchange| near.contains(exchange.started_at))
    })
}

/// Everything that matches was long before the moment that the text names, or long after it.
fn at_other_times(
    question: &Question,
    evidence: &Evidence,
    ranking: &[(u64, Origin)],
) -> Option<Verdict> {
    let text = question.recognised.at.filter(|text| text.has_zone)?;
    let (first, last) = evidence.first_seen.zip(evidence.last_seen)?;
    let is_far = text.at < first - BEFORE || text.at > last + BEFORE;
    if !is_far || evidence.left_out_untold > 0 || question.is_only_ids() {
        return None;
    }
    let clock = |time: Timestamp| time.strftime("%d %b %H:%M:%S UTC").to_string();
    let mut verdict = Verdict::unknown("nothing like it failed here at the text's own time.");
    verdict.proof = vec![
        format!("the text is of {}", clock(text.at)),
        format!("like it: {}, first {}, last {}", shares(ranking), clock(first), clock(last)),
    ];
    verdict.next_steps = vec![
        "is the clock of that machine right? --developer, or an id in the text, would decide"
            .to_owned(),
        "`base_url` in the developer's config.toml: does it point at this proxy?".to_owned(),
    ];
    Some(verdict)
}

/// Tells whether an exchange can be one whose log shows none of these ids: where OpenAI sent no id,
/// the client saw ours, and else it saw OpenAI's.
fn could_have_id(exchange: &Exchange, ids: &[String]) -> bool {
    let ours = ids.iter().any(|id| id.starts_with("cpx_"));
    ids.is_empty() || ours == exchange.upstream_request_id.is_none()
}

pub(crate) fn from_matches(question: &Question, evidence: &Evidence) -> Verdict {
    let mut ranking = ranking(question, evidence);
    let total = ranking.iter().map(|(count, _)| count).sum::<u64>();
    ranking.sort_unstable_by(|a, b| b.cmp(a));
    let (most, origin) = ranking[0];
    // Two of three are enough to go by, a bare majority is not.
    if most * 3 < total * 2 {
        let mut verdict = Verdict::unknown("several layers produced this.");
        verdict.proof = vec![format!("{total} matching: {}", shares(&ranking))];
        verdict.proof.extend(unfound(question, evidence));
        verdict.next_steps = vec![
            "narrow it down: --developer, --session or --since".to_owned(),
            "paste the whole line: an id in it leads to the one exchange".to_owned(),
        ];
        return verdict;
    }
    if let Some(now) = evidence.recent_origin().filter(|now| *now != origin) {
        let mut verdict = Verdict::unknown("one layer failed before, and another one fails now.");
        verdict.proof = vec![
            format!("{total} matching: {}", shares(&ranking)),
            format!("most of those of the last 5 min are of {now}"),
        ];
        verdict.next_steps = vec![
            "what fails now: --since 5m; what failed before: --until".to_owned(),
            "paste the whole line: an id in it leads to the one exchange".to_owned(),
        ];
        return verdict;
    }
    if let Some(verdict) = at_other_times(question, evidence, &ranking) {
        return verdict;
    }
    let silence = question.recognised.wanted.ending == Some(StreamEnding::Silence);
    if silence && origin == Origin::Client {
        return from_silence(evidence, total);
    }
    let (code, example, codes) = commonest(evidence, origin);
    let status = example.and_then(|exchange| exchange.status);
    let status = status.or_else(|| question.recognised.wanted.statuses.first().copied());
    let Advice { what, acts, step, say } = about(origin, &code, status);
    let mut proof = vec![counted(question, evidence, origin, most, total)];
    proof.extend(unfound(question, evidence));
    proof.extend(example.map(words_of));
    let codes_differ = !codes.is_empty();
    let elsewhen = (evidence.elsewhen > 0).then(|| format!("{} at other times", evidence.elsewhen));
    let others: Vec<_> = ranking[1..]
        .iter()
        .map(|(count, origin)| format!("{origin} {count}"))
        .chain(codes)
        .chain(elsewhen)
        .collect();
    let until = question.window.until.min(question.now);
    let is_past = evidence.last_seen.is_some_and(|last| until.duration_since(last) > OLD);
    // It has gone well since, for others at least.
    let is_over = evidence.recent.0 == 0 && evidence.since_then >= MANY * total;
    let names_one = question.recognised.at.is_some() || question.is_only_ids();
    let anybodys = question.filters.are_empty() && !names_one;
    let is_far = evidence.since_then >= FAR * total;
    let is_few = is_over && anybodys && (total < FEW || is_far);
    let is_few = is_few && question.recognised.ours.is_none();
    let elsewhen = is_of_another_moment(question, evidence);
    if elsewhen && let Some(text) = question.recognised.at {
        let at = text.at.strftime("%H:%M:%S");
        proof.push(format!("none of those that were read is of the text's own time, {at} UTC"));
    }
    let settled = most == total && !is_few && !elsewhen && !is_open(question, evidence, origin);
    // What is named by an id or by its own time is meant, however old it is.
    let is_past_all = is_past && !question.is_only_ids() && !evidence.has_focus;
    let certain = settled && !is_past_all && !could_be_unlogged(question);
    let verdict = Verdict {
        origin: Some(origin),
        confidence: if certain { Confidence::Certain } else { Confidence::Likely },
        why: if codes_differ { format!("among others: {what}") } else { what.clone() },
        acts: Some(acts),
        proof,
        cause: None,
        other: (!others.is_empty()).then(|| format!("also: {}", others.join(", "))),
        next_steps: vec![step],
        say: Some(if is_past || is_over || evidence.recent.0 == 0 {
            told_as_past(&what, evidence, question.now)
        } else {
            say
        }),
        about: About::Matches,
        doubt: (settled && !certain && !is_past_all).then_some(Doubt::Aws),
    };
    used_up(refused(verdict, evidence, &code), example, evidence, &code)
}

/// Counts the matches by origin. Words of ours are searched for in every error, and of these only our
/// own count, of whichever layer a record of before version 1 has them.
fn ranking(question: &Question, evidence: &Evidence) -> Vec<(u64, Origin)> {
    let all = || evidence.counts.iter().map(|(origin, count)| (*count, *origin)).collect();
    let Some(code) = question.recognised.ours.filter(|_| evidence.by_key_only == 0) else {
        return all();
    };
    let is_own = |exchange: &&Exchange| {
        exchange.error.as_ref().is_some_and(|error| error.code == code.entry().name)
    };
    let says_it = |exchange: &Exchange| {
        exchange.error.as_ref().is_some_and(|error| {
            error.code != code.entry().name && fold(&error.message) == fold(code.entry().message)
        })
    };
    // Somebody else said the very same.
    if evidence.matches.iter().any(says_it) {
        return all();
    }
    let own: Vec<_> = evidence.matches.iter().filter(is_own).collect();
    let origins: BTreeSet<_> = own.iter().filter_map(|m| Some(m.error.as_ref()?.origin)).collect();
    match origins.len() {
        0 => all(),
        1 => origins.into_iter().map(|origin| (own.len() as u64, origin)).collect(),
        _ => vec![(own.len() as u64, code.entry().origin)],
    }
}

/// Tells whether something that was not looked at could say otherwise.
fn is_open(question: &Question, evidence: &Evidence, origin: Origin) -> bool {
    let recognised = &question.recognised;
    // What was left unread can say otherwise, unless its key has told; and keys alone tell no words.
    let undecided = match evidence.by_key_only {
        0 => evidence.left_out > 0,
        _ => evidence.left_out_untold > 0 || evidence.matches.is_empty(),
    };
    // Whoever hangs up does not see an error: without a name it may be somebody else's hanging up.
    let anybodys = origin == Origin::Client
        && question.filters.developer.is_none()
        && question.filters.session.is_none();
    let names = question.is_only_ids();
    // Keys that were wrong where they were read may be wrong where they were not.
    let is_doubted = !evidence.mismatched.is_empty() && evidence.by_key_only > 0;
    let foreign_id = !recognised.ids.is_empty() && !names;
    let is_vague = recognised.is_vague() && !names;
    let anothers = is_doubted || foreign_id || is_vague || is_anothers(recognised);
    undecided || evidence.is_partial() || (anybodys && !names) || anothers
}

/// Tells whether a text without an id may be of another program, or of another server: it stands inside
/// other words, many programs print it, or it names an address that is not known to be this proxy's.
pub(crate) fn is_anothers(recognised: &Recognised) -> bool {
    let is_common = recognised.symptom.is_some_and(|s| s.breadth == Breadth::Common);
    let is_told = recognised.symptom.is_some() && recognised.extent == Extent::Told;
    match recognised.host {
        _ if !recognised.ids.is_empty() => false,
        Some(Host::Lambda) => false,
        Some(Host::Other) => true,
        _ => is_common || is_told,
    }
}

/// Where the id decides, a text without one may be about an answer that never came by here, unless
/// the logs hold its very words.
fn could_be_unlogged(question: &Question) -> bool {
    let recognised = &question.recognised;
    let decides = recognised.symptom.is_some_and(|symptom| symptom.alone == Alone::IdDecides);
    decides && recognised.ours.is_none() && !recognised.wanted.words_required
}

/// The sentence for the chat about a failure that is over.
fn told_as_past(what: &str, evidence: &Evidence, now: Timestamp) -> String {
    let ago = evidence.last_seen.map(|last| ago(last, now)).unwrap_or_default();
    let since = if evidence.since_then > 0 { " Others have had answers since." } else { "" };
    format!("The last one is {ago} old: {what}{since}")
}

/// The client hung up because nothing came any more: that it did so is not the cause.
fn from_silence(evidence: &Evidence, total: u64) -> Verdict {
    let mut verdict = Verdict::likely(
        Origin::Openai,
        "the stream fell silent, and Codex gave up waiting before the proxy did.",
    );
    verdict.proof =
        vec![format!("{} here ended by the client's hanging up", count(total, "exchange"))];
    verdict.proof.extend(evidence.matches.first().map(words_of));
    verdict.next_steps = vec![
        "retry; if it lasts, look for a middlebox that buffers between Codex and the proxy"
            .to_owned(),
    ];
    verdict.say = Some("The answer went silent, most likely at OpenAI. Retry.".to_owned());
    verdict.about = About::Matches;
    verdict
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
#[cfg(test)]
#[path = "judge_limit_tests.rs"]
mod limit_tests;
