//! The name that somebody may have meant.

/// Edits up to which a name counts as misspelt.
const EDITS: usize = 2;

/// Finds the name that differs the least from one that is not among them; `None` when all are too
/// different, or when the name is among them.
pub(crate) fn nearest<'a>(
    name: &str,
    names: impl IntoIterator<Item = &'a String>,
) -> Option<&'a String> {
    let wanted: Vec<char> = name.to_lowercase().chars().collect();
    let edits = |other: &String| {
        let other: Vec<char> = other.to_lowercase().chars().collect();
        distance(&wanted, &other)
    };
    // Of a short name a larger part would be another name.
    let most = EDITS.min(wanted.len().div_ceil(3));
    let ranked = names.into_iter().map(|other| (edits(other), other));
    let (edits, other) = ranked.min()?;
    // Numbered names are another number each, unless two digits were swapped.
    let is_numbered = edits > 1 || sorted_digits(name) != sorted_digits(other);
    let is_another = letters(name) == letters(other) && is_numbered;
    (edits <= most && other != name && !is_another).then_some(other)
}

fn letters(name: &str) -> String {
    name.to_lowercase().chars().filter(|c| !c.is_ascii_digit()).collect()
}

fn sorted_digits(name: &str) -> Vec<char> {
    let mut digits: Vec<char> = name.chars().filter(char::is_ascii_digit).collect();
    digits.sort_unstable();
    digits
}

/// Counts insertions, deletions, replacements and swaps of neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut next = vec![i + 1];
        for j in 0..b.len() {
            let replaced = row[j] + usize::from(a[i] != b[j]);
            let mut least = replaced.min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(before[j - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_found_and_another_name_is_not() {
        let names = ["dev-17", "dev-04", "alice"].map(str::to_owned);
        let found = |name: &str| nearest(name, &names).map(String::as_str);
        assert_eq!(found("dev-71"), Some("dev-17"), "two neighbours swapped");
        assert_eq!(found("Dev-17"), Some("dev-17"));
        assert_eq!(found("alcie"), Some("alice"));
        assert_eq!(found("bob"), None);
        assert_eq!(found("dev-18"), None, "another number");
        assert_eq!(found("dev-7"), None);
        assert_eq!(found("dev-17"), None, "it is there");
        assert_eq!(nearest("x", &[]), None);
    }
}
