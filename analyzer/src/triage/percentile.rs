//! Percentiles, by the nearest rank.

/// Returns the smallest value that at least this share of sorted values does not exceed; 0 of none.
#[must_use]
pub(super) fn percentile(sorted: &[f64], share: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to the length")]
    let rank = (share.clamp(0.0, 1.0) * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn the_nearest_rank_counts() {
        let sorted = [1.0, 2.0, 3.0, 4.0];
        for (share, value) in [(0.0, 1.0), (0.25, 1.0), (0.5, 2.0), (0.51, 3.0), (1.0, 4.0)] {
            assert!((percentile(&sorted, share) - value).abs() < f64::EPSILON, "{share}");
        }
        assert!(percentile(&[], 0.5).abs() < f64::EPSILON);
    }
}
