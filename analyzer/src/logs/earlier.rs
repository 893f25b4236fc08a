//! When somebody was last here, before the window: by one log for each token.
//!
//! In: a source, a name, and where the window begins. Out: their newest exchange before it. A key tells
//! whose token it was, and any log of a token whose name that is; so the newest log of each token is read,
//! day by day backwards, and the first that is theirs is the answer.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::logs::aim::{Aim, Needs};
use crate::logs::classify::Exchange;
use crate::logs::list::{Entry, list};
use crate::logs::needle::Prefilter;
use crate::logs::read::read;
use crate::logs::source::LogSource;
use crate::window::Window;

/// How many days are looked through.
const DAYS: u32 = 7;
/// After so many logs no further day is listed.
const ENOUGH: usize = 200_000;
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Finds somebody's newest exchange before a moment. Tokens that are known to be of others are passed
/// over. What cannot be listed or read is as good as not there: nothing rests on it.
pub(crate) async fn last_before(
    source: &Arc<dyn LogSource>,
    developer: &str,
    moment: Timestamp,
    mut of_others: HashSet<u32>,
) -> Option<Exchange> {
    let mut until = moment;
    let mut listed = 0;
    for _ in 0..DAYS {
        let since = until.checked_sub(DAY).ok()?;
        let logs = list(&**source, &Window { since, until }).await.ok()?;
        listed += logs.entries.len();
        let is_new = |entry: &Entry| {
            let token = entry.told.and_then(|told| told.token8);
            token.is_some_and(|token| of_others.insert(token))
        };
        let newest_of_each = logs.entries.into_iter().filter(is_new).collect();
        let is_theirs = {
            let developer = developer.to_owned();
            move |exchange: &Exchange| exchange.developer.as_ref() == Some(&developer)
        };
        let aim = Aim {
            needs: Needs::Body,
            prefilter: Prefilter::new("", &[]).or_anything().and_name(developer),
            words: String::new(),
            until: Some(Box::new(is_theirs)),
        };
        let found = read(Arc::clone(source), newest_of_each, aim).await.exchanges;
        let mut theirs = found.into_iter().filter(|it| it.developer.as_deref() == Some(developer));
        if let Some(exchange) = theirs.next() {
            return Some(exchange);
        }
        if listed > ENOUGH {
            return None;
        }
        until = since;
    }
    None
}
