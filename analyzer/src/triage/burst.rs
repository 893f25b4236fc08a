//! When did something begin to happen more often than usual, and when did it stop?
//!
//! In: for each minute how often it could have happened, and how often it did; and how often it does
//! usually. Out: bursts, to the minute. It is a likelihood ratio: a burst counts if what was seen in it
//! and before is [`SURE`] times (as a logarithm) likelier at two rates than at one, so a quiet day gives
//! none, whatever it is looked at by. The beginning is where the evidence begins to add up (as in a CUSUM
//! chart), the end where it did so last before it dropped by as much again (as in BLAST).

/// Logarithm of how much likelier a burst must be at its own rate: some hundreds of series of a thousand
/// minutes are looked at, and a false alarm a year is one too many.
pub const SURE: f64 = 16.0;
/// Fewer are an anecdote.
pub const FEWEST: f64 = 3.0;
/// A rate must be so many times the usual one.
const TIMES: f64 = 3.0;
/// From one rate that is tried to the next.
const STEP: f64 = 1.8;

/// One minute.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// How often it could have happened.
    pub chances: f64,
    /// How often it did.
    pub hits: f64,
}

/// A stretch of minutes in which something happened more often than usual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Burst {
    /// The first minute, by its place.
    pub first: usize,
    /// The last one.
    pub last: usize,
    /// How often it happened.
    pub hits: f64,
    /// How often it could have.
    pub chances: f64,
    /// Logarithm of how much likelier that is at its own rate than at the usual one.
    pub evidence: f64,
}

/// How often something happens usually.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usual {
    /// How often of once.
    pub rate: f64,
    /// What that was learnt from; `None` where it is beyond doubt.
    seen: Option<Bin>,
}

impl Usual {
    /// Makes one that is beyond doubt.
    #[must_use]
    pub fn exact(rate: f64) -> Self {
        Self { rate, seen: None }
    }

    /// Learns it from what was seen; never nothing at all, for what was not seen may still be.
    #[must_use]
    pub fn learnt(seen: Bin) -> Self {
        let seen = Bin { hits: seen.hits + 0.5, chances: seen.chances + 1.0 };
        Self { rate: seen.hits / seen.chances, seen: Some(seen) }
    }

    /// Returns the same, but not below a rate.
    #[must_use]
    pub fn at_least(self, rate: f64) -> Self {
        let raised = |seen: Bin| Bin { hits: rate * seen.chances, ..seen };
        if self.rate >= rate { self } else { Self { rate, seen: self.seen.map(raised) } }
    }

    /// Returns whichever is more often.
    #[must_use]
    pub fn or_more(self, other: Self) -> Self {
        if other.rate > self.rate { other } else { self }
    }
}

/// Finds the bursts in a series, oldest first.
#[must_use]
pub fn bursts(all: &[Bin], usual: Usual) -> Vec<Burst> {
    let mut bins = all.to_vec();
    let mut found: Vec<Burst> = Vec::new();
    // What is found first is the strongest; weaker ones may stand beside it.
    loop {
        let at_best_rate = rates(usual.rate).map(|rate| at_rate(&bins, usual, rate));
        let worth = |bursts: &[Burst]| bursts.iter().map(|it| it.evidence - SURE).sum::<f64>();
        let best = at_best_rate.max_by(|a, b| worth(a).total_cmp(&worth(b)));
        let Some(best) = best.filter(|bursts| !bursts.is_empty()) else { break };
        for burst in &best {
            bins[burst.first..=burst.last].fill(Bin::default());
        }
        found.extend(best);
    }
    found.sort_by_key(|burst| burst.first);
    joined(all, found, usual)
}

/// Joins neighbours that are as likely one burst: a weak one that stands around a strong one, or goes on
/// after it.
fn joined(bins: &[Bin], found: Vec<Burst>, usual: Usual) -> Vec<Burst> {
    let mut joined: Vec<Burst> = Vec::new();
    for mut burst in found {
        while let Some(before) = joined.pop() {
            let (first, last) = (before.first, before.last.max(burst.last));
            let Bin { hits, chances } = sum(&bins[first..=last]);
            let evidence = evidence(hits, chances, usual);
            let is_apart = burst.first > before.last + 1;
            let both = before.evidence + burst.evidence - SURE;
            match evidence {
                Some(evidence) if !is_apart || evidence >= both => {
                    burst = Burst { first, last, hits, chances, evidence };
                }
                // Of two that overlap and are none together the surer one stays.
                _ if burst.first <= before.last => {
                    burst = if before.evidence >= burst.evidence { before } else { burst };
                }
                _ => {
                    joined.push(before);
                    break;
                }
            }
        }
        joined.push(burst);
    }
    joined
}

/// Rates that are tried: from well above the usual one to always.
fn rates(usual: f64) -> impl Iterator<Item = f64> {
    let first = (usual * TIMES).clamp(1e-4, 1.0);
    std::iter::successors(Some(first), |rate| (*rate < 1.0).then(|| (rate * STEP).min(1.0)))
}

/// Finds the bursts at one rate.
fn at_rate(bins: &[Bin], usual: Usual, rate: f64) -> Vec<Burst> {
    let gain = (rate / usual.rate).ln();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bins.len() {
        let (mut sum, mut best, mut first, mut last) = (0.0_f64, 0.0_f64, at, at);
        while at < bins.len() {
            if sum <= 0.0 {
                (sum, first) = (0.0, at);
            }
            let Bin { chances, hits } = bins[at];
            sum += hits * gain - chances * (rate - usual.rate);
            if sum > best {
                (best, last) = (sum, at);
            }
            at += 1;
            // The first of several is closed before a later one may join it over a quiet time.
            if best >= SURE && (sum <= best - SURE || sum <= 0.0) {
                break;
            }
            if sum <= 0.0 {
                best = 0.0;
            }
        }
        if best < SURE {
            break;
        }
        found.extend(burst(bins, usual, first, last));
        at = last + 1;
    }
    found
}

/// Makes a burst of a stretch; its ends are moved to where they are likeliest at its own rate. Once: the rate of
/// what is left is higher again, and in the end only the densest minute would be.
fn burst(bins: &[Bin], usual: Usual, first: usize, last: usize) -> Option<Burst> {
    let within = sum(&bins[first..=last]);
    let rate = within.hits / within.chances.max(f64::MIN_POSITIVE);
    let (begin, end) = if rate > usual.rate {
        likeliest(&bins[first..=last], usual.rate, rate)
    } else {
        (0, last - first)
    };
    let (first, last) = (first + begin, first + end);
    let Bin { hits, chances } = sum(&bins[first..=last]);
    let evidence = evidence(hits, chances, usual)?;
    Some(Burst { first, last, hits, chances, evidence })
}

/// Returns the part of a stretch that speaks most for a rate.
fn likeliest(bins: &[Bin], usual: f64, rate: f64) -> (usize, usize) {
    let gain = (rate / usual).ln();
    let (mut now, mut first) = (0.0_f64, 0);
    let (mut best, mut found) = (f64::MIN, (0, bins.len() - 1));
    for (at, Bin { chances, hits }) in bins.iter().enumerate() {
        if now <= 0.0 {
            (now, first) = (0.0, at);
        }
        now += hits * gain - chances * (rate - usual);
        if now > best {
            (best, found) = (now, (first, at));
        }
    }
    found
}

/// Adds minutes up.
pub(super) fn sum(bins: &[Bin]) -> Bin {
    let add =
        |sum: Bin, bin: &Bin| Bin { chances: sum.chances + bin.chances, hits: sum.hits + bin.hits };
    bins.iter().fold(Bin::default(), add)
}

/// Returns how sure it is that something happens more often than usual, if it is sure enough. What is usual
/// was learnt from so many cases and no more, so it may itself be a little more than was seen.
pub(super) fn evidence(hits: f64, chances: f64, usual: Usual) -> Option<f64> {
    let expected = usual.rate * chances;
    if hits < FEWEST || hits < TIMES * expected {
        return None;
    }
    let of = |bin: Bin, rate: f64| {
        let expected = (rate * bin.chances).max(f64::MIN_POSITIVE);
        bin.hits * (bin.hits / expected).ln() - (bin.hits - expected)
    };
    let now = Bin { chances, hits };
    let evidence = match usual.seen {
        None => of(now, usual.rate),
        Some(seen) => {
            let both = sum(&[now, seen]);
            let rate = both.hits / both.chances;
            of(now, rate) + of(seen, rate)
        }
    };
    (evidence >= SURE).then_some(evidence)
}

/// Tells how often something happens usually: the mean of a longer time without the bursts in it; never
/// nothing at all, for what was not seen may still be.
#[must_use]
pub fn usual(bins: &[Bin]) -> Usual {
    let mut calm = bins.to_vec();
    loop {
        let sum = sum(&calm);
        let usual = Usual::learnt(sum);
        let found = bursts(&calm, Usual::exact(usual.rate));
        if found.is_empty() {
            return usual;
        }
        for burst in found {
            calm[burst.first..=burst.last].fill(Bin::default());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A day of minutes, each with so many chances.
    fn quiet(chances: f64) -> Vec<Bin> {
        vec![Bin { chances, hits: 0.0 }; 1_440]
    }

    fn spans(bursts: &[Burst]) -> Vec<(usize, usize)> {
        bursts.iter().map(|burst| (burst.first, burst.last)).collect()
    }

    #[test]
    fn a_burst_is_dated_to_the_minute() {
        let mut bins = quiet(30.0);
        // Now and then one fails.
        bins.iter_mut().step_by(97).for_each(|bin| bin.hits = 1.0);
        let usual = usual(&bins);
        bins[842..=871].iter_mut().for_each(|bin| bin.hits = 12.0);
        assert_eq!(spans(&bursts(&bins, usual)), [(842, 871)]);
    }

    #[test]
    fn two_bursts_of_one_kind_are_two_however_strong() {
        let mut bins = quiet(30.0);
        for range in [100..130, 190..220, 1_400..1_440] {
            bins[range].iter_mut().for_each(|bin| bin.hits = 20.0);
        }
        bins[700..760].iter_mut().step_by(4).for_each(|bin| bin.hits = 1.0);
        let found = bursts(&bins, Usual::exact(1e-4));
        assert_eq!(spans(&found), [(100, 129), (190, 219), (700, 756), (1_400, 1_439)]);
    }

    #[test]
    fn a_weak_burst_is_one_however_its_hits_lie() {
        let mut bins = quiet(30.0);
        // Two or three of a hundred, in clumps.
        for (at, bin) in bins[400..900].iter_mut().enumerate() {
            bin.hits = f64::from(u8::from(at * at % 7 == 1)) + f64::from(u8::from(at % 50 < 5));
        }
        let found = spans(&bursts(&bins, Usual::exact(1e-4)));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].0 >= 400 && found[0].0 <= 402 && found[0].1 >= 890, "{found:?}");
    }

    #[test]
    fn what_is_usual_is_no_burst() {
        let mut bins = quiet(30.0);
        bins.iter_mut().step_by(7).for_each(|bin| bin.hits = 2.0);
        assert!(bursts(&bins, usual(&bins)).is_empty());
        assert!(bursts(&quiet(30.0), Usual::exact(1e-5)).is_empty());
        assert!(bursts(&[], Usual::exact(1e-5)).is_empty());
        let mut anecdote = quiet(30.0);
        anecdote[5].hits = 2.0;
        assert!(bursts(&anecdote, Usual::exact(1e-9)).is_empty());
    }

    #[test]
    fn few_cases_of_yesterday_leave_room_for_a_few_more_of_today() {
        let sure = |before| {
            let usual = Usual::learnt(Bin { chances: 10_000.0, hits: before });
            evidence(16.0, 4_000.0, usual).is_some()
        };
        assert!(sure(0.0) && !sure(4.0));
        assert!(evidence(16.0, 4_000.0, Usual::exact(1e-4)).is_some());
    }

    #[test]
    fn a_burst_of_yesterday_is_not_usual() {
        let mut bins = quiet(30.0);
        bins[300..360].iter_mut().for_each(|bin| bin.hits = 20.0);
        assert!(usual(&bins).rate < 1e-4);
        assert!(usual(&[]).rate > 0.0);
    }

    proptest! {
        #[test]
        fn bursts_lie_apart_and_within(
            hits in proptest::collection::vec(0_u8..6, 1..200), usual in 1e-6..0.5_f64,
        ) {
            let bins: Vec<_> =
                hits.iter().map(|hits| Bin { chances: 6.0, hits: f64::from(*hits) }).collect();
            let found = bursts(&bins, Usual::exact(usual));
            for burst in &found {
                prop_assert!(burst.first <= burst.last && burst.last < bins.len());
                prop_assert!(burst.evidence >= SURE && burst.hits >= FEWEST);
                prop_assert!(bins[burst.first].hits > 0.0 && bins[burst.last].hits > 0.0);
            }
            for pair in found.windows(2) {
                prop_assert!(pair[0].last < pair[1].first);
            }
        }
    }
}
