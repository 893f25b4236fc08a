//! `--fail-on`: what ends triage with 5, for cron.

use std::fmt;
use std::str::FromStr;

use schemas::origin::Origin;

use super::incident::Severity;
use super::page::{Page, State};

/// One condition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// There was an incident.
    Incident,
    /// There is one still.
    Ongoing,
    /// There was one, so grave at least.
    Severity(Severity),
    /// More than so much of something.
    Above(Measure, Amount),
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Exchanges that failed, whoever did it.
    Errors,
    /// Those that failed in a layer.
    Origin(Origin),
    /// Requests that Lambda refused for want of a slot.
    Throttles,
}

/// How much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// Exchanges.
    Count(u64),
    /// Share of all exchanges, in percent.
    Percent(f64),
}

/// Why a condition is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no condition: incident, ongoing, minor, major, critical, or a measure (errors, an origin, \
     throttles) and its limit: errors>5%, openai>100, throttles>0"
)]
pub struct NotACondition(String);

impl FromStr for Threshold {
    type Err = NotACondition;

    fn from_str(text: &str) -> Result<Self, NotACondition> {
        let wrong = || NotACondition(text.to_owned());
        match text {
            "incident" => return Ok(Self::Incident),
            "ongoing" => return Ok(Self::Ongoing),
            "minor" => return Ok(Self::Severity(Severity::Minor)),
            "major" => return Ok(Self::Severity(Severity::Major)),
            "critical" => return Ok(Self::Severity(Severity::Critical)),
            _ => {}
        }
        let (measure, amount) = text.split_once('>').ok_or_else(wrong)?;
        let measure = match measure.trim() {
            "errors" => Measure::Errors,
            "throttles" => Measure::Throttles,
            name => Measure::Origin(Origin::parse(name).ok_or_else(wrong)?),
        };
        let amount = amount.trim();
        let amount = match amount.strip_suffix('%') {
            Some(percent) => {
                let percent: f64 = percent.trim().parse().map_err(|_| wrong())?;
                let is_share = (0.0..=100.0).contains(&percent) && measure != Measure::Throttles;
                if !is_share {
                    return Err(wrong());
                }
                Amount::Percent(percent)
            }
            None => Amount::Count(amount.parse().map_err(|_| wrong())?),
        };
        Ok(Self::Above(measure, amount))
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incident => f.write_str("incident"),
            Self::Ongoing => f.write_str("ongoing"),
            Self::Severity(severity) => f.write_str(severity.as_str()),
            Self::Above(measure, amount) => {
                let measure = match measure {
                    Measure::Errors => "errors",
                    Measure::Origin(origin) => origin.as_str(),
                    Measure::Throttles => "throttles",
                };
                match amount {
                    Amount::Count(count) => write!(f, "{measure}>{count}"),
                    Amount::Percent(percent) => write!(f, "{measure}>{percent}%"),
                }
            }
        }
    }
}

impl Threshold {
    /// Tells whether a page meets it, and by what: `errors>5%: 31.2%`.
    #[must_use]
    pub fn met(&self, page: &Page) -> Option<String> {
        let said = match self {
            Self::Incident => {
                (!page.incidents.is_empty()).then(|| page.incidents.len().to_string())
            }
            Self::Ongoing => (page.state == State::Ongoing).then(|| page.what.clone()),
            Self::Severity(least) => {
                let worst = page.severity.filter(|severity| severity >= least);
                worst.map(|severity| severity.as_str().to_owned())
            }
            Self::Above(measure, amount) => {
                let count = measure.count(page);
                match amount {
                    Amount::Count(limit) => (count > *limit).then(|| count.to_string()),
                    Amount::Percent(limit) => {
                        let percent = count as f64 * 100.0 / page.total.exchanges.max(1) as f64;
                        (percent > *limit).then(|| format!("{percent:.1}%"))
                    }
                }
            }
        }?;
        Some(format!("{self}: {said}"))
    }
}

impl Measure {
    fn count(self, page: &Page) -> u64 {
        match self {
            Self::Errors => page.total.failed,
            Self::Origin(origin) => {
                let of = page.failures.iter().filter(|row| row.origin == origin);
                of.map(|row| row.exchanges).sum()
            }
            Self::Throttles => page.timeline.steps.iter().filter_map(|step| step.throttles).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_read_and_written_the_same() {
        for text in [
            "incident",
            "ongoing",
            "minor",
            "major",
            "critical",
            "errors>5%",
            "openai>100",
            "openai_edge>0",
            "throttles>0",
            "errors>0.5%",
        ] {
            let read = text.parse::<Threshold>().map(|threshold| threshold.to_string());
            assert_eq!(read.as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_is_no_condition_is_refused_with_what_would_be_one() {
        for text in
            ["", "errors", "errors>", "errors>-1", "errors>101%", "throttles>5%", "foo>1", ">1"]
        {
            let error = text.parse::<Threshold>().expect_err(text).to_string();
            assert!(error.contains("errors>5%"), "{error}");
        }
    }
}
