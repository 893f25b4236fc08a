//! Asks AWS what no log tells: metrics of the window and of the time before, and the lines of the last
//! minutes, which say what runs, died or was spilled.

use jiff::{SignedDuration, Timestamp};

use crate::aws::cloudwatch::{Limits, LinesProgress, Observed, Scope, observe, observe_within};
use crate::aws::deployment::Deployment;
use crate::window::Window;

/// A window whose lines are all read.
const SHORT: SignedDuration = SignedDuration::from_mins(75);
/// Of a longer one those of its last minutes: an exchange on Lambda runs for 15 minutes at most.
const LAST: SignedDuration = SignedDuration::from_mins(20);
/// Reading lines may take so long, and then the page comes without the rest of them.
const LIMITS: Limits =
    Limits { time: std::time::Duration::from_secs(8), pages: 200, ..Limits::ANSWER };

/// Watches a deployment. What could not be seen is part of the answer.
pub async fn watch(
    deployment: &Deployment,
    window: &Window,
    baseline: &Window,
    now: Timestamp,
) -> Observed {
    let Window { until, .. } = window.up_to(now);
    let is_short = until.duration_since(window.since) <= SHORT;
    let since = if is_short { window.since } else { until - LAST };
    let recent = Window { since, until };
    let both = Window { since: baseline.since.min(window.since), until };
    let progress = LinesProgress::default();
    let (metrics, lines) = futures::join!(
        Box::pin(observe(deployment, &both, Scope::Metrics, now)),
        Box::pin(observe_within(
            deployment,
            &recent,
            Scope::MetricsAndLines,
            now,
            LIMITS,
            &progress
        )),
    );
    let mut unseen = lines.unseen;
    for other in metrics.unseen {
        if !unseen.iter().any(|it| it.action == other.action) {
            unseen.push(other);
        }
    }
    Observed { minutes: metrics.minutes, unseen, ..lines }
}
