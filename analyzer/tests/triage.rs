//! `analyzer triage` as a user runs it: over raw logs and compacted hours, in every form, in cron.

use std::collections::BTreeSet;
use std::fs;
use std::sync::LazyLock;

use benches::corpus::Object;
use benches::corpus::day::{Day, DayPlan, Happening, What, eventful};
use schemas::key::LogKey;
use schemas::origin::Origin;
use serde_json::{Value, json};

use crate::common::aws::{Moto, lead};
use crate::common::{Answer, Folder, analyzer, object, run, server_error};

/// The hour of the overload, with what came before.
const WINDOW: [&str; 4] = ["--since", "2026-11-22T13:30:00Z", "--until", "2026-11-22T14:30:00Z"];

fn day(number: i8, script: Vec<Happening>) -> Day {
    let date = jiff::civil::date(2026, 11, number);
    Day::new(&DayPlan { seed: 7, date, exchanges: 1_500, script })
}

/// A quiet day and an eventful one.
static LOGS: LazyLock<Vec<Object>> = LazyLock::new(|| {
    let (before, day) = (day(21, Vec::new()), day(22, eventful()));
    before.objects().chain(day.objects()).collect()
});

#[track_caller]
fn triage(folder: &Folder, arguments: &[&str]) -> Answer {
    let mut command = analyzer(&["triage"]);
    command.args(arguments).arg("--source").arg(folder.path());
    run(command, "")
}

fn of_hour(folder: &Folder, arguments: &[&str]) -> Answer {
    triage(folder, &[&WINDOW, arguments].concat())
}

/// The page, without what tells where it comes from.
fn page(answer: &Answer) -> Value {
    let mut page = answer.json();
    let object = page.as_object_mut().expect("a page");
    object.remove("asked_at");
    object.remove("whole");
    page
}

#[test]
fn raw_logs_and_compacted_hours_give_the_same_page() {
    let folder = Folder::of(&LOGS);
    let raw = of_hour(&folder, &["--json"]).ends(0);
    let mut compact = analyzer(&["compact", "--since", "2026-11-21T00:00:00Z", "--source"]);
    compact.arg(folder.path());
    run(compact, "").ends(0);
    let beside = of_hour(&folder, &["--json"]).ends(0);
    fs::remove_dir_all(folder.path().join("logs")).expect("expired");
    let compacted = of_hour(&folder, &["--json"]).ends(0);
    assert_eq!(page(&raw), page(&compacted));
    assert_eq!(page(&beside), page(&compacted));
    let whole =
        |answer: &Answer, name: &str| answer.json()["whole"][name].as_u64().expect("a count");
    assert_eq!((whole(&raw, "hours"), whole(&compacted, "read")), (0, 0));
    assert!(whole(&raw, "read") > 1_000 && whole(&compacted, "hours") > 20);
    let page = page(&raw);
    assert_eq!(page["state"], "ongoing", "{page:#}");
    assert_eq!((&page["origin"], &page["confidence"]), (&"openai".into(), &"certain".into()));
    assert_eq!(page["incidents"][0]["since"], "2026-11-22T14:02:00Z");
    assert_eq!(page["incidents"][0]["parts"][0]["only"][0]["value"], "gpt-5.5");
}

#[test]
fn keys_alone_tell_who_failed_when_and_whom_it_hurt() {
    let folder = Folder::of(&LOGS);
    let answer = of_hour(&folder, &["--max", "0", "--json"]).ends(0);
    let page = answer.json();
    assert_eq!(
        (page["state"].as_str(), page["origin"].as_str()),
        (Some("ongoing"), Some("openai"))
    );
    assert_eq!(page["incidents"][0]["parts"][0]["codes"][0]["code"], "http_503");
    assert_eq!(page["whole"]["read"], 0);
    let whole = of_hour(&folder, &["--json"]).ends(0).json();
    assert_eq!(page["total"], whole["total"]);
    assert_eq!(page["incidents"][0]["since"], whole["incidents"][0]["since"]);
    // A token is as good as a name, as long as each has one.
    let hurt = |page: &Value| page["incidents"][0]["parts"][0]["blast"]["developers"].clone();
    assert_eq!(hurt(&page), hurt(&whole));
    assert!(page["incidents"][0]["parts"][0]["blast"]["turns"].is_null(), "no key tells a turn");
    assert_eq!((&page["changes"], &page["usage"]["rows"]), (&json!([]), &json!([])));
}

#[test]
fn failures_that_were_not_read_are_counted_with_those_that_were() {
    let folder = Folder::of(&LOGS);
    let some = of_hour(&folder, &["--max", "8", "--json"]).ends(0).json();
    let whole = of_hour(&folder, &["--json"]).ends(0).json();
    assert_eq!((&some["whole"]["read"], &some["total"]), (&json!(24), &whole["total"]));
    assert!(some["whole"]["by_key"].as_u64() > Some(20), "{:#}", some["whole"]);
    let codes = |page: &Value| page["incidents"][0]["parts"][0]["codes"].clone();
    assert_eq!(codes(&some), codes(&whole));
    assert_eq!(codes(&some)[0]["code"], "server_is_overloaded");
    // Failures were read and no success: they are no picture of all.
    assert_eq!((&some["changes"], &some["usage"]["rows"]), (&json!([]), &json!([])));
}

#[test]
fn the_text_fits_a_screen_and_the_tables_follow_on_request() {
    let folder = Folder::of(&LOGS);
    let text = of_hour(&folder, &[]).ends(0).stdout;
    assert!(text.lines().count() <= 12, "{text}");
    assert!(text.starts_with("openai, certain: OpenAI says that it is overloaded"), "{text}");
    assert!(!text.contains('\u{1b}'), "no colours but on a terminal: {text}");
    for label in [
        "acts    nobody here",
        "1       openai  503 server_is_overloaded, gpt-5.5",
        "do      ",
        "say     \"",
    ] {
        assert!(text.contains(label), "{label}: {text}");
    }
    let list = of_hour(&folder, &["--list"]).ends(0).stdout;
    for title in
        ["Errors by origin and code", "Fingerprints", "Latency", "Tokens by developer and model"]
    {
        assert!(list.contains(title), "{title}: {list}");
    }
    let day = ["--since", "2026-11-22T00:00:00Z", "--until", "2026-11-23T00:00:00Z"];
    let text = triage(&folder, &day).ends(0).stdout;
    assert!(text.starts_with("over: ") && text.lines().count() <= 12, "{text}");
    let markdown = triage(&folder, &[&day[..], &["-o", "markdown"]].concat()).ends(0).stdout;
    assert!(markdown.starts_with("**over**: ") && markdown.contains("### Incidents"), "{markdown}");
    assert!(markdown.contains("| origin | status | code |"), "{markdown}");
}

#[test]
fn the_page_holds_to_its_schema() {
    let schema = run(analyzer(&["schema", "triage"]), "").ends(0).json();
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let folder = Folder::of(&LOGS);
    let empty = Folder::of(&[]);
    for answer in [of_hour(&folder, &["--json"]), of_hour(&empty, &["--json"])] {
        let page = answer.json();
        let errors: Vec<_> = validator.iter_errors(&page).map(|error| error.to_string()).collect();
        assert_eq!(errors, [""; 0]);
    }
}

#[test]
fn a_condition_that_is_met_ends_with_five_and_says_which() {
    let folder = Folder::of(&LOGS);
    for (conditions, met) in [
        ("ongoing", Some("failing on ongoing: OpenAI says that it is overloaded")),
        ("incident", Some("failing on incident: 1")),
        ("minor", Some("failing on minor: ")),
        ("errors>5%", Some("failing on errors>5%: ")),
        ("proxy>1000,openai>3", Some("failing on openai>3: ")),
        ("errors>99%,aws>0,throttles>0", None),
    ] {
        let answer = of_hour(&folder, &["--fail-on", conditions]);
        assert_eq!(answer.code, if met.is_some() { 5 } else { 0 }, "{conditions}: {answer:?}");
        assert!(answer.stderr.contains(met.unwrap_or_default()), "{conditions}: {answer:?}");
    }
    let answer = of_hour(&folder, &["--fail-on", "errors>many"]).ends(2);
    assert!(answer.stderr.contains("`errors>many` is no condition"), "{answer:?}");
}

#[test]
fn without_any_exchange_nothing_is_called_fine() {
    let answer = of_hour(&Folder::of(&[]), &[]).ends(1);
    assert!(answer.stdout.starts_with("unknown: no exchange was logged"), "{answer:?}");
    let mut command = analyzer(&["triage", "--source", "/nowhere/at/all"]);
    command.args(WINDOW);
    run(command, "").ends(3);
}

#[test]
fn a_log_that_cannot_be_read_makes_the_page_partial() {
    let mut objects = LOGS.clone();
    let failed = |object: &&mut Object| {
        object.key.contains("20261122T14") && object.key.contains(".503.openai")
    };
    let damaged = objects.iter_mut().find(failed).expect("a failure");
    damaged.bytes.truncate(20);
    let key = damaged.key.clone();
    let answer = of_hour(&Folder::of(&objects), &["--json"]).ends(4);
    assert!(answer.stderr.contains(&key), "{answer:?}");
    let page = answer.json();
    assert_eq!(page["whole"]["unread_count"], 1);
    // Its key counts all the same.
    let whole = of_hour(&Folder::of(&LOGS), &["--json"]).ends(0).json();
    assert_eq!(page["total"], whole["total"]);
}

#[test]
fn prices_make_costs_and_wrong_ones_are_named() {
    let folder = Folder::of(&LOGS);
    let file = folder.path().join("prices.json");
    let prices = |json: &str| {
        fs::write(&file, json).expect("a file");
        of_hour(&folder, &["--json", "--prices", file.to_str().expect("a path")])
    };
    let answer = prices(r#"{"gpt-5.5": {"input": 2, "cached_input": 0.5, "output": 10}}"#).ends(0);
    let usage = &answer.json()["usage"];
    let row = &usage["rows"][0];
    let tokens = |name: &str| row[name].as_f64().expect("a count");
    let fresh = tokens("input_tokens") - tokens("cached_input_tokens");
    let cost =
        (fresh * 2.0 + tokens("cached_input_tokens") * 0.5 + tokens("output_tokens") * 10.0) / 1e6;
    assert!((row["cost_usd"].as_f64().expect("a cost") - cost).abs() < 1e-6, "{row}");
    assert!(usage["unpriced"].to_string().contains("gpt-5.5-codex"), "{usage}");
    let without = of_hour(&folder, &["--json"]).ends(0).json();
    assert!(without["usage"]["total"]["cost_usd"].is_null());
    let answer = prices(r#"{"gpt-5.5": {"in": 2}}"#).ends(2);
    assert!(
        answer.stderr.contains("is no list of prices") && answer.stderr.contains("hint"),
        "{answer:?}"
    );
    of_hour(&folder, &["--prices", "/no/such/file"]).ends(2);
}

#[test]
fn the_support_packet_holds_ids_and_times_and_nothing_of_anybody() {
    const CANARIES: [&str; 5] = [
        "sk-proj-canary0canary0canary0",
        "my secret prompt",
        "canary-developer",
        "canary-session",
        "192.0.2.7",
    ];
    let mut objects = LOGS.clone();
    for number in 1..=9 {
        let mut record = server_error(number, "2026-11-22T14:05:00.000Z");
        record.developer = Some(CANARIES[2].to_owned());
        record.client.session_id = Some(CANARIES[3].to_owned());
        record.model = Some(format!("gpt-5.5 {} {}", CANARIES[0], CANARIES[1]));
        record.response_body = format!("{{\"error\":{{\"message\":\"{}\"}}}}", CANARIES[1]);
        let error = record.error.as_mut().expect("a failure");
        error.message = format!("{} {}", CANARIES[0], CANARIES[1]);
        error.code = if number < 5 { CANARIES[0].to_owned() } else { CANARIES[1].to_owned() };
        let request_id = &mut record.upstream.as_mut().expect("OpenAI's").request_id;
        *request_id = match number {
            1 => None,
            2 => Some(CANARIES[0].to_owned()),
            number => Some(format!("req_known{number}")),
        };
        objects.push(object(&record));
    }
    let folder = Folder::of(&objects);
    let file = folder.path().join("case.md");
    let answer = of_hour(&folder, &["--support-packet", file.to_str().expect("a path")]).ends(0);
    assert!(answer.stderr.contains("wrote") && answer.stderr.contains("for OpenAI"), "{answer:?}");
    let packet = fs::read_to_string(&file).expect("a packet");
    for canary in CANARIES {
        assert!(!packet.contains(canary), "{canary}: {packet}");
    }
    for number in 3..=9 {
        assert!(packet.contains(&format!("| req_known{number} | 500 |")), "{packet}");
    }
    assert!(
        packet.contains("2 without a request id") && packet.contains("server_is_overloaded"),
        "{packet}"
    );
    // Every word of it is a number, an id or one of ours.
    let words: BTreeSet<_> = packet.lines().filter(|line| line.starts_with("| 2026")).collect();
    assert!(
        words.len() > 20 && words.iter().all(|line| line.matches('|').count() == 8),
        "{packet}"
    );
}

#[test]
fn what_a_log_says_cannot_become_a_part_of_the_page() {
    let hostile = "<script>window.hurt=1</script><img src=x onerror=hurt()>\"'>&lt; sk-proj-canary0canary0canary0";
    let objects: Vec<_> = (1..=30)
        .map(|number| {
            let mut record = server_error(number, "2026-11-22T14:05:00.000Z");
            record.developer = Some(format!("{hostile}{number}"));
            record.model = Some(hostile.to_owned());
            record.proxy.version = hostile.to_owned();
            record.path = hostile.to_owned();
            let error = record.error.as_mut().expect("a failure");
            (error.code, error.message) = (hostile.to_owned(), hostile.to_owned());
            error.origin = Origin::Openai;
            object(&record)
        })
        .collect();
    let folder = Folder::of(&objects);
    let html = of_hour(&folder, &["-o", "html"]).ends(0).stdout;
    for torn in ["<script", "<img", "onerror=hurt()>\"", "canary0"] {
        assert!(!html.contains(torn), "{torn}");
    }
    assert!(html.contains("&lt;script&gt;"));
    let markdown = of_hour(&folder, &["-o", "markdown"]).ends(0).stdout;
    assert!(!markdown.contains("<script") && !markdown.contains("canary0"), "{markdown}");
}

/// CloudWatch answers about the last days only, so this is yesterday's afternoon.
#[tokio::test]
async fn what_lambda_refused_is_laid_beside_what_was_logged() {
    let Some(moto) = Moto::start() else { return };
    #[expect(clippy::disallowed_methods, reason = "CloudWatch answers about the present")]
    let yesterday = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date().yesterday();
    let date = yesterday.expect("a day");
    let minute = |hour: usize, minute: usize| hour * 60 + minute;
    let script = vec![
        Happening {
            from: minute(14, 20),
            to: minute(14, 50),
            what: What::SlowDown("gpt-5.5", 5.0),
        },
        Happening { from: minute(14, 27), to: minute(14, 52), what: What::Throttles(20) },
    ];
    let day = Day::new(&DayPlan { seed: 3, date, exchanges: 12_000, script });
    for at in minute(13, 0)..minute(15, 0) {
        let figures = &day.figures[at];
        let figures = [
            ("UrlRequestCount", figures.url_requests),
            ("Url4xxCount", figures.url_4xx),
            ("Url5xxCount", figures.url_5xx),
            ("Invocations", figures.invocations),
            ("Throttles", figures.throttles),
            ("ConcurrentExecutions", figures.concurrent_max),
        ];
        let figures = figures.map(|(name, value)| (name, value as f64));
        moto.metrics("codex-proxy", day.at(0, i64::try_from(at).expect("few")), &figures).await;
    }
    // One record stands among the lines, because S3 refused it.
    let (since, until) = (day.at(14, 0), day.at(15, 0));
    let mut objects: Vec<_> = day.objects().collect();
    let is_within = |object: &Object| {
        LogKey::parse(&object.key)
            .is_some_and(|key| since <= key.started_at && key.started_at < until)
    };
    let at = objects.iter().position(is_within).expect("an exchange");
    let refused = objects.remove(at);
    let started = LogKey::parse(&refused.key).expect("a key").started_at;
    let lines = schemas::spill::lines(&refused.key, &refused.bytes);
    let lines: Vec<_> = lines.into_iter().map(|line| (started, line)).collect();
    moto.lines("/aws/lambda/codex-proxy", "s1", &lines).await;
    let folder = Folder::of(&objects);
    let mut command = analyzer(&["triage", "--json", "--stack", "codex-proxy", "--baseline", "1h"]);
    command.args(["--since", &since.to_string(), "--until", &until.to_string(), "--source"]);
    command.arg(folder.path());
    lead(&mut command, moto.url());
    let page = run(command, "").json();
    let first = &page["incidents"][0];
    assert_eq!(
        (&first["origin"], &first["confidence"]),
        (&"openai".into(), &"likely".into()),
        "{page:#}"
    );
    assert_eq!(first["since"], day.at(14, 20).to_string(), "{first:#}");
    let throttles = &first["consequences"][0];
    assert_eq!((&throttles["origin"], &throttles["kind"]), (&"aws".into(), &"throttled".into()));
    assert_eq!(
        (&throttles["since"], &throttles["until"]),
        (&day.at(14, 27).to_string().into(), &day.at(14, 52).to_string().into())
    );
    assert_eq!(throttles["blast"]["exchanges"], 25 * 20);
    let laid: u64 = page["timeline"]["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .filter_map(|step| step["throttles"].as_u64())
        .sum();
    assert_eq!(laid, 500);
    assert_eq!(page["whole"]["spilled"], 1);
    let all =
        day.records.iter().filter(|record| since <= record.started_at && record.started_at < until);
    assert_eq!(page["total"]["exchanges"], all.count());
    assert!(
        page["whole"]["sum"].as_str().expect("a sum").contains("500 throttled + 0 refused"),
        "{page:#}"
    );
}
