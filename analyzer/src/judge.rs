//! From a recognised text and the evidence to a verdict. Pure; the one place that says "certain".
//!
//! - `certain` needs evidence that excludes the other layers: the very exchange, or every match of
//!   one origin with nothing left unread that could say otherwise.
//! - `likely` is what most of the evidence, or the text alone, points at.
//! - Else the answer is `unknown`, with what to check. Never a silent default.

use jiff::SignedDuration;
use schemas::catalogue::ErrorCode;
use schemas::origin::{Acts, Origin};
use schemas::symptom::{Alone, Condition};

use crate::advice::{Advice, about};
use crate::classify::Exchange;
use crate::evidence::Evidence;
use crate::proof::{commonest, counted, describe, shares, words_of};
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

/// A failure older than this, with successes since, is hardly the one that somebody sees now.
const OLD: SignedDuration = SignedDuration::from_hours(1);

/// Judges. `evidence` is `None` when there is no source of logs.
#[must_use]
pub fn judge(question: &Question, evidence: Option<&Evidence>) -> Verdict {
    let recognised = &question.recognised;
    let Some(evidence) = evidence else { return from_text(recognised, None) };
    if let Some(newest) = evidence.named.first() {
        return from_exchange(newest, &evidence.named[1..]);
    }
    // An answer that came through this proxy has an id. A line that would show one and does not is
    // about another answer, however many of that status are logged; and so is one with another id.
    let elsewhere = recognised.would_show_id && decided_by_id(recognised).is_some();
    let other_id = !evidence.matches.is_empty()
        && !evidence.matches.iter().any(|exchange| could_have_id(exchange, &recognised.ids));
    if evidence.total() == 0 || elsewhere || other_id {
        return without_match(question, evidence);
    }
    from_matches(question, evidence)
}

/// Tells whether an exchange can be one whose log shows none of these ids: where OpenAI sent no id,
/// the client saw ours, and else it saw OpenAI's.
fn could_have_id(exchange: &Exchange, ids: &[String]) -> bool {
    let ours = ids.iter().any(|id| id.starts_with("cpx_"));
    ids.is_empty() || ours == exchange.upstream_request_id.is_none()
}

/// The text carries the id of an exchange, and that exchange is here.
fn from_exchange(exchange: &Exchange, others: &[Exchange]) -> Verdict {
    let who = exchange.developer.as_deref().map(|name| format!(", {name}")).unwrap_or_default();
    let ids = exchange.upstream_request_id.as_deref().map(|id| format!(", {id}"));
    let time = exchange.started_at.strftime("%H:%M:%S");
    let named = format!("{}, {time} UTC{who}{}", exchange.exchange_id, ids.unwrap_or_default());
    let Some(error) = &exchange.error else {
        let mut verdict = Verdict::unknown("the exchange with this id succeeded here.");
        verdict.proof = vec![named, words_of(exchange)];
        verdict.next_steps = vec!["paste the line of the failure, with its own id".to_owned()];
        return verdict;
    };
    let differs = |other: &&Exchange| other.error.as_ref().map(|e| e.origin) != Some(error.origin);
    let other = others.iter().find(differs);
    let Advice { what, acts, step, say } = about(error.origin, &error.code, exchange.status);
    Verdict {
        origin: Some(error.origin),
        confidence: if other.is_some() { Confidence::Likely } else { Confidence::Certain },
        why: what,
        acts: Some(acts),
        proof: vec![named, words_of(exchange)],
        other: other
            .map(|other| format!("the text names {} too: {}", other.exchange_id, words_of(other))),
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
    let (code, example, codes) = commonest(evidence, origin);
    let status = example.and_then(|exchange| exchange.status);
    let status = status.or_else(|| question.recognised.wanted.statuses.first().copied());
    let Advice { what, acts, step, say } = about(origin, &code, status);
    let others = ranking[1..].iter().map(|(count, origin)| format!("{origin} {count}"));
    let others: Vec<_> = others.chain(codes).collect();
    let mut proof = vec![counted(question, evidence, origin, most, total)];
    proof.extend(example.map(words_of));
    if !question.recognised.ids.is_empty() {
        proof.insert(
            1,
            "none of them has the id of the text, which is not in this window".to_owned(),
        );
    }
    let is_past = is_past(question, evidence);
    let certain = most == total && !is_past && !is_open(question, evidence, origin);
    Verdict {
        origin: Some(origin),
        confidence: if certain { Confidence::Certain } else { Confidence::Likely },
        why: what.clone(),
        acts: Some(acts),
        proof,
        other: (!others.is_empty()).then(|| format!("also: {}", others.join(", "))),
        next_steps: vec![step],
        say: Some(if is_past {
            format!("That was earlier today: {what} It has worked since.")
        } else {
            say
        }),
        of_matches: true,
    }
}

/// Tells whether something that was not looked at could say otherwise.
fn is_open(question: &Question, evidence: &Evidence, origin: Origin) -> bool {
    // What was left unread can say otherwise, unless its key has told; and keys alone tell no words.
    let undecided = match evidence.by_key_only {
        0 => evidence.left_out > 0,
        _ => evidence.left_out_untold > 0 || evidence.matches.is_empty(),
    };
    // Whoever hangs up does not see an error: without a name it may be somebody else's hanging up.
    let anybodys = origin == Origin::Client
        && question.filters.developer.is_none()
        && question.filters.session.is_none();
    let foreign_id = !question.recognised.ids.is_empty();
    undecided || evidence.is_partial() || anybodys || foreign_id || question.recognised.is_vague()
}

/// Tells whether the last match is long ago, and all is well since.
fn is_past(question: &Question, evidence: &Evidence) -> bool {
    let until = question.window.until.min(question.now);
    let is_old = evidence.last_seen.is_some_and(|last| until.duration_since(last) > OLD);
    is_old && evidence.since_then > 0
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
