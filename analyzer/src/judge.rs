//! From a recognised text and the evidence to a verdict. Pure; the one place that says "certain".
//!
//! - `certain` needs evidence that excludes the other layers: the very exchange, or every match of
//!   one origin with nothing left unread that could say otherwise.
//! - `likely` is what most of the evidence, or the text alone, points at.
//! - Else the answer is `unknown`, with what to check. Never a silent default.

use schemas::catalogue::ErrorCode;
use schemas::origin::{Acts, Origin};
use schemas::symptom::{Alone, Condition};

use crate::advice::{Advice, about};
use crate::classify::Exchange;
use crate::evidence::Evidence;
use crate::proof::{common_code, counted, describe, shares, words_of};
use crate::question::Question;
use crate::recognise::{Recognised, StreamEnding};

/// How sure a verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// The evidence excludes the others.
    Certain,
    /// Most of it, or the text alone, points there.
    Likely,
    /// Nothing decides.
    Unknown,
}

/// Whose failure it was, and what follows.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The layer that produced the failure; `None` is the finding that nothing decides.
    pub origin: Option<Origin>,
    /// How sure that is.
    pub confidence: Confidence,
    /// What happened, a sentence.
    pub why: String,
    /// Who has to do something; `None` while the origin is unknown.
    pub acts: Option<Acts>,
    /// The evidence, a sentence each.
    pub proof: Vec<String>,
    /// Evidence that points elsewhere.
    pub other: Option<String>,
    /// What to do, or to check.
    pub next_steps: Vec<String>,
    /// A sentence for the chat.
    pub say: Option<String>,
    /// The matching failures are what this verdict is about; otherwise they are evidence against.
    pub of_matches: bool,
}

/// Judges. `evidence` is `None` when there is no source of logs.
#[must_use]
pub fn judge(question: &Question, evidence: Option<&Evidence>) -> Verdict {
    let recognised = &question.recognised;
    let Some(evidence) = evidence else { return from_text(recognised, None) };
    if let Some(named) = &evidence.named {
        return from_exchange(named);
    }
    // An answer that came through this proxy has an id. A line that would show one and does not is
    // about another answer, however many of that status are logged.
    let elsewhere = recognised.would_show_id && decided_by_id(recognised).is_some();
    if evidence.total() == 0 || elsewhere {
        return without_match(question, evidence);
    }
    from_matches(question, evidence)
}

/// The text carries the id of an exchange, and that exchange is here.
fn from_exchange(exchange: &Exchange) -> Verdict {
    let Some(error) = &exchange.error else { return Verdict::unknown("that exchange succeeded.") };
    let Advice { what, acts, step, say } = about(error.origin, &error.code, exchange.status);
    let who = exchange.developer.as_deref().map(|name| format!(", {name}")).unwrap_or_default();
    let time = exchange.started_at.strftime("%H:%M:%S");
    let ids = exchange.upstream_request_id.as_deref().map(|id| format!(", {id}"));
    Verdict {
        origin: Some(error.origin),
        confidence: Confidence::Certain,
        why: what,
        acts: Some(acts),
        proof: vec![
            format!("{}, {time} UTC{who}{}", exchange.exchange_id, ids.unwrap_or_default()),
            words_of(exchange),
        ],
        other: None,
        next_steps: vec![step],
        say: Some(say),
        of_matches: true,
    }
}

fn from_matches(question: &Question, evidence: &Evidence) -> Verdict {
    let total = evidence.total();
    let mut ranking: Vec<_> = evidence.counts.iter().map(|(origin, n)| (*n, *origin)).collect();
    ranking.sort_unstable_by(|a, b| b.cmp(a));
    let (most, origin) = ranking[0];
    if ranking.get(1).is_some_and(|(second, _)| *second == most) {
        let mut verdict = Verdict::unknown("several layers produced this equally often.");
        verdict.proof = vec![format!("{total} matching: {}", shares(&ranking))];
        verdict.next_steps = vec![
            "narrow it down: --developer, --session or --since".to_owned(),
            "paste the whole line: an id in it leads to the one exchange".to_owned(),
        ];
        return verdict;
    }
    let silence = question.recognised.wanted.ending == Some(StreamEnding::Silence);
    if silence && origin == Origin::Client {
        return from_silence(evidence, total);
    }
    let newest = evidence
        .matches
        .iter()
        .find(|exchange| exchange.error.as_ref().is_some_and(|error| error.origin == origin));
    let code = common_code(evidence, origin);
    let status = newest.and_then(|exchange| exchange.status);
    let status = status.or_else(|| question.recognised.wanted.statuses.first().copied());
    let Advice { what, acts, step, say } = about(origin, &code, status);
    // What was left unread can say otherwise, unless its key has told; and keys alone tell no words.
    let undecided = match evidence.by_key_only {
        0 => evidence.left_out > 0,
        _ => evidence.left_out_untold > 0 || evidence.matches.is_empty(),
    };
    let certain = most == total && !evidence.is_partial() && !undecided;
    let mut proof = vec![counted(question, evidence, origin, most, total)];
    proof.extend(newest.map(words_of));
    Verdict {
        origin: Some(origin),
        confidence: if certain { Confidence::Certain } else { Confidence::Likely },
        why: what,
        acts: Some(acts),
        proof,
        other: (ranking.len() > 1)
            .then(|| format!("{} of {total}: {}", total - most, shares(&ranking[1..]))),
        next_steps: vec![step],
        say: Some(say),
        of_matches: true,
    }
}

/// The client hung up because nothing came any more: that it did so is not the cause.
fn from_silence(evidence: &Evidence, total: u64) -> Verdict {
    let mut verdict = Verdict::likely(
        Origin::Openai,
        "the stream fell silent, and Codex gave up waiting before the proxy did.",
    );
    verdict.proof = vec![format!("{total} exchanges here ended by the client's hanging up")];
    verdict.proof.extend(evidence.matches.first().map(words_of));
    verdict.next_steps = vec![
        "retry; if it lasts, look for a middlebox that buffers between Codex and the proxy"
            .to_owned(),
    ];
    verdict.say = Some("The answer went silent, most likely at OpenAI. Retry.".to_owned());
    verdict.of_matches = true;
    verdict
}

/// The logs hold no such failure, which is evidence too.
fn without_match(question: &Question, evidence: &Evidence) -> Verdict {
    let recognised = &question.recognised;
    let mut verdict = from_text(recognised, Some((question, evidence)));
    let what = describe(recognised);
    if evidence.total() > 0 {
        let shares: Vec<_> = evidence.counts.iter().map(|(o, n)| format!("{o} {n}")).collect();
        verdict.other = Some(format!(
            "{} logged here ({}), but each with an id, which this text would have shown",
            evidence.total(),
            shares.join(", ")
        ));
    } else if evidence.listed == 0 {
        verdict.proof.push("no logs at all in this window".to_owned());
        verdict
            .next_steps
            .push("a wider window: --since 3d; the right source: --source".to_owned());
    } else {
        verdict.proof.push(format!("no {what} among {} logs of this window", evidence.listed));
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
fn from_text(recognised: &Recognised, asked: Option<(&Question, &Evidence)>) -> Verdict {
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
        // Everyone's exchanges of this window were looked at, and none of hers is among them.
        (None, Some(developer)) if symptom.proves != Condition::NothingSent => Verdict::likely(
            Origin::Client,
            &format!(
                "{developer}'s Codex does not seem to reach this proxy: it logged no such answer."
            ),
        ),
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
fn decided_by_id(recognised: &Recognised) -> Option<Origin> {
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

impl Verdict {
    fn unknown(why: &str) -> Self {
        Self {
            origin: None,
            confidence: Confidence::Unknown,
            why: why.to_owned(),
            acts: None,
            proof: Vec::new(),
            other: None,
            next_steps: Vec::new(),
            say: None,
            of_matches: false,
        }
    }

    fn likely(origin: Origin, why: &str) -> Self {
        let acts = match origin {
            Origin::Client => Acts::Developer,
            Origin::Openai | Origin::OpenaiEdge => Acts::Openai,
            Origin::Proxy | Origin::Aws | Origin::Network => Acts::Us,
        };
        let confidence = Confidence::Likely;
        Self { origin: Some(origin), confidence, acts: Some(acts), ..Self::unknown(why) }
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
