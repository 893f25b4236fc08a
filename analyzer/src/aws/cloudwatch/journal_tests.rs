use schemas::record::LogRecord;

use super::*;
use crate::aws::cloudwatch::DeathKind;

const NOW: &str = "2026-11-22T03:00:00Z";

fn now() -> Timestamp {
    NOW.parse().expect("a time")
}

fn started(id: &str, seconds_ago: i64) -> Started {
    Started {
        exchange_id: id.to_owned(),
        lambda_request_id: Some(format!("request-of-{id}")),
        started_at: now() - SignedDuration::from_secs(seconds_ago),
        method: "POST".to_owned(),
    }
}

fn ended(id: &str, fate: Fate) -> Ended {
    let sample = include_str!("../../../../schemas/samples/proxy_upstream_failed.json");
    let mut record: LogRecord = serde_json::from_str(sample).expect("a sample is a record");
    id.clone_into(&mut record.exchange_id);
    Ended::of(&record, fate)
}

fn journal(lines: impl IntoIterator<Item = (i64, Line)>) -> Journal {
    let mut journal = Journal::default();
    for (seconds_ago, line) in lines {
        journal.take(now() - SignedDuration::from_secs(seconds_ago), line);
    }
    journal
}

fn start(id: &str, seconds_ago: i64) -> (i64, Line) {
    (seconds_ago, Line::ExchangeStarted(started(id, seconds_ago)))
}

fn end(id: &str, seconds_ago: i64, fate: Fate) -> (i64, Line) {
    (seconds_ago, Line::ExchangeEnded(Box::new(ended(id, fate))))
}

fn ids(starts: &[Started]) -> Vec<&str> {
    starts.iter().map(|started| started.exchange_id.as_str()).collect()
}

#[test]
fn a_start_without_an_end_runs_until_it_is_too_old() {
    let lines = [start("old", 961), start("long", 960), start("young", 5), start("done", 50)];
    let journal = journal(lines.into_iter().chain([end("done", 40, Fate::Stored)]));
    let longest = SignedDuration::from_secs(900);
    let fates = journal.fates(&[], &HashSet::new(), longest, now());
    assert_eq!(ids(&fates.unended), ["old"]);
    assert_eq!(ids(&fates.in_flight), ["long", "young"]);
    assert_eq!(fates.ended.len(), 1);
}

#[test]
fn the_platform_knows_better_than_the_age() {
    let journal = journal([start("over", 5), start("dead", 5), start("runs", 5)]);
    let mut deaths = [Death {
        at: now(),
        request_id: Some("request-of-dead".to_owned()),
        kind: DeathKind::Crash,
        started: None,
        is_logged: false,
        line: String::new(),
    }];
    journal.name(&mut deaths);
    assert_eq!(deaths[0].started.as_ref().map(|started| &*started.exchange_id), Some("dead"));
    let over = HashSet::from(["request-of-over".to_owned(), "request-of-dead".to_owned()]);
    let fates = journal.fates(&deaths, &over, SignedDuration::from_secs(900), now());
    assert_eq!(ids(&fates.unended), ["over"]);
    assert_eq!(ids(&fates.in_flight), ["runs"]);
}

#[test]
fn of_two_ends_the_later_line_holds_in_whatever_order_they_are_read() {
    let both = [end("a", 20, Fate::Lost), end("a", 10, Fate::Stored), end("b", 5, Fate::Lost)];
    for lines in [both.clone().to_vec(), both.into_iter().rev().collect()] {
        let fates = journal(lines).fates(&[], &HashSet::new(), SignedDuration::ZERO, now());
        let told: Vec<_> = fates.ended.iter().map(|end| (&*end.exchange_id, end.record)).collect();
        assert_eq!(told, [("a", Fate::Stored), ("b", Fate::Lost)]);
    }
}

#[test]
fn a_line_is_read_as_it_is_and_out_of_every_wrapping() {
    let line = Line::ExchangeStarted(started("cpx_1", 0));
    let raw = serde_json::to_string(&line).expect("JSON");
    let quoted = serde_json::to_string(&raw).expect("JSON");
    for text in [
        raw.clone(),
        format!("{raw}\n"),
        format!("2026-11-22T02:41:07.123Z\t8f507cfc\tINFO\t{raw}"),
        format!(r#"{{"timestamp":"{NOW}","level":"INFO","message":{quoted}}}"#),
        format!(r#"{{"timestamp":"{NOW}","level":"INFO","message":{raw}}}"#),
    ] {
        assert_eq!(parse(&text), Some(Ours::Journal(line.clone())), "{text}");
    }
    for text in ["", "exchange_started", "{\"event\":\"exchange_started\"}", "{exchange_started"] {
        assert_eq!(parse(text), None, "{text}");
    }
    let spilled = &schemas::spill::lines("logs/key", b"bytes")[0];
    let quoted = serde_json::to_string(spilled).expect("JSON");
    for text in [spilled.clone(), format!(r#"{{"level":"INFO","message":{quoted}}}"#)] {
        assert!(matches!(parse(&text), Some(Ours::Spill(_))), "{text}");
    }
}
