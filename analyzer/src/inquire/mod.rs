//! From a question to a verdict: the logs and what AWS saw, asked at the same time, and judged together.
//!
//! Metrics are one cheap question. The lines of the log group are many, so they are read only where they
//! can decide: when the text is of a kind that leaves no log, when no log holds the failure, or when S3
//! may have refused records, which the proxy counts in a metric. Such a record stands among those lines,
//! and counts as the log that it is; a damaged one counts as a log that cannot be read. What may not be
//! seen of the one is left to the other.
//!
//! What was asked of AWS and not seen makes an answer partial where it could have changed it
//! ([`Inquiry::lacks`]): records that S3 refused and that could not be read, always; anything else only
//! of a deployment that somebody named. Beside a bucket alone AWS is asked in passing.

mod spilled;

use std::borrow::Cow;
use std::collections::HashSet;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use tokio::time::timeout;

use crate::aws::Trouble;
use crate::aws::aside::look_aside;
use crate::aws::cloudwatch::{Observed, Scope, Sum, observe};
use crate::aws::deployment::Deployment;
use crate::aws::permission::Action;
use crate::logs::list::Logs;
use crate::logs::scan::Scanned;
use crate::question::Question;
use crate::verdict::advice::name_deployment;
use crate::verdict::corroborate::corroborate;
use crate::verdict::evidence::Evidence;
use crate::verdict::judge::judge;
use crate::verdict::unlogged::act_behind;
use crate::verdict::{About, Confidence, Verdict};
use crate::window::Window;
use spilled::{Spills, spills, take_spilled};

pub(crate) use spilled::understand as understand_spilled;

/// A verdict, and what it rests on.
#[derive(Debug)]
pub struct Inquiry {
    /// Whose failure it was.
    pub verdict: Verdict,
    /// What the logs say; `None` without a source.
    pub evidence: Option<Evidence>,
    /// What AWS saw; `None` where it was not asked.
    pub observed: Option<Observed>,
    /// Whether every request is accounted for, as far as AWS and the logs tell.
    pub sum: Option<Sum>,
    /// What could have changed the answer was asked for and not seen.
    pub lacks: bool,
}

/// Why AWS is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Somebody named the deployment.
    ByName,
    /// The logs are on AWS, so it may know more.
    InPassing,
}

impl Asked {
    /// For so long AWS is waited for, where the logs are certain of something that it cannot have done:
    /// what it could add is that there are more of them.
    fn patience(self) -> Duration {
        match self {
            Self::ByName => Duration::from_secs(10),
            Self::InPassing => Duration::from_secs(3),
        }
    }
}

/// Why the logs could not be looked at.
#[derive(Debug)]
pub enum Barred<E> {
    /// Whoever asks has to say something first.
    Ends(E),
    /// The rest can be asked all the same.
    GoesOn(E),
}

/// Inquires. `look` reads the logs, where there is a source of them; `deployment` finds out whom to ask
/// on AWS, where there is anybody. What AWS does not say is no error; why the logs could not be looked
/// at comes back beside what could be said without them.
///
/// # Errors
///
/// What ends `look` for good.
pub async fn inquire<E>(
    question: &Question,
    look: Option<impl Future<Output = Result<Scanned, Barred<E>>>>,
    deployment: Option<impl Future<Output = Deployment>>,
    asked: Asked,
) -> Result<(Inquiry, Option<E>), E> {
    let window = question.window.up_to(question.now);
    let act = act_behind(&question.recognised);
    let scope = if act.is_some() { Scope::MetricsAndLines } else { Scope::Metrics };
    let ask = async |deployment: &Deployment, scope| {
        let mut observed = Box::pin(observe(deployment, &window, scope, question.now)).await;
        Box::pin(look_aside(&mut observed, deployment, act)).await;
        observed
    };
    let watch = async {
        let deployment = deployment?.await;
        let observed = ask(&deployment, scope).await;
        Some((deployment, observed))
    };
    let look = async {
        match look {
            Some(look) => match look.await {
                Ok(looked) => Ok((Some(looked), None)),
                Err(Barred::GoesOn(error)) => Ok((None, Some(error))),
                Err(Barred::Ends(error)) => Err(error),
            },
            None => Ok((None, None)),
        }
    };
    let ((looked, error), watched) = match select(pin!(look), pin!(watch)).await {
        Either::Left((looked, watch)) => {
            let (looked, error) = looked?;
            let alone = conclude(question, looked.as_ref(), None);
            let is_certain = act.is_none() && alone.verdict.confidence == Confidence::Certain;
            if is_certain && (is_settled(&alone) || !may_have_spilled(&alone, asked)) {
                return Ok((alone, error));
            }
            let watched = if is_certain {
                match timeout(asked.patience(), watch).await {
                    Ok(watched) => watched,
                    Err(_) => return Ok((unanswered(alone, asked), error)),
                }
            } else {
                watch.await
            };
            ((looked, error), watched)
        }
        Either::Right((watched, look)) => (look.await?, watched),
    };
    let looked = looked.as_ref();
    let Some((deployment, observed)) = watched else {
        return Ok((conclude(question, looked, None), error));
    };
    let has_all_logs = looked.is_none_or(|looked| {
        is_nowhere(&observed) || spills(&observed, &window, looked) == Spills::Settled
    });
    let first = conclude(question, looked, Some(observed.clone()));
    let decides = first.verdict.confidence == Confidence::Certain
        || first.evidence.as_ref().is_some_and(|evidence| evidence.total() > 0);
    let is_enough =
        decides && (has_all_logs || is_settled(&first) || !may_have_spilled(&first, asked));
    if is_enough || scope == Scope::MetricsAndLines {
        return Ok((weigh(first, &observed, &window, looked, asked), error));
    }
    let observed = ask(&deployment, Scope::MetricsAndLines).await;
    let second = conclude(question, looked, Some(observed.clone()));
    Ok((weigh(second, &observed, &window, looked, asked), error))
}

/// AWS was not waited for any longer: of a deployment that was named, that is said.
fn unanswered(mut inquiry: Inquiry, asked: Asked) -> Inquiry {
    if asked == Asked::ByName {
        let seconds = asked.patience().as_secs();
        inquiry.verdict.confidence = Confidence::Likely;
        inquiry.verdict.other =
            Some(format!("CloudWatch did not say within {seconds} s whether S3 refused more"));
        inquiry.lacks = true;
    }
    inquiry
}

/// Takes back the certainty that records could refute which S3 refused and nobody could read, and tells
/// whether anything is lacking.
fn weigh(
    mut inquiry: Inquiry,
    observed: &Observed,
    window: &Window,
    looked: Option<&Scanned>,
    asked: Asked,
) -> Inquiry {
    let rests_on_logs =
        inquiry.verdict.about == About::Matches && may_have_spilled(&inquiry, asked);
    let spills = match looked {
        Some(looked) if !is_settled(&inquiry) => spills(observed, window, looked),
        _ => Spills::Settled,
    };
    let doubt = match spills {
        Spills::Unread(count) => {
            Some(format!("CloudWatch: S3 refused {count} more, which were not read"))
        }
        Spills::Unknown if rests_on_logs && asked == Asked::ByName && !is_nowhere(observed) => {
            Some("CloudWatch does not tell whether S3 refused more".to_owned())
        }
        Spills::Unknown | Spills::Settled => None,
    };
    let verdict = &mut inquiry.verdict;
    if let Some(doubt) = doubt {
        inquiry.lacks = true;
        if rests_on_logs && verdict.confidence == Confidence::Certain {
            verdict.confidence = Confidence::Likely;
        }
        // Where a right is missing, that says it.
        let is_said = spills == Spills::Unknown && !observed.unseen.is_empty();
        verdict.other = match (verdict.other.take(), is_said) {
            (other, true) => other,
            (Some(other), false) => Some(format!("{other}; {doubt}")),
            (None, false) => Some(doubt),
        };
    }
    let decides = |action| {
        matches!(
            action,
            Action::GetMetricData | Action::FilterLogEvents | Action::GetFunctionConfiguration
        )
    };
    // Where there is none, there is nothing to be seen of it.
    let is_gap = |trouble: &Trouble| !matches!(trouble, Trouble::Missing(_));
    let is_open = verdict.confidence != Confidence::Certain && asked == Asked::ByName;
    inquiry.lacks |=
        is_open && observed.unseen.iter().any(|it| decides(it.action) && is_gap(&it.trouble));
    inquiry
}

/// Tells whether AWS knows no such function: then it refused and spilled nothing.
pub(crate) fn is_nowhere(observed: &Observed) -> bool {
    let is_missing = observed.unseen.iter().any(|unseen| {
        unseen.action == Action::GetFunctionConfiguration
            && matches!(unseen.trouble, Trouble::Missing(_))
    });
    is_missing && !observed.saw_anything()
}

/// Tells whether records can stand in CloudWatch Logs in the place of logs: outside Lambda there is none,
/// unless somebody says that a function writes here too.
fn may_have_spilled(inquiry: &Inquiry, asked: Asked) -> bool {
    let wrote_none = |evidence: &Evidence| evidence.on_lambda == Some(false);
    asked == Asked::ByName || !inquiry.evidence.as_ref().is_some_and(wrote_none)
}

/// Tells whether more logs would change nothing: the text alone proves it, or the very exchange is here.
fn is_settled(inquiry: &Inquiry) -> bool {
    let verdict = &inquiry.verdict;
    verdict.confidence == Confidence::Certain && verdict.about != About::Matches
}

fn conclude(
    question: &Question,
    looked: Option<&Scanned>,
    mut observed: Option<Observed>,
) -> Inquiry {
    let mut sum = None;
    let evidence = looked.map(|looked| {
        let mut reading = looked.reading.clone();
        let mut logs = Cow::Borrowed(&looked.logs);
        if let Some(observed) = &mut observed {
            forget_logged(observed, &logs);
            sum = Some(add_up(question, observed, &logs));
            if !observed.spilled.is_empty() || !observed.broken_spills.is_empty() {
                take_spilled(observed, &question.window, logs.to_mut(), &mut reading);
            }
        }
        let evidence = question.gather(&logs, &looked.selection, reading);
        Evidence { last_before: looked.earlier.clone(), ..evidence }
    });
    let verdict = judge(question, evidence.as_ref());
    let verdict = match &observed {
        Some(observed) => {
            let sum = sum.get_or_insert_with(|| add_up(question, observed, &Logs::default()));
            let verdict = corroborate(verdict, question, evidence.as_ref(), observed, sum);
            name_deployment(verdict, &observed.naming)
        }
        None => verdict,
    };
    // Where only the exchanges of ids were looked for, nobody has counted the logs.
    let counted = looked.is_none_or(|looked| looked.logs.looked.is_none());
    Inquiry { verdict, evidence, observed, sum: sum.filter(|_| counted), lacks: false }
}

/// Holds the metrics against the logs, over the part of the window that both cover whole.
fn add_up(question: &Question, observed: &Observed, logs: &Logs) -> Sum {
    let window = question.window.up_to(question.now);
    let whole = observed.whole(&window);
    let within = logs.entries.iter().filter(|entry| whole.contains(entry.time));
    let (told, untold): (Vec<_>, Vec<_>) = within.partition(|entry| entry.told.is_some());
    let told = told.into_iter().filter_map(|entry| entry.told).map(|told| told.exchange_id);
    let ids: HashSet<_> = told.collect();
    observed.sum(&whole, (ids.len() + untold.len()) as u64)
}

/// Of an exchange that has a log, only the line of its end is missing.
fn forget_logged(observed: &mut Observed, logs: &Logs) {
    if observed.lines_since.is_none() {
        return;
    }
    let told = logs.entries.iter().filter_map(|entry| entry.told);
    let ids: HashSet<String> = told.map(|told| told.exchange_id.to_string()).collect();
    observed.forget_logged(&ids);
}

#[cfg(test)]
mod tests;
