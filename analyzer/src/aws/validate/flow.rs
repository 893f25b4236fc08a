//! Checks of the function: that it is there and runs, speaks, and is set up for long exchanges.

use super::Check;
use super::facts::Facts;
use crate::aws::Trouble;
use crate::aws::capacity::reserve;
use crate::aws::cloudwatch::Reserved;
use crate::number::{agreeing, count};
use crate::window::ago;

/// The longest that Lambda allows: an exchange may take that long.
const TIMEOUT_S: u32 = 900;
/// A fresh account has 10 slots; a common one has 1,000.
const SMALL_ACCOUNT: u32 = 100;
/// Slots that a deployment begins with.
const USUAL_SLOTS: u32 = 25;

const FUNCTION: &str = "function";
const LINES: &str = "log lines";
const TIMEOUT: &str = "time-out";
const FORMAT: &str = "log format";
const SLOTS: &str = "slots";
const RETENTION: &str = "log retention";

/// Returns whether the function ran in the last 24 hours; `None` where the metrics do not tell.
fn ran(facts: &Facts) -> Option<bool> {
    facts.recent.as_ref().ok().map(|counts| counts.invocations.is_some_and(|count| count > 0))
}

pub(super) fn function(facts: &Facts) -> Check {
    let name = &facts.function;
    let configuration = match &facts.configuration {
        Ok(configuration) => configuration,
        Err(unseen) => {
            return match &unseen.trouble {
                Trouble::Missing(_) => Check::failed(
                    FUNCTION,
                    format!("there is no function {name} in {}", facts.region),
                    "check --stack (or --function) and AWS_REGION, or deploy it: scripts/deploy.sh",
                ),
                _ => Check::unseen(FUNCTION, unseen),
            };
        }
    };
    let state = configuration.state.as_deref().unwrap_or("Active");
    if state == "Failed" {
        let hint = format!("aws lambda get-function-configuration --function-name {name}");
        return Check::failed(FUNCTION, format!("{name} is in state {state}"), hint);
    }
    let counts = match &facts.recent {
        Ok(counts) => counts,
        Err(unseen) => {
            let check = Check::unseen(FUNCTION, unseen);
            return Check { found: format!("{name} exists; {}", check.found), ..check };
        }
    };
    match counts.invocations {
        Some(ran) if ran > 0 => {
            let ran = count(ran, "invocation");
            Check::ok(FUNCTION, format!("{name}: {state}, {ran} in 24 h"))
        }
        _ => match counts.url_requests {
            Some(requests) if requests > 0 => Check::failed(
                FUNCTION,
                format!("{} in 24 h, and none of them ran", count(requests, "URL request")),
                "Lambda refused them all: see the checks of URL, policy and slots below",
            ),
            _ => Check::pending(
                FUNCTION,
                format!("{name}: {state}, no invocation in 24 h"),
                "send a first request, with a token: codex, or curl URL/v1/models",
            ),
        },
    }
}

pub(super) fn lines(facts: &Facts) -> Check {
    let group = &facts.log_group;
    match (&facts.last_line, ran(facts)) {
        (Ok(Some(at)), _) => {
            Check::ok(LINES, format!("newest in {group}: {} ago", ago(*at, facts.now)))
        }
        (Err(unseen), ran) => match (&unseen.trouble, ran) {
            (Trouble::Missing(_), Some(true)) => Check::failed(
                LINES,
                format!("the function runs, and there is no log group {group}"),
                "the function's role needs logs:CreateLogStream and logs:PutLogEvents; scripts/deploy.sh sets both",
            ),
            (Trouble::Missing(_), _) => Check::pending(
                LINES,
                format!("no log group {group} yet"),
                "the first invocation makes it",
            ),
            _ => Check::unseen(LINES, unseen),
        },
        (Ok(None), Some(true)) => Check::failed(
            LINES,
            format!("the function ran in the last 24 h, and {group} has no line of it"),
            "the function's role needs logs:CreateLogStream and logs:PutLogEvents; scripts/deploy.sh sets both",
        ),
        (Ok(None), _) => Check::pending(
            LINES,
            format!("no line in {group} in 24 h"),
            "the first invocation writes some",
        ),
    }
}

pub(super) fn settings(facts: &Facts) -> Vec<Check> {
    let Ok(configuration) = &facts.configuration else {
        // Said once, by the check of the function.
        return Vec::new();
    };
    let name = &facts.function;
    let update = format!("aws lambda update-function-configuration --function-name {name}");
    let timeout = match configuration.timeout_s {
        Some(seconds) if seconds >= TIMEOUT_S => Check::ok(TIMEOUT, format!("{seconds} s")),
        seconds => Check::failed(
            TIMEOUT,
            seconds.map_or("not told".to_owned(), |seconds| {
                format!("{seconds} s: longer answers are cut off")
            }),
            format!("{update} --timeout {TIMEOUT_S}"),
        ),
    };
    // An emulator may not tell; Lambda does.
    let format = configuration.logs_json.map(|is_json| {
        if is_json {
            return Check::ok(FORMAT, "JSON");
        }
        Check::failed(
            FORMAT,
            "text: its shape changes between Lambda's versions",
            format!("{update} --logging-config LogFormat=JSON"),
        )
    });
    [Some(timeout), format].into_iter().flatten().collect()
}

pub(super) fn slots(facts: &Facts) -> Check {
    let reserved = facts.configuration.as_ref().ok().and_then(|it| it.reserved);
    let account = match &facts.account {
        Ok(account) => account,
        Err(unseen) => return Check::unseen(SLOTS, unseen),
    };
    let larger = "ask AWS for more: aws service-quotas request-service-quota-increase \
                  --service-code lambda --quota-code L-B99A9384 --desired-value 1000";
    let throttles = facts.recent.as_ref().ok().and_then(|counts| counts.throttles).unwrap_or(0);
    if reserved == Some(Reserved::Slots(0)) {
        let found = "0 are reserved: the function is switched off";
        return Check::failed(SLOTS, found, reserve(USUAL_SLOTS));
    }
    if account.slots <= SMALL_ACCOUNT {
        let found =
            format!("the account has {} slots, and none of them can be reserved", account.slots);
        return Check::failed(SLOTS, found, larger);
    }
    let free = format!("{} more can be reserved", account.free());
    let said = match reserved {
        Some(Reserved::Slots(slots)) => {
            format!("{slots} reserved of the account's {}; {free}", account.slots)
        }
        Some(Reserved::Shared) => {
            format!("none reserved, the account's {} are shared; {free}", account.slots)
        }
        None => format!("reserved: not seen; {free}"),
    };
    if throttles > 0 {
        let were = agreeing(throttles, "was", "were");
        let found = format!("{said}; {} {were} refused in 24 h", count(throttles, "request"));
        return Check::failed(
            SLOTS,
            found,
            format!("analyzer capacity{} --since 24h says how many are needed", facts.naming),
        );
    }
    Check::ok(SLOTS, said)
}

pub(super) fn retention(facts: &Facts) -> Check {
    let group = &facts.log_group;
    match &facts.retention {
        Ok(Some(days)) => Check::ok(RETENTION, format!("{days} days")),
        Ok(None) => Check::failed(
            RETENTION,
            "lines are kept for ever, and paid for",
            format!(
                "aws logs put-retention-policy --log-group-name {group} --retention-in-days 30"
            ),
        ),
        Err(unseen) => match &unseen.trouble {
            Trouble::Missing(_) => Check::pending(
                RETENTION,
                format!("no log group {group} yet"),
                "scripts/deploy.sh makes it",
            ),
            _ => Check::unseen(RETENTION, unseen),
        },
    }
}
