//! Sparklines: a row of blocks, one a step, as high as its value.

/// Blocks, from nothing to the highest.
const BLOCKS: [char; 8] = [
    '\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}', '\u{2587}', '\u{2588}',
];

/// Draws values, several together where there are more than `width`. Nothing is the lowest block, and
/// anything is higher than that.
#[must_use]
pub(super) fn spark(values: &[u64], width: usize) -> String {
    let width = width.clamp(1, values.len().max(1));
    let mut sums = vec![0_u64; width];
    for (at, value) in values.iter().enumerate() {
        sums[at * width / values.len()] += value;
    }
    let most = sums.iter().copied().max().unwrap_or(0).max(1);
    let block = |value: u64| {
        let steps = BLOCKS.len() as u64 - 1;
        let step = (value * steps).div_ceil(most);
        BLOCKS[usize::try_from(step).unwrap_or(0).min(BLOCKS.len() - 1)]
    };
    sums.into_iter().map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::spark;

    #[test]
    fn anything_is_higher_than_nothing_and_the_most_is_highest() {
        assert_eq!(spark(&[0, 1, 50, 100], 40), "▁▂▅█");
        assert_eq!(spark(&[0, 0, 3, 4], 2), "▁█");
        assert_eq!(spark(&[0, 0], 2), "▁▁");
        assert_eq!(spark(&[], 5), "▁");
    }
}
