//! What a server used, from `/proc`: CPU time and memory of a process and its children.
//!
//! CPU time is the sum of the first figure of `/proc/PID/task/TID/schedstat`, nanoseconds on a
//! processor, over all threads. The time of a thread that ends between two looks is lost; a thread
//! that waits for work and gives up does so after seconds without any, so that what is lost is zero.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// CPU time by thread, up to a moment.
pub(crate) struct CpuTime(HashMap<u32, Duration>);

impl CpuTime {
    /// Reads the CPU time of a process and its children.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let mut threads = HashMap::new();
        for process in family(pid)? {
            for (thread, folder) in tasks(process)? {
                // A thread that has just ended has no file any more.
                if let Ok(text) = fs::read_to_string(folder.join("schedstat")) {
                    threads.insert(thread, nanoseconds(&text)?);
                }
            }
        }
        Ok(Self(threads))
    }

    /// Returns the time spent since an earlier look.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        let spent = self.0.iter().map(|(thread, now)| {
            now.saturating_sub(earlier.0.get(thread).copied().unwrap_or_default())
        });
        spent.sum()
    }

    /// Returns all of it.
    pub(crate) fn total(&self) -> Duration {
        self.0.values().sum()
    }
}

/// Returns the memory of a process and its children in bytes; what they share is counted once.
pub(crate) fn memory(pid: u32) -> io::Result<u64> {
    family(pid)?.into_iter().map(proportional_set).sum()
}

fn proportional_set(pid: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes.map(|kib| kib * 1024).ok_or_else(|| unreadable(&text))
}

/// Returns a process and all below it.
fn family(pid: u32) -> io::Result<Vec<u32>> {
    let mut family = vec![pid];
    let mut at = 0;
    while let Some(&process) = family.get(at) {
        for (_, folder) in tasks(process)? {
            let children = fs::read_to_string(folder.join("children")).unwrap_or_default();
            family.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
        at += 1;
    }
    Ok(family)
}

fn tasks(pid: u32) -> io::Result<Vec<(u32, PathBuf)>> {
    let number = |path: &Path| path.file_name()?.to_str()?.parse().ok();
    let entries = fs::read_dir(format!("/proc/{pid}/task"))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths.filter_map(|path| Some((number(&path)?, path))).collect())
}

fn nanoseconds(schedstat: &str) -> io::Result<Duration> {
    let first = schedstat.split_whitespace().next().and_then(|number| number.parse().ok());
    first.map(Duration::from_nanos).ok_or_else(|| unreadable(schedstat))
}

fn unreadable(text: &str) -> io::Error {
    io::Error::other(format!("the kernel tells something else than expected: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_began_or_ended_in_between_does_no_harm() {
        let look = |threads: &[(u32, u64)]| {
            CpuTime(threads.iter().map(|(id, us)| (*id, Duration::from_micros(*us))).collect())
        };
        let earlier = look(&[(1, 10), (2, 50)]);
        let later = look(&[(1, 15), (3, 7)]);
        assert_eq!(later.since(&earlier), Duration::from_micros(12));
        assert_eq!(later.total(), Duration::from_micros(22));
    }

    #[test]
    fn the_first_figure_of_schedstat_is_the_time() {
        assert_eq!(nanoseconds("1040192 4160451 4\n").unwrap(), Duration::from_nanos(1_040_192));
        assert!(nanoseconds("").is_err());
    }
}
