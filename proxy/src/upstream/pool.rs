//! Connections to OpenAI at rest.
//!
//! A connection belongs to the runtime that made it, whose driver wakes whoever waits for it: used from
//! another one, every byte crosses between threads. So each runtime has a shelf of its own, and takes
//! from another's only before it would have to connect, which costs more.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::{Handle, Id};
use tokio::time::Instant;

use super::connection::Link;

/// How often those at rest are looked at: one that OpenAI closed is not kept for longer.
const LOOK: Duration = Duration::from_secs(5);

/// Connections at rest.
pub(super) struct Pool {
    idle_time: Duration,
    shelves: Mutex<Vec<Shelf>>,
}

/// Those of one runtime, the oldest in front.
struct Shelf {
    runtime: Id,
    links: VecDeque<(Instant, Box<Link>)>,
    /// A task looks at them from time to time.
    is_looked_at: bool,
}

impl Pool {
    /// Makes an empty pool, which keeps a connection for this long.
    pub(super) fn new(idle_time: Duration) -> Arc<Self> {
        Arc::new(Self { idle_time, shelves: Mutex::default() })
    }

    fn shelves(&self) -> MutexGuard<'_, Vec<Shelf>> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the connection of this runtime that was used last, else one of another's.
    pub(super) fn take(&self) -> Option<Box<Link>> {
        let runtime = Handle::try_current().ok()?.id();
        loop {
            let mut shelves = self.shelves();
            // Ours last: the newest of it is the first to be taken.
            shelves.sort_by_key(|shelf| shelf.runtime == runtime);
            let taken = shelves.iter_mut().rev().find_map(|shelf| shelf.links.pop_back());
            drop(shelves);
            let (since, mut link) = taken?;
            if since.elapsed() < self.idle_time && link.is_idle() {
                return Some(link);
            }
        }
    }

    /// Keeps a connection that has answered.
    pub(super) fn put(self: &Arc<Self>, link: Box<Link>) {
        let Ok(runtime) = Handle::try_current() else { return };
        let id = link.home();
        let mut shelves = self.shelves();
        let at = shelves.iter().position(|shelf| shelf.runtime == id).unwrap_or_else(|| {
            shelves.push(Shelf { runtime: id, links: VecDeque::new(), is_looked_at: false });
            shelves.len() - 1
        });
        let ours = &mut shelves[at];
        ours.links.push_back((Instant::now(), link));
        if !std::mem::replace(&mut ours.is_looked_at, true) {
            drop(runtime.spawn(look(Arc::downgrade(self), id, LOOK.min(self.idle_time))));
        }
    }

    /// Closes what has rested for too long or was closed by OpenAI; returns whether any is left.
    fn clear(&self, runtime: Id) -> bool {
        let mut shelves = self.shelves();
        let Some(at) = shelves.iter().position(|shelf| shelf.runtime == runtime) else {
            return false;
        };
        let idle_time = self.idle_time;
        shelves[at].links.retain_mut(|(since, link)| since.elapsed() < idle_time && link.is_idle());
        let is_any_left = !shelves[at].links.is_empty();
        if !is_any_left {
            shelves.swap_remove(at);
        }
        is_any_left
    }
}

/// Looks after the connections of a runtime for as long as there are any.
async fn look(pool: Weak<Pool>, runtime: Id, pause: Duration) {
    loop {
        tokio::time::sleep(pause).await;
        match pool.upgrade() {
            Some(pool) if pool.clear(runtime) => {}
            _ => return,
        }
    }
}
