//! `analyzer origin` as a user meets it when something is wrong: the exit code, one clear line on
//! stderr, and JSON on stdout only where there is an answer.

use std::time::Duration;

use benches::corpus::{Bodies, Corpus, Object, Plan};
use benches::s3::{Failure, Operation};
use serde_json::json;

use crate::common::{Answer, Bucket, Folder, analyzer, object, run, run_within, server_error};

const WINDOW: [&str; 4] = ["--since", "2026-11-22T01:00:00Z", "--until", "2026-11-22T03:00:00Z"];

pub(crate) fn with_window<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &WINDOW[..]].concat()
}

pub(crate) fn server_errors(count: u32) -> Vec<Object> {
    let at = |n: u32| format!("2026-11-22T02:{:02}:{:02}.000Z", n / 60 % 60, n % 60);
    (0..count).map(|n| object(&server_error(n, &at(n)))).collect()
}

/// An error: nothing on stdout, one line and a hint on stderr.
#[track_caller]
pub(crate) fn fails(answer: Answer, code: i32, names: &str) {
    let answer = answer.ends(code);
    assert_eq!(answer.stdout, "", "{answer:?}");
    assert!(answer.stderr.starts_with("error: "), "{answer:?}");
    assert!(answer.stderr.contains(names), "{answer:?}");
    assert!(answer.stderr.contains("\nhint: "), "{answer:?}");
}

#[test]
fn without_a_source_the_text_alone_is_judged() {
    for (text, code, origin) in [
        ("invalid or disabled token", 0, "proxy"),
        ("temporary errors", 1, "unknown"),
        ("stream closed before response.completed", 1, "unknown"),
        ("nobody prints this", 1, "unknown"),
        ("\u{0}\u{1b}[31m\u{fffd}", 1, "unknown"),
    ] {
        let text = text.replace('\u{0}', "");
        let answer = run(analyzer(&["origin", "--json", &text]), "").ends(code);
        let json = answer.json();
        assert_eq!(json["verdict"]["origin"], origin, "{text}");
        assert_ne!(json["verdict"]["confidence"], "certain", "{text}");
        assert_eq!(json["scanned"]["listed"], 0);
    }
    // Nothing was sent: no log could say otherwise.
    let json =
        run(analyzer(&["origin", "--json", "Missing environment variable: `OPENAI_API_KEY`."]), "");
    assert_eq!(json.ends(0).json()["verdict"]["confidence"], "certain");
}

#[test]
fn a_dash_reads_stdin() {
    let ask = |input| run(analyzer(&["origin", "--json", "-"]), input);
    let json =
        ask("■ unexpected status 401 Unauthorized: invalid or\n  disabled token\n").ends(0).json();
    assert_eq!(json["verdict"]["origin"], "proxy");
    fails(ask(""), 2, "empty");
    fails(ask(" \n\t"), 2, "empty");
}

#[test]
fn of_a_whole_file_the_end_is_looked_at_and_that_is_said() {
    let error = "■ unexpected status 401 Unauthorized: invalid or disabled token\n";
    let noise = "0123456789 \u{1}\u{fffd}~x\n".repeat(300_000);
    let answer = run(analyzer(&["origin", "--json", "-"]), &format!("{noise}{error}")).ends(0);
    assert_eq!(answer.json()["verdict"]["origin"], "proxy");
    assert!(answer.stderr.contains("only its last 64 KiB were looked at"), "{}", answer.stderr);
    let short = run(analyzer(&["origin", "--json", "-"]), error).ends(0);
    assert_eq!(short.stderr, "");
}

#[test]
fn whoever_names_the_folder_of_the_logs_is_told_its_parent() {
    let folder = Folder::of(&server_errors(3));
    let source = |below: &str| folder.path().join(below).to_string_lossy().into_owned();
    for (command, below) in [
        (&["origin", "temporary errors"][..], "logs"),
        (&["origin", "temporary errors"], "logs/2026/11"),
        (&["show", "req_0000000000000001"], "logs/"),
    ] {
        let source = source(below);
        let answer = run(analyzer(&[command, &["--source", &source]].concat()), "").ends(1);
        let parent = std::fs::canonicalize(folder.path()).expect("a folder");
        let hint = format!("--source '{}'", parent.display());
        assert!(answer.stderr.contains(&hint), "{command:?} {below}: {answer:?}");
    }
    // A root may be called so, too.
    let folder = Folder::new();
    for object in server_errors(3) {
        folder.put(&format!("logs/{}", object.key), &object.bytes);
    }
    let source = folder.path().join("logs").to_string_lossy().into_owned();
    let arguments = with_window(&["origin", "temporary errors", "--source", &source]);
    assert_eq!(run(analyzer(&arguments), "").ends(0).stderr, "");
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    let folder = Folder::new();
    let ask = |arguments: &[&str]| folder.ask(arguments);
    fails(ask(&[""]), 2, "empty");
    fails(ask(&["x", "--since", "yesterday"]), 2, "--since: `yesterday`");
    fails(ask(&["x", "--until", "25:00"]), 2, "--until: `25:00`");
    fails(ask(&["x", "--since", "2026-11-22", "--until", "2026-11-21"]), 2, "--until");
    for arguments in [&["x", "--max", "many"][..], &["x", "--no-such-flag"], &[]] {
        assert!(ask(arguments).ends(2).stdout.is_empty());
    }
}

#[test]
fn an_empty_folder_is_no_answer_and_a_missing_one_an_error() {
    let folder = Folder::new();
    for arguments in [&["temporary errors"][..], &["temporary errors", "--all", "--max", "50"]] {
        let answer = folder.ask(arguments).ends(1);
        assert_eq!(answer.json()["verdict"]["origin"], "unknown");
        assert_eq!(answer.stderr, "");
    }
    let missing = |place: &str| {
        let command = analyzer(&["origin", "--json", "temporary errors", "--source", place]);
        fails(run(command, ""), 3, place);
    };
    missing(folder.path().join("none").to_str().expect("text"));
    folder.put("file", b"");
    missing(folder.path().join("file").to_str().expect("text"));
    missing("s3:///prefix");
}

#[test]
fn the_source_can_stand_in_the_environment() {
    let folder = Folder::of(&server_errors(1));
    let mut command = analyzer(&with_window(&["origin", "--json", "temporary errors"]));
    command.env("ANALYZER_SOURCE", folder.path());
    assert_eq!(run(command, "").ends(0).json()["counts"], json!({"openai": 1}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_cannot_be_used_ends_with_3() {
    let bucket = Bucket::of(&server_errors(1)).await;
    let asked = with_window(&["temporary errors"]);
    bucket.ask(&asked).ends(0);

    let mut command = bucket.command(&asked);
    command.env("AWS_SECRET_ACCESS_KEY", "not-the-secret");
    fails(run(command, ""), 3, "SignatureDoesNotMatch");

    let missing = bucket.command_for("s3://no-such-bucket", &asked);
    fails(run(missing, ""), 3, "NoSuchBucket");

    let mut command = bucket.command(&asked);
    command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    fails(run(command, ""), 3, "cannot reach");

    let mut command = bucket.command(&asked);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    fails(run(command, ""), 3, "cannot reach");

    bucket.0.fail_next(Operation::List, Failure::AccessDenied, 2);
    fails(bucket.ask(&asked), 3, "AccessDenied");

    bucket.0.fail_next(Operation::List, Failure::SlowDown, 100);
    fails(bucket.ask(&asked), 3, "SlowDown");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_may_list_but_not_read_still_gets_the_verdict_of_the_keys() {
    let bucket = Bucket::of(&server_errors(40)).await;
    bucket.0.fail_next(Operation::Get, Failure::AccessDenied, 10_000);
    let answer = bucket.ask(&with_window(&["temporary errors"])).ends(4);
    assert!(answer.stderr.contains("s3:GetObject"), "{answer:?}");
    let json = answer.json();
    assert_eq!(json["counts"], json!({"openai": 40}));
    assert_eq!(json["verdict"]["origin"], "openai");
    assert_eq!(json["scanned"]["failed"], 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_slow_downs_ends_in_the_right_answer_or_a_partial_one() {
    for storm in [3, 100_000] {
        let bucket = Bucket::of(&server_errors(50)).await;
        bucket.0.fail_next(Operation::Get, Failure::SlowDown, storm);
        let answer = bucket.ask(&with_window(&["temporary errors"]));
        let json = answer.json();
        assert_eq!(json["counts"], json!({"openai": 50}), "their keys tell");
        let failed = json["scanned"]["failed"].as_u64().expect("a number");
        assert_eq!(answer.code, if failed == 0 { 0 } else { 4 }, "{answer:?}");
        assert_eq!(failed > 0, storm > 1_000, "{answer:?}");
    }
}

/// The answer is right, or it is partial and says so.
#[track_caller]
fn is_right_or_loud(answer: &Answer, errors: u64) -> bool {
    let json = answer.json();
    assert_eq!(json["counts"], json!({"openai": errors}), "their keys tell");
    let failed = json["scanned"]["failed"].as_u64().expect("a number");
    assert_eq!(answer.code, if failed == 0 { 0 } else { 4 }, "{answer:?}");
    assert_eq!(answer.stderr.contains("partial answer"), failed > 0, "{answer:?}");
    failed == 0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_now_and_then_is_read_all_the_same() {
    for (failure, of_thousand) in [
        (Failure::SlowDown, 150),
        (Failure::Internal, 150),
        (Failure::Truncate, 150),
        (Failure::Reset, 150),
    ] {
        let bucket = Bucket::of(&server_errors(300)).await;
        bucket.0.fail_often(Operation::Get, failure, of_thousand, 7);
        if failure != Failure::Truncate {
            bucket.0.fail_often(Operation::List, failure, of_thousand, 8);
        }
        let answer = bucket.ask(&with_window(&["temporary errors"]));
        assert!(is_right_or_loud(&answer, 300), "{failure:?}: {answer:?}");
        assert!(bucket.0.counts().get > 300, "{failure:?} has met some");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_for_good_is_named_and_ends_soon() {
    for failure in [Failure::SlowDown, Failure::Truncate, Failure::Reset] {
        let bucket = Bucket::of(&server_errors(2_000)).await;
        bucket.0.fail_often(Operation::Get, failure, 1_000, 7);
        let command = bucket.command(&with_window(&["temporary errors"]));
        let answer = run_within(Duration::from_secs(40), command);
        assert!(!is_right_or_loud(&answer, 2_000), "{failure:?}: {answer:?}");
        assert!(bucket.0.counts().get < 4_000, "{failure:?}: {:?}", bucket.0.counts());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_deleted_after_it_was_listed_is_named() {
    let bucket = Bucket::of(&server_errors(20)).await;
    bucket.0.fail_next(Operation::Get, Failure::Missing, 1);
    let answer = bucket.ask(&with_window(&["temporary errors"])).ends(4);
    assert_eq!(answer.json()["scanned"]["failed"], 1);
    // One more looks for it in its hour, which is not compacted.
    assert_eq!(bucket.0.counts().get, 21, "what is gone is not asked for again");
    assert!(
        answer.stderr.contains("NoSuchKey") && answer.stderr.contains("logs/2026/"),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_that_fails_half_way_is_no_answer() {
    let bucket = Bucket::of(&server_errors(20)).await;
    for number in 0..1_500 {
        let at = format!("2026-11-22T02:10:{:02}.{:03}Z", number / 1_000, number % 1_000);
        bucket.put(&object(&server_error(10_000 + number, &at)));
    }
    bucket.0.fail_often(Operation::List, Failure::Internal, 700, 3);
    let command = bucket.command(&with_window(&["temporary errors"]));
    let answer = run_within(Duration::from_secs(40), command);
    if answer.code == 3 {
        assert!(answer.stderr.contains("InternalError") && answer.stdout.is_empty(), "{answer:?}");
    } else {
        assert!(is_right_or_loud(&answer, 1_520), "{answer:?}");
    }
    bucket.0.recover();
    bucket.0.fail_often(Operation::List, Failure::Internal, 1_000, 3);
    fails(bucket.ask(&with_window(&["temporary errors"])), 3, "InternalError");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_in_another_region_is_told_with_its_region() {
    let bucket = Bucket::of(&server_errors(1)).await;
    bucket.0.fail_next(Operation::List, Failure::OtherRegion, 1);
    let answer = bucket.ask(&with_window(&["temporary errors"]));
    assert!(answer.stderr.contains("hint: set AWS_REGION=eu-west-1"), "{answer:?}");
    fails(answer, 3, "the bucket is in eu-west-1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_expire_on_the_way_are_renewed() {
    let bucket = Bucket::of(&server_errors(50)).await;
    bucket.0.fail_next(Operation::Get, Failure::ExpiredToken, 2);
    assert!(is_right_or_loud(&bucket.ask(&with_window(&["temporary errors"])), 50));
    bucket.0.fail_next(Operation::List, Failure::ExpiredToken, 100);
    fails(bucket.ask(&with_window(&["temporary errors"])), 3, "ExpiredToken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_in_a_window_cost_no_get_of_a_success() {
    let plan = Plan {
        seed: 11,
        objects: 2_000,
        since: "2026-11-22T01:00:00Z".parse().expect("a moment"),
        hours: 2,
        bodies: Bodies::Small,
    };
    let corpus = Corpus::with_outcomes(&plan);
    let bucket = Bucket::of(&corpus.objects).await;
    let errors = corpus.known.iter().filter(|known| known.failure.is_some()).count();
    let json = bucket.ask(&with_window(&["temporary errors"])).ends(0).json();
    assert_eq!(json["scanned"]["listed"], 2_000);
    let counts = bucket.0.counts();
    assert!(counts.get <= errors, "{} GETs, {errors} errors", counts.get);
    assert_eq!(json["scanned"]["read"], counts.get);
    // Four levels of folders, a page for each thousand of an hour; the compacted hours, before and after.
    assert!(counts.list <= 4 + 2 * 2 + 2, "{} LISTs", counts.list);

    // With a limit, exactly so many, and the newest.
    for max in [1, 7, 50] {
        let before = bucket.0.counts().get;
        let text = max.to_string();
        let json = bucket.ask(&with_window(&["temporary errors", "--max", &text])).json();
        assert_eq!(bucket.0.counts().get - before, max);
        assert_eq!(json["scanned"]["read"], max);
    }
}

#[cfg(unix)]
#[test]
fn links_in_a_circle_and_files_without_end_do_not_hang() {
    use std::os::unix::fs::symlink;

    let folder = Folder::of(&server_errors(2));
    folder.put("logs/old/a.json", br#"{"response_body":{"error":{"message":"temporary errors"}},"timestamp":"2026-11-22T02:00:00Z"}"#);
    let logs = folder.path().join("logs");
    for (to, from) in
        [("..", "old/up"), (".", "old/self"), ("../..", "2026/top"), ("none", "old/dangling.json")]
    {
        symlink(to, logs.join(from)).expect("a link");
    }
    symlink("/dev/zero", logs.join("2026/11/22/02/endless.json")).expect("a link");
    let command = folder.command(&with_window(&["temporary errors", "--all"]));
    let answer = run_within(Duration::from_secs(20), command).ends(4);
    let json = answer.json();
    assert_eq!(json["counts"], json!({"openai": 3}), "each log once");
    assert!(answer.stderr.contains("endless.json"), "{answer:?}");
}

#[cfg(unix)]
#[test]
fn a_linked_folder_of_logs_is_read() {
    let folder = Folder::of(&server_errors(2));
    let other = Folder::new();
    std::os::unix::fs::symlink(folder.path().join("logs"), other.path().join("logs"))
        .expect("a link");
    let json = other.ask(&with_window(&["temporary errors"])).ends(0).json();
    assert_eq!(json["counts"], json!({"openai": 2}));
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_that_is_not_utf_8_is_named_and_makes_the_answer_partial() {
    use std::os::unix::ffi::OsStrExt as _;

    let folder = Folder::of(&server_errors(1));
    let name = std::ffi::OsStr::from_bytes(b"logs/2026/11/22/02/\xff.json");
    std::fs::write(folder.path().join(name), b"{}").expect("a file");
    let answer = folder.ask(&with_window(&["temporary errors"])).ends(4);
    assert!(answer.stderr.contains(".json"), "{answer:?}");
    assert_eq!(answer.json()["counts"], json!({"openai": 1}));
}
