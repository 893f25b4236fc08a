//! Who is measured: nobody in between, nginx, and ours with its logs in a folder or in S3.
//!
//! All of them forward to the same fake OpenAI. Every server is a process of its own on a loopback
//! port that the system picks. At the end ours have to show as many logs as they had exchanges: a
//! proxy that drops its logs would be quick, and useless.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use super::process::Process;
use crate::s3::{ACCESS_KEY, SECRET_KEY};

/// How long ours may take to bring away the logs that are left when it is told to stop.
const LAST_LOGS: Duration = Duration::from_mins(2);
/// How long nginx may take until it listens.
const START: Duration = Duration::from_secs(5);
/// The bucket of the S3 server.
pub const BUCKET: &str = "bench";

/// The programs to run.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `codex-proxy`.
    pub codex_proxy: PathBuf,
    /// `fake-openai`.
    pub fake_openai: PathBuf,
    /// `memory-s3`.
    pub memory_s3: PathBuf,
    /// `nginx`.
    pub nginx: PathBuf,
    /// Its configuration, with `@PORT@`, `@UPSTREAM@` and `@FOLDER@` to be filled in.
    pub nginx_conf: PathBuf,
}

/// Everything that runs.
pub(crate) struct Fleet {
    pub(crate) targets: Vec<Target>,
    // Behind the targets: whoever forwards ends before whom it forwards to.
    _openai: Process,
}

/// One way to OpenAI.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
    /// `None` where nobody stands in between.
    pub(crate) process: Option<Process>,
    /// CPU time until it listened.
    pub(crate) start: Option<Duration>,
    /// How many exchanges it had.
    pub(crate) exchanges: u64,
    logs: Logs,
}

/// Where a target leaves its logs.
enum Logs {
    Nowhere,
    Folder(PathBuf),
    S3(Process),
}

impl Fleet {
    /// Starts everything; what it writes goes below `work`.
    pub(crate) fn start(programs: &Programs, work: &Path) -> io::Result<Self> {
        let mut command = Command::new(&programs.fake_openai);
        let (openai, upstream) = Process::announced("fake-openai", &mut command)?;
        let direct = Target {
            name: "direct",
            address: upstream,
            token: "of-nobody".to_owned(),
            process: None,
            start: None,
            exchanges: 0,
            logs: Logs::Nowhere,
        };
        let nginx = nginx(programs, upstream, &work.join("nginx"))?;
        let folder = work.join("logs");
        let place = folder.display().to_string();
        let ours = OurPart { programs, upstream, work };
        let to_folder =
            ours.start("codex-proxy, folder", &place, &[], Logs::Folder(folder.join("logs")))?;
        let mut command = Command::new(&programs.memory_s3);
        let (s3, endpoint) =
            Process::announced("memory-s3", command.arg(BUCKET).stdin(Stdio::piped()))?;
        let endpoint = format!("http://{endpoint}");
        let variables = [
            ("AWS_ENDPOINT_URL_S3", endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_REGION", "eu-central-1"),
        ];
        let place = format!("s3://{BUCKET}");
        let to_s3 = ours.start("codex-proxy, S3", &place, &variables, Logs::S3(s3))?;
        Ok(Self { targets: vec![direct, nginx, to_folder, to_s3], _openai: openai })
    }

    /// Stops the targets, and returns for each how many exchanges and how many logs there were.
    ///
    /// Fails if they are not the same number.
    pub(crate) fn finish(self) -> io::Result<Vec<(&'static str, u64, u64)>> {
        let targets = self.targets.into_iter().filter_map(|target| target.finish().transpose());
        targets.collect()
    }
}

impl Target {
    fn finish(self) -> io::Result<Option<(&'static str, u64, u64)>> {
        if let Some(process) = self.process {
            let status = process.stop(LAST_LOGS)?;
            if !status.success() {
                return Err(io::Error::other(format!("{} ended with {status}", self.name)));
            }
        }
        let logs = match self.logs {
            Logs::Nowhere => return Ok(None),
            Logs::Folder(folder) => count(&folder)?,
            Logs::S3(s3) => objects(s3)?,
        };
        if logs != self.exchanges {
            let (name, exchanges) = (self.name, self.exchanges);
            let error = format!("{name}: {exchanges} exchanges, but {logs} logs");
            return Err(io::Error::other(error));
        }
        Ok(Some((self.name, self.exchanges, logs)))
    }
}

/// What the targets of ours share.
struct OurPart<'a> {
    programs: &'a Programs,
    upstream: SocketAddr,
    work: &'a Path,
}

impl OurPart<'_> {
    fn start(
        &self,
        name: &'static str,
        place: &str,
        variables: &[(&str, &str)],
        logs: Logs,
    ) -> io::Result<Target> {
        let program = &self.programs.codex_proxy;
        let tokens = self.work.join("tokens.json");
        let mut add = Command::new(program);
        add.args(["token", "add", "bench", "--tokens"]).arg(&tokens).stderr(Stdio::null());
        let token = String::from_utf8_lossy(&add.output()?.stdout).trim().to_owned();

        let mut serve = Command::new(program);
        serve.args(["serve", "--listen", "127.0.0.1:0", "--logs", place, "--upstream"]);
        serve.arg(format!("http://{}", self.upstream)).arg("--tokens").arg(tokens);
        serve.env("OPENAI_API_KEY", "sk-bench-not-a-real-key").envs(variables.iter().copied());
        // The default for a bucket is in the user's own folder, and this leaves nothing behind.
        serve.arg("--spool").arg(self.work.join(format!("{}.spool", name.replace(", ", "-"))));
        // As a service: the journal is on, and goes to a file.
        let journal = format!("{}.journal", name.replace(", ", "-"));
        serve.stdout(File::create(self.work.join(journal))?);
        let (process, address) = Process::announced_on_stderr("codex-proxy", &mut serve)?;
        let start = Some(process.cpu_time()?.total());
        Ok(Target { name, address, token, process: Some(process), start, exchanges: 0, logs })
    }
}

fn nginx(programs: &Programs, upstream: SocketAddr, folder: &Path) -> io::Result<Target> {
    fs::create_dir_all(folder)?;
    // nginx does not tell which port it got, so it gets one that was free a moment ago.
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let template = fs::read_to_string(&programs.nginx_conf)?;
    let conf = template
        .replace("@PORT@", &address.port().to_string())
        .replace("@UPSTREAM@", &upstream.to_string())
        .replace("@FOLDER@", &folder.display().to_string());
    let path = folder.join("nginx.conf");
    fs::write(&path, conf)?;
    let mut command = Command::new(&programs.nginx);
    command.arg("-p").arg(folder).arg("-c").arg(&path).arg("-e").arg(folder.join("error.log"));
    let process = Process::start("nginx", &mut command)?;
    let pause = Duration::from_millis(5);
    let mut waited = Duration::ZERO;
    while let Err(error) = TcpStream::connect(address) {
        if waited > START {
            return Err(error);
        }
        thread::sleep(pause);
        waited += pause;
    }
    let start = Some(process.cpu_time()?.total());
    let token = "of-nobody".to_owned();
    let logs = Logs::Nowhere;
    Ok(Target { name: "nginx", address, token, process: Some(process), start, exchanges: 0, logs })
}

/// Counts the logs below a folder.
fn count(folder: &Path) -> io::Result<u64> {
    let mut logs = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            logs += count(&entry.path())?;
        } else if entry.file_name().to_string_lossy().ends_with(".json.zst") {
            logs += 1;
        }
    }
    Ok(logs)
}

/// Ends the S3 server, which then says how many objects it holds.
fn objects(mut s3: Process) -> io::Result<u64> {
    drop(s3.child.stdin.take());
    let mut said = String::new();
    if let Some(stdout) = &mut s3.child.stdout {
        stdout.read_to_string(&mut said)?;
    }
    said.trim().parse().map_err(io::Error::other)
}
