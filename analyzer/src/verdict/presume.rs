//! What to presume of a failure that the logs do not hold: from the text, and from its absence.
//!
//! Only what a text about the developer's own machine says is certain. Other texts can exclude
//! layers (an id, a missing id, an address, our own words); a log that is not there is evidence too;
//! where neither helps, the answer is what to check.

use schemas::catalogue::{CATALOGUE, ErrorCode};
use schemas::origin::{Acts, Origin};
use schemas::symptom::{Alone, Condition, Symptom};

use crate::number::count;
use crate::question::Question;
use crate::text::elsewhere::Other;
use crate::text::ids::Host;
use crate::text::recognise::{Extent, Recognised, Standing};
use crate::verdict::absent::absent;
use crate::verdict::advice::{Advice, about};
use crate::verdict::by_id::{decided_by_id, did_not_pass, passed_by};
use crate::verdict::evidence::Evidence;
use crate::verdict::nearest::nearest;
use crate::verdict::proof::{not_among, shares};
use crate::verdict::{Confidence, Verdict};

/// The logs hold no such failure, which is evidence too.
pub(crate) fn without_match(question: &Question, evidence: &Evidence) -> Verdict {
    let recognised = &question.recognised;
    if let Some(verdict) = misspelt(question, evidence) {
        return verdict;
    }
    let mut verdict = from_text(recognised, Some((question, evidence)));
    if verdict.origin == Some(Origin::Aws) && evidence.on_lambda == Some(false) {
        let why = "Lambda's words, but the proxy that wrote these logs does not run on Lambda.";
        verdict = Verdict { next_steps: verdict.next_steps, ..Verdict::unknown(why) };
    }
    let is_elsewhere = recognised.other.is_some()
        || recognised.symptom.is_some_and(|s| s.proves == Condition::NothingSent);
    if evidence.total() > 0 && !is_elsewhere {
        let shares: Vec<_> = evidence.counts.iter().map(|(o, n)| format!("{o} {n}")).collect();
        let why = if recognised.ours.is_some() {
            "theirs are other words that only hold these"
        } else if recognised.ids.is_empty() {
            "each with an id, which this text would have shown"
        } else {
            "none with the id of the text, nor with one of its kind"
        };
        let (total, shares) = (evidence.total(), shares.join(", "));
        verdict.other = Some(format!("{total} logged here ({shares}), but {why}"));
    } else if evidence.listed == 0 && !is_elsewhere {
        verdict.proof.push("no logs at all in this window".to_owned());
        verdict
            .next_steps
            .push("a wider window: --since 3d; the right source: --source".to_owned());
    } else if !is_elsewhere {
        verdict.proof.push(not_among(question, evidence));
    }
    if !evidence.statusless.is_empty() {
        return of_no_status(verdict, evidence);
    }
    verdict.proof.extend(unfound(question, evidence));
    if evidence.quoted > 0 {
        verdict.proof.push(format!(
            "{} successful answers only quote these words, which is no error",
            evidence.quoted
        ));
    }
    if evidence.left_out > 0 && verdict.confidence != Confidence::Unknown && !is_elsewhere {
        verdict
            .next_steps
            .push(format!("{} candidates are unread: raise --max", evidence.left_out));
    }
    verdict
}

/// Records of before version 1 tell no status: a failure that is usually an HTTP 500, or was one then,
/// may be what is meant.
fn of_no_status(mut verdict: Verdict, evidence: &Evidence) -> Verdict {
    let of = |origin| evidence.statusless.get(&origin).copied().unwrap_or(0);
    let all: u64 = evidence.statusless.values().sum();
    let ranking: Vec<_> = evidence.statusless.iter().map(|(o, n)| (*n, *o)).collect();
    let failures = count(all, "failure");
    let found = format!("{failures} in logs that tell no status: {}", shares(&ranking));
    if verdict.origin.is_none() && evidence.total() == 0 {
        let because = if of(Origin::Openai) * 3 >= all * 2 {
            Verdict::likely(
                Origin::Openai,
                "OpenAI failed by its own account; it says so with an HTTP 500, mostly.",
            )
        } else if of(Origin::Proxy) * 3 >= all * 2 {
            Verdict::likely(
                Origin::Proxy,
                "the proxy failed, and may have said so with an HTTP 500.",
            )
        } else {
            Verdict::unknown("OpenAI and the proxy failed, and either may have said HTTP 500.")
        };
        verdict = Verdict {
            acts: because.origin.map(|origin| about(origin, "", Some(500)).acts),
            proof: verdict.proof,
            next_steps: verdict.next_steps,
            ..because
        };
    }
    verdict.proof.insert(0, found);
    verdict
}

/// Says which id of the text, or which session, no log that was read has.
pub(crate) fn unfound(question: &Question, evidence: &Evidence) -> Option<String> {
    let read = evidence.read;
    if let Some(id) = question.recognised.ids.first().filter(|_| evidence.named.is_empty()) {
        return Some(format!("{id} stands in none of the logs that were read ({read})"));
    }
    let session = question.filters.session.as_ref()?;
    let is_seen = evidence.last_of_filtered.is_some();
    (!is_seen).then(|| format!("no log that was read ({read}) is of session {session}"))
}

/// Nobody of that name is in the logs, but somebody of nearly the same name.
fn misspelt(question: &Question, evidence: &Evidence) -> Option<Verdict> {
    let name = question.filters.developer.as_ref()?;
    if evidence.names.contains(name) {
        return None;
    }
    let meant = nearest(name, &evidence.names)?;
    let mut verdict =
        Verdict::unknown(&format!("nobody called `{name}` is in the logs that were read."));
    let read = evidence.read;
    verdict.proof =
        vec![format!("{} read, none of `{name}`; `{meant}` is among them", count(read, "log"))];
    verdict.next_steps = vec![
        format!("misspelt? --developer {meant}"),
        format!("is `{name}` a name at all? codex-proxy token list"),
    ];
    Some(verdict)
}

/// What the text makes likely by itself. `asked` is given when logs were searched in vain.
pub(crate) fn from_text(recognised: &Recognised, asked: Option<(&Question, &Evidence)>) -> Verdict {
    let filtered = asked.and_then(|(question, _)| question.filters.developer.as_deref());
    if recognised.standing == Standing::Named {
        let mut verdict =
            Verdict::unknown("the text speaks of the proxy's messages, and is none of them.");
        verdict.next_steps =
            vec!["paste the line of the failure as the terminal has it".to_owned()];
        return verdict;
    }
    if let Some(code) = recognised.ours {
        return from_our_words(code, asked.map(|(_, evidence)| evidence));
    }
    if recognised.standing == Standing::Kin && recognised.ours.is_none() {
        let why = "an error of the proxy's kind, `proxy_error`, of a version that this one does not know.";
        let mut verdict = Verdict::likely(Origin::Proxy, why);
        verdict.acts = Some(Acts::Us);
        verdict.next_steps =
            vec!["which version is the proxy? its words say what to do".to_owned()];
        return verdict;
    }
    if let Some(other) = recognised.other {
        return of_another(other, recognised);
    }
    let Some(symptom) = recognised.symptom else { return unrecognised(recognised) };
    if let (Alone::IdDecides, Some(evidence)) = (symptom.alone, asked.map(|(_, e)| e))
        && did_not_pass(recognised)
        && !evidence.has_old_client()
    {
        return passed_by(recognised, evidence);
    }
    let mut verdict = match (presumed(recognised, symptom), filtered) {
        (Some(origin), _) if symptom.alone == Alone::Proven(origin) && is_proof(recognised) => {
            Verdict::certain(origin, &sentence(symptom.explains))
        }
        (Some(origin), _) => {
            Verdict::likely(origin, &sentence(&reason(recognised, symptom, origin)))
        }
        (None, Some(developer)) if symptom.proves != Condition::NothingSent => {
            return absent(developer, asked, symptom.checks);
        }
        (None, _) => Verdict::unknown("the text alone does not tell: several layers produce it."),
    };
    verdict.next_steps = symptom.checks.iter().map(|&check| check.to_owned()).collect();
    if let Some(origin) = verdict.origin {
        verdict.acts = Some(who_acts(recognised, symptom, origin));
    }
    verdict
}

/// Tells whether a text that only Codex can have printed was printed by it: it says so, nobody quotes
/// it, and it carries nothing of an answer.
fn is_proof(recognised: &Recognised) -> bool {
    let is_codexs = recognised.folded.contains("codex")
        || recognised.symptom.is_some_and(|symptom| symptom.id == OWN_WORDS);
    let is_of_an_answer = !recognised.ids.is_empty() || !recognised.wanted.statuses.is_empty();
    recognised.extent == Extent::Telling && is_codexs && !is_of_an_answer
}

/// The row whose words no other program is known to print.
const OWN_WORDS: &str = "codex_missing_variable";

/// Words of somebody whom this proxy does not talk to.
fn of_another(other: Other, recognised: &Recognised) -> Verdict {
    let by_codex = recognised.host.is_some() && recognised.author == Some(Origin::Client);
    let mut verdict = match other {
        Other::Vendor(name) if by_codex => Verdict::likely(
            Origin::Client,
            &format!("that Codex talks to {name}, past this proxy."),
        ),
        Other::Vendor(name) => {
            Verdict::unknown(&format!("words of {name}, which this proxy never talks to."))
        }
        Other::Program(name) => {
            Verdict::unknown(&format!("this reads like {name}, and not like Codex or this proxy."))
        }
    };
    verdict.next_steps = vec![
        "which program printed it, and which provider is it set up for?".to_owned(),
        "`model_provider` and `base_url` in config.toml, if it was Codex".to_owned(),
    ];
    verdict
}

/// A text that nobody is known to print.
fn unrecognised(recognised: &Recognised) -> Verdict {
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
        "paste the whole line as it stands in the terminal, with its id if it has one".to_owned(),
    ];
    verdict
}

/// Whose failure a known text makes likely.
fn presumed(recognised: &Recognised, symptom: &Symptom) -> Option<Origin> {
    let is_ours = recognised.has_our_id();
    match symptom.alone {
        // Words that the proxy of before version 1 has as well as OpenAI.
        _ if recognised.standing == Standing::InStream => None,
        // Asked for as it should be, and passed on without /v1.
        Alone::Likely(Origin::Client)
            if symptom.id == PATH
                && recognised.host == Some(Host::Lambda)
                && recognised.has_foreign_id()
                && recognised.folded.contains("/v1/responses") =>
        {
            Some(Origin::Openai)
        }
        // The page of a web server that came with an id of OpenAI's side came from there.
        Alone::Likely(Origin::Network | Origin::Aws) if recognised.has_foreign_id() => {
            Some(Origin::OpenaiEdge)
        }
        // An answer that passed the proxy was not made in front of it.
        Alone::Likely(Origin::Aws) if is_ours => decided_by_id(recognised),
        // Words that any web server says, from a machine that is not Lambda's.
        Alone::Likely(Origin::Aws)
            if symptom.id == AMBIGUOUS && recognised.host == Some(Host::Local) =>
        {
            None
        }
        Alone::Proven(origin) | Alone::Likely(origin) => Some(origin),
        Alone::IdDecides => decided_by_id(recognised),
        Alone::Open if recognised.host == Some(Host::Lambda) && recognised.would_show_id() => {
            decided_by_id(recognised)
        }
        Alone::Open => {
            let is_openai = recognised.has_openai_body || recognised.has_foreign_id();
            let tells = matches!(symptom.proves, Condition::StatusInText(_) | Condition::Status(_));
            (recognised.has_foreign_id() || (tells && is_openai)).then_some(Origin::Openai)
        }
    }
}

/// The row of what OpenAI says of a path without /v1.
const PATH: &str = "openai_path";

/// The row whose words are not Lambda's alone.
const AMBIGUOUS: &str = "aws_crash";

fn reason(recognised: &Recognised, symptom: &Symptom, origin: Origin) -> String {
    match (symptom.alone, origin) {
        (_, Origin::Openai) if symptom.id == PATH => {
            "OpenAI was asked without /v1, though the proxy was asked with it: see its `--upstream`"
                .to_owned()
        }
        (Alone::Likely(expected), _) if expected == origin => symptom.explains.to_owned(),
        (_, Origin::Openai) if recognised.has_foreign_id() => {
            "the id in the text is OpenAI's: its answer, passed on".to_owned()
        }
        (_, Origin::Openai) if recognised.has_our_id() => {
            "our id, but an answer that the proxy never gives: OpenAI's, passed on".to_owned()
        }
        (_, Origin::Openai) => "an error body of OpenAI's shape, not one of the proxy's".to_owned(),
        (_, Origin::OpenaiEdge) => {
            "an id of Cloudflare's, and no words of OpenAI's: its edge answered".to_owned()
        }
        (_, Origin::Proxy | Origin::Network) if recognised.has_our_id() => {
            "the id in the text is the proxy's: it answered by itself".to_owned()
        }
        (_, Origin::Proxy) => "no id of OpenAI's: the proxy refused the token".to_owned(),
        (_, Origin::Aws) if recognised.wanted.statuses == [429] => {
            "Lambda refused it, presumably with all slots busy; the proxy never saw it".to_owned()
        }
        (_, Origin::Aws) => "no id, so Lambda answered in front of the proxy".to_owned(),
        _ => symptom.explains.to_owned(),
    }
}

fn sentence(text: &str) -> String {
    format!("{}.", text.trim_end_matches('.'))
}

fn who_acts(recognised: &Recognised, symptom: &Symptom, origin: Origin) -> Acts {
    let is_expected = matches!(symptom.alone, Alone::Likely(o) | Alone::Proven(o) if o == origin);
    if let Some(acts) = symptom.acts.filter(|_| is_expected) {
        return acts;
    }
    if origin == Origin::Client {
        return Acts::Developer;
    }
    if symptom.id == PATH {
        return Acts::Us;
    }
    let status = recognised.wanted.statuses.first().copied();
    let code = match (origin, status) {
        (Origin::Aws, Some(413)) => "aws_too_large",
        (Origin::Aws, _) => symptom.id,
        _ => recognised.wanted.codes.first().map_or("", String::as_str),
    };
    if origin == Origin::Proxy {
        let entry = CATALOGUE.iter().find(|entry| Some(entry.status) == status);
        return entry.map_or(Acts::Us, |entry| entry.acts);
    }
    about(origin, code, status).acts
}

fn from_our_words(code: ErrorCode, searched: Option<&Evidence>) -> Verdict {
    let entry = code.entry();
    let Advice { what, acts, step, say } = about(entry.origin, entry.name, Some(entry.status));
    let mut verdict = Verdict::likely(entry.origin, &what);
    verdict.acts = Some(acts);
    verdict.proof = vec![format!("these are the proxy's own words, {}", entry.name)];
    verdict.next_steps = vec![step];
    if let Some(evidence) = searched {
        verdict.next_steps.push(match evidence.left_out {
            0 => "not logged in this window: widen it (--since), or check --source".to_owned(),
            unread => format!("not among what was read; {unread} are unread: raise --max"),
        });
    }
    verdict.say = Some(say);
    verdict
}
