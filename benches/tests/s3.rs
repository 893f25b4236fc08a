//! The S3 server, seen by the AWS SDK.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
    error::{ProvideErrorMetadata, SdkError},
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart},
};
use benches::s3::{ACCESS_KEY, Counts, Failure, MemoryS3, Moment, Operation, SECRET_KEY};

const BUCKET: &str = "logs";

fn client(server: &MemoryS3, secret: &str) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(server.url())
        .force_path_style(true)
        .credentials_provider(Credentials::new(ACCESS_KEY, secret, None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

async fn start() -> (MemoryS3, Client) {
    let server = MemoryS3::start(BUCKET).await.expect("a loopback port is free");
    let client = client(&server, SECRET_KEY);
    (server, client)
}

async fn put(client: &Client, key: &str, body: &'static str) -> Result<String, String> {
    let put =
        client.put_object().bucket(BUCKET).key(key).body(ByteStream::from_static(body.as_bytes()));
    let output = put.send().await.map_err(|error| code(&error))?;
    Ok(output.e_tag().expect("a write has an ETag").to_owned())
}

async fn get(client: &Client, key: &str, range: Option<&str>) -> Result<String, String> {
    let get = client.get_object().bucket(BUCKET).key(key).set_range(range.map(str::to_owned));
    let output = get.send().await.map_err(|error| code(&error))?;
    let body = output.body.collect().await.map_err(|error| error.to_string())?;
    Ok(String::from_utf8(body.to_vec()).expect("the body is text"))
}

fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    error.code().unwrap_or("no code").to_owned()
}

/// 2,500 keys over 50 hours, put straight into the server.
fn fill(server: &MemoryS3) -> Vec<String> {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    let keys: Vec<_> = (0..2500).map(|n| format!("raw/{:02}/{n:04}.json", n / 50)).collect();
    for key in &keys {
        server.insert(key, key.clone().into_bytes(), time);
    }
    keys
}

#[tokio::test]
async fn what_was_put_is_got_whole_or_in_ranges() {
    let (server, client) = start().await;
    put(&client, "a/b c+d.txt", "0123456789").await.unwrap();
    let key = "a/b c+d.txt";
    assert_eq!(get(&client, key, None).await.unwrap(), "0123456789");
    assert_eq!(get(&client, key, Some("bytes=2-4")).await.unwrap(), "234");
    assert_eq!(get(&client, key, Some("bytes=7-")).await.unwrap(), "789");
    assert_eq!(get(&client, key, Some("bytes=-3")).await.unwrap(), "789");
    assert_eq!(get(&client, key, Some("bytes=10-")).await.unwrap_err(), "InvalidRange");
    assert_eq!(get(&client, "other", None).await.unwrap_err(), "NoSuchKey");

    let head = client.head_object().bucket(BUCKET).key(key).send().await.unwrap();
    assert_eq!(head.content_length(), Some(10));
    assert!(head.last_modified().is_some());
    let empty = ByteStream::default();
    client.put_object().bucket(BUCKET).key("empty").body(empty).send().await.unwrap();
    assert_eq!(get(&client, "empty", None).await.unwrap(), "");
    let expected = Counts { get: 7, head: 1, put: 2, got_bytes: 19, ..Counts::default() };
    assert_eq!(server.counts(), expected);
}

#[tokio::test]
async fn content_type_encoding_and_metadata_come_back() {
    let (_server, client) = start().await;
    let put = client.put_object().bucket(BUCKET).key("k").body(ByteStream::from_static(b"{}"));
    let put = put.content_type("application/json").content_encoding("zstd").metadata("origin", "x");
    put.send().await.unwrap();
    let got = client.get_object().bucket(BUCKET).key("k").send().await.unwrap();
    assert_eq!(got.content_type(), Some("application/json"));
    assert_eq!(got.content_encoding(), Some("zstd"));
    assert_eq!(got.metadata().unwrap()["origin"], "x");
}

#[tokio::test]
async fn of_many_writers_with_if_none_match_one_wins() {
    let (server, client) = start().await;
    let write = || {
        let put = client.put_object().bucket(BUCKET).key("once").if_none_match("*");
        tokio::spawn(put.body(ByteStream::from_static(b"mine")).send())
    };
    let writes: Vec<_> = (0..8).map(|_| write()).collect();
    let mut winners = 0;
    for write in writes {
        match write.await.unwrap() {
            Ok(_) => winners += 1,
            Err(error) => assert_eq!(code(&error), "PreconditionFailed"),
        }
    }
    assert_eq!(winners, 1);
    assert_eq!(server.objects().len(), 1);
}

#[tokio::test]
async fn if_match_writes_over_the_expected_object_only() {
    let (_server, client) = start().await;
    let first = put(&client, "k", "one").await.unwrap();
    let write = |body: &'static [u8]| {
        let put = client.put_object().bucket(BUCKET).key("k").if_match(&first);
        put.body(ByteStream::from_static(body)).send()
    };
    write(b"two").await.unwrap();
    assert_eq!(code(&write(b"three").await.unwrap_err()), "PreconditionFailed");
    assert_eq!(get(&client, "k", None).await.unwrap(), "two");
}

#[tokio::test]
async fn a_listing_of_many_keys_comes_in_pages() {
    let (server, client) = start().await;
    let keys = fill(&server);
    let mut pages = client.list_objects_v2().bucket(BUCKET).into_paginator().send();
    let (mut listed, mut sizes) = (Vec::new(), Vec::new());
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        sizes.push(page.contents().len());
        for object in page.contents() {
            assert_eq!(object.size(), Some(16));
            assert_eq!(object.last_modified().unwrap().secs(), 1_790_000_000);
            assert!(object.e_tag().unwrap().starts_with('"'));
            listed.push(object.key().unwrap().to_owned());
        }
    }
    assert_eq!(listed, keys);
    assert_eq!(sizes, [1000, 1000, 500]);
    assert_eq!(server.counts().list, 3);
}

#[tokio::test]
async fn a_delimiter_folds_keys_into_common_prefixes_across_pages() {
    let (server, client) = start().await;
    fill(&server);
    server.insert("raw/", Vec::new(), SystemTime::UNIX_EPOCH);
    server.insert("raw/10", Vec::new(), SystemTime::UNIX_EPOCH);
    server.insert("raw/last", Vec::new(), SystemTime::UNIX_EPOCH);
    let list = client.list_objects_v2().bucket(BUCKET).prefix("raw/").delimiter("/").max_keys(7);
    let mut pages = list.into_paginator().send();
    let (mut prefixes, mut keys, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        sizes.push(page.key_count().unwrap());
        prefixes.extend(page.common_prefixes().iter().map(|one| one.prefix().unwrap().to_owned()));
        keys.extend(page.contents().iter().map(|one| one.key().unwrap().to_owned()));
    }
    assert_eq!(prefixes, (0..50).map(|hour| format!("raw/{hour:02}/")).collect::<Vec<_>>());
    assert_eq!(keys, ["raw/", "raw/10", "raw/last"]);
    assert_eq!(sizes, [7, 7, 7, 7, 7, 7, 7, 4]);
}

#[tokio::test]
async fn a_listing_starts_after_a_key_and_stays_in_its_prefix() {
    let (server, client) = start().await;
    let keys = fill(&server);
    let list = async |prefix: &str, after: &str| {
        let list = client.list_objects_v2().bucket(BUCKET).prefix(prefix).start_after(after);
        let page = list.send().await.unwrap();
        page.contents().iter().map(|one| one.key().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list("raw/49/", &keys[2497]).await, keys[2498..]);
    assert_eq!(list("raw/49/", "a").await, keys[2450..]);
    assert_eq!(list("raw/01/", "raw/02/").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_wrong_secret_is_refused_and_not_counted() {
    let (server, _) = start().await;
    let stranger = client(&server, "another secret");
    assert_eq!(put(&stranger, "k", "v").await.unwrap_err(), "SignatureDoesNotMatch");
    assert_eq!(get(&stranger, "k", None).await.unwrap_err(), "SignatureDoesNotMatch");
    assert_eq!(server.counts(), Counts::default());
}

#[tokio::test]
async fn there_is_the_one_bucket_until_another_is_made() {
    let (_server, client) = start().await;
    let head = async |bucket: &str| client.head_bucket().bucket(bucket).send().await.is_ok();
    assert!(head(BUCKET).await);
    assert!(!head("other").await);
    let list = client.list_objects_v2().bucket("other").send().await;
    assert_eq!(code(&list.unwrap_err()), "NoSuchBucket");
    client.create_bucket().bucket("other").send().await.unwrap();
    assert!(head("other").await);
}

#[tokio::test]
async fn a_deleted_object_is_gone() {
    let (server, client) = start().await;
    put(&client, "k", "v").await.unwrap();
    client.delete_object().bucket(BUCKET).key("k").send().await.unwrap();
    assert_eq!(get(&client, "k", None).await.unwrap_err(), "NoSuchKey");
    assert!(server.objects().is_empty());
}

#[tokio::test]
async fn ordered_failures_come_one_after_another_and_then_stop() {
    let (server, client) = start().await;
    put(&client, "k", "a whole body").await.unwrap();
    server.fail_next(Operation::Get, Failure::SlowDown, 2);
    server.fail_next(Operation::Get, Failure::Internal, 1);
    server.fail_next(Operation::Put, Failure::AccessDenied, 1);
    for expected in ["SlowDown", "SlowDown", "InternalError"] {
        assert_eq!(get(&client, "k", None).await.unwrap_err(), expected);
    }
    assert_eq!(get(&client, "k", None).await.unwrap(), "a whole body");
    assert_eq!(put(&client, "k", "new").await.unwrap_err(), "AccessDenied");
    put(&client, "k", "new").await.unwrap();
    let expected = Counts { get: 4, put: 3, got_bytes: 12, ..Counts::default() };
    assert_eq!(server.counts(), expected);
}

#[tokio::test]
async fn a_cut_body_is_an_error_after_half_of_it() {
    let (server, client) = start().await;
    put(&client, "k", "a whole body").await.unwrap();
    server.fail_next(Operation::Get, Failure::Truncate, 1);
    let mut cut = client.get_object().bucket(BUCKET).key("k").send().await.unwrap();
    assert_eq!(cut.content_length(), Some(12));
    assert_eq!(cut.body.next().await.unwrap().unwrap(), "a whol");
    assert!(cut.body.next().await.unwrap().is_err());
    assert_eq!(get(&client, "k", None).await.unwrap(), "a whole body");
}

/// More than the least that a part has.
const PART: usize = 5 << 20;

async fn upload(client: &Client, parts: &[Vec<u8>], over: Option<&str>) -> Result<(), String> {
    let create = client.create_multipart_upload().bucket(BUCKET).key("large");
    let id = create.send().await.map_err(|error| code(&error))?.upload_id.expect("an id");
    let mut named = CompletedMultipartUpload::builder();
    for (number, part) in (1..).zip(parts) {
        let put = client.upload_part().bucket(BUCKET).key("large").upload_id(&id);
        let put = put.part_number(number).body(ByteStream::from(part.clone())).send().await;
        let etag = put.map_err(|error| code(&error))?.e_tag;
        named = named.parts(CompletedPart::builder().part_number(number).set_e_tag(etag).build());
    }
    let complete = client.complete_multipart_upload().bucket(BUCKET).key("large").upload_id(&id);
    let complete = match over {
        Some(etag) => complete.if_match(etag),
        None => complete.if_none_match("*"),
    };
    let complete = complete.multipart_upload(named.build());
    complete.send().await.map(|_| ()).map_err(|error| code(&error))
}

#[tokio::test]
async fn parts_become_an_object_at_once_and_only_if_the_condition_holds() {
    let (server, client) = start().await;
    let parts = [vec![b'a'; PART], b"end".to_vec()];
    upload(&client, &parts, None).await.unwrap();
    let head = client.head_object().bucket(BUCKET).key("large").send().await.unwrap();
    assert_eq!(head.content_length(), Some(5_242_883));
    let etag = head.e_tag().unwrap().to_owned();
    assert!(etag.ends_with("-2\""), "{etag}");
    assert_eq!(get(&client, "large", Some("bytes=-3")).await.unwrap(), "end");
    assert_eq!(upload(&client, &parts, None).await.unwrap_err(), "PreconditionFailed");
    upload(&client, &[b"small".to_vec()], Some(&etag)).await.unwrap();
    assert_eq!(upload(&client, &parts, Some(&etag)).await.unwrap_err(), "PreconditionFailed");
    assert_eq!(get(&client, "large", None).await.unwrap(), "small");
    assert_eq!(server.open_uploads(), ["large", "large"], "what was refused can be tried again");
    let pinned = client.get_object().bucket(BUCKET).key("large").if_match(&etag).send().await;
    assert_eq!(code(&pinned.unwrap_err()), "PreconditionFailed");
    let short = [b"too short".to_vec(), b"end".to_vec()];
    assert_eq!(upload(&client, &short, None).await.unwrap_err(), "EntityTooSmall");
}

#[tokio::test]
async fn of_two_completions_of_the_same_object_one_wins() {
    let (server, client) = start().await;
    let parts = [[b"one".to_vec()], [b"two".to_vec()]];
    let (one, other) =
        tokio::join!(upload(&client, &parts[0], None), upload(&client, &parts[1], None));
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    assert_eq!(server.objects().len(), 1);
}

#[tokio::test]
async fn an_upload_that_is_aborted_is_gone() {
    let (server, client) = start().await;
    let create = client.create_multipart_upload().bucket(BUCKET).key("large");
    let id = create.send().await.unwrap().upload_id.unwrap();
    assert_eq!(server.open_uploads(), ["large"]);
    let abort = || client.abort_multipart_upload().bucket(BUCKET).key("large").upload_id(&id);
    abort().send().await.unwrap();
    assert_eq!(code(&abort().send().await.unwrap_err()), "NoSuchUpload");
    assert!(server.open_uploads().is_empty() && server.objects().is_empty());
}

#[tokio::test]
async fn everything_can_halt_on_either_side_of_a_request() {
    let (server, client) = start().await;
    for (moment, stored) in [(Moment::Before, false), (Moment::After, true)] {
        let halted = server.halt_at(2, moment);
        put(&client, "first", "1").await.unwrap();
        let waits = tokio::spawn({
            let client = client.clone();
            async move { put(&client, "second", "2").await }
        });
        halted.await.unwrap();
        waits.abort();
        server.recover();
        assert_eq!(server.objects().iter().any(|(key, _)| key == "second"), stored, "{moment:?}");
        assert_eq!(get(&client, "first", None).await.unwrap(), "1", "others go on");
    }
}

#[tokio::test]
async fn a_completion_can_take_place_unheard() {
    let (server, client) = start().await;
    server.fail_next(Operation::CompleteUpload, Failure::StoredReset, 1);
    assert_eq!(upload(&client, &[b"one".to_vec()], None).await.unwrap_err(), "no code");
    assert_eq!(get(&client, "large", None).await.unwrap(), "one");
    server.fail_next(Operation::CompleteUpload, Failure::Conflict, 1);
    let conflict = upload(&client, &[b"two".to_vec()], None).await.unwrap_err();
    assert_eq!(conflict, "ConditionalRequestConflict");
}
