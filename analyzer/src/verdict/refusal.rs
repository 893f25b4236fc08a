//! A token that the proxy refuses: whose it is, and whether another one of theirs works.
//!
//! In come a verdict about refusals and the evidence; out comes the verdict with what the logs prove
//! of the token. Keys alone tell when a token was accepted; whose it is, only a log that was read.

use jiff::Timestamp;
use schemas::catalogue::ErrorCode;

use crate::verdict::Verdict;
use crate::verdict::evidence::{Evidence, TokenUse};

/// Adds what the logs prove about refused tokens; any other verdict is returned as it is.
pub(crate) fn refused(mut verdict: Verdict, evidence: &Evidence, code: &str) -> Verdict {
    if code != ErrorCode::InvalidToken.entry().name {
        return verdict;
    }
    let refused: Vec<_> = evidence.matches.iter().filter_map(|m| m.token8.as_ref()).collect();
    let Some(&token) = refused.first().filter(|first| refused.iter().all(|one| one == *first))
    else {
        return verdict;
    };
    let times = refused.len();
    let owner = evidence.matches.iter().find_map(|found| found.developer.as_deref());
    let since = evidence.first_seen.map(|first| format!(" since {}", clock(first)));
    let since = since.unwrap_or_default();
    verdict.why = match owner {
        Some(name) => format!("we refused {name}'s token {token}: it is disabled."),
        None => format!("we refused a token that we do not know, {token}."),
    };
    let worked = match evidence.tokens_seen.get(token) {
        Some(TokenUse { accepted, last_accepted: Some(last), .. }) => {
            format!("; it was accepted {}, last {}", times_of(*accepted), clock(*last))
        }
        _ => "; never accepted in this window".to_owned(),
    };
    let word = if times == 1 { "refusal" } else { "refusals" };
    let mut proof = vec![format!("{times} {word} read{since}, all token {token}{worked}")];
    let Some(name) = owner else {
        verdict.proof = proof;
        verdict.cause = Some(
            "a token of another proxy, one with quotes around it, or one that was never added"
                .to_owned(),
        );
        return verdict;
    };
    let of_theirs = |(other, seen): &(&String, &TokenUse)| {
        *other != token && seen.developer.as_deref() == Some(name)
    };
    let other = evidence.tokens_seen.iter().filter(of_theirs).max_by_key(|(_, seen)| seen.accepted);
    proof.push(match other {
        Some((other, TokenUse { accepted, last_accepted: Some(last), .. })) => {
            format!(
                "{name}'s other token {other}: accepted {}, last {}",
                times_of(*accepted),
                clock(*last)
            )
        }
        _ => format!("no use of another token of {name}'s in the logs that were read"),
    });
    verdict.proof = proof;
    verdict.cause = Some(if other.is_some() {
        "likely a program that was started before: it keeps the token of its start, as the Codex daemon does".to_owned()
    } else {
        "after a rotation mostly the Codex background daemon: it keeps the token it was started with".to_owned()
    });
    verdict.next_steps = vec![
        format!("{name} runs: codex app-server daemon restart"),
        format!("no new token yet? codex-proxy token add {name}"),
    ];
    verdict.say = Some(
        "Your Codex still sends a disabled token. Run `codex app-server daemon restart`."
            .to_owned(),
    );
    verdict
}

fn times_of(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

fn clock(time: Timestamp) -> String {
    time.strftime("%d %b %H:%M UTC").to_string()
}
