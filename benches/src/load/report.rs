//! The tables, in Markdown.
//!
//! Each cell is a median over the rounds, with the least and the most in brackets. Ratios are those
//! of medians.

use std::{
    fmt::{self, Display, Formatter},
    io,
    path::Path,
};

use super::{
    figure::{Figure, number},
    phases::{Findings, Measured},
    plan::{self, Plan},
    targets::Programs,
};

/// The tables of a run.
pub struct Report<'a> {
    findings: &'a Findings,
    plan: &'a Plan,
    size: u64,
}

impl<'a> Report<'a> {
    /// Prepares the tables.
    pub fn new(findings: &'a Findings, plan: &'a Plan, programs: &Programs) -> io::Result<Self> {
        Ok(Self { findings, plan, size: file_size(&programs.codex_proxy)? })
    }

    fn speed(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let headings = [
            "target".to_owned(),
            format!("requests/s ({} at once)", plan::REQUESTS_AT_ONCE),
            "× direct".to_owned(),
            "× nginx".to_owned(),
            format!("streams/s ({} at once)", plan::STREAMS_AT_ONCE),
            "× direct".to_owned(),
            "× nginx".to_owned(),
            format!("ms to the first byte at {}/s, p50 (of a proxy: added)", plan::CALM_RATE),
            "p99".to_owned(),
        ];
        self.table(f, &headings, |found| {
            let requests = |m: &'_ Measured| m.requests_per_second.clone();
            let streams = |m: &'_ Measured| m.streams_per_second.clone();
            vec![
                requests(found).to_string(),
                self.ratio(found, "direct", requests),
                self.ratio(found, "nginx", requests),
                streams(found).to_string(),
                self.ratio(found, "direct", streams),
                self.ratio(found, "nginx", streams),
                found.first_byte_p50.to_string(),
                found.first_byte_p99.to_string(),
            ]
        })
    }

    fn cost(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let headings = [
            "target".to_owned(),
            "CPU µs/request".to_owned(),
            "× nginx".to_owned(),
            "CPU µs/stream".to_owned(),
            "× nginx".to_owned(),
            format!("CPU µs/stream, an event every {} ms", plan::PACE.as_millis()),
            "× nginx".to_owned(),
            "CPU ms until listening".to_owned(),
        ];
        self.table(f, &headings, |found| {
            let request = |m: &'_ Measured| m.cpu_us_per_request.clone();
            let stream = |m: &'_ Measured| m.cpu_us_per_stream.clone();
            let paced = |m: &'_ Measured| m.cpu_us_per_paced_stream.clone();
            vec![
                request(found).to_string(),
                self.ratio(found, "nginx", request),
                stream(found).to_string(),
                self.ratio(found, "nginx", stream),
                paced(found).to_string(),
                self.ratio(found, "nginx", paced),
                found.cpu_ms_until_listening.map_or("-".to_owned(), number),
            ]
        })
    }

    fn memory(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let headings = [
            "target".to_owned(),
            "MB of memory (PSS) at the start".to_owned(),
            format!("after {} requests", number(plan::WARM_UP as f64)),
            format!("after {}", number(self.plan.many as f64)),
            "growth".to_owned(),
            format!("most with {} streams in flight", plan::PACED_AT_ONCE),
        ];
        self.table(f, &headings, |found| {
            let &[idle, warm, many] = &found.memory[..] else { return vec!["-".to_owned(); 5] };
            [idle, warm, many, many - warm, found.memory_peak].map(megabytes).to_vec()
        })
    }

    fn table(
        &self,
        f: &mut Formatter<'_>,
        headings: &[String],
        cells: impl Fn(&Measured) -> Vec<String>,
    ) -> fmt::Result {
        writeln!(f, "| {} |", headings.join(" | "))?;
        writeln!(f, "|---|{}", "---:|".repeat(headings.len() - 1))?;
        for found in &self.findings.measured {
            writeln!(f, "| {} | {} |", found.name, cells(found).join(" | "))?;
        }
        writeln!(f)
    }

    fn ratio(&self, found: &Measured, to: &str, of: impl Fn(&Measured) -> Figure) -> String {
        let base = self.findings.measured.iter().find(|measured| measured.name == to);
        let times = base.and_then(|base| of(found).times(&of(base)));
        times.map_or("-".to_owned(), number)
    }
}

impl Display for Report<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.speed(f)?;
        self.cost(f)?;
        self.memory(f)?;
        let size = megabytes(self.size as f64);
        writeln!(
            f,
            "Median of {} rounds (least–most). `codex-proxy`: {size} MB.",
            self.plan.rounds
        )?;
        for (name, exchanges, logs) in &self.findings.logs {
            writeln!(f, "{name}: {exchanges} exchanges, {logs} logs.")?;
        }
        Ok(())
    }
}

fn megabytes(bytes: f64) -> String {
    format!("{:.1}", bytes / 1e6)
}

fn file_size(path: &Path) -> io::Result<u64> {
    Ok(std::fs::metadata(path)?.len())
}
