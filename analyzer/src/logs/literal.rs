//! Many short byte strings, looked for at once at the speed of memory.
//!
//! Up to 64 of them are found by comparing 16 or 32 bytes at a time; where the processor has no
//! instructions for that, by an automaton.

use aho_corasick::packed::Searcher;
use aho_corasick::{AhoCorasick, Input, Span};

/// Byte strings to look for.
#[derive(Debug)]
pub(crate) enum Literals {
    Packed(Searcher),
    Automaton(Box<AhoCorasick>),
    None,
}

impl Literals {
    /// Prepares the search; none of them may be empty.
    pub(crate) fn new(literals: &[Vec<u8>]) -> Self {
        if let Some(searcher) = Searcher::new(literals) {
            return Self::Packed(searcher);
        }
        AhoCorasick::new(literals).map_or(Self::None, |search| Self::Automaton(Box::new(search)))
    }

    /// Returns where they stand: which one, and the place of its first byte.
    pub(crate) fn find_iter<'a>(
        &'a self,
        bytes: &'a [u8],
    ) -> impl Iterator<Item = (usize, usize)> + Clone + 'a {
        let mut from = 0;
        std::iter::from_fn(move || {
            let found = match self {
                Self::Packed(search) => search.find_in(bytes, Span::from(from..bytes.len())),
                Self::Automaton(search) => search.find(Input::new(bytes).range(from..)),
                Self::None => None,
            }?;
            from = found.start() + 1;
            Some((found.pattern().as_usize(), found.start()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_found_where_they_stand_by_either_way() {
        let literals = [b"err".to_vec(), b"\\u00".to_vec(), b"rr".to_vec()];
        let text = format!("{}err \\u0061 {}rr", "x".repeat(40), "y".repeat(40));
        let expected = [(0, 40), (2, 41), (1, 44), (2, 91)];
        let automaton = AhoCorasick::new(&literals).expect("a few");
        for search in [Literals::new(&literals), Literals::Automaton(Box::new(automaton))] {
            let found: Vec<_> = search.find_iter(text.as_bytes()).collect();
            assert_eq!(found, expected);
        }
    }
}
