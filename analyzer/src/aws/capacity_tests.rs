use super::*;
use crate::aws::cloudwatch::Configuration;
use crate::window::Window;

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// An hour in which these minutes have figures: minute, invocations, throttles, peak.
fn hour(minutes: &[(i64, u64, u64, u64)], mean_s: u64, reserved: Option<Reserved>) -> Observed {
    let since = time("2026-11-22T02:00:00Z");
    let window = Window { since, until: time("2026-11-22T03:00:00Z") };
    let mut observed = Observed::nothing("codex-proxy", window, time("2026-11-22T03:00:00Z"));
    observed.minutes = minutes
        .iter()
        .map(|&(minute, invocations, throttles, peak)| Minute {
            at: since + jiff::SignedDuration::from_mins(minute),
            period_s: 60,
            counts: Counts {
                invocations: Some(invocations),
                throttles: Some(throttles),
                concurrent_max: Some(peak),
                duration_ms: Some(invocations * mean_s * 1_000),
                ..Counts::default()
            },
        })
        .collect();
    observed.configuration = Some(Configuration { reserved, ..Configuration::default() });
    observed
}

const ACCOUNT: AccountSlots = AccountSlots { slots: 1_065, free: 940 };
const RESERVED: Option<Reserved> = Some(Reserved::Slots(25));

#[test]
fn refused_requests_count_into_the_need() {
    // 684 requests in ten minutes, 41 s each.
    let minutes: Vec<_> = (30..40).map(|m| (m, 36, if m == 33 { 32 } else { 31 }, 25)).collect();
    let capacity = capacity(&hour(&minutes, 41, RESERVED), Some(ACCOUNT));
    assert_eq!(capacity.state, State::Short);
    assert_eq!((capacity.throttles, capacity.used), (Some(311), Some(25)));
    // 68 a minute times 41 s.
    assert_eq!(capacity.needed, Some(47));
    assert_eq!(capacity.suggested, Some(75));
    assert_eq!(capacity.formula.map(|it| it.at), Some(time("2026-11-22T02:33:00Z")));
    let between = (time("2026-11-22T02:30:00Z"), time("2026-11-22T02:40:00Z"));
    assert_eq!(capacity.refused_between, Some(between));
    assert_eq!(capacity.meanwhile.and_then(|it| it.invocations), Some(360));
}

#[test]
fn without_a_refusal_the_need_is_what_was_used() {
    let calm = capacity(&hour(&[(3, 60, 0, 12)], 41, RESERVED), Some(ACCOUNT));
    assert_eq!((calm.state, calm.needed, calm.suggested), (State::Enough, Some(12), None));
    assert_eq!(calm.formula, None);
    let tight = capacity(&hour(&[(3, 60, 0, 20)], 41, RESERVED), Some(ACCOUNT));
    assert_eq!((tight.state, tight.suggested), (State::Tight, Some(50)));
}

#[test]
fn a_refusal_means_one_more_slot_at_least_even_where_the_mean_is_short() {
    let short = capacity(&hour(&[(3, 60, 5, 25)], 1, RESERVED), Some(ACCOUNT));
    assert_eq!((short.needed, short.suggested), (Some(26), Some(50)));
    let unknown = capacity(&hour(&[(3, 0, 5, 30)], 1, None), None);
    assert_eq!((unknown.formula, unknown.reserved), (None, None));
    assert_eq!(unknown.needed, Some(31));
}

#[test]
fn an_account_that_is_too_small_is_said() {
    let minutes = [(3, 36, 32, 25)];
    let small = AccountSlots { slots: 140, free: 15 };
    let capped = capacity(&hour(&minutes, 41, RESERVED), Some(small));
    assert_eq!((capped.suggested, capped.account_too_small), (Some(40), true));
    let full = AccountSlots { slots: 125, free: 0 };
    let nothing = capacity(&hour(&minutes, 41, RESERVED), Some(full));
    assert_eq!((nothing.suggested, nothing.account_too_small), (None, true));
}

#[test]
fn a_single_figure_without_a_data_point_is_not_enough_either() {
    for forget in [
        (|counts: &mut Counts| counts.concurrent_max = None) as fn(&mut Counts),
        |counts| counts.throttles = None,
        |counts| {
            *counts = Counts { url_requests: Some(36), ..Counts::default() };
        },
    ] {
        let mut observed = hour(&[(3, 60, 0, 12)], 41, RESERVED);
        forget(&mut observed.minutes[0].counts);
        let blind = capacity(&observed, Some(ACCOUNT));
        assert_eq!((blind.state, blind.suggested), (State::Unknown, None), "{blind:?}");
        assert!(!blind.missing().is_empty());
    }
    // A refusal is one, whatever else is not known.
    let mut observed = hour(&[(3, 60, 5, 25)], 41, RESERVED);
    observed.minutes[0].counts.concurrent_max = None;
    assert_eq!(capacity(&observed, None).state, State::Short);
}

#[test]
fn slots_that_are_shared_with_others_can_run_out_too() {
    let shared = Some(Reserved::Shared);
    let small = AccountSlots { slots: 10, free: 0 };
    let tight = capacity(&hour(&[(3, 60, 0, 9)], 41, shared), Some(small));
    assert_eq!((tight.state, tight.room), (State::Tight, Some(10)));
    assert_eq!((tight.suggested, tight.account_too_small), (None, true));
    let wide = capacity(&hour(&[(3, 60, 0, 9)], 41, shared), Some(ACCOUNT));
    assert_eq!((wide.state, wide.room), (State::Enough, Some(1_040)));
    let unknown = capacity(&hour(&[(3, 60, 0, 9)], 41, shared), None);
    assert_eq!((unknown.state, unknown.room), (State::Enough, None));
}

#[test]
fn no_data_point_is_not_enough() {
    let blind = capacity(&hour(&[], 0, RESERVED), None);
    assert_eq!((blind.state, blind.throttles, blind.needed), (State::Unknown, None, None));
}
