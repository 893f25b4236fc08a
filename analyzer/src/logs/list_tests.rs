//! Listing over a source that remembers what it was asked for.

use std::collections::BTreeMap;
use std::sync::Mutex;

use bytes::Bytes;
use futures::future::BoxFuture;

use super::*;
use crate::logs::source::{Listing, Part, Piece, Rates, Span, Version};

/// A source of names only, which remembers the prefixes that were listed.
struct Names {
    objects: BTreeMap<String, Timestamp>,
    asked: Mutex<Vec<String>>,
}

impl Names {
    fn new(names: &[&str], modified: &str) -> Self {
        let modified: Timestamp = modified.parse().expect("a moment");
        let objects = names.iter().map(|name| ((*name).to_owned(), modified)).collect();
        Self { objects, asked: Mutex::default() }
    }
}

impl LogSource for Names {
    fn list<'a>(
        &'a self,
        prefix: &'a str,
        depth: Depth,
    ) -> BoxFuture<'a, Result<Listing, SourceError>> {
        self.asked.lock().expect("no panic").push(prefix.to_owned());
        let mut listing = Listing::default();
        for (key, modified) in &self.objects {
            let Some(rest) = key.strip_prefix(prefix) else { continue };
            match rest.split_once('/').filter(|_| depth == Depth::Here) {
                Some((folder, _)) => listing.folders.push(format!("{prefix}{folder}/")),
                None => listing.objects.push(Listed {
                    key: key.clone(),
                    bytes: 1,
                    modified: Some(*modified),
                }),
            }
        }
        listing.folders.dedup();
        Box::pin(std::future::ready(Ok(listing)))
    }

    fn get<'a>(&'a self, _: &'a str, _: Part) -> BoxFuture<'a, Result<Bytes, SourceError>> {
        unreachable!("listing reads nothing")
    }

    fn read<'a>(
        &'a self,
        _: &'a str,
        _: Span,
        _: Option<&'a Version>,
    ) -> BoxFuture<'a, Result<Piece, SourceError>> {
        unreachable!("listing reads nothing")
    }

    fn concurrency(&self) -> usize {
        1
    }

    fn rates(&self) -> Rates {
        Rates::DISK
    }

    fn place(&self) -> String {
        String::new()
    }
}

fn window(since: &str, until: &str) -> Window {
    let moment = |text: &str| text.parse().expect("a moment");
    Window { since: moment(since), until: moment(until) }
}

const ID: &str = "cpx_01a200ea080c7b3e9f1c2d4a5b6c7d8e";

#[tokio::test]
async fn hours_outside_the_window_are_not_listed_and_the_newest_log_comes_first() {
    let ours = |stamp: &str, folder: &str| format!("logs/{folder}/{stamp}Z-{ID}.none.200.json.zst");
    let keys = [
        ours("20261122T004000000", "2026/11/22/00"),
        ours("20261122T010000000", "2026/11/22/01"),
        ours("20261122T020000000", "2026/11/22/02"),
        ours("20251122T020000000", "2025/11/22/02"),
    ];
    let names: Vec<_> = keys.iter().map(String::as_str).collect();
    let source = Names::new(&names, "2026-11-22T03:00:00Z");
    let logs = list(&source, &window("2026-11-22T00:50:00Z", "2026-11-22T02:00:01Z")).await;
    let logs = logs.expect("listable");
    let found: Vec<_> = logs.entries.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(found, [&keys[2], &keys[1]]);
    let asked = source.asked.lock().expect("no panic");
    assert!(asked.iter().all(|prefix| !prefix.contains("2025")), "{asked:?}");
}

#[tokio::test]
async fn old_layouts_are_found_at_any_depth_and_strangers_are_named() {
    let source = Names::new(
        &[
            "logs/a.json",
            "logs/team/b/c.json.gz",
            "logs/2026/11/22/day-level.json",
            "logs/2026/11/22/01/hour-level.json.zst",
            "logs/2026/11/22/01/deeper/still.json",
            "logs/2026/11/20/other-day.json",
            "logs/notes.txt",
            "logs/2026/11/22/20261122T013000Z-x.json.zst",
        ],
        "2026-11-22T03:00:00Z",
    );
    let logs = list(&source, &window("2026-11-22T01:00:00Z", "2026-11-22T02:00:00Z")).await;
    let logs = logs.expect("listable");
    let mut found: Vec<_> =
        logs.entries.iter().map(|e| e.key.trim_start_matches("logs/")).collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "2026/11/22/01/deeper/still.json",
            "2026/11/22/01/hour-level.json.zst",
            "2026/11/22/20261122T013000Z-x.json.zst",
            "2026/11/22/day-level.json",
            "a.json",
            "team/b/c.json.gz",
        ]
    );
    assert_eq!(logs.unrecognised, ["logs/notes.txt"]);
    assert!(logs.entries.iter().all(|entry| entry.told.is_none()));
}

#[tokio::test]
async fn a_log_whose_place_tells_no_time_is_as_old_as_its_object() {
    let names = ["logs/a.json", "logs/2026/11/22/b.json", "logs/2026/11/22/01/c.json"];
    let times = async |modified| {
        let source = Names::new(&names, modified);
        let window = window("2026-11-22T01:10:00Z", "2026-11-22T01:30:00Z");
        let logs = list(&source, &window).await.expect("listable").entries;
        let mut times: Vec<_> =
            logs.iter().map(|log| (log.key.clone(), log.time.to_string())).collect();
        times.sort();
        times.into_iter().map(|(_, time)| time).collect::<Vec<_>>()
    };
    let written = "2026-11-22T01:20:00Z";
    assert_eq!(times(written).await, [written; 3]);
    // Moved or written later: the record may tell, and else the folder.
    let since = "2026-11-22T01:10:00Z";
    let later = "2026-11-23T00:00:00Z";
    assert_eq!(times(later).await, [since, since, later]);
}

#[tokio::test]
async fn a_log_written_before_the_window_began_is_not_in_it() {
    let source = Names::new(&["logs/a.json"], "2026-11-22T00:59:00Z");
    let logs = list(&source, &window("2026-11-22T01:00:00Z", "2026-11-22T02:00:00Z")).await;
    assert!(logs.expect("listable").entries.is_empty());
}

#[tokio::test]
async fn logs_come_newest_first_also_where_their_place_tells_no_hour() {
    let ours = |stamp: &str, folder: &str| format!("logs/{folder}/{stamp}Z-{ID}.none.200.json.zst");
    let keys = [
        ours("20261122T004000000", "2026/11/22/00"),
        ours("20261122T010500000", "2026/11/22/01"),
        ours("20261122T025900000", "2026/11/22/02"),
        "logs/team/20261122T013000Z-a.json".to_owned(),
        "logs/20261122T003000Z-b.json".to_owned(),
        "logs/2026/11/22/20261122T025930Z-c.json".to_owned(),
        // In the folder of another hour than it names.
        "logs/2026/11/22/02/20261122T011000Z-d.json".to_owned(),
    ];
    let names: Vec<_> = keys.iter().map(String::as_str).collect();
    let source = Names::new(&names, "2026-11-22T03:00:00Z");
    let window = window("2026-11-22T00:00:00Z", "2026-11-22T04:00:00Z");
    let mut order = Vec::new();
    let logs = walk(&source, &window, Order::NewestFirst, |batch| {
        order.extend(batch.iter().map(|entry| entry.key.clone()));
        ControlFlow::Continue(())
    });
    let logs = logs.await.expect("listable");
    let sorted: Vec<_> = logs.entries.iter().map(|entry| entry.key.clone()).collect();
    assert_eq!(order, sorted);
    assert_eq!(order.len(), keys.len());
    let first = walk(&source, &window, Order::NewestFirst, |_| ControlFlow::Break(()));
    assert_eq!(first.await.expect("listable").entries[0].key, keys[5]);
}
