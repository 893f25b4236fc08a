//! The answer for programs: stable names, with a schema of its own.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use schemas::origin::{Acts, Origin};
use serde::Serialize;

use super::Answer;
use crate::aws::cloudwatch::{Counts, Observed, Sum};
use crate::text::secret::masked;
use crate::verdict::evidence::Evidence;
use crate::verdict::turn::Turns;
use crate::verdict::{About, Confidence};

/// The answer of `analyzer origin --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct JsonAnswer {
    /// The text that was given.
    query: String,
    window: Span,
    scanned: Scanned,
    /// Who wrote the words: an origin, or `unknown`.
    author: &'static str,
    /// Row of the symptom catalogue, if the text is known.
    symptom: Option<&'static str>,
    /// Ids in the text, with which of them stand in logs that were read.
    ids: Vec<Id>,
    verdict: JsonVerdict,
    /// Matching failures by origin.
    counts: BTreeMap<&'static str, u64>,
    /// Successes that only quote the words; looked for with `--all`, and under keys that tell no
    /// outcome.
    quoted: u64,
    /// Developers hurt, of the matches that were read.
    developers: Vec<String>,
    /// Turns hurt, of the matches that were read.
    turns: u64,
    /// Tries of these turns that failed.
    tries: u64,
    /// Turns of these that were read to get an answer on a later try; others may have, too.
    turns_recovered: u64,
    #[schemars(with = "Option<String>")]
    first_seen: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    last_seen: Option<Timestamp>,
    /// The last match is younger than five minutes.
    ongoing: bool,
    /// Matching failures that were read, newest first.
    matches: Vec<Match>,
    next_steps: Vec<String>,
    /// What AWS saw of the proxy's function; null where it was not asked.
    cloudwatch: Option<CloudWatch>,
    /// A sentence for the chat.
    say: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Span {
    #[schemars(with = "String")]
    since: Timestamp,
    #[schemars(with = "String")]
    until: Timestamp,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
struct Scanned {
    /// Logs listed in the window.
    listed: u64,
    /// Logs read.
    read: u64,
    /// Bytes of these, as stored.
    bytes: u64,
    /// Logs that could not be read.
    failed: u64,
    /// `--max` left candidates unread.
    capped: bool,
    /// Exchanges that stood in more than one object.
    duplicates: u64,
    /// Keys that tell another outcome than their record.
    mismatched: Vec<String>,
    /// Objects that are no logs by their name; the first hundred.
    unrecognised: Vec<String>,
    /// Keys of logs that could not be read, with the reason; the first hundred.
    failures: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Id {
    id: String,
    /// A log that was read has it.
    found: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct JsonVerdict {
    /// The layer that produced the failure, or `unknown`.
    origin: &'static str,
    acts: Option<Acts>,
    confidence: Confidence,
    why: String,
    proof: Vec<String>,
    /// What is presumably behind it.
    cause: Option<String>,
    other: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Match {
    exchange_id: String,
    #[schemars(with = "String")]
    started_at: Timestamp,
    status: Option<u16>,
    origin: Origin,
    code: String,
    message: String,
    developer: Option<String>,
    model: Option<String>,
    upstream_request_id: Option<String>,
    session_id: Option<String>,
    turn_id: Option<String>,
    key: String,
}

/// What AWS saw in the window; a figure is null without a data point, which is not zero.
#[derive(Debug, Serialize, JsonSchema)]
struct CloudWatch {
    function: String,
    region: Option<String>,
    url_requests: Option<u64>,
    url_4xx: Option<u64>,
    url_5xx: Option<u64>,
    invocations: Option<u64>,
    errors: Option<u64>,
    throttles: Option<u64>,
    concurrent_max: Option<u64>,
    /// Invocations that died, by the platform's lines.
    died: u64,
    /// Exchanges with a start and no end.
    unended: u64,
    /// Exchanges that are still running.
    in_flight: u64,
    /// Records that S3 refused, and that stand in the lines.
    spilled: u64,
    /// Keys of such records of which a part is missing.
    broken_spills: Vec<String>,
    /// From when on the lines were read; null if they were not.
    #[schemars(with = "Option<String>")]
    lines_since: Option<Timestamp>,
    /// Whether every request is accounted for, over the whole minutes of the window.
    sum: Option<String>,
    /// What could not be seen, with the right that is missing.
    unseen: Vec<String>,
}

fn cloudwatch(answer: &Answer, observed: &Observed) -> CloudWatch {
    let window = answer.asked_about();
    let Counts {
        url_requests,
        url_4xx,
        url_5xx,
        invocations,
        errors,
        throttles,
        concurrent_max,
        duration_ms: _,
        spills: _,
    } = observed.totals(&window);
    CloudWatch {
        function: observed.function.clone(),
        region: observed.region.clone(),
        url_requests,
        url_4xx,
        url_5xx,
        invocations,
        errors,
        throttles,
        concurrent_max,
        died: observed.deaths.len() as u64,
        unended: observed.unended.len() as u64,
        in_flight: observed.in_flight.len() as u64,
        spilled: observed.spilled.len() as u64,
        broken_spills: observed.broken_spills.clone(),
        lines_since: observed.lines_since,
        sum: answer.sum.as_ref().map(Sum::line),
        unseen: observed.unseen.iter().map(ToString::to_string).collect(),
    }
}

/// Failures that are named; more of the same help nobody.
const NAMED: usize = 100;

/// Renders the answer as one JSON object and a line end.
#[must_use]
pub fn render(answer: &Answer) -> String {
    let nothing = Evidence::default();
    let evidence = answer.evidence.as_ref().unwrap_or(&nothing);
    let name = |origin: Option<Origin>| origin.map_or("unknown", Origin::as_str);
    let verdict = &answer.verdict;
    let matches = evidence.matches.iter().filter_map(|exchange| {
        let error = exchange.error.as_ref()?;
        Some(Match {
            exchange_id: exchange.exchange_id.clone(),
            started_at: exchange.started_at,
            status: exchange.status,
            origin: error.origin,
            code: error.code.clone(),
            message: error.message.clone(),
            developer: exchange.developer.clone(),
            model: exchange.model.clone(),
            upstream_request_id: exchange.upstream_request_id.clone(),
            session_id: exchange.session_id.clone(),
            turn_id: exchange.turn_id.clone(),
            key: exchange.key.clone(),
        })
    });
    let failures = evidence.unread.iter().take(NAMED);
    let ids = answer.recognised.ids.iter().map(|id| Id {
        id: id.clone(),
        found: evidence.named.iter().any(|exchange| exchange.is_named_by(id)),
    });
    // An id leads to one exchange: others like it are not hurt by this failure.
    let named = evidence.named.first().filter(|_| verdict.about == About::Named);
    let (developers, hurt) = match named {
        Some(exchange) => (
            exchange.developer.iter().cloned().collect(),
            Turns { hurt: 1, tries: 1, recovered: 0 },
        ),
        None => (evidence.developers.iter().cloned().collect(), evidence.turns),
    };
    let json = JsonAnswer {
        query: masked(&answer.query).into_owned(),
        window: Span { since: answer.looked_at().since, until: answer.looked_at().until },
        scanned: Scanned {
            listed: evidence.listed,
            read: evidence.read,
            bytes: evidence.bytes,
            failed: evidence.unread.len() as u64,
            capped: answer.capped,
            duplicates: evidence.duplicates,
            mismatched: evidence.mismatched.clone(),
            unrecognised: evidence.unrecognised.iter().take(NAMED).cloned().collect(),
            failures: failures.map(|unread| format!("{}: {}", unread.key, unread.why)).collect(),
        },
        author: name(answer.author()),
        symptom: answer.symptom().map(|symptom| symptom.id),
        ids: ids.collect(),
        verdict: JsonVerdict {
            origin: name(verdict.origin),
            acts: verdict.acts,
            confidence: verdict.confidence,
            why: verdict.why.clone(),
            proof: verdict.proof.clone(),
            cause: verdict.cause.clone(),
            other: verdict.other.clone(),
        },
        counts: evidence.counts.iter().map(|(origin, count)| (origin.as_str(), *count)).collect(),
        quoted: evidence.quoted,
        developers,
        turns: hurt.hurt,
        tries: hurt.tries,
        turns_recovered: hurt.recovered,
        first_seen: evidence.first_seen,
        last_seen: evidence.last_seen,
        ongoing: answer.is_ongoing(),
        matches: matches.collect(),
        next_steps: verdict.next_steps.clone(),
        cloudwatch: answer.observed.as_ref().map(|observed| cloudwatch(answer, observed)),
        say: verdict.say.clone(),
    };
    let text = serde_json::to_string_pretty(&json);
    text.unwrap_or_default() + "\n"
}

/// Renders the JSON Schema of the answer.
#[must_use]
pub fn schema() -> String {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    let schema = settings.into_generator().into_root_schema_for::<JsonAnswer>();
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}
