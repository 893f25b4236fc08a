//! The measuring: each target under the same load, in rounds that take turns.
//!
//! Out come the figures of each target. First all of them are warmed up and their memory is looked
//! at, which grows with the exchanges they had; then come the rounds. CPU time is taken when a server
//! has come to rest, so that logs written behind an answer count for the exchange they belong to.

use std::{io, path::Path, time::Duration};

use tokio::time::{interval, sleep};

use super::{
    client::{Load, Until, closed_loop, open_loop},
    figure::{Figure, percentile},
    plan::{self, Plan},
    process::Process,
    question::{Kind, Question},
    targets::{Fleet, Programs, Target},
};

/// A server that spends less than [`REST`] in this time is at rest.
const LOOK: Duration = Duration::from_millis(100);
const REST: Duration = Duration::from_millis(1);
/// How long a server may go on working when all its answers are out.
const AFTERWORK: Duration = Duration::from_mins(2);
/// How often the memory is looked at while streams are in flight.
const MEMORY_LOOK: Duration = Duration::from_millis(200);

/// The figures of one target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) requests_per_second: Figure,
    pub(crate) cpu_us_per_request: Figure,
    pub(crate) streams_per_second: Figure,
    pub(crate) cpu_us_per_stream: Figure,
    pub(crate) cpu_us_per_paced_stream: Figure,
    /// Milliseconds to the first byte, beyond what the target without a proxy took in that round.
    pub(crate) first_byte_p50: Figure,
    pub(crate) first_byte_p99: Figure,
    pub(crate) cpu_ms_until_listening: Option<f64>,
    /// Bytes at rest: before the first exchange, warmed up, after many.
    pub(crate) memory: Vec<f64>,
    /// The most bytes while streams were in flight.
    pub(crate) memory_peak: f64,
}

/// What a run found.
pub struct Findings {
    pub(crate) measured: Vec<Measured>,
    /// Name, exchanges and logs of each target that logs.
    pub(crate) logs: Vec<(&'static str, u64, u64)>,
}

/// Runs the plan; `progress` is told what happens.
///
/// # Errors
///
/// When a server cannot be started, an answer is not whole, or logs are missing in the end.
pub async fn run(
    programs: &Programs,
    work: &Path,
    plan: &Plan,
    progress: impl Fn(&str),
) -> io::Result<Findings> {
    let mut fleet = Fleet::start(programs, work)?;
    let mut measured: Vec<_> = fleet.targets.iter().map(begin).collect();
    for (target, found) in fleet.targets.iter_mut().zip(&mut measured) {
        if target.process.is_some() {
            progress(&format!("memory of {}: {} exchanges", found.name, plan.many));
            memory(target, found, plan).await?;
        }
    }
    for round in 0..plan.rounds {
        let mut direct = (0.0, 0.0);
        for (target, found) in fleet.targets.iter_mut().zip(&mut measured) {
            progress(&format!("round {} of {}: {}", round + 1, plan.rounds, found.name));
            full_speed(target, found, plan).await?;
            paced(target, found, plan).await?;
            let (p50, p99) = first_byte(target, plan).await?;
            if target.process.is_none() {
                direct = (p50, p99);
                found.first_byte_p50.push(p50);
                found.first_byte_p99.push(p99);
            } else {
                found.first_byte_p50.push(p50 - direct.0);
                found.first_byte_p99.push(p99 - direct.1);
            }
        }
    }
    progress("counting the logs");
    let logs = tokio::task::spawn_blocking(|| fleet.finish()).await.map_err(io::Error::other)??;
    Ok(Findings { measured, logs })
}

fn begin(target: &Target) -> Measured {
    let cpu_ms_until_listening = target.start.map(|time| time.as_secs_f64() * 1e3);
    Measured { name: target.name, cpu_ms_until_listening, ..Measured::default() }
}

async fn memory(target: &mut Target, found: &mut Measured, plan: &Plan) -> io::Result<()> {
    let at_rest = async |target: &Target| match &target.process {
        Some(process) => {
            rest(process).await?;
            Ok(process.memory()? as f64)
        }
        None => io::Result::Ok(0.0),
    };
    found.memory.push(at_rest(target).await?);
    for exchanges in [plan::WARM_UP, plan.many - plan::WARM_UP] {
        let until = Until::Count(exchanges);
        load(target, Kind::Whole, plan::REQUESTS_AT_ONCE, until).await?;
        found.memory.push(at_rest(target).await?);
    }
    Ok(())
}

async fn full_speed(target: &mut Target, found: &mut Measured, plan: &Plan) -> io::Result<()> {
    let until = Until::Elapsed(plan.full_speed);
    let (did, cpu_us) = load(target, Kind::Whole, plan::REQUESTS_AT_ONCE, until).await?;
    found.requests_per_second.push(did.exchanges as f64 / did.elapsed.as_secs_f64());
    found.cpu_us_per_request.push_if_any(cpu_us);
    let (did, cpu_us) = load(target, Kind::Stream, plan::STREAMS_AT_ONCE, until).await?;
    found.streams_per_second.push(did.exchanges as f64 / did.elapsed.as_secs_f64());
    found.cpu_us_per_stream.push_if_any(cpu_us);
    Ok(())
}

async fn paced(target: &mut Target, found: &mut Measured, plan: &Plan) -> io::Result<()> {
    let pid = target.process.as_ref().map(|process| process.child.id());
    let mut peak = found.memory_peak;
    let watch = async {
        let mut looks = interval(MEMORY_LOOK);
        loop {
            looks.tick().await;
            if let Some(Ok(bytes)) = pid.map(super::usage::memory) {
                peak = peak.max(bytes as f64);
            }
        }
    };
    let (kind, until) = (Kind::Paced(plan::PACE), Until::Count(plan.paced));
    let (_, cpu_us) = tokio::select! {
        did = load(target, kind, plan::PACED_AT_ONCE, until) => did?,
        () = watch => unreachable!("it never ends"),
    };
    found.memory_peak = peak;
    found.cpu_us_per_paced_stream.push_if_any(cpu_us);
    Ok(())
}

/// Returns the milliseconds to the first byte, p50 and p99.
async fn first_byte(target: &mut Target, plan: &Plan) -> io::Result<(f64, f64)> {
    let question = Question::new(Kind::Stream, target.address.to_string(), &target.token);
    let mut times = open_loop(target.address, &question, plan::CALM_RATE, plan.calm).await?;
    target.exchanges += times.len() as u64;
    let mut milliseconds =
        |percent| percentile(&mut times, percent).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
    Ok((milliseconds(50), milliseconds(99)))
}

/// Puts a target under load, and returns the CPU time of its process for each exchange too.
async fn load(
    target: &mut Target,
    kind: Kind,
    at_once: usize,
    until: Until,
) -> io::Result<(Load, Option<f64>)> {
    let question = Question::new(kind, target.address.to_string(), &target.token);
    let before = target.process.as_ref().map(Process::cpu_time).transpose()?;
    let did = closed_loop(target.address, &question, at_once, until).await?;
    target.exchanges += did.exchanges;
    let (Some(process), Some(before)) = (&target.process, before) else { return Ok((did, None)) };
    rest(process).await?;
    let spent = process.cpu_time()?.since(&before);
    Ok((did, Some(spent.as_secs_f64() * 1e6 / did.exchanges as f64)))
}

/// Waits until a server has nothing to do any more.
async fn rest(process: &Process) -> io::Result<()> {
    let mut before = process.cpu_time()?;
    for _ in 0..AFTERWORK.as_millis() / LOOK.as_millis() {
        sleep(LOOK).await;
        let now = process.cpu_time()?;
        if now.since(&before) < REST {
            return Ok(());
        }
        before = now;
    }
    Err(io::Error::other(format!("a server is still at work after {AFTERWORK:?}")))
}
