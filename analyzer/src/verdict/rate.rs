//! A rate limit that is used up: what OpenAI says is left of it, and who sends the most.
//!
//! In: a verdict about OpenAI's refusal, the newest of its exchanges, and the evidence. Out: the verdict
//! with both. How many tokens somebody used stands in the logs of successes, which nobody reads for
//! this; but each key tells whose exchange it was, so shares are of exchanges, and are said to be.

use crate::logs::classify::Exchange;
use crate::verdict::Verdict;
use crate::verdict::evidence::{Busiest, Evidence};

/// The codes of a limit that passes by itself, unlike a budget that is spent.
const CODES: [&str; 4] = ["rate_limit_exceeded", "rate_limit_error", "tokens", "requests"];
/// A share, in percent, from which on it is one developer's doing, and not everybody's.
pub(crate) const MUCH: u64 = 40;

/// Tells whether a code of OpenAI speaks of a limit that passes by itself.
pub(crate) fn is_rate_limit(code: &str) -> bool {
    CODES.contains(&code)
}

/// Says how to stop who uses up a limit.
pub(crate) fn stop(developer: &str) -> String {
    format!("call {developer}, or: codex-proxy token disable {developer}   (effective within 60 s)")
}

/// Adds what is known of a rate limit; any other verdict is returned as it is.
pub(crate) fn used_up(
    mut verdict: Verdict,
    newest: Option<&Exchange>,
    evidence: &Evidence,
    code: &str,
) -> Verdict {
    if !is_rate_limit(code) {
        return verdict;
    }
    if let Some((newest, left)) = newest.and_then(|newest| Some((newest, left(newest)?))) {
        let id = &newest.exchange_id;
        if let Some(proof) = verdict.proof.iter_mut().find(|proof| proof.starts_with(id)) {
            *proof = format!("{proof}; {left}");
        } else {
            let time = newest.started_at.strftime("%H:%M:%S");
            let who = newest.developer.as_deref().map(|name| format!(", {name}"));
            let line = format!("{id}, {time} UTC{}; {left}", who.unwrap_or_default());
            let at = verdict.proof.len().min(1);
            verdict.proof.insert(at, line);
        }
    }
    let Some(busiest) = &evidence.busiest else { return verdict };
    let Busiest { token8, developer, share, exchanges } = busiest;
    let who = developer.clone().unwrap_or_else(|| format!("token {token8}"));
    let sent = format!("sent {share}% of the {exchanges} exchanges of the 15 min before");
    if *share < MUCH {
        verdict.cause = Some(format!("no single developer: {who} {sent}, and others less"));
        return verdict;
    }
    verdict.cause = Some(format!("{who} {sent}"));
    verdict.next_steps.insert(
        0,
        match developer {
            Some(name) => stop(name),
            None => format!("whose token is {token8}? codex-proxy token list"),
        },
    );
    verdict
}

/// `tokens left 0, reset in 18 s`: of the limit that has nothing left, or the least.
fn left(exchange: &Exchange) -> Option<String> {
    let kinds = ["tokens", "requests"];
    let said = |what: &str, kind: &str| exchange.ratelimit.get(&format!("{what}-{kind}"));
    let number = |kind: &&str| said("remaining", kind).and_then(|left| left.parse::<u64>().ok());
    let known = kinds.into_iter().filter(|kind| number(kind).is_some());
    // A limit of few requests and one of many tokens cannot be compared but by what is left of each.
    let share = |kind: &str| {
        let limit = said("limit", kind).and_then(|limit| limit.parse::<u64>().ok()).unwrap_or(1);
        number(&kind).unwrap_or(0).saturating_mul(1_000) / limit.max(1)
    };
    let kind = known.min_by_key(|kind| share(kind))?;
    let left = said("remaining", kind)?;
    let reset = said("reset", kind).map(|time| format!(", reset in {}", spaced(time)));
    Some(format!("{kind} left {left}{}", reset.unwrap_or_default()))
}

/// Writes `18s` as `18 s`, and leaves what is more than a number and its unit.
fn spaced(time: &str) -> String {
    let digits = time.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let is_plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if is_plain { format!("{digits} {}", &time[digits.len()..]) } else { time.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_its_unit_apart() {
        for (said, written) in [("18s", "18 s"), ("1.5s", "1.5 s"), ("6m0s", "6m0s"), ("", "")] {
            assert_eq!(spaced(said), written);
        }
    }
}
