//! The corpus keeps what it promises: the same seed the same logs, all kinds, realistic sizes.

use std::collections::BTreeSet;

use benches::corpus::{Bodies, Corpus, Plan, Query};
use schemas::key::LogKey;
use schemas::origin::Origin;
use schemas::record::LogRecord;

fn plan(seed: u64, objects: usize, bodies: Bodies) -> Plan {
    let since = "2026-11-21T20:00:00Z".parse().expect("a moment");
    Plan { seed, objects, since, hours: 6, bodies }
}

#[test]
fn the_same_seed_makes_the_same_logs() {
    let [a, b, other] = [7, 7, 8].map(|seed| Corpus::new(&plan(seed, 300, Bodies::Small)));
    let same = |a: &Corpus, b: &Corpus| {
        a.objects.iter().zip(&b.objects).all(|(a, b)| a.key == b.key && a.bytes == b.bytes)
    };
    assert!(same(&a, &b));
    assert!(!same(&a, &other));
}

#[test]
fn every_question_has_failures_and_quotes_in_it_and_every_origin_occurs() {
    let plan = plan(1, 4_000, Bodies::Small);
    let corpus = Corpus::new(&plan);
    let until = plan.since + jiff::SignedDuration::from_hours(plan.hours.into());
    for query in Query::ALL {
        let truth = corpus.truth(query, plan.since, until);
        assert!(!truth.counts.is_empty(), "{query:?}");
        assert!(truth.quoted_told > 5 && truth.quoted_untold > 5, "{query:?}: {truth:?}");
    }
    let failures = corpus.known.iter().filter_map(|known| known.failure.as_ref());
    let origins: BTreeSet<_> = failures.map(|failure| failure.origin).collect();
    assert_eq!(origins, Origin::ALL.into_iter().collect());
    let keys: BTreeSet<_> = corpus.objects.iter().map(|object| &object.key).collect();
    assert_eq!(keys.len(), corpus.objects.len(), "keys are unique");
    for known in &corpus.known {
        assert_eq!(LogKey::parse(&known.key).is_some(), known.told, "{}", known.key);
    }
}

#[test]
fn realistic_bodies_are_as_large_as_measured_ones() {
    let corpus = Corpus::new(&plan(3, 700, Bodies::Real));
    let successes = corpus.objects.iter().zip(&corpus.known);
    let successes = successes.filter(|(_, known)| known.told && known.failure.is_none());
    let mut sizes: Vec<_> = successes
        .map(|(object, _)| {
            let json = zstd::decode_all(&object.bytes[..]).expect("one frame");
            let record: LogRecord = serde_json::from_slice(&json).expect("a record");
            record.response_bytes
        })
        .collect();
    sizes.sort_unstable();
    let at = |percent: usize| sizes[sizes.len() * percent / 100];
    assert!((5_000..13_000).contains(&at(10)), "p10 {}", at(10));
    assert!((22_000..45_000).contains(&at(50)), "median {}", at(50));
    assert!((180_000..500_000).contains(&at(99)), "p99 {}", at(99));
}
