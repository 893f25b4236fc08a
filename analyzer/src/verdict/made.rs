//! The verdict that failures give which AWS made by itself: what happened, what proves it, what to do.

use jiff::{SignedDuration, Timestamp};
use schemas::origin::{Acts, Origin};
use schemas::symptom::AwsAct;

use crate::aws::cloudwatch::{DeathKind, Observed, Reserved};
use crate::number::{count, grouped};
use crate::question::Question;
use crate::text::ids::Host;
use crate::verdict::advice::{OPENS_DOOR, missing_rights, more_slots};
use crate::verdict::evidence::Evidence;
use crate::verdict::unlogged::Made;
use crate::verdict::{Confidence, Verdict};
use crate::window::Window;

/// A minute's figures stand under its beginning.
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// After this a figure that is not there is hardly on its way.
const SETTLED: SignedDuration = SignedDuration::from_mins(4);

/// Fewer failures than this beside so many invocations for each are an exception, which may not be the
/// one that is asked about.
const FEW: u64 = 3;
const MANY: u64 = 10;

/// What helps where the account has no slot left.
const ACCOUNT_LIMIT: &str = "the account's slots are all busy: ask AWS for more (Service Quotas, Lambda, concurrent executions, L-B99A9384)";

/// Tells whether Lambda says that it is the account's slots that are all busy, and not the function's own.
fn is_of_account(folded: &str) -> bool {
    let others = folded.replace("functionconcurrentinvocationlimitexceeded", "");
    others.contains("concurrentinvocationlimitexceeded")
}

impl Made {
    /// Returns the verdict that these failures give.
    #[must_use]
    pub fn verdict(
        &self,
        question: &Question,
        evidence: Option<&Evidence>,
        observed: &Observed,
    ) -> Verdict {
        let logged = evidence.map(Evidence::total);
        let mut verdict = Verdict::likely(Origin::Aws, &self.why(observed));
        // Where others get through, it may be the developer's address and not the function's policy; and
        // what is too large is refused with the same figures as what is refused for any other reason.
        let is_its_own = question.recognised.symptom.is_some_and(|s| s.unlogged == Some(self.act));
        let excludes = match self.act {
            AwsAct::Forbid => self.nobody_ran(evidence, observed),
            AwsAct::TooLarge => is_its_own,
            // Who shows Lambda's address or its words was answered by it.
            AwsAct::Throttle | AwsAct::Die => {
                let is_lambdas = question.recognised.host == Some(Host::Lambda) || is_its_own;
                is_lambdas || !self.is_exception(observed)
            }
            AwsAct::Cut => !self.is_exception(observed),
        };
        if excludes {
            verdict.confidence = Confidence::Certain;
        }
        verdict.acts = Some(if self.act == AwsAct::TooLarge { Acts::Developer } else { Acts::Us });
        verdict.proof = vec![self.proof(question, observed, logged)];
        verdict.proof.extend(self.detail(evidence, observed));
        verdict.next_steps = vec![self.step(question, observed)];
        verdict.say = Some(self.say().to_owned());
        verdict
    }

    /// Tells whether no request got through since the first of these, by metrics, by logs, and by what
    /// still runs. Metrics come late: without a data point of invocations they have to have had time.
    fn nobody_ran(&self, evidence: Option<&Evidence>, observed: &Observed) -> bool {
        let since = Window { since: self.first, until: observed.window.until };
        let ran = observed.totals(&since).invocations;
        let has_log = evidence.and_then(|logs| logs.newest_log).is_some_and(|at| at >= self.first);
        let had_time = observed.asked_at.duration_since(self.first) >= SETTLED;
        let is_none = ran == Some(0) || (ran.is_none() && evidence.is_some() && had_time);
        is_none && !has_log && observed.in_flight.is_empty()
    }

    /// Tells whether these are an exception beside what ran well.
    fn is_exception(&self, observed: &Observed) -> bool {
        if self.of_moment {
            return false;
        }
        let ran = observed.totals(&observed.window).invocations.unwrap_or(0);
        self.count < FEW && ran >= MANY * self.count
    }

    fn why(&self, observed: &Observed) -> String {
        match (self.act, self.died_of) {
            (AwsAct::Throttle, _) => {
                let span = Window { since: self.first, until: self.last + MINUTE };
                let most = observed.totals(&span).concurrent_max;
                let were_busy = |slots: u32| most.is_none_or(|most| most >= u64::from(slots));
                let slots = match observed.reserved() {
                    Some(Reserved::Slots(slots)) if were_busy(slots) => {
                        format!("all {slots} slots were busy")
                    }
                    _ => "no slot was free".to_owned(),
                };
                format!("Lambda refused the request, {slots}. The proxy never saw it.")
            }
            (AwsAct::Forbid, _) => match observed.aside.missing_rights.as_deref() {
                Some([one]) => {
                    format!("the Function URL refuses everyone; permission {one} is missing.")
                }
                Some(missing @ [_, ..]) => {
                    let missing = missing.join(" and ");
                    format!("the Function URL refuses everyone; permissions {missing} are missing.")
                }
                _ => "the Function URL refused the request; the proxy never saw it.".to_owned(),
            },
            (AwsAct::TooLarge, _) => {
                "Lambda takes 6 MB at most and refused the request; the proxy never saw it."
                    .to_owned()
            }
            (AwsAct::Die | AwsAct::Cut, Some(DeathKind::TimeOut)) => {
                "the function ran into its time limit and was ended before its answer was complete."
                    .to_owned()
            }
            (AwsAct::Die | AwsAct::Cut, Some(DeathKind::OutOfMemory)) => {
                "the function ran out of memory and died over its answer.".to_owned()
            }
            (AwsAct::Die | AwsAct::Cut, Some(DeathKind::StartUp)) => {
                "the function did not come up, so nobody could answer.".to_owned()
            }
            (AwsAct::Die | AwsAct::Cut, Some(DeathKind::Crash)) => {
                "the function crashed over its answer.".to_owned()
            }
            (AwsAct::Die | AwsAct::Cut, None) => {
                "the function died over its answer, and left no log of it.".to_owned()
            }
        }
    }

    /// `CloudWatch 02:30-02:40: 318 throttles, 366 ran, concurrency 25 of 25; 0 logged 429s`
    ///
    /// `logged` is `None` where no log was looked at.
    pub(crate) fn proof(
        &self,
        question: &Question,
        observed: &Observed,
        logged: Option<u64>,
    ) -> String {
        let end = self.last + MINUTE;
        let span = Window { since: self.first, until: end };
        let counts = observed.totals(&span);
        let time = |time: Timestamp| time.strftime("%H:%M").to_string();
        let when = format!("CloudWatch {}-{} UTC", time(self.first), time(end));
        let ran = counts.invocations.map_or_else(String::new, |n| format!(", {} ran", grouped(n)));
        match self.act {
            AwsAct::Throttle => {
                let most = counts.concurrent_max.map_or_else(String::new, |most| {
                    let of = match observed.reserved() {
                        Some(Reserved::Slots(slots)) => format!(" of {slots}"),
                        _ => String::new(),
                    };
                    format!(", concurrency {most}{of}")
                });
                let logged = logged.map_or_else(String::new, |logged| {
                    format!("; {}", count(logged, "logged 429"))
                });
                let throttles = count(self.count, "throttle");
                format!("{when}: {throttles}{ran}{most}{logged}")
            }
            AwsAct::Forbid | AwsAct::TooLarge => {
                let all = counts
                    .url_requests
                    .map_or_else(String::new, |n| format!(" of {}", count(n, "URL request")));
                format!("{when}: {}{all} refused before the proxy{ran}", grouped(self.count))
            }
            AwsAct::Die | AwsAct::Cut => {
                let kind = self.died_of.map_or("without an end", DeathKind::as_str);
                let invocations = count(self.count, "invocation");
                let what = match self.died_of {
                    None => format!("{invocations} failed, or began and never ended"),
                    Some(_) => format!("{invocations} died ({kind})"),
                };
                let none = if logged == Some(0) && question.recognised.wanted.has_condition() {
                    "; no logged failure like this"
                } else {
                    ""
                };
                format!("{when}: {what}{none}")
            }
        }
    }

    fn detail(&self, evidence: Option<&Evidence>, observed: &Observed) -> Option<String> {
        match self.act {
            AwsAct::Throttle => Some(format!(
                "{} ended at once (Codex does not retry this); throttled requests carry no name",
                count(self.count, "turn")
            )),
            AwsAct::Forbid => missing_rights(observed).or_else(|| {
                let nobody = self.nobody_ran(evidence, observed);
                nobody.then(|| "nobody got through since the first".to_owned())
            }),
            AwsAct::TooLarge => None,
            AwsAct::Die | AwsAct::Cut => {
                let newest = observed.deaths.last()?;
                let words: String = newest.line.chars().take(140).collect();
                Some(format!("newest: {words}"))
            }
        }
    }

    fn step(&self, question: &Question, observed: &Observed) -> String {
        match (self.act, self.died_of) {
            (AwsAct::Throttle, _) if is_of_account(&question.recognised.folded) => ACCOUNT_LIMIT,
            (AwsAct::Throttle, _) => return more_slots(observed),
            (AwsAct::Forbid, _) => OPENS_DOOR,
            (AwsAct::TooLarge, _) => {
                "start a new thread or drop images; `codex-proxy serve` outside Lambda takes 64 MiB"
            }
            (_, Some(DeathKind::TimeOut)) => {
                "run long work through `codex-proxy serve` outside Lambda, which has no such limit"
            }
            (_, Some(DeathKind::OutOfMemory)) => "give the function more memory",
            (_, Some(DeathKind::StartUp)) => {
                "analyzer validate; the function's log says why it did not come up"
            }
            _ => "read the function's log around that time; analyzer validate",
        }
        .to_owned()
    }

    fn say(&self) -> &'static str {
        match self.act {
            AwsAct::Throttle => "We ran out of capacity, not OpenAI. Retry in two minutes.",
            AwsAct::Forbid => {
                "Our function refuses requests at AWS's door, not OpenAI. We are on it."
            }
            AwsAct::TooLarge => {
                "Your thread has grown past what Lambda accepts (6 MB). Start a new one."
            }
            AwsAct::Die | AwsAct::Cut => {
                "Our function died over the answer, not OpenAI. Retry; we are on it."
            }
        }
    }
}
