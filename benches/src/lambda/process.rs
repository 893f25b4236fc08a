//! One child process: started, stopped, continued, killed, and listened to.
//!
//! Signals go out under the lock under which the child is waited for, so that none can reach a
//! process that merely inherited the number.

use std::{
    io::{self, BufRead as _, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};

use super::lock;

/// One line that an environment wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The index of the environment.
    pub environment: usize,
    /// The line, without its end.
    pub text: String,
}

/// What all environments wrote to one of their two outputs.
#[derive(Clone, Default)]
pub(super) struct Output(Arc<Mutex<Vec<Line>>>);

impl Output {
    pub(super) fn lines(&self) -> Vec<Line> {
        lock(&self.0).clone()
    }

    /// Takes in all lines of `pipe`, until it is closed.
    fn listen(&self, environment: usize, pipe: Option<impl Read + Send + 'static>) {
        let Some(pipe) = pipe else { return };
        let lines = Arc::clone(&self.0);
        thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                let text = String::from_utf8_lossy(&line).into_owned();
                lock(&lines).push(Line { environment, text });
            }
        });
    }
}

/// A child, which is killed when this is dropped.
pub(super) struct Process {
    child: Mutex<Child>,
    pid: u32,
}

impl Process {
    pub(super) fn start(
        mut command: Command,
        environment: usize,
        [stdout, stderr]: [&Output; 2],
    ) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        stdout.listen(environment, child.stdout.take());
        stderr.listen(environment, child.stderr.take());
        Ok(Self { pid: child.id(), child: Mutex::new(child) })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns how it ended; `None` while it runs.
    pub(super) fn exited(&self) -> Option<ExitStatus> {
        lock(&self.child).try_wait().ok().flatten()
    }

    /// Stops all of its threads where they are.
    pub(super) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it run on.
    pub(super) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks it to end, as soon as it runs.
    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Kills it, stopped or not.
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        let mut child = lock(&self.child);
        if let Ok(None) = child.try_wait() {
            // It may just have ended, which `exited` will tell.
            let _ = kill_process(Pid::from_child(&child), signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut child = lock(&self.child);
        // Both do nothing to a child that was waited for.
        let _ = child.kill();
        let _ = child.wait();
    }
}
