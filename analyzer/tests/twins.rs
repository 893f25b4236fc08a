//! Logs that claim the exchange of another: a key may tell an id that its record does not, and of two logs of
//! one exchange one may be none. Whoever reads them, in whatever order they came, finds the same exchanges.

use std::fs;
use std::sync::Arc;

use analyzer::logs::source::FolderSource;
use benches::corpus::Object;
use schemas::record::LogRecord;
use serde_json::{Value, json};

use crate::common::fading::{Fading, gone};
use crate::common::{Answer, Folder, analyzer, object, run, server_error};
use crate::compact::{compact, rows_of};
use crate::sql::keys_of;

const AT: &str = "2026-11-22T01:41:07.000Z";
const DAY: [&str; 2] = ["--date", "2026-11-22"];

/// Exchanges, of whose ids each log claims one.
struct Exchanges {
    x: LogRecord,
    y: LogRecord,
    z: LogRecord,
}

/// Logs, and what is found in them.
struct Case {
    name: &'static str,
    logs: Vec<Object>,
    /// Which exchanges, by the numbers of their ids.
    found: Vec<u32>,
    /// Whether one of the logs is none.
    has_bad: bool,
}

/// A log under the key of one exchange, with a token of its own, that holds these bytes.
fn log(key_of: &LogRecord, token: char, bytes: &[u8]) -> Object {
    let mut record = key_of.clone();
    record.token_id = Some(token.to_string().repeat(16));
    Object { bytes: bytes.to_vec(), ..object(&record) }
}

fn cases() -> Vec<Case> {
    let Exchanges { x, y, z } =
        Exchanges { x: server_error(1, AT), y: server_error(2, AT), z: server_error(3, AT) };
    let [of_x, of_y, of_z] = [&x, &y, &z].map(|record| object(record).bytes);
    let cut = &of_x[..60];
    let copy = |name: &str| {
        let key = format!("logs/2026/11/22/01/{name}.json.zst");
        Object { key, bytes: of_x.clone(), ..object(&x) }
    };
    let case =
        |name, logs, found: &[u32], has_bad| Case { name, logs, found: found.to_vec(), has_bad };
    vec![
        case(
            "a bad one before a good one",
            vec![log(&x, '0', cut), log(&x, '8', &of_x)],
            &[1],
            true,
        ),
        case(
            "a bad one after a good one",
            vec![log(&x, '8', cut), log(&x, '0', &of_x)],
            &[1],
            true,
        ),
        case(
            "and a third, whose key tells another id than its record",
            vec![log(&x, '0', cut), log(&x, '8', &of_x), log(&y, '3', &of_z)],
            &[1, 3],
            true,
        ),
        case(
            "the first is of another exchange",
            vec![log(&x, '0', &of_y), log(&x, '8', &of_x)],
            &[1, 2],
            false,
        ),
        case(
            "the second is of another exchange",
            vec![log(&x, '8', &of_y), log(&x, '0', &of_x)],
            &[1, 2],
            false,
        ),
        case("crosswise", vec![log(&x, '0', &of_y), log(&y, '8', &of_x)], &[1, 2], false),
        case("a bad one and a copy", vec![log(&x, '0', cut), copy("copy")], &[1], true),
        case("copies", vec![copy("zz"), log(&x, '0', &of_x), copy("aa")], &[1], false),
        case(
            "three bad ones",
            vec![log(&x, '0', cut), log(&x, '1', cut), log(&x, '2', cut)],
            &[],
            true,
        ),
    ]
}

fn sql(folder: &Folder, query: &str) -> Answer {
    let mut command = analyzer(&["sql", query, "--json", "--source"]);
    command.arg(folder.path());
    run(command, "")
}

/// What SQL finds: the ids and the keys of the logs that they are of.
fn rows(folder: &Folder) -> (i32, Vec<Value>) {
    let answer = sql(folder, "SELECT exchange_id, source_key FROM exchanges ORDER BY 1");
    let row = |line: &str| serde_json::from_str(line).expect("JSON");
    (answer.code, answer.stdout.lines().map(row).collect())
}

fn ids(rows: &[Value]) -> Vec<String> {
    let id = |row: &Value| row["exchange_id"].as_str().unwrap_or_default().to_owned();
    rows.iter().map(id).collect()
}

/// How many failures `origin` counts.
fn counted(folder: &Folder) -> Value {
    let window = ["--since", "2026-11-22", "--until", "2026-11-23T00:00:00Z"];
    let answer = folder.ask(&[&["temporary errors"][..], &window].concat());
    answer.json()["counts"]["openai"].clone()
}

#[tokio::test]
async fn each_exchange_is_found_once_whoever_claims_it_and_whoever_reads() {
    for Case { name, logs, found, has_bad } in cases() {
        let expected: Vec<_> = found.iter().map(|n| server_error(*n, AT).exchange_id).collect();
        let folder = Folder::of(&logs);
        let code = if has_bad { 4 } else { 0 };
        let raw = rows(&folder);
        assert_eq!((raw.0, ids(&raw.1)), (code, expected.clone()), "{name}: logs");
        let count = if found.is_empty() { json!(1) } else { json!(found.len()) };
        assert_eq!(counted(&folder), count, "{name}: logs");
        for run in ["first", "second"] {
            compact(&folder, &DAY).ends(code);
            assert_eq!(rows(&folder), raw, "{name}: {run} run");
        }
        let keys = rows_of(&folder).await;
        let keys: Vec<_> = keys.iter().map(|row| row.text("source_key").expect("a key")).collect();
        let first: Vec<_> =
            raw.1.iter().map(|row| row["source_key"].as_str().expect("a key")).collect();
        assert_eq!(keys, first, "{name}: the same logs became rows");
        assert_eq!(counted(&folder), count, "{name}: hours");
        fs::remove_dir_all(folder.path().join("logs")).expect("expired");
        assert_eq!(ids(&rows(&folder).1), expected, "{name}: hours alone");
    }
}

#[test]
fn each_exchange_is_found_once_in_whatever_order_its_logs_come() {
    for Case { name, logs, found, .. } in cases() {
        let expected: Vec<_> = found.iter().map(|n| server_error(*n, AT).exchange_id).collect();
        for first in 0..logs.len() {
            let folder = Folder::new();
            for at in 0..logs.len() {
                folder.put_object(&logs[(first + at) % logs.len()]);
                compact(&folder, &DAY);
            }
            assert_eq!(ids(&rows(&folder).1), expected, "{name}, from {first} on");
            fs::remove_dir_all(folder.path().join("logs")).expect("expired");
            assert_eq!(ids(&rows(&folder).1), expected, "{name}, from {first} on: hours alone");
        }
    }
}

#[tokio::test]
async fn each_exchange_is_found_once_when_its_logs_expire_while_somebody_reads() {
    for Case { name, logs, .. } in cases() {
        let folder = Folder::of(&logs);
        compact(&folder, &DAY);
        let key = |row: &Value| row["source_key"].as_str().expect("a key").to_owned();
        let mut keys: Vec<_> = rows(&folder).1.iter().map(key).collect();
        keys.sort();
        // The hours are listed twice: to know which there are, and once the logs were listed.
        for unseen in 0..=2 {
            let folder = FolderSource::open(folder.path()).expect("a folder");
            let fails = |key: &str| key.starts_with("logs/").then(|| gone(key));
            let source = Arc::new(Fading { folder, fails, unseen: unseen.into() });
            assert_eq!(keys_of(source).await.0, keys, "{name}, {unseen}");
        }
    }
}

#[test]
fn a_key_that_tells_another_outcome_is_named_when_its_record_is_read() {
    let (failed, mut good) = (server_error(1, AT), server_error(1, AT));
    (good.status, good.error) = (200, None);
    let key = object(&good).key;
    let folder = Folder::of(&[Object { key: key.clone(), ..object(&failed) }]);
    let answer = sql(&folder, "SELECT status FROM exchanges").ends(0);
    assert!(answer.stderr.contains("whose record differs from its key"), "{answer:?}");
    let page = compact(&folder, &[&DAY[..], &["--json"]].concat()).ends(0);
    assert!(page.stderr.contains("whose record differs from its key"), "{page:?}");
    assert_eq!(page.json()["hours"][0]["mismatched"], json!([key]));
    assert_eq!(sql(&folder, "SELECT status FROM exchanges").stdout, "{\"status\":500}\n");
}

#[test]
fn a_plan_that_runs_more_than_once_reads_every_row_each_time() {
    let folder = Folder::of(&[1, 2, 3].map(|n| object(&server_error(n, AT))));
    let query = "WITH RECURSIVE steps AS (SELECT CAST(0 AS BIGINT) AS step, CAST(0 AS BIGINT) AS n \
                 UNION ALL SELECT step + 1, found.n FROM steps, \
                 (SELECT count(exchange_id) AS n FROM exchanges) AS found WHERE step < 3) \
                 SELECT min(n) AS least, max(n) AS most FROM steps WHERE step > 0";
    for _ in ["logs", "hours"] {
        assert_eq!(sql(&folder, query).ends(0).stdout, "{\"least\":3,\"most\":3}\n");
        compact(&folder, &DAY).ends(0);
    }
}
