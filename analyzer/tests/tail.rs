//! `analyzer tail`, as a person watches it: lines as logs land.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use benches::corpus::Object;
use benches::s3::{Failure, Operation};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::common::{Answer, Bucket, Folder, analyzer, object, run, server_error};

/// The log of an exchange of `dev-NUMBER`, so long ago: OpenAI's 500, or a success.
fn log(number: u32, seconds: i64, is_failure: bool) -> Object {
    let mut record = server_error(number, &ago(seconds).to_string());
    record.developer = Some(format!("dev-{number:02}"));
    if !is_failure {
        record.error = None;
        record.status = 200;
        "{}".clone_into(&mut record.response_body);
    }
    object(&record)
}

fn ago(seconds: i64) -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the command looks at the real time")]
    let now = Timestamp::now();
    now - SignedDuration::from_secs(seconds)
}

/// A running `tail`; it is killed when dropped.
struct Tail {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Tail {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary runs");
        let stdout = child.stdout.take().expect("a pipe");
        Self { child, lines: BufReader::new(stdout).lines() }
    }

    fn next(&mut self) -> Value {
        let line = self.lines.next().expect("another line").expect("text");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn exchanges_appear_as_they_end_and_none_twice() {
    let folder = Folder::new();
    let put = |log: Object| folder.put(&log.key, &log.bytes);
    for (number, seconds) in [(1, 300), (2, 200), (3, 100)] {
        put(log(number, seconds, false));
    }
    let place = folder.path().display().to_string();
    let arguments = ["tail", "--json", "--last", "2", "--interval", "1", "--source", &place];
    let mut tail = Tail::start(analyzer(&arguments));
    let first = tail.next();
    assert_eq!((&first["status"], &first["developer"]), (&200.into(), &"dev-02".into()));
    assert_eq!(tail.next()["developer"], "dev-03");

    // Began before what was shown, and ended after it.
    put(log(4, 600, true));
    let late = tail.next();
    assert_eq!((&late["origin"], &late["developer"]), (&"openai".into(), &"dev-04".into()));
    put(log(5, 1, false));
    assert_eq!(tail.next()["developer"], "dev-05", "nothing in between comes again");
}

#[test]
fn filters_hold_and_the_last_line_ends_it() {
    let folder = Folder::new();
    for number in 1..=4 {
        let log = log(number, 100 - i64::from(number), number % 2 == 0);
        folder.put(&log.key, &log.bytes);
    }
    let place = folder.path().display().to_string();
    let ask = |more: &[&str]| -> Answer {
        let arguments = [&["tail", "--interval", "1", "--source", &place], more].concat();
        run(analyzer(&arguments), "").ends(0)
    };
    let errors = ask(&["--errors", "--max", "2"]).stdout;
    assert_eq!(errors.lines().count(), 2, "{errors}");
    assert!(errors.contains("server_error") && !errors.contains("  ok  "), "{errors}");
    let one = ask(&["--developer", "dev-03", "--max", "1"]).stdout;
    assert!(one.contains("dev-03") && one.contains("  ok  "), "{one}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_right_to_read_the_keys_still_tell() {
    let bucket = Bucket::of(&[1, 2, 3].map(|number| log(number, 100, true))).await;
    bucket.0.fail_next(Operation::Get, Failure::AccessDenied, 100);
    let command = bucket.analyzer(&["tail", "--json", "--max", "3", "--interval", "1"]);
    let answer = tokio::task::spawn_blocking(move || run(command, "")).await.expect("no panic");
    let answer = answer.ends(0);
    assert_eq!(answer.stdout.lines().count(), 3, "{answer:?}");
    assert!(answer.stdout.contains("\"origin\":\"openai\""), "{answer:?}");
    assert!(answer.stderr.contains("s3:GetObject"), "{answer:?}");
}
