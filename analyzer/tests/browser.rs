//! The HTML page in a real browser: headless Chromium from npm.
//!
//! `scripts/check.sh` installs it and names its folder in `CODEX_PROXY_TEST_CHROMIUM`; without it these tests say
//! loudly that they are skipped.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use benches::corpus::Object;
use benches::corpus::day::{Day, DayPlan, eventful};
use serde_json::Value;

use crate::common::{Folder, analyzer, object, run, server_error};

const SCRIPT: &str = include_str!("browser.mjs");
const HOSTILE: &str =
    "</title></style><script>window.hurt=1</script><img src=http://192.0.2.1/x onerror=hurt()>\"'>";

/// What the browser saw of a page, in light or dark.
fn seen(chromium: &Path, html: &Path, scheme: &str) -> Value {
    let mut command = Command::new("node");
    // Modules are looked for below the folder in which the script seems to stand.
    command.args(["--input-type=module", "-", scheme]).arg(html).current_dir(chromium);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("node runs");
    child.stdin.take().expect("a pipe").write_all(SCRIPT.as_bytes()).expect("the script");
    let output = child.wait_with_output().expect("the browser ends");
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

fn logs() -> Vec<Object> {
    let day = |number, script| {
        let date = jiff::civil::date(2026, 11, number);
        Day::new(&DayPlan { seed: 7, date, exchanges: 1_500, script })
    };
    let (before, day) = (day(21, Vec::new()), day(22, eventful()));
    let hostile = (1..=20).map(|number| {
        let mut record = server_error(number, &format!("2026-11-22T14:{:02}:00.000Z", number + 2));
        record.developer = Some(format!("{HOSTILE}{number}"));
        record.model = Some(HOSTILE.to_owned());
        let error = record.error.as_mut().expect("a failure");
        (error.code, error.message) = (HOSTILE.to_owned(), HOSTILE.to_owned());
        object(&record)
    });
    before.objects().chain(day.objects()).chain(hostile).collect()
}

#[test]
fn the_page_shows_what_to_do_first_and_runs_and_asks_for_nothing() {
    let Some(chromium) = std::env::var_os("CODEX_PROXY_TEST_CHROMIUM") else {
        // nextest shows this although the test passes; see `.config/nextest.toml`.
        #[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
        {
            eprintln!("SKIPPED: CODEX_PROXY_TEST_CHROMIUM names no Chromium; run scripts/check.sh");
        }
        return;
    };
    let folder = Folder::of(&logs());
    let mut command = analyzer(&["triage", "-o", "html", "--source"]);
    command.arg(folder.path());
    command.args(["--since", "2026-11-22T13:30:00Z", "--until", "2026-11-22T14:30:00Z"]);
    let html = folder.path().join("page.html");
    fs::write(&html, run(command, "").ends(0).stdout).expect("a page");
    for scheme in ["light", "dark"] {
        let seen = seen(Path::new(&chromium), &html, scheme);
        for nothing in
            ["console", "errors", "requests", "scripts", "images", "handlers", "untitled"]
        {
            assert_eq!(seen[nothing], Value::Array(Vec::new()), "{nothing}: {seen:#}");
        }
        assert_eq!(seen["hurt"], false, "{seen:#}");
        // What to do stands on the first screen, after what happened and before everything else.
        assert_eq!(seen["order"][0], "header", "{seen:#}");
        assert_eq!(seen["order"][1], "What to do", "{seen:#}");
        assert!(seen["do_bottom"].as_f64().expect("a place") < 700.0, "{seen:#}");
        assert!(seen["bars"].as_u64().expect("a count") > 10, "{seen:#}");
        assert_eq!(seen["scrolls_sideways"], false, "{seen:#}");
        assert!(seen["contrast"].as_f64().expect("a ratio") >= 4.5, "{scheme}: {seen:#}");
        assert_eq!(seen["unreachable"], Value::Array(Vec::new()), "{seen:#}");
        // The picture is not of one colour.
        assert!(seen["screenshot_bytes"].as_u64().expect("a size") > 20_000, "{seen:#}");
        assert!(seen["pdf_pages"].as_u64().expect("a count") >= 1, "{seen:#}");
    }
}
