//! Lines that somebody saved: a server's stdout, or what CloudWatch exported, as text, JSON or CSV, also
//! compressed with gzip.

use std::io::{self, BufRead, BufReader, Read};

use schemas::spill::SpillLine;
use serde::de::DeserializeOwned;

use crate::aws::cloudwatch::journal::{self, Ours};

/// How a spilled line begins: as it is, within a JSON string, and within a CSV field.
const PLAIN: &str = r#"{"event":"log_spilled""#;
const IN_JSON: &str = r#""{\"event\":\"log_spilled\""#;
const IN_CSV: &str = r#"{""event"":""log_spilled"""#;

/// Reads the spilled lines of a file.
///
/// # Errors
///
/// When it cannot be read to its end.
pub(crate) fn read(file: impl Read) -> io::Result<Vec<SpillLine>> {
    let mut file = BufReader::new(file);
    if file.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        return lines(BufReader::new(flate2::bufread::MultiGzDecoder::new(file)));
    }
    lines(file)
}

fn lines(mut file: impl BufRead) -> io::Result<Vec<SpillLine>> {
    let (mut found, mut line) = (Vec::new(), Vec::new());
    while file.read_until(b'\n', &mut line)? > 0 {
        // Some other program's line on the same stdout may be anything.
        let text = String::from_utf8_lossy(&line);
        if text.contains("log_spilled") {
            found.extend(of_line(&text));
        }
        line.clear();
    }
    Ok(found)
}

/// Finds every spilled line in one line of a file: a JSON export may be a single line.
fn of_line(text: &str) -> Vec<SpillLine> {
    let after = |marker: &'static str| text.match_indices(marker).map(|(at, _)| &text[at..]);
    let mut found: Vec<SpillLine> = after(PLAIN).filter_map(first).collect();
    found.extend(after(IN_JSON).filter_map(|rest| first(&first::<String>(rest)?)));
    found.extend(after(IN_CSV).filter_map(|rest| first(&rest.replace("\"\"", "\""))));
    if found.is_empty()
        && let Some(Ours::Spill(line)) = journal::parse(text)
    {
        found.push(line);
    }
    found
}

/// Reads the first JSON value of a text, whatever follows it.
fn first<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::Deserializer::from_str(text).into_iter().next()?.ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use schemas::spill;

    use super::*;

    #[test]
    fn every_form_in_which_lines_are_saved_is_read() {
        let plain = spill::lines("logs/a", b"bytes of a").remove(0);
        let expected = spill::parse(&plain).expect("a line");
        let quoted = serde_json::to_string(&format!("{plain}\n")).expect("JSON");
        let csv = plain.replace('"', "\"\"");
        for text in [
            format!("{plain}\n"),
            format!("something else\n{plain}"),
            format!("2026-11-22T02:41:07.123Z {plain}\n"),
            format!("2026-11-22T02:41:07.123Z stream/[$LATEST]1 {plain} \n"),
            format!(
                "{{\n  \"events\": [\n    {{\n      \"message\": {quoted},\n      \"eventId\": \"1\"\n"
            ),
            format!(r#"{{"events":[{{"timestamp":1,"message":{quoted}}}]}}"#),
            format!(r#"{{"timestamp":"x","level":"INFO","message":{plain}}}"#),
            format!("timestamp,message\n1795312800000,\"{csv}\n\"\n"),
        ] {
            assert_eq!(
                read(text.as_bytes()).expect("in memory"),
                std::slice::from_ref(&expected),
                "{text}"
            );
        }
    }

    #[test]
    fn several_records_in_one_line_and_gzip_are_read_too() {
        let quoted = |key| serde_json::to_string(&spill::lines(key, b"x")[0]).expect("JSON");
        let text =
            format!(r#"[{{"message":{}}},{{"message":{}}}]"#, quoted("logs/a"), quoted("logs/b"));
        assert_eq!(read(text.as_bytes()).expect("in memory").len(), 2);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).expect("in memory");
        let gzip = gzip.finish().expect("in memory");
        assert_eq!(read(&gzip[..]).expect("in memory").len(), 2);
    }

    #[test]
    fn what_is_no_spilled_line_is_passed_over() {
        let text = b"log_spilled\n{\"event\":\"log_spilled\"}\n\"{\\\"event\\\":\\\"log_spilled\\\"\n\xff\xfe log_spilled\n";
        assert_eq!(read(&text[..]).expect("in memory"), []);
    }
}
