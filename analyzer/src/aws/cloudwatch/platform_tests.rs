use super::*;

/// The lines of a data file: `time|stream|text`, with `\n` for line ends within one.
fn read(file: &str) -> Vec<(Timestamp, String, Option<Said>)> {
    let line = |line: &str| {
        let mut parts = line.splitn(3, '|');
        let mut next = || parts.next().expect("three parts");
        let (at, stream, text) = (next(), next(), next().replace("\\n", "\n"));
        // In the JSON shape the same two characters stand for themselves.
        (at.parse().expect("a time"), stream.to_owned(), parse(&text))
    };
    file.lines().map(line).collect()
}

/// Kind and last digit of the request, oldest first.
fn told(file: &str) -> Vec<(DeathKind, Option<char>)> {
    let lines = read(file);
    let said = lines.iter().filter_map(|(at, stream, said)| Some((*at, &**stream, said.as_ref()?)));
    let number = |death: &Death| death.request_id.as_ref().and_then(|id| id.chars().last());
    deaths(said).iter().map(|death| (death.kind, number(death))).collect()
}

#[test]
fn the_old_text_tells_each_death_once() {
    let told = told(include_str!("../../../tests/platform/old-text.log"));
    let expected = [
        (DeathKind::TimeOut, Some('2')),
        (DeathKind::OutOfMemory, Some('3')),
        (DeathKind::Crash, Some('4')),
        (DeathKind::Crash, Some('5')),
    ];
    assert_eq!(told, expected);
}

#[test]
fn the_new_text_tells_it_in_the_report_alone() {
    let told = told(include_str!("../../../tests/platform/new-text.log"));
    let expected = [
        (DeathKind::TimeOut, Some('2')),
        (DeathKind::OutOfMemory, Some('3')),
        (DeathKind::Crash, Some('4')),
        (DeathKind::StartUp, Some('5')),
        // It came up at the second try.
        (DeathKind::StartUp, None),
    ];
    assert_eq!(told, expected);
}

#[test]
fn the_json_shape_tells_the_same() {
    let told = told(include_str!("../../../tests/platform/json.log"));
    let expected = [
        (DeathKind::TimeOut, Some('2')),
        (DeathKind::OutOfMemory, Some('3')),
        (DeathKind::Crash, Some('4')),
        (DeathKind::StartUp, Some('5')),
        (DeathKind::StartUp, None),
    ];
    assert_eq!(told, expected);
}

#[test]
fn other_lines_are_none_of_the_platforms() {
    for text in [
        "",
        "START RequestId: 8f507cfc-xmpl-4697-b07a-ac58fc914c95 Version: $LATEST",
        "END RequestId: 8f507cfc-xmpl-4697-b07a-ac58fc914c95",
        "the model said: 2026-11-22T02:56:00.000Z 8f507cfc Task timed out after 3 seconds",
        "Task timed out after 3.00 seconds",
        "RequestId: 8f507cfc something else",
        "INIT_REPORT Init Duration: 10.17 ms\tPhase: init",
        "INIT_REPORT Init Duration: 10.17 ms\tPhase: init\tStatus: success",
        r#"{"event":"exchange_started","exchange_id":"cpx_1"}"#,
        r#"{"type":"platform.logsDropped","record":{"reason":"x"}}"#,
        r#"{"type":"platform.report","record":"8f507cfc"}"#,
        r#"{"type":"platform.initReport","record":{"status":"success"}}"#,
        "{\"platform.",
    ] {
        assert_eq!(parse(text), None, "{text}");
    }
}

#[test]
fn a_success_is_no_death_even_with_all_memory_used() {
    let said = parse("REPORT RequestId: a1 Duration: 1 ms Memory Size: 1 MB Max Memory Used: 1 MB");
    let said = said.expect("a report");
    assert_eq!((said.failed, said.full, said.over()), (None, true, Some("a1")));
    assert!(deaths([(Timestamp::UNIX_EPOCH, "s", &said)]).is_empty());
}

#[test]
fn a_newer_text_names_the_time_out_in_the_error_line() {
    let text =
        "RequestId: 8f507cfc-aaaa-4697-b07a-ac58fc914c95 Error: Task timed out after 3.00 seconds";
    assert_eq!(parse(text).and_then(|said| said.failed), Some(DeathKind::TimeOut));
}

#[test]
fn a_long_line_is_kept_short_and_on_one_line() {
    let text = format!("RequestId: a1 Error: {}\nRuntime.ExitError\n", "x ".repeat(1_000));
    let said = parse(&text).expect("a crash");
    assert_eq!(said.line.chars().count(), KEPT);
    assert!(!said.line.contains('\n'));
}
