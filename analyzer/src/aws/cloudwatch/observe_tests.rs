use std::collections::HashMap;
use std::sync::Mutex;

use futures::future::{BoxFuture, ready};

use super::super::gather::LogLine;
use super::super::watch::{Page, Point};
use super::*;

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn window(since: &str, until: &str) -> Window {
    Window { since: time(since), until: time(until) }
}

/// Holds lines in pages of two, and fails or stops where it is told to.
#[derive(Default)]
struct Shelf {
    lines: Vec<LogLine>,
    points: Vec<Point>,
    /// Lines before this time are refused.
    denied_before: Option<Timestamp>,
    metrics_trouble: Option<Trouble>,
    asked: Mutex<Vec<Window>>,
    /// How often each beginning was asked for.
    pages: Mutex<HashMap<String, usize>>,
}

impl Watch for Shelf {
    fn metrics<'a>(
        &'a self,
        _: &'a Ask<'a>,
        page: Option<String>,
    ) -> BoxFuture<'a, Result<Page<Point>, Trouble>> {
        if let Some(trouble) = &self.metrics_trouble {
            return Box::pin(ready(Err(trouble.clone())));
        }
        let at = page.map_or(0, |page| page.parse().expect("ours"));
        let next = (at + 1 < self.points.len()).then(|| (at + 1).to_string());
        let items = self.points.get(at).copied().into_iter().collect();
        Box::pin(ready(Ok(Page { items, next })))
    }

    fn lines<'a>(
        &'a self,
        _: &'a str,
        window: &'a Window,
        page: Option<String>,
    ) -> BoxFuture<'a, Result<Page<LogLine>, Trouble>> {
        if self.denied_before.is_some_and(|before| window.since < before) {
            let trouble = Trouble::Busy("ThrottlingException: Rate exceeded".to_owned());
            return Box::pin(ready(Err(trouble)));
        }
        if page.is_none() {
            self.asked.lock().expect("no panic").push(window.clone());
        }
        *self.pages.lock().expect("no panic").entry(window.since.to_string()).or_default() += 1;
        let at: usize = page.map_or(0, |page| page.parse().expect("ours"));
        let within = self.lines.iter().filter(|line| window.contains(line.at));
        let left: Vec<LogLine> = within.skip(at).take(3).cloned().collect();
        let next = (left.len() > 2).then(|| (at + 2).to_string());
        Box::pin(ready(Ok(Page { items: left.into_iter().take(2).collect(), next })))
    }
}

fn line(at: &str, text: &str) -> LogLine {
    LogLine { at: time(at), stream: "s".to_owned(), text: text.to_owned() }
}

fn started(id: &str, at: &str) -> LogLine {
    let text = format!(
        r#"{{"event":"exchange_started","exchange_id":"{id}","lambda_request_id":"r-{id}","started_at":"{at}","method":"POST"}}"#
    );
    line(at, &text)
}

const LIMITS: Limits =
    Limits { pages: 1_000, time: Duration::from_hours(1), spilled_bytes: 1 << 20 };

async fn seen(shelf: &Shelf, window: Window, now: &str, limits: Limits) -> Observed {
    seen_by(shelf, window, now, limits, &LinesProgress::default()).await
}

async fn seen_by(
    shelf: &Shelf,
    window: Window,
    now: &str,
    limits: Limits,
    progress: &LinesProgress,
) -> Observed {
    let mut observed = Observed::nothing("codex-proxy", window, time(now));
    observed.region = Some("eu-central-1".to_owned());
    look(shelf, &mut observed, "/aws/lambda/codex-proxy", Scope::MetricsAndLines, limits, progress)
        .await;
    observed
}

#[test]
fn slices_cover_the_window_without_a_gap_newest_first() {
    let whole = window("2026-11-19T00:07:00Z", "2026-11-22T02:42:00Z");
    let slices = slices(&whole);
    assert_eq!(slices[0], window("2026-11-22T02:32:00Z", "2026-11-22T02:42:00Z"));
    assert!(slices.windows(2).all(|pair| pair[0].since == pair[1].until));
    assert_eq!(slices.last().map(|slice| slice.since), Some(whole.since));
    assert!(slices.len() < 50, "{}", slices.len());
    assert!(super::slices(&window("2026-11-22T00:00:00Z", "2026-11-22T00:00:00Z")).is_empty());
}

#[test]
fn periods_grow_where_cloudwatch_has_forgotten_the_finer_ones() {
    let now = time("2026-11-22T02:42:30Z");
    for (since, expected) in [
        ("2026-11-22T02:00:00Z", 60),
        ("2026-11-08T02:42:30Z", 60),
        ("2026-11-07T00:00:00Z", 300),
        ("2026-09-01T00:00:00Z", 3_600),
    ] {
        assert_eq!(period_s(&Window { since: time(since), until: now }, now), expected, "{since}");
    }
    let wide = aligned(&window("2026-11-22T02:03:10Z", "2026-11-22T02:42:30Z"), 300);
    assert_eq!(wide, window("2026-11-22T02:00:00Z", "2026-11-22T02:45:00Z"));
}

#[tokio::test]
async fn metrics_of_all_pages_become_periods_and_what_has_no_point_stays_unknown() {
    let point = |metric, at: &str, value| Point { metric, at: time(at), value };
    let points = vec![
        point(0, "2026-11-22T02:30:00Z", 40.0),
        point(5, "2026-11-22T02:31:00Z", 7.0),
        point(6, "2026-11-22T02:31:00Z", 25.0),
        point(0, "2026-11-22T02:31:00Z", 60.0),
    ];
    let shelf = Shelf { points, ..Shelf::default() };
    let whole = window("2026-11-22T02:00:00Z", "2026-11-22T02:42:00Z");
    let observed = seen(&shelf, whole.clone(), "2026-11-22T02:42:00Z", LIMITS).await;
    assert_eq!(observed.minutes.len(), 2);
    let totals = observed.totals(&whole);
    assert_eq!((totals.url_requests, totals.throttles), (Some(100), Some(7)));
    assert_eq!((totals.concurrent_max, totals.invocations), (Some(25), None));
    let early = observed.throttles_between(whole.since, time("2026-11-22T02:31:00Z"));
    assert_eq!(early, None);
    let touched = observed.throttles_between(time("2026-11-22T02:31:59Z"), whole.until);
    assert_eq!(touched, Some(7));
    let ragged = window("2026-11-22T02:00:01Z", "2026-11-22T02:41:59Z");
    assert_eq!(observed.whole(&ragged), window("2026-11-22T02:01:00Z", "2026-11-22T02:41:00Z"));
    assert_eq!(observed.whole(&whole), whole);
    assert!(observed.saw_metrics() && observed.saw_lines());
}

#[tokio::test]
async fn lines_of_all_pages_and_slices_are_joined() {
    let lines = (0..7).map(|n| started(&format!("cpx_{n}"), &format!("2026-11-22T02:4{n}:00Z")));
    let mut lines: Vec<_> = lines.collect();
    lines.push(line("2026-11-22T02:46:30Z", "REPORT RequestId: r-cpx_6 Status: timeout"));
    lines.push(line("2026-11-22T02:46:30Z", "REPORT RequestId: r-cpx_5 Duration: 3 ms"));
    let shelf = Shelf { lines, ..Shelf::default() };
    let whole = window("2026-11-22T02:00:00Z", "2026-11-22T02:50:00Z");
    let observed = seen(&shelf, whole, "2026-11-22T02:50:00Z", LIMITS).await;
    assert_eq!(observed.in_flight.len(), 5);
    assert_eq!(observed.age(&observed.in_flight[0]), SignedDuration::from_mins(10));
    let unended: Vec<_> = observed.unended.iter().map(|it| &*it.exchange_id).collect();
    assert_eq!(unended, ["cpx_5"]);
    assert_eq!(observed.deaths.len(), 1);
    let held = observed.deaths[0].started.as_ref().map(|it| &*it.exchange_id);
    assert_eq!(held, Some("cpx_6"));
}

#[tokio::test]
async fn a_log_takes_an_exchange_off_the_unended() {
    let lines =
        vec![started("cpx_1", "2026-11-22T02:00:00Z"), started("cpx_2", "2026-11-22T02:01:00Z")];
    let shelf = Shelf { lines, ..Shelf::default() };
    let whole = window("2026-11-22T02:00:00Z", "2026-11-22T02:10:00Z");
    let mut observed = seen(&shelf, whole.clone(), "2026-11-22T03:10:00Z", LIMITS).await;
    assert_eq!((observed.unended.len(), observed.in_flight.len()), (2, 0));
    observed.forget_logged(&["cpx_2".to_owned()].into());
    assert_eq!(observed.unended.len(), 1);
    assert_eq!(observed.sum(&whole, 1).died, 1);
}

#[tokio::test]
async fn ends_after_the_window_are_looked_for() {
    let end = r#"{"event":"exchange_ended","exchange_id":"cpx_1","lambda_request_id":null,"record":"lost","status":200,"origin":"openai","error_origin":null,"error_code":null,"ending":"complete","duration_ms":1.0,"function":"codex-proxy","Exchanges":1,"Errors":0,"AuthTime":0.1,"LogWriteFailures":1,"LogSpills":0,"_aws":{"Timestamp":1795312800000,"CloudWatchMetrics":[]}}"#;
    let lines = vec![started("cpx_1", "2026-11-22T02:00:00Z"), line("2026-11-22T02:14:00Z", end)];
    let shelf = Shelf { lines, ..Shelf::default() };
    let whole = window("2026-11-22T02:00:00Z", "2026-11-22T02:01:00Z");
    let observed = seen(&shelf, whole, "2026-11-22T06:00:00Z", LIMITS).await;
    assert!(observed.unended.is_empty() && observed.in_flight.is_empty());
    assert_eq!((observed.ended, observed.lost.len()), (1, 1));
}

#[tokio::test]
async fn reading_stops_at_a_limit_and_says_how_far_it_came() {
    let shelf = Shelf::default();
    let whole = window("2026-11-20T02:00:00Z", "2026-11-22T02:00:00Z");
    let limits = Limits { pages: 3, ..LIMITS };
    let progress = LinesProgress::default();
    let observed = seen_by(&shelf, whole, "2026-11-22T02:00:00Z", limits, &progress).await;
    assert_eq!(progress.to_string(), "3 of 34 slices of time, 3 pages");
    // Until a quarter of an hour ahead, in slices of ten minutes.
    assert_eq!(observed.lines_since, Some(time("2026-11-22T01:45:00Z")));
    assert!(!observed.saw_lines());
    assert!(observed.unseen.is_empty(), "a limit is no trouble");
    let whole = window("2026-11-20T02:00:00Z", "2026-11-22T02:00:00Z");
    let limits = Limits { pages: 0, ..LIMITS };
    let observed = seen(&shelf, whole, "2026-11-22T02:00:00Z", limits).await;
    assert_eq!(observed.lines_since, None);
    assert!(observed.is_unseen(Action::FilterLogEvents), "nothing at all is");
}

#[tokio::test]
async fn trouble_in_an_older_slice_keeps_what_was_read() {
    let denied_before = Some(time("2026-11-22T01:00:00Z"));
    let lines = vec![started("cpx_1", "2026-11-22T01:59:00Z")];
    let shelf = Shelf { lines, denied_before, ..Shelf::default() };
    let whole = window("2026-11-21T02:00:00Z", "2026-11-22T02:00:00Z");
    let observed = seen(&shelf, whole, "2026-11-22T02:00:00Z", LIMITS).await;
    assert_eq!(observed.in_flight.len(), 1);
    assert!(observed.lines_since.is_some_and(|since| since >= time("2026-11-22T01:00:00Z")));
    assert!(observed.is_unseen(Action::FilterLogEvents));
}

#[tokio::test]
async fn what_may_not_be_seen_is_named_and_the_rest_is_seen() {
    let metrics_trouble = Some(Trouble::Denied("AccessDenied: no".to_owned()));
    let shelf = Shelf { metrics_trouble, ..Shelf::default() };
    let whole = window("2026-11-22T01:00:00Z", "2026-11-22T02:00:00Z");
    let observed = seen(&shelf, whole.clone(), "2026-11-22T02:00:00Z", LIMITS).await;
    assert!(!observed.saw_metrics() && observed.saw_lines());
    let said = observed.unseen[0].to_string();
    assert_eq!(
        said,
        "cloudwatch:GetMetricData denied: cannot tell whether Lambda refused requests"
    );
    let mut nowhere = Observed::nothing("f", whole, time("2026-11-22T02:00:00Z"));
    look(&shelf, &mut nowhere, "/g", Scope::MetricsAndLines, LIMITS, &LinesProgress::default())
        .await;
    assert_eq!(nowhere.unseen.len(), 2);
    assert_eq!(nowhere.unseen[1].trouble, Trouble::NoRegion);
}
