//! What an incident is called: sentences for a person, from what was seen. Times in them are UTC and say so.

use std::fmt::Write as _;

use schemas::origin::{Acts, Origin};

use super::fact::Dimension;
use super::latency::Stage;
use super::trouble::{Kind, Trouble};
use crate::number::{count, grouped};
use crate::report::duration;
use crate::verdict::advice::{Advice, about};
use crate::verdict::rate::is_rate_limit;

/// Returns the words about an incident.
#[must_use]
pub(super) fn words(trouble: &Trouble, also: &[Trouble], consequences: &[Trouble]) -> Advice {
    let code = trouble.codes.first();
    let known = about(
        trouble.origin,
        match trouble.kind {
            Kind::Throttled => "aws_throttle",
            Kind::Refused => "aws_forbidden",
            Kind::Died => "aws_crash",
            Kind::Fails | Kind::Slow => code.map_or("", |it| &it.code),
        },
        code.and_then(|it| it.status),
    );
    let mut all = std::iter::once(trouble).chain(also);
    let slow = all.find(|it| it.kind == Kind::Slow && it.origin == Origin::Openai);
    let throttles = consequences.iter().find(|it| it.kind == Kind::Throttled);
    match (slow, throttles) {
        (Some(slow), Some(_)) => Advice {
            what: format!(
                "OpenAI slowed down at {} UTC; that filled our slots, so Lambda began to refuse.",
                slow.window.since.strftime("%H:%M")
            ),
            acts: Acts::Us,
            step: "analyzer capacity   (says how many slots are needed, and the command)"
                .to_owned(),
            say:
                "OpenAI is slow, and that filled our slots. We are adding some; retry in a minute."
                    .to_owned(),
        },
        _ if trouble.kind == Kind::Slow => is_slow(trouble),
        _ => known,
    }
}

fn is_slow(trouble: &Trouble) -> Advice {
    let times = trouble.slow.map_or(String::new(), |slow| {
        format!(
            ": {} {} at the median where {} is usual",
            slow.stage.as_str(),
            duration(slow.median_ms),
            duration(slow.usual_ms)
        )
    });
    let model = trouble.only(Dimension::Model);
    if trouble.origin == Origin::Proxy {
        return Advice {
            what: format!("the proxy adds to the time of the first byte{times}."),
            acts: Acts::Us,
            step: "look at auth_ms (`analyzer show ID`), and at what the proxy's host does besides"
                .to_owned(),
            say: "Our proxy is slower than usual. We are on it.".to_owned(),
        };
    }
    let with = model.map(|model| format!(" with {model}")).unwrap_or_default();
    Advice {
        what: format!("OpenAI takes longer than usual{with}{times}."),
        acts: Acts::Openai,
        step: "use another model, or wait; report it to OpenAI if it lasts".to_owned(),
        say: format!("OpenAI is slower than usual{with}. Our proxy is fine."),
    }
}

/// Returns a trouble in a few words: `503 server_is_overloaded, gpt-5.5`.
#[must_use]
pub(super) fn label(trouble: &Trouble) -> String {
    let exchanges = trouble.blast.exchanges;
    let first = match trouble.kind {
        Kind::Throttled => {
            let busy = trouble.slots.map(|(used, slots)| format!(", {used} of {slots} slots busy"));
            count(exchanges, "throttle") + &busy.unwrap_or_default()
        }
        Kind::Refused => format!("{} refused by the Function URL", grouped(exchanges)),
        Kind::Died => format!("{} answered by Lambda itself", grouped(exchanges)),
        Kind::Slow => trouble.slow.map_or("slow".to_owned(), |slow| {
            let stage = match slow.stage {
                // Whose it is stands beside it.
                Stage::OpenaiFirstByte => "first byte",
                Stage::Proxy => "its part of the first byte",
                stage => stage.as_str(),
            };
            format!("{stage} p50 {} -> {}", duration(slow.usual_ms), duration(slow.median_ms))
        }),
        Kind::Fails => trouble.codes.first().map_or(String::new(), |code| {
            let status = code.status.map(|status| format!("{status} ")).unwrap_or_default();
            format!("{status}{}", code.code)
        }),
    };
    let confined = [
        Dimension::Model,
        Dimension::ClientVersion,
        Dimension::ProxyVersion,
        Dimension::Path,
        Dimension::Region,
    ];
    let only = confined.into_iter().filter_map(|dimension| {
        let value = trouble.only(dimension)?;
        Some(match dimension {
            Dimension::ClientVersion => format!("client {value}"),
            Dimension::ProxyVersion => format!("proxy {value}"),
            _ => value.to_owned(),
        })
    });
    std::iter::once(first).chain(only.take(2)).collect::<Vec<_>>().join(", ")
}

/// Returns whom a trouble hurt: `38 developers, 212 turns`; a few by name.
#[must_use]
pub(super) fn hurt(trouble: &Trouble) -> String {
    let blast = &trouble.blast;
    if matches!(trouble.kind, Kind::Throttled | Kind::Refused | Kind::Died) {
        return "no names: none reached the proxy".to_owned();
    }
    let exchanges = count(blast.exchanges, "exchange");
    let times = match blast.turns {
        Some(turns) if trouble.kind == Kind::Fails => count(turns, "turn"),
        _ => exchanges.clone(),
    };
    match &*blast.names {
        [] => exchanges,
        [one] => format!("{one}, {times}"),
        [one, other] => format!("{one} and {other}, {times}"),
        _ => format!("{}, {times}", count(blast.developers, "developer")),
    }
}

/// Returns why a trouble is one: how much of what, and what is usual.
#[must_use]
pub(super) fn reason(trouble: &Trouble, before: Option<f64>) -> String {
    let blast = &trouble.blast;
    let share = trouble.share() * 100.0;
    let what = match trouble.kind {
        Kind::Fails => "failed so",
        Kind::Slow => "clearly longer than nine of ten usually take",
        Kind::Throttled => "were refused for want of a slot (CloudWatch)",
        Kind::Refused => "were refused by the Function URL and left no log (CloudWatch)",
        Kind::Died => "were answered 5xx by Lambda itself and left no log (CloudWatch)",
    };
    let noun = match trouble.kind {
        Kind::Fails => "exchange",
        Kind::Slow => "measured exchange",
        _ => "request",
    };
    let mut text =
        format!("{} of {} {what}, {share:.0}%", grouped(blast.exchanges), count(blast.of, noun));
    if let (Some(before), Kind::Fails) = (before, trouble.kind) {
        let _ = write!(text, " ({:.1}% before)", before * 100.0);
    }
    for only in &trouble.only {
        let _ = write!(
            text,
            "; {:.0}% of these with {} {} ({:.0}% of all)",
            only.share * 100.0,
            only.dimension.as_str(),
            only.value,
            only.of_all * 100.0
        );
    }
    text
}

/// How a sentence about an incident ends that is over.
const ENDED: &str = " It is over.";

/// Returns a sentence about an incident that is over.
#[must_use]
pub(super) fn past(trouble: &Trouble, when: &str) -> String {
    let what = match (trouble.kind, trouble.origin) {
        (Kind::Throttled, _) => "Lambda had too few slots for us and refused requests".to_owned(),
        (Kind::Refused, _) => "AWS refused requests to our proxy".to_owned(),
        (Kind::Died, _) => "Our proxy's function failed at AWS".to_owned(),
        (Kind::Slow, Origin::Proxy) => "Our proxy was slower than usual".to_owned(),
        (Kind::Slow, _) => format!("OpenAI was slower than usual{}", with(trouble)),
        (Kind::Fails, _) => failed(trouble),
    };
    let noticed = match trouble.blast.developers {
        0 => String::new(),
        people => format!(" {} noticed.", people_of(people)),
    };
    format!("{what}, {when}.{noticed}{ENDED}")
}

/// Makes one sentence of those about two incidents that are over.
#[must_use]
pub(super) fn both(one: &str, other: &str) -> String {
    let one = one.strip_suffix(ENDED).unwrap_or(one);
    let other = other.strip_suffix(ENDED).unwrap_or(other);
    format!("{one} {other} Both are over.")
}

/// Says what failed, in the past.
fn failed(trouble: &Trouble) -> String {
    let with = with(trouble);
    let code = trouble.codes.first();
    let refused = code.and_then(|it| it.status).is_some_and(|it| (400..500).contains(&it));
    let code = code.map_or("", |it| &it.code);
    match (trouble.origin, code) {
        (Origin::Openai, "server_is_overloaded" | "slow_down" | "overloaded") => {
            format!("OpenAI was overloaded{with}")
        }
        (Origin::Openai, "invalid_api_key") => "OpenAI refused the proxy's own key".to_owned(),
        (Origin::Openai, "upstream_cut") => format!("OpenAI cut answers short{with}"),
        (Origin::Openai, "upstream_idle") => {
            format!("OpenAI fell silent in the middle of answers{with}")
        }
        (Origin::Openai, code) if is_rate_limit(code) => {
            format!("Our rate limit at OpenAI was used up{with}")
        }
        (Origin::Openai, _) if refused => format!("OpenAI refused requests{with} ({code})"),
        (Origin::Openai, _) => format!("OpenAI failed{with} ({code})"),
        (Origin::OpenaiEdge, _) => format!("Cloudflare, in front of OpenAI, failed{with} ({code})"),
        (Origin::Proxy, _) if refused => format!("Our proxy refused requests ({code})"),
        (Origin::Proxy, _) => format!("Our proxy failed ({code})"),
        (Origin::Network, _) => format!("Our proxy could not reach OpenAI{with}"),
        (Origin::Aws, _) => "Lambda's limits cut answers".to_owned(),
        (Origin::Client, _) => "Clients hung up before their answers were complete".to_owned(),
    }
}

/// Says what it was confined to.
fn with(trouble: &Trouble) -> String {
    let model = trouble.only(Dimension::Model).map(|it| format!(" on {it}"));
    let client = trouble.only(Dimension::ClientVersion).map(|it| format!(" of client {it}"));
    let path = trouble.only(Dimension::Path).map(|it| format!(" at {it}"));
    model.or(client).or(path).unwrap_or_default()
}

fn people_of(number: u64) -> String {
    if number == 1 { "One person".to_owned() } else { format!("{} people", grouped(number)) }
}
