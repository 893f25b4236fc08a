//! The evidence in words: one line each, for the verdict to stand on.

use std::collections::BTreeMap;

use schemas::origin::Origin;

use crate::logs::classify::Exchange;
use crate::number::{agreeing, count};
use crate::question::Question;
use crate::text::recognise::Recognised;
use crate::verdict::evidence::Evidence;

/// `402 of 402 logged HTTP 500s came from openai; 50 of them were read, the rest is told by their keys`
pub(crate) fn counted(
    question: &Question,
    evidence: &Evidence,
    origin: Origin,
    most: u64,
    total: u64,
) -> String {
    let wanted = &question.recognised.wanted;
    let by_status = !wanted.statuses.is_empty() && !wanted.words_required;
    let all_have_it = by_status
        && evidence.matches.iter().all(|m| m.status.is_some_and(|s| wanted.statuses.contains(&s)));
    let what = match wanted.statuses.as_slice() {
        [status] if all_have_it => format!("logged HTTP {status}s"),
        _ => "matching failures".to_owned(),
    };
    let read = evidence.matches.len();
    let unread = match evidence.by_key_only {
        0 => String::new(),
        _ => format!("; {read} of them were read, the rest is told by their keys"),
    };
    let with_id = evidence.matches.iter().filter(|m| m.upstream_request_id.is_some()).count();
    let ids = match with_id {
        _ if origin != Origin::Openai || read == 0 => String::new(),
        1 if read == 1 => ", it carries OpenAI's request id".to_owned(),
        all if all == read => ", all read carry OpenAI's request id".to_owned(),
        some => format!(", {some} of {read} read carry OpenAI's request id"),
    };
    format!("{most} of {total} {what} came from {origin}{unread}{ids}")
}

pub(crate) fn words_of(exchange: &Exchange) -> String {
    let Some(error) = &exchange.error else { return "a success".to_owned() };
    let status = exchange.status.map(|status| format!("HTTP {status} ")).unwrap_or_default();
    let detail = error.detail.as_deref().map(|detail| format!(" ({detail})")).unwrap_or_default();
    let words: String = error.message.chars().take(120).collect();
    let words = if words.is_empty() { "no words".to_owned() } else { format!("\"{words}\"") };
    format!("newest: {status}{}{detail}: {words}", error.code)
}

/// Returns the code that most of the matches of an origin have (empty when none was read), the newest
/// of them, and the other codes with their counts.
pub(crate) fn commonest(
    evidence: &Evidence,
    origin: Origin,
) -> (String, Option<&Exchange>, Vec<String>) {
    let mut codes = BTreeMap::<&str, (u64, &Exchange)>::new();
    for exchange in &evidence.matches {
        let Some(error) = exchange.error.as_ref().filter(|error| error.origin == origin) else {
            continue;
        };
        // Newest first, so the first of a code is its newest.
        codes.entry(error.code.as_str()).or_insert((0, exchange)).0 += 1;
    }
    let mut ranking: Vec<_> = codes.into_iter().collect();
    ranking.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    let others = ranking.iter().skip(1).map(|(code, (count, _))| format!("{code} {count}"));
    let others = others.collect();
    match ranking.first() {
        Some((code, (_, newest))) => ((*code).to_owned(), Some(newest), others),
        None => (String::new(), None, others),
    }
}

pub(crate) fn shares(ranking: &[(u64, Origin)]) -> String {
    let shares: Vec<_> =
        ranking.iter().map(|(count, origin)| format!("{origin} {count}")).collect();
    shares.join(", ")
}

fn describe(recognised: &Recognised) -> String {
    let wanted = &recognised.wanted;
    match (wanted.statuses.as_slice(), wanted.words_required) {
        ([status], false) => format!("HTTP {status}"),
        ([status], true) => format!("HTTP {status} with these words"),
        _ => "failure like this".to_owned(),
    }
}

/// Says what was looked at in vain.
pub(crate) fn not_among(question: &Question, evidence: &Evidence) -> String {
    let whose = if question.filters.are_empty() { "" } else { " that passes the filters" };
    let what = describe(&question.recognised);
    let by_keys = question.filters.are_empty() && evidence.left_out_untold == 0;
    let wanted = &question.recognised.wanted;
    let all = by_keys && !wanted.statuses.is_empty() && !wanted.words_required;
    let (listed, left_out) = (evidence.listed, evidence.left_out);
    if left_out == 0 || all {
        format!("no {what}{whose} among {} of this window", count(listed, "log"))
    } else {
        let read = evidence.read;
        let unread = agreeing(left_out, "is", "are");
        format!(
            "no {what}{whose} among the {} that {}; {left_out} {unread} unread",
            count(read, "log"),
            agreeing(read, "was read", "were read")
        )
    }
}
