//! `analyzer show`: one exchange by any of its ids.

use benches::corpus::Object;

use crate::common::{Bucket, Folder, analyzer, object, run, server_error};

const TIME: &str = "2026-11-22T02:41:07.123Z";

fn the_one() -> Object {
    let mut record = server_error(1, TIME);
    record.exchange_id = its_id();
    record.client.user_agent = Some("codex_exec/0.169.0 \u{1b}[31m".to_owned());
    object(&record)
}

/// An exchange id as the proxy makes it: the first 48 bits are the time.
fn its_id() -> String {
    let ms = TIME.parse::<jiff::Timestamp>().expect("a time").as_millisecond();
    format!("cpx_{ms:012x}7b3e9f1c2d4a5b6c7d8e")
}

fn show(folder: &Folder, arguments: &[&str]) -> std::process::Command {
    let mut command = analyzer(&["show", "--source"]);
    command.arg(folder.path()).args(arguments);
    command
}

fn others() -> Vec<Object> {
    let times = (0..40).map(|n| (n + 2, format!("2026-11-22T{:02}:00:0{}.000Z", n % 24, n % 10)));
    times.map(|(number, time)| object(&server_error(number, &time))).collect()
}

#[test]
fn an_exchange_is_found_by_each_of_its_ids() {
    let folder = Folder::of(&others());
    let one = the_one();
    folder.put(&one.key, &one.bytes);
    for id in [its_id().as_str(), "req_0000000000000001", one.key.as_str()] {
        let since = ["--since", "2026-11-22T00:00:00Z"];
        let page = run(show(&folder, &[&since[..], &[id]].concat()), "").ends(0).stdout;
        assert!(page.starts_with("openai: OpenAI answered HTTP 500"), "{id}: {page}");
        let has = |words: &str| assert!(page.contains(words), "{words} is not in {page}");
        has(&format!("exchange_id                   {}", its_id()));
        has("client.user_agent             codex_exec/0.169.0 \u{fffd}[31m");
        has("response_body (");
        has("\"type\":\"server_error\"");
    }
}

#[test]
fn the_body_and_the_record_come_as_they_are() {
    let folder = Folder::new();
    let one = the_one();
    folder.put(&one.key, &one.bytes);
    let body = run(show(&folder, &["--body", &its_id()]), "").ends(0).stdout;
    let json = run(show(&folder, &["--json", &its_id()]), "").ends(0).json();
    assert_eq!(json["response_body"], body);
    assert_eq!(json["exchange_id"], its_id());
}

#[test]
fn what_is_not_there_is_said_so() {
    let folder = Folder::of(&others());
    for id in ["cpx_01a200ea080c7b3e9f1c2d4affffffff", "req_nowhere00000"] {
        let answer = run(show(&folder, &["--since", "2026-11-22T00:00:00Z", id]), "").ends(1);
        assert!(answer.stdout.is_empty() && answer.stderr.contains(id), "{answer:?}");
    }
    let broken = Folder::new();
    broken.put("logs/2026/11/22/02/broken.json.zst", b"\x28\xb5\x2f\xfd broken");
    let since = ["--since", "2026-11-22T00:00:00Z"];
    run(show(&broken, &[&since[..], &["req_nowhere00000"]].concat()), "").ends(4);
    run(show(&broken, &["logs/2026/11/22/02/broken.json.zst"]), "").ends(4);
    run(analyzer(&["show", &its_id()]), "").ends(2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_id_costs_one_object() {
    let bucket = Bucket::of(&others()).await;
    bucket.put(&the_one());
    let command = bucket.analyzer(&["show", &its_id()]);
    let answer = tokio::task::spawn_blocking(move || run(command, "")).await.expect("no panic");
    assert!(answer.ends(0).stdout.contains(&its_id()));
    assert_eq!(bucket.0.counts().get, 1);
}
