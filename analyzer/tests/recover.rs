//! `analyzer recover`: spilled records out of a saved file or a log group, into a folder or a bucket.

use std::fs;
use std::process::Command;

use benches::corpus::Object;
use jiff::{SignedDuration, Timestamp};

use crate::common::aws::{Moto, lead};
use crate::common::{Answer, BUCKET, Bucket, Folder, analyzer, object, run, server_error};

fn records(count: u32) -> Vec<Object> {
    let record = |number| server_error(number, "2026-11-22T02:41:07.123Z");
    (1..=count).map(|number| object(&record(number))).collect()
}

/// What a proxy would have left on stdout, among other lines.
fn stdout_of(records: &[Object]) -> String {
    let lines = records.iter().flat_map(|it| schemas::spill::lines(&it.key, &it.bytes));
    lines.fold("codex-proxy listening\n".to_owned(), |all, line| all + &line + "\n")
}

fn recover(arguments: &[&str], input: &str) -> Answer {
    let mut command = analyzer(&["recover"]);
    command.args(arguments);
    run(command, input)
}

#[test]
fn a_servers_stdout_goes_back_into_its_folder_once() {
    let (folder, records) = (Folder::new(), records(3));
    let saved = folder.path().join("stdout.log");
    fs::write(&saved, stdout_of(&records)).expect("a file");
    let root = folder.path().join("root");
    let (saved, root) = (saved.to_str().expect("text"), root.to_str().expect("text"));
    let arguments = ["--from", saved, "--source", root];
    let dry = recover(&[&arguments[..], &["--dry-run", "--json"]].concat(), "").ends(0).json();
    assert_eq!(dry["recovered"]["put"].as_array().map(Vec::len), Some(3));
    assert!(fs::read_dir(root).is_err(), "nothing was put");
    let first = recover(&arguments, "").ends(0);
    let said = format!("3 spilled records in {saved}: 3 put into {root}, 0 were there already\n");
    assert_eq!(first.stdout, said);
    for record in &records {
        assert_eq!(
            fs::read(folder.path().join("root").join(&record.key)).ok().as_ref(),
            Some(&record.bytes)
        );
    }
    let again = recover(&arguments, "").ends(0);
    assert!(again.stdout.contains("0 put") && again.stdout.contains("3 were there already"));
    // What was recovered is a log like any other.
    let mut origin =
        analyzer(&["origin", "--json", "--since", "2026-11-22T02:00:00Z", "--source", root]);
    origin.args(["--until", "2026-11-22T03:00:00Z", "temporary errors"]);
    assert_eq!(run(origin, "").json()["counts"]["openai"], 3);
}

#[test]
fn what_is_broken_or_stands_there_otherwise_is_named_and_ends_with_4() {
    let (folder, records) = (Folder::new(), records(3));
    folder.put(&format!("root/{}", records[0].key), b"something else");
    let text = stdout_of(&records);
    let damaged = text.lines().map(|line| {
        let is_damaged = line.contains(&records[1].key);
        line.replace("\"data\":\"", if is_damaged { "\"data\":\"AAAA" } else { "\"data\":\"" })
    });
    let text: Vec<_> = damaged.collect();
    let root = folder.path().join("root");
    let arguments = ["--from", "-", "--source", root.to_str().expect("text")];
    let answer = recover(&arguments, &text.join("\n")).ends(4);
    assert!(answer.stdout.contains("1 put"), "{answer:?}");
    assert!(answer.stderr.contains(&format!("{} stands there with other bytes", records[0].key)));
    assert!(answer.stderr.contains(&format!("{} is broken", records[1].key)), "{answer:?}");
    let there = fs::read(root.join(&records[0].key)).expect("still there");
    assert_eq!(there, b"something else");
}

#[test]
fn a_file_that_is_not_there_and_a_place_that_nobody_names_are_said() {
    let answer = recover(&["--from", "/nowhere/x", "--source", "/nowhere"], "").ends(3);
    assert!(answer.stderr.contains("cannot read `/nowhere/x`"), "{answer:?}");
    let answer = recover(&["--from", "-"], "").ends(3);
    assert!(answer.stderr.contains("--source s3://BUCKET[/PREFIX]"), "{answer:?}");
    recover(&["--from", "-", "--since", "2h"], "").ends(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_takes_each_record_by_one_conditional_put() {
    let (bucket, records) = (Bucket::new().await, records(40));
    bucket.0.insert(
        &format!("codex/{}", records[0].key),
        b"other".to_vec(),
        std::time::SystemTime::UNIX_EPOCH,
    );
    let command = |arguments: &[&str]| -> Command {
        let mut command = analyzer(&["recover", "--json", "--from", "-", "--source"]);
        command.arg(format!("s3://{BUCKET}/codex")).args(arguments);
        command.env("AWS_ENDPOINT_URL", bucket.0.url()).env("AWS_REGION", "eu-central-1");
        command.env("AWS_ACCESS_KEY_ID", benches::s3::ACCESS_KEY);
        command.env("AWS_SECRET_ACCESS_KEY", benches::s3::SECRET_KEY);
        command
    };
    let text = stdout_of(&records);
    let first = run(command(&[]), &text).ends(4).json();
    assert_eq!(first["recovered"]["put"].as_array().map(Vec::len), Some(39));
    assert_eq!(first["recovered"]["other_bytes"][0], records[0].key.as_str());
    let again = run(command(&[]), &text).ends(4).json();
    assert_eq!(again["recovered"]["already"], 39);
    assert_eq!(again["recovered"]["put"].as_array().map(Vec::len), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_a_log_group_are_recovered_into_the_deployments_bucket() {
    let Some(moto) = Moto::start() else { return };
    moto.function("blue", &[("CODEX_PROXY_LOGS", "s3://blue-logs/codex")]).await;
    let s3 = aws_sdk_s3::config::Builder::from(&moto.config()).force_path_style(true).build();
    let s3 = aws_sdk_s3::Client::from_conf(s3);
    let place = aws_sdk_s3::types::CreateBucketConfiguration::builder()
        .location_constraint(aws_sdk_s3::types::BucketLocationConstraint::EuCentral1)
        .build();
    s3.create_bucket()
        .bucket("blue-logs")
        .create_bucket_configuration(place)
        .send()
        .await
        .expect("a bucket");
    #[expect(clippy::disallowed_methods, reason = "lines are read of the last hours")]
    let now = Timestamp::now();
    let records = records(3);
    let lines = |record: &Object, ago: i64| -> Vec<(Timestamp, String)> {
        let at = now - SignedDuration::from_secs(ago);
        schemas::spill::lines(&record.key, &record.bytes)
            .into_iter()
            .map(|line| (at, line))
            .collect()
    };
    moto.lines("/aws/lambda/blue", "s1", &lines(&records[0], 7_000)).await;
    moto.lines("/aws/lambda/blue", "s2", &lines(&records[1], 30)).await;
    // As Lambda's JSON format wraps a line.
    let wrapped = lines(&records[2], 20).into_iter().map(|(at, line)| {
        (
            at,
            serde_json::json!({"timestamp": at.to_string(), "level": "INFO", "message": line})
                .to_string(),
        )
    });
    moto.lines("/aws/lambda/blue", "s3", &wrapped.collect::<Vec<_>>()).await;
    let mut command = analyzer(&["recover", "--stack", "blue"]);
    lead(&mut command, moto.url());
    let answer = run(command, "").ends(0);
    let said = "3 spilled records in /aws/lambda/blue: 3 put into s3://blue-logs/codex, 0 were there already\n";
    assert_eq!((answer.stdout.as_str(), answer.stderr.as_str()), (said, ""));
    for record in &records {
        let got =
            s3.get_object().bucket("blue-logs").key(format!("codex/{}", record.key)).send().await;
        let bytes = got.expect("it is there").body.collect().await.expect("whole").to_vec();
        assert_eq!(bytes, record.bytes);
    }
    let mut young = analyzer(&["recover", "--stack", "blue", "--since", "10m", "--json"]);
    lead(&mut young, moto.url());
    assert_eq!(run(young, "").ends(0).json()["recovered"]["already"], 2);
}
