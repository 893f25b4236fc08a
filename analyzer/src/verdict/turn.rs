//! Turns, not requests: Codex tries one step of a session up to 30 times.
//!
//! In come the tries that were read, failed and good ones; out comes how many turns they make. All
//! tries of a turn carry its id. Older clients send none: there the failures of one session that
//! follow each other closely are one turn, up to the success that ends it.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use crate::logs::classify::Exchange;

/// Tries of one turn follow each other within this: Codex waits for 3.2 s at most between its own,
/// and for as long as it is told by a rate limit.
const APART: SignedDuration = SignedDuration::from_secs(30);

/// How many turns some tries make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    /// Turns in which a try failed.
    pub hurt: u64,
    /// Tries that failed.
    pub tries: u64,
    /// Turns of these that were read to get an answer on a later try.
    pub recovered: u64,
}

/// One try.
#[derive(Clone, Debug)]
pub(crate) struct Try {
    session: Option<String>,
    turn: Option<String>,
    id: String,
    begun: Timestamp,
    ended: Timestamp,
    failed: bool,
}

impl Try {
    pub(crate) fn of(exchange: &Exchange, failed: bool) -> Self {
        let one = Self::failed(
            exchange.session_id.clone(),
            exchange.turn_id.clone(),
            exchange.exchange_id.clone(),
            exchange.started_at,
            exchange.timing.duration_ms,
        );
        Self { failed, ..one }
    }

    /// Makes a try that failed.
    pub(crate) fn failed(
        session: Option<String>,
        turn: Option<String>,
        id: String,
        begun: Timestamp,
        duration_ms: Option<f64>,
    ) -> Self {
        let ms = duration_ms.filter(|ms| ms.is_finite()).unwrap_or_default();
        // A day is more than any exchange lasts.
        let lasted = SignedDuration::from_secs_f64((ms / 1e3).clamp(0.0, 86_400.0));
        let ended = begun.checked_add(lasted).unwrap_or(begun);
        Self { session, turn, id, begun, ended, failed: true }
    }
}

/// A turn while its tries are counted.
struct Open {
    failed: u64,
    recovered: bool,
    ended: Timestamp,
}

/// Counts turns. The order of the tries does not matter.
pub(crate) fn count(mut tries: Vec<Try>) -> Turns {
    tries.sort_by_key(|one| one.begun);
    let mut open = HashMap::<(Option<String>, Option<String>), Open>::new();
    let mut turns = Turns::default();
    let mut close = |turn: &Open| {
        turns.hurt += u64::from(turn.failed > 0);
        turns.tries += turn.failed;
        turns.recovered += u64::from(turn.failed > 0 && turn.recovered);
    };
    for one in tries {
        let has_turn = one.turn.is_some();
        let key = match (one.session, one.turn) {
            // What says neither is a turn by itself.
            (None, None) => (None, Some(one.id)),
            known => known,
        };
        if !has_turn
            && let Some(turn) = open.get(&key)
            && (turn.recovered || one.begun.duration_since(turn.ended) > APART)
        {
            close(turn);
            open.remove(&key);
        }
        let turn =
            open.entry(key).or_insert(Open { failed: 0, recovered: false, ended: one.ended });
        turn.failed += u64::from(one.failed);
        turn.recovered = !one.failed && turn.failed > 0;
        turn.ended = turn.ended.max(one.ended);
    }
    open.values().for_each(close);
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(session: Option<&str>, turn: Option<&str>, second: i64, failed: bool) -> Try {
        let begun = Timestamp::from_second(1_763_779_267 + second).expect("in range");
        Try {
            session: session.map(str::to_owned),
            turn: turn.map(str::to_owned),
            id: format!("cpx_{second}"),
            begun,
            ended: begun,
            failed,
        }
    }

    #[test]
    fn thirty_tries_of_one_turn_are_one_turn() {
        let tries = (0..30).map(|second| one(Some("s"), Some("t"), second * 40, true)).collect();
        assert_eq!(count(tries), Turns { hurt: 1, tries: 30, recovered: 0 });
    }

    #[test]
    fn without_an_id_of_the_turn_what_is_apart_in_time_is_another_turn() {
        let tries = [0, 20, 45, 100].map(|second| one(Some("s"), None, second, true));
        assert_eq!(count(tries.into()), Turns { hurt: 2, tries: 4, recovered: 0 });
        let nothing = [0, 1].map(|second| one(None, None, second, true));
        assert_eq!(count(nothing.into()).hurt, 2);
    }

    #[test]
    fn a_turn_of_which_a_later_try_got_an_answer_is_not_lost() {
        let later = [one(Some("s"), Some("t"), 0, true), one(Some("s"), Some("t"), 5, false)];
        assert_eq!(count(later.into()), Turns { hurt: 1, tries: 1, recovered: 1 });
        let earlier = [one(Some("s"), Some("t"), 5, true), one(Some("s"), Some("t"), 0, false)];
        assert_eq!(count(earlier.into()).recovered, 0);
        let old = [one(Some("s"), None, 0, true), one(Some("s"), None, 5, false)];
        assert_eq!(count(old.into()).recovered, 1);
        let far = [one(Some("s"), None, 0, true), one(Some("s"), None, 500, false)];
        assert_eq!(count(far.into()).recovered, 0);
    }
}
