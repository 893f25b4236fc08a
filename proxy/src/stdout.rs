//! Lines on stdout, where Lambda hands them to CloudWatch Logs: journal, metrics, spilled records.
//!
//! A thread of its own writes them, so that a reader of stdout that is slow or stuck holds up
//! nobody's answer. Small lines are dropped and counted when it does not keep up; a spilled record
//! waits for its turn, because it is the last copy.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::Thread;
use std::time::Duration;

use tokio::sync::oneshot;

/// Lines that may wait; of the journal they are a few hundred bytes each.
const WAITING: usize = 4_096;
/// How long a server's lines may wait for others: waking the thread for each cost 12 % of a busy
/// proxy's CPU.
pub const GATHER: Duration = Duration::from_millis(10);

/// How long an end waits for a reader of stdout.
const FLUSH_TIME: Duration = Duration::from_secs(2);

enum Message {
    Line(String),
    Flush(oneshot::Sender<bool>),
}

/// Lines on stdout.
#[derive(Clone, Debug)]
pub struct Lines {
    sender: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
    thread: Thread,
}

impl Lines {
    /// Writes to this process's stdout. A line may wait this long for others.
    ///
    /// # Errors
    ///
    /// When there is no thread to be had.
    pub fn stdout(gather: Duration) -> io::Result<Self> {
        Self::to(io::stdout(), gather)
    }

    /// Writes to anything.
    ///
    /// # Errors
    ///
    /// When there is no thread to be had.
    pub fn to(writer: impl Write + Send + 'static, gather: Duration) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING);
        let dropped = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&dropped);
        let work = move || write(writer, &receiver, &counted, gather);
        let thread = std::thread::Builder::new().name("stdout".to_owned()).spawn(work)?;
        Ok(Self { sender, dropped, thread: thread.thread().clone() })
    }

    /// Writes a line that is not worth waiting for.
    pub fn say(&self, line: String) {
        if let Err(TrySendError::Full(_)) = self.sender.try_send(Message::Line(line)) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes lines that must not get lost, and blocks until they are written.
    ///
    /// # Errors
    ///
    /// When stdout cannot be written to.
    pub fn say_all(&self, lines: Vec<String>) -> io::Result<()> {
        let (written, is_written) = oneshot::channel();
        let messages = lines.into_iter().map(Message::Line).chain([Message::Flush(written)]);
        for message in messages {
            self.sender.send(message).map_err(|_| io::ErrorKind::BrokenPipe)?;
        }
        self.thread.unpark();
        match is_written.blocking_recv() {
            Ok(true) => Ok(()),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Waits until what was said so far is written, but not for ever: the reader of stdout may be
    /// stuck. Returns whether it was.
    pub async fn flush(&self) -> bool {
        let (written, is_written) = oneshot::channel();
        let flushed = self.sender.try_send(Message::Flush(written)).is_ok();
        self.thread.unpark();
        let is_written = tokio::time::timeout(FLUSH_TIME, is_written);
        flushed && matches!(is_written.await, Ok(Ok(true)))
    }
}

/// Writes what comes until nobody can say anything more; all that waits goes out in one write.
fn write(
    mut writer: impl Write,
    receiver: &Receiver<Message>,
    dropped: &AtomicU64,
    gather: Duration,
) {
    let (mut text, mut works) = (String::new(), true);
    while let Ok(first) = receiver.recv() {
        if matches!(first, Message::Line(_)) && !gather.is_zero() {
            // Whoever waits for a flush ends this.
            std::thread::park_timeout(gather);
        }
        let mut flushes = Vec::new();
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Line(line) => {
                    text.push_str(&line);
                    text.push('\n');
                }
                Message::Flush(written) => flushes.push(written),
            }
            next = if text.len() < 1 << 20 { receiver.try_recv().ok() } else { None };
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let line = serde_json::json!({"event": "journal_lines_dropped", "count": lost});
            text.push_str(&line.to_string());
            text.push('\n');
        }
        let done = writer.write_all(text.as_bytes()).and_then(|()| writer.flush());
        works &= done.is_ok();
        text.clear();
        if !flushes.is_empty() {
            for written in flushes {
                let _ = written.send(works);
            }
            works = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(data);
            Ok(data.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Fails its first write, and takes the others.
    #[derive(Default)]
    struct Broken(u32);

    impl Write for Broken {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            self.0 += 1;
            if self.0 == 1 { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(data.len()) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_come_out_whole_and_in_order() {
        let shared = Shared::default();
        let lines = Lines::to(shared.clone(), GATHER).expect("a thread");
        lines.say("one".to_owned());
        lines.say_all(vec!["two".to_owned(), "three".to_owned()]).expect("written");
        assert_eq!(*shared.0.lock().expect("no panic"), b"one\ntwo\nthree\n");
    }

    #[test]
    fn a_broken_stdout_is_told_to_whom_it_matters() {
        let lines = Lines::to(Broken::default(), GATHER).expect("a thread");
        // More than goes out in one write: the last one succeeds.
        let long = "x".repeat(1 << 20);
        assert!(lines.say_all(vec![long.clone(), long.clone(), "end".to_owned()]).is_err());
        assert!(lines.say_all(vec![long]).is_ok(), "and the next one is told the truth too");
    }
}
