//! Figures that were taken several times: their median, and between what they lie.

use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

/// One figure, taken once a round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figure(Vec<f64>);

impl Figure {
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    /// Takes the value of a round that has one.
    pub(crate) fn push_if_any(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.push(value);
        }
    }

    /// Returns the value in the middle, or the mean of the two there; `None` if nothing was taken.
    pub(crate) fn median(&self) -> Option<f64> {
        let upper = *self.0.get(self.0.len() / 2)?;
        let lower = *self.0.get((self.0.len() - 1) / 2)?;
        Some(f64::midpoint(lower, upper))
    }

    /// Returns how many times the median of another figure this one's median is.
    pub(crate) fn times(&self, other: &Self) -> Option<f64> {
        Some(self.median()? / other.median()?)
    }
}

/// `5,574 (4,900–6,923)`, with more digits where figures are small.
impl Display for Figure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (Some(median), Some(least), Some(most)) =
            (self.median(), self.0.first(), self.0.last())
        else {
            return f.write_str("-");
        };
        f.write_str(&number(median))?;
        if self.0.len() > 1 {
            write!(f, " ({}–{})", number(*least), number(*most))?;
        }
        Ok(())
    }
}

/// Returns the time that `percent` of all times do not exceed.
pub(crate) fn percentile(times: &mut [Duration], percent: usize) -> Option<Duration> {
    times.sort();
    let rank = (times.len() * percent).div_ceil(100);
    times.get(rank.saturating_sub(1)).copied()
}

/// Writes a number with two or three telling digits, and its thousands apart.
pub(crate) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        small if small < 10.0 => 2,
        middle if middle < 100.0 => 1,
        _ => 0,
    };
    let digits = format!("{value:.decimals$}");
    let whole = digits.find('.').unwrap_or(digits.len());
    let first = usize::from(digits.starts_with('-'));
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > first && at < whole && (whole - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(values: &[f64]) -> Figure {
        let mut figure = Figure::default();
        for value in values {
            figure.push(*value);
        }
        figure
    }

    #[test]
    fn a_figure_shows_its_median_and_its_borders() {
        for (values, shown) in [
            (&[][..], "-"),
            (&[42.06], "42.1"),
            (&[3.0, 1.0, 2.0], "2.00 (1.00–3.00)"),
            (&[400.0, 100.0, 200.0, 300.0], "250 (100–400)"),
            (&[5_574.4, 14_900.0, 1_000_000.0], "14,900 (5,574–1,000,000)"),
            (&[-0.125], "-0.12"),
            (&[-123.0], "-123"),
        ] {
            assert_eq!(figure(values).to_string(), shown);
        }
    }

    #[test]
    fn a_ratio_needs_both_sides() {
        assert_eq!(figure(&[3.0]).times(&figure(&[1.0, 2.0])), Some(2.0));
        assert_eq!(figure(&[3.0]).times(&figure(&[])), None);
    }

    #[test]
    fn a_percentile_is_one_of_the_times() {
        let mut times: Vec<_> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&mut times, 50), Some(Duration::from_millis(100)));
        assert_eq!(percentile(&mut times, 99), Some(Duration::from_millis(198)));
        assert_eq!(percentile(&mut times, 100), Some(Duration::from_millis(200)));
        assert_eq!(percentile(&mut [], 50), None);
    }
}
