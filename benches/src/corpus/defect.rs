//! What goes wrong with logs: one of each, on request.

use jiff::{SignedDuration, Timestamp};
use schemas::key::{LOGS, LogKey};

use super::store::{self, Object};
use super::{Bodies, Corpus, record, rows};
use crate::upstream::SplitMix;

/// The row of an HTTP 500 of OpenAI's.
const SERVER_ERROR: usize = 8;

/// Keys of the damaged objects.
#[derive(Clone, Debug, Default)]
pub struct Defects {
    /// Cut off in the middle; its key tells an HTTP 500 of OpenAI's, which counts.
    pub truncated: String,
    /// No log by its contents, though by its name.
    pub garbage: String,
    /// A second object of an exchange, an HTTP 500 of OpenAI's, that counts once.
    pub doubled: String,
    /// Its key tells an HTTP 500 of OpenAI's, its record a success.
    pub disagreeing: String,
    /// No logs by their names.
    pub foreign: Vec<String>,
}

impl Corpus {
    /// Adds one of each defect in the hour that begins at `since`, and to the truth what they tell.
    pub fn damage(&mut self, seed: u64, since: Timestamp) -> Defects {
        let mut random = SplitMix::new(seed);
        let mut at = since;
        let mut next = || {
            at += SignedDuration::from_secs(60);
            at
        };
        let row = rows::row(SERVER_ERROR);

        let (mut cut, known) = store::told(&record::of_row(&mut random, next(), &row));
        cut.bytes.truncate(cut.bytes.len() / 2);
        let truncated = cut.key.clone();
        self.objects.push(cut);
        self.known.push(known);

        let garbage = format!("{}garbage.json.zst", LogKey::hour_prefix(since));
        let noise = (0..4_096).map(|_| random.draw().to_le_bytes()[0]).collect();
        self.objects.push(Object { key: garbage.clone(), bytes: noise, modified: next() });

        let draft = record::of_row(&mut random, next(), &row);
        let (object, known) = store::told(&draft);
        let doubled = format!("{LOGS}again/{}.json.zst", draft.record.exchange_id);
        self.objects.push(Object { key: doubled.clone(), ..object.clone() });
        self.objects.push(object);
        self.known.push(known);

        let success = record::success(&mut random, next(), Bodies::Small);
        let failure = record::of_row(&mut random, success.record.started_at, &row);
        let (mut object, mut known) = store::told(&success);
        object.key = store::key_of(&failure.record).to_string();
        known.key.clone_from(&object.key);
        let disagreeing = object.key.clone();
        self.objects.push(object);
        self.known.push(known);

        let foreign = ["README.md", "2026/export.parquet", "x.json.zst.tmp"];
        let foreign: Vec<_> = foreign.iter().map(|name| format!("{LOGS}{name}")).collect();
        for key in &foreign {
            let bytes = b"temporary errors".to_vec();
            self.objects.push(Object { key: key.clone(), bytes, modified: next() });
        }
        Defects { truncated, garbage, doubled, disagreeing, foreign }
    }
}
