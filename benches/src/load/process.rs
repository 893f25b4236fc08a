//! A server as a process of its own, which ends with its [`Process`] at the latest.

use std::{
    io::{self, BufRead as _, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use super::usage::{self, CpuTime};

/// How long a process may take to end when nobody waits for its result.
const FAREWELL: Duration = Duration::from_secs(3);

/// A running server.
pub(crate) struct Process {
    name: &'static str,
    pub(crate) child: Child,
}

impl Process {
    /// Starts a server; nothing is known about its state yet.
    pub(crate) fn start(name: &'static str, command: &mut Command) -> io::Result<Self> {
        let child = command.spawn().map_err(|error| {
            io::Error::other(format!(
                "cannot start {name} ({}): {error}",
                command.get_program().display()
            ))
        })?;
        Ok(Self { name, child })
    }

    /// Starts a server that says on stdout where it listens.
    pub(crate) fn announced(
        name: &'static str,
        command: &mut Command,
    ) -> io::Result<(Self, SocketAddr)> {
        let mut process = Self::start(name, command.stdout(Stdio::piped()))?;
        let mut stdout = BufReader::new(process.child.stdout.take().ok_or_else(|| lost(name))?);
        let address = announcement(name, &mut stdout)?;
        process.child.stdout = Some(stdout.into_inner());
        Ok((process, address))
    }

    /// Starts a server that says on stderr where it listens; what else it says is shown.
    pub(crate) fn announced_on_stderr(
        name: &'static str,
        command: &mut Command,
    ) -> io::Result<(Self, SocketAddr)> {
        let mut process = Self::start(name, command.stderr(Stdio::piped()))?;
        let mut stderr = BufReader::new(process.child.stderr.take().ok_or_else(|| lost(name))?);
        let address = announcement(name, &mut stderr)?;
        thread::spawn(move || io::copy(&mut stderr, &mut io::stderr()));
        Ok((process, address))
    }

    /// Returns the CPU time spent so far.
    pub(crate) fn cpu_time(&self) -> io::Result<CpuTime> {
        CpuTime::of(self.child.id())
    }

    /// Returns the bytes of memory in use.
    pub(crate) fn memory(&self) -> io::Result<u64> {
        usage::memory(self.child.id())
    }

    /// Asks the server to end, and waits until it has.
    pub(crate) fn stop(mut self, patience: Duration) -> io::Result<ExitStatus> {
        self.terminate()?;
        let ended = self.wait(patience)?;
        ended.ok_or_else(|| io::Error::other(format!("{} did not end in {patience:?}", self.name)))
    }

    fn terminate(&self) -> io::Result<()> {
        // std knows no gentler signal than KILL.
        Command::new("kill").arg(self.child.id().to_string()).status().map(drop)
    }

    fn wait(&mut self, patience: Duration) -> io::Result<Option<ExitStatus>> {
        let pause = Duration::from_millis(20);
        let mut waited = Duration::ZERO;
        loop {
            match self.child.try_wait()? {
                None if waited < patience => thread::sleep(pause),
                ended => return Ok(ended),
            }
            waited += pause;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Not KILL at once: a master process has to take its workers along.
            let _ = self.terminate();
            if !matches!(self.wait(FAREWELL), Ok(Some(_))) {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
        }
    }
}

fn announcement<R: Read>(name: &'static str, reader: &mut BufReader<R>) -> io::Result<SocketAddr> {
    let mut said = String::new();
    loop {
        let from = said.len();
        if reader.read_line(&mut said)? == 0 {
            return Err(io::Error::other(format!("{name} did not start: {said}")));
        }
        if let Some((_, address)) = said[from..].split_once("http://") {
            return address.trim().parse().map_err(io::Error::other);
        }
    }
}

fn lost(name: &str) -> io::Error {
    io::Error::other(format!("the output of {name} cannot be read"))
}
