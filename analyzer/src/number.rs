//! Counts as people write them: with the noun, and what goes with it, in agreement.

/// Writes a number with commas between its thousands.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes a count and its noun: `1 turn`, `2 turns`, `2 successes`, `2 tries`.
#[must_use]
pub fn count(number: u64, noun: &str) -> String {
    let noun = match noun {
        _ if number == 1 => noun.to_owned(),
        noun if noun.ends_with('s') => format!("{noun}es"),
        noun if noun.ends_with("ry") => format!("{}ies", noun.trim_end_matches('y')),
        noun => format!("{noun}s"),
    };
    format!("{} {noun}", grouped(number))
}

/// Returns the form that goes with one, or the one that goes with any other number.
#[must_use]
pub fn agreeing<'a>(number: u64, one: &'a str, many: &'a str) -> &'a str {
    if number == 1 { one } else { many }
}

/// Writes a number of bytes as people read it: three digits that matter, and a unit.
#[must_use]
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = number as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1e3;
        unit += 1;
    }
    let digits = if unit == 0 || value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    #[test]
    fn bytes_have_three_digits_and_a_unit() {
        for (number, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.00 kB"),
            (12_345, "12.3 kB"),
            (999_400, "999 kB"),
            (999_949, "1.00 MB"),
            (104_857_600, "105 MB"),
            (5_000_000_000, "5.00 GB"),
        ] {
            assert_eq!(super::bytes(number), text);
        }
    }

    use super::*;

    #[test]
    fn one_is_singular_and_none_is_not() {
        for (number, noun, text) in [
            (1, "throttle", "1 throttle"),
            (0, "log", "0 logs"),
            (2, "try", "2 tries"),
            (1_200, "success", "1,200 successes"),
        ] {
            assert_eq!(count(number, noun), text);
        }
        assert_eq!((agreeing(1, "says", "say"), agreeing(0, "says", "say")), ("says", "say"));
    }

    #[test]
    fn thousands_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
