//! A scripted day, judged by the decisions alone: what goes wrong is found, dated and attributed, and quiet days
//! raise nothing.

use std::sync::LazyLock;

use analyzer::aws::cloudwatch::{Configuration, Counts, Minute, Observed, Reserved};
use analyzer::logs::classify::{Exchange, classify};
use analyzer::triage::detect::Scope;
use analyzer::triage::gather::Gathered;
use analyzer::triage::incident::Severity;
use analyzer::triage::page::{Page, State, page};
use analyzer::triage::story::{Part, Story};
use analyzer::window::Window;
use benches::corpus::day::{Day, DayPlan, Figures, Happening, SLOTS, What, eventful};
use jiff::{SignedDuration, Timestamp};
use schemas::origin::{Acts, Origin};
use schemas::record::{LogRecord, LoggedError};
use schemas::view::RecordView;

/// Exchanges of a day.
const EXCHANGES: usize = 20_000;

/// A day, and its exchanges as the analyzer understands them.
struct Understood {
    day: Day,
    exchanges: Vec<Exchange>,
}

fn understood(seed: u64, number: i8, script: Vec<Happening>) -> Understood {
    let date = jiff::civil::date(2026, 11, number);
    let day = Day::new(&DayPlan { seed, date, exchanges: EXCHANGES, script });
    let understand = |record: &LogRecord| {
        let json = record.to_json().expect("all numbers are finite").0;
        let view = RecordView::parse(&json).expect("a record");
        classify(&view, "logs/x.json", record.started_at)
    };
    let exchanges = day.records.iter().map(understand).collect();
    Understood { day, exchanges }
}

static QUIET: LazyLock<Understood> = LazyLock::new(|| understood(1, 21, Vec::new()));
static EVENTFUL: LazyLock<Understood> = LazyLock::new(|| understood(2, 22, eventful()));

/// Asks about a day with its quiet one before it.
fn asked_of(day: &Understood) -> Page {
    asked(&[&QUIET, day], day.day.at(0, 0), day.day.at(24, 0))
}

/// A quiet day on which something is done to each exchange; its place is given too.
fn changed(seed: u64, mut change: impl FnMut(usize, &mut Exchange)) -> Understood {
    let mut day = understood(seed, 22, Vec::new());
    for (place, exchange) in day.exchanges.iter_mut().enumerate() {
        change(place, exchange);
    }
    day
}

fn fail(exchange: &mut Exchange, status: u16, code: &str, message: &str) {
    exchange.status = Some(status);
    exchange.error = Some(LoggedError {
        origin: Origin::Openai,
        code: code.to_owned(),
        kind: None,
        message: message.to_owned(),
        detail: None,
    });
}

/// Asks at the end of a window, which is when everything in it is known.
fn asked(days: &[&Understood], since: Timestamp, until: Timestamp) -> Page {
    let window = Window { since, until };
    let baseline = Window { since: since - SignedDuration::from_hours(24), until: since };
    let scope = Scope { window, baseline, now: until };
    let mut gathered = Gathered::default();
    let mut observed = Observed::nothing("codex-proxy", scope.window.clone(), until);
    observed.configuration = Some(Configuration {
        reserved: Some(Reserved::Slots(u32::try_from(SLOTS).expect("few"))),
        ..Configuration::default()
    });
    for Understood { day, exchanges } in days {
        for exchange in exchanges {
            gathered.facts.add_exchange(exchange, &scope.window, &scope.baseline);
        }
        let minutes = day.figures.iter().enumerate().map(|(at, figures)| Minute {
            at: day.at(0, i64::try_from(at).expect("few")),
            period_s: 60,
            counts: counts(figures),
        });
        observed.minutes.extend(minutes.filter(|minute| minute.at < until));
    }
    gathered.facts.finish();
    page(&gathered, Some(observed), &scope, None)
}

fn counts(figures: &Figures) -> Counts {
    Counts {
        url_requests: Some(figures.url_requests),
        url_4xx: Some(figures.url_4xx),
        url_5xx: Some(figures.url_5xx),
        invocations: Some(figures.invocations),
        errors: Some(0),
        throttles: Some(figures.throttles),
        concurrent_max: Some(figures.concurrent_max),
        duration_ms: Some(figures.duration_ms),
        spills: Some(0),
    }
}

/// Each incident in a line: its parts, and what they brought about.
fn told(page: &Page) -> Vec<String> {
    let clock = |at: Timestamp| at.strftime("%H:%M").to_string();
    let part = |part: &Part| {
        let (since, until) = (clock(part.since), clock(part.until));
        format!("{} {since}-{until} {}: {}", part.origin, part.label, part.hurt)
    };
    let story = |story: &Story| {
        let parts: Vec<_> = story.parts.iter().map(part).collect();
        let so: Vec<_> = story.consequences.iter().map(|it| format!("so {}", part(it))).collect();
        [parts, so].concat().join("; ")
    };
    page.incidents.iter().map(story).collect()
}

#[test]
fn what_goes_wrong_on_a_day_is_found_dated_and_attributed() {
    let day = &EVENTFUL.day;
    let page = asked(&[&QUIET, &EVENTFUL], day.at(0, 0), day.at(24, 0));
    let expected = [
        "openai 14:02-14:31 503 server_is_overloaded, gpt-5.5: 35 developers, 214 turns",
        "proxy 15:00-15:24 503 proxy_internal: 30 developers, 92 turns",
        "aws 16:10-16:16 330 throttles, 60 of 60 slots busy: no names: none reached the proxy",
        "openai 18:20-18:50 whole exchange p50 18.2 s -> 81.9 s, gpt-5.5: 36 developers, 229 exchanges; \
         openai 18:20-18:50 first byte p50 1.9 s -> 8.6 s, gpt-5.5: 36 developers, 204 exchanges; \
         so aws 18:27-18:52 400 throttles, 60 of 60 slots busy: no names: none reached the proxy",
        "proxy 10:20-12:36 401 proxy_invalid_token: dev-17, 16 turns",
    ];
    assert_eq!(told(&page), expected);
    assert_eq!(page.state, State::Over);
    let because = |at: usize| page.incidents[at].cause.clone().unwrap_or_default();
    assert!(because(1).contains("proxy 0.2.0 was deployed then: first seen 15:00:04 UTC"));
    assert!(because(2).contains("traffic rose"), "{}", because(2));
    let severe: Vec<_> = page.incidents.iter().map(|story| story.severity).collect();
    assert_eq!(severe[4], Severity::Minor, "{severe:?}");
}

/// Asks a quarter of an hour after each incident began, with an hour before it.
#[test]
fn an_incident_is_named_while_it_goes_on() {
    let day = &EVENTFUL.day;
    for (hour, minute, lead, step) in [
        (14, 17, "openai 14:02-14:17 503 server_is_overloaded, gpt-5.5", "use another model"),
        (15, 15, "proxy 15:00-15:15 503 proxy_internal", "roll the proxy back to 0.1.0"),
        (16, 15, "aws 16:10-16:15 275 throttles", "--reserved-concurrent-executions"),
        (18, 42, "openai 18:20-18:42 whole exchange", "--reserved-concurrent-executions"),
    ] {
        let now = day.at(hour, minute);
        let page = asked(&[&QUIET, &EVENTFUL], now - SignedDuration::from_hours(1), now);
        assert_eq!(page.state, State::Ongoing, "{lead}");
        assert!(told(&page)[0].starts_with(lead), "{lead}: {:?}", told(&page));
        assert!(page.step.contains(step), "{lead}: {}", page.step);
    }
}

#[test]
fn quiet_days_raise_nothing() {
    for seed in [1, 900] {
        let before = understood(seed, 20, Vec::new());
        let quiet = understood(seed + 1, 21, Vec::new());
        for hour in (0..24).step_by(3) {
            let (since, until) = (quiet.day.at(hour, 0), quiet.day.at(hour + 1, 0));
            assert_eq!(told(&asked(&[&before, &quiet], since, until)), [""; 0], "{seed} {hour}");
        }
        let page = asked(&[&before, &quiet], quiet.day.at(0, 0), quiet.day.at(24, 0));
        assert_eq!(told(&page), [""; 0], "{seed}");
        assert_eq!(page.state, State::Quiet);
    }
}

#[test]
fn other_shapes_of_trouble_are_found_too() {
    let script = |from: usize, to: usize, what: What| vec![Happening { from, to, what }];
    let at = |hour: usize, minute: usize| hour * 60 + minute;
    let two = [
        script(at(14, 2), at(14, 31), What::Overload("gpt-5.5", 60)),
        script(at(14, 10), at(14, 20), What::Network(30)),
    ];
    for (script, expected) in [
        // One of twelve fails for an hour and a half.
        (
            script(at(14, 2), at(15, 31), What::Overload("gpt-5.5", 8)),
            &["openai 14:02-15:29 503 server_is_overloaded, gpt-5.5: 33 developers, 109 turns"][..],
        ),
        (
            two.concat(),
            &[
                "openai 14:02-14:31 503 server_is_overloaded, gpt-5.5: 37 developers, 191 turns",
                "network 14:10-14:20 502 proxy_upstream_failed: 30 developers, 66 turns",
            ],
        ),
        (script(at(12, 0), at(24, 0), What::Deploy("0.2.0", 0)), &[]),
        (
            script(at(9, 0), at(17, 0), What::StaleToken(3, 20)),
            &["proxy 09:00-16:41 401 proxy_invalid_token: dev-03, 24 turns"],
        ),
    ] {
        let day = understood(32, 22, script);
        let page = asked(&[&QUIET, &day], day.day.at(0, 0), day.day.at(24, 0));
        assert_eq!(told(&page), expected);
    }
}

#[test]
fn a_bad_deploy_that_stays_is_one_incident_with_its_cause() {
    let script = Happening { from: 15 * 60, to: 24 * 60, what: What::Deploy("0.2.0", 8) };
    let day = understood(32, 22, vec![script]);
    let page = asked(&[&QUIET, &day], day.day.at(0, 0), day.day.at(24, 0));
    assert_eq!((page.state, page.incidents.len()), (State::Ongoing, 1), "{:?}", told(&page));
    assert_eq!(page.incidents[0].since, day.day.at(15, 0));
    assert_eq!(page.step, "roll the proxy back to 0.1.0");
    assert!(page.reason.starts_with("proxy 0.2.0 was deployed then"), "{}", page.reason);
}

#[test]
fn what_began_before_the_window_is_dated_to_when_it_began() {
    let day = &EVENTFUL.day;
    let page = asked(&[&QUIET, &EVENTFUL], day.at(14, 15), day.at(14, 45));
    assert_eq!(page.incidents[0].since, day.at(14, 2), "{:?}", told(&page));
    assert!(page.incidents[0].from_the_start);
    let page = asked(&[&QUIET, &EVENTFUL], day.at(15, 12), day.at(15, 22));
    assert_eq!(page.step, "roll the proxy back to 0.1.0", "{:?}", told(&page));
}

#[test]
fn what_pauses_for_some_minutes_is_one_incident_of_all_that_it_hurt() {
    let at = |hour: usize, minute: usize| hour * 60 + minute;
    let burst = |from: usize| Happening { from, to: from + 5, what: What::Overload("gpt-5.5", 80) };
    let script = [at(14, 0), at(14, 15), at(14, 30)].map(burst).to_vec();
    let day = understood(33, 22, script);
    let page = asked_of(&day);
    assert_eq!(page.incidents.len(), 1, "{:?}", told(&page));
    let story = &page.incidents[0];
    assert_eq!((story.since, story.until), (day.day.at(14, 0), day.day.at(14, 35)));
    let within = |it: &&Exchange| (story.since..story.until).contains(&it.started_at);
    let is_it =
        |it: &&Exchange| it.error.as_ref().is_some_and(|it| it.code == "server_is_overloaded");
    let all = day.exchanges.iter().filter(within).filter(is_it).count() as u64;
    assert_eq!((story.parts.len(), story.parts[0].blast.exchanges), (1, all));
    // More than the pause between them, and they are two.
    let day = understood(33, 22, [at(14, 0), at(14, 40)].map(burst).to_vec());
    let page = asked_of(&day);
    assert_eq!(page.incidents.len(), 2, "{:?}", told(&page));
    assert!(page.say.ends_with("Both are over."), "{}", page.say);
    assert_eq!(page.say.matches("OpenAI was overloaded on gpt-5.5").count(), 2, "{}", page.say);
}

#[test]
fn who_uses_up_everybodys_rate_limit_is_named() {
    let hour = |hour: i64, minute: i64| QUIET.day.at(24 + hour, minute);
    let within = (hour(14, 0), hour(14, 30));
    let day = changed(34, |place, exchange| {
        if (within.0..within.1).contains(&exchange.started_at) {
            if place % 5 < 3 {
                exchange.developer = Some("dev-07".to_owned());
            }
            if place % 2 == 0 {
                fail(exchange, 429, "rate_limit_exceeded", "Rate limit reached on tokens per min");
                exchange.usage = None;
            }
        }
    });
    let page = asked_of(&day);
    assert_eq!(page.incidents.len(), 1, "{:?}", told(&page));
    let cause = page.incidents[0].cause.clone().unwrap_or_default();
    assert!(cause.starts_with("dev-07 used ") && cause.contains("% of the tokens"), "{cause}");
    assert!(page.step.contains("call dev-07"), "{}", page.step);
    assert!(page.say.contains("Our rate limit at OpenAI was used up"), "{}", page.say);
}

#[test]
fn a_client_that_fails_since_it_is_new_is_named_with_the_one_to_stay_with() {
    let noon = QUIET.day.at(36, 0);
    let day = changed(35, |place, exchange| {
        if exchange.started_at >= noon && place % 3 == 0 {
            exchange.client_version = Some("0.170.0".to_owned());
            fail(exchange, 400, "unsupported_parameter", "Unsupported parameter: 'text.verbosity'");
        }
    });
    let page = asked_of(&day);
    assert_eq!((page.state, page.incidents.len()), (State::Ongoing, 1), "{:?}", told(&page));
    assert!(page.step.starts_with("stay with client 0.16"), "{}", page.step);
    assert!(page.reason.starts_with("client 0.170.0 is new here: first seen"), "{}", page.reason);
    assert!(page.say.starts_with("Client 0.170.0 fails here."), "{}", page.say);
}

#[test]
fn beside_what_nobody_here_can_mend_stands_what_we_can() {
    let at = |hour: usize, minute: usize| hour * 60 + minute;
    let going_on = |from: usize, what: What| Happening { from, to: at(24, 0), what };
    let script = vec![
        going_on(at(13, 0), What::Overload("gpt-5.5", 90)),
        going_on(at(14, 0), What::Network(30)),
    ];
    let day = understood(36, 22, script);
    let page = asked(&[&QUIET, &day], day.day.at(0, 0), day.day.at(14, 30));
    assert_eq!((page.state, page.incidents.len()), (State::Ongoing, 2), "{:?}", told(&page));
    assert_eq!((page.origin, page.acts), (Some(Origin::Openai), Acts::Us));
    assert!(page.step.starts_with("about 2: check DNS"), "{}", page.step);
    assert!(page.say.contains("OpenAI is overloaded") && page.say.contains("cannot reach OpenAI"));
}
