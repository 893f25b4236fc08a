//! What a text carries besides its words: ids of an answer, an address, a moment.
//!
//! Terminals break ids in the middle. A break is only healed where what comes out has the full shape
//! of an id, so that the word of the next line is not taken for a part of it.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use regex::Regex;

use crate::text::paste::{Mark, Paste, Piece, joined};

/// Where a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// A Function URL of Lambda's.
    Lambda,
    /// The developer's own machine.
    Local,
    /// OpenAI's own.
    Openai,
    /// Any other.
    Other,
}

/// What a text carries.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    /// Ids of answers, as they stand in it.
    pub(crate) found: Vec<String>,
    /// Those of them that are Lambda's.
    pub(crate) of_lambda: Vec<String>,
    /// Where the request went.
    pub(crate) host: Option<Host>,
}

struct Marks {
    id: Regex,
    /// How Lambda's own logs and headers name an id.
    of_lambda: Regex,
    /// Cloudflare's, or what a narrow terminal has left of one.
    ray: Regex,
    /// Ids that are known to be whole by their shape.
    whole: Regex,
    /// Ids that are known by their shape where nothing else stands.
    alone: Regex,
    /// Ids, with whatever says so, in a folded text.
    any: Regex,
    host: Regex,
    time: Regex,
}

const UUID: &str = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";

/// Words around an id that say nothing but which one it is.
const LABELS: [&str; 23] = [
    "session",
    "thread",
    "conversation",
    "turn",
    "exchange",
    "request",
    "requestid",
    "id",
    "ids",
    "cf",
    "ray",
    "x",
    "oai",
    "amzn",
    "aws",
    "lambda",
    "codex",
    "proxy",
    "to",
    "continue",
    "this",
    "run",
    "resume",
];

/// A paste of more pieces than this is not read once more as one piece.
pub(crate) const FEW_PIECES: usize = 20;

static MARKS: LazyLock<Marks> = LazyLock::new(|| {
    let regex = |pattern: &str| Regex::new(pattern).expect("tested");
    Marks {
        id: regex(
            r#"(cpx_[0-9a-f]{32})|\b(req_[0-9A-Za-z]{8,})|(?i:\b(?:x-(?:oai-|amzn-)?request-?id|request[ _-]?id|aws_?request_?id|turn[ _-]?id|cf-ray|ray id|(?:x-codex-proxy-)?exchange[ _-]?id))["'`]?\s*[:=]?\s*["'`]?([0-9A-Za-z][0-9A-Za-z_-]{5,})"#,
        ),
        of_lambda: regex(
            r#"(?:RequestId|(?i:x-amzn-request-?id)|aws_?[rR]equest_?[iI]d)["'`]?\s*[:=]\s*["'`]?([0-9a-f-]{36})"#,
        ),
        ray: regex(r"^[0-9a-f]{8,16}(?:-[A-Z]{0,3})?$"),
        whole: regex(
            r"cpx_[0-9a-f]{32}|\breq_[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{16}-[A-Z]{3}\b",
        ),
        alone: regex(&format!(r"^(?:{UUID}|[0-9a-f]{{16}}-[A-Z]{{3}})$")),
        any: regex(&format!(
            r"(?i)cpx_[0-9a-f]{{32}}|\breq_[0-9a-z]{{8,}}|{UUID}|\b[0-9a-f]{{16}}(?:-[a-z]{{3}})?\b"
        )),
        host: regex(r"(?i)\b(?:https?|wss?)://([a-z0-9._-]+|\[[0-9a-f:]+\])"),
        time: regex(
            r"\b(20\d\d-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,]\d+)?(Z|\s?[+-]\d\d:?\d\d\b)?",
        ),
    }
});

impl Ids {
    pub(crate) fn of(words: &str) -> Self {
        let mut ids: Vec<String> = Vec::new();
        let mut add = |id: &str| {
            // A word after "request id" is no id.
            let is_id = id.starts_with("cpx_") || id.starts_with("req_") || has_digits(id);
            if is_id && !ids.iter().any(|known| known == id) {
                ids.push(id.to_owned());
            }
        };
        for found in MARKS.id.captures_iter(words) {
            if let Some(id) = found.get(1).or(found.get(2)).or(found.get(3)) {
                add(id.as_str());
            }
        }
        if words.contains('\n') {
            let text = joined(words, "");
            let healed = MARKS.id.captures_iter(&text).filter_map(|found| {
                let id = found.get(1).or(found.get(2)).or(found.get(3))?.as_str();
                MARKS.whole.find(id).filter(|whole| whole.start() == 0).map(|whole| whole.as_str())
            });
            let healed: Vec<_> = healed.collect();
            for id in healed {
                ids.retain(|known| known == id || !id.starts_with(known.as_str()));
                if !ids.iter().any(|known| known.starts_with(id)) {
                    ids.push(id.to_owned());
                }
            }
        }
        // Somebody may paste an id and not a word about it.
        let alone = words.trim().trim_matches(['"', '\'', '`']);
        if ids.is_empty() && MARKS.alone.is_match(alone) {
            ids.push(alone.to_owned());
        }
        let of_lambda = MARKS.of_lambda.captures_iter(words).map(|found| found[1].to_owned());
        let mut of_lambda: Vec<_> = of_lambda.collect();
        // Many a server calls something a request id: OpenAI's have a shape, or stand where Codex
        // prints the id of an answer.
        let says_nothing = |id: &&String| {
            !id.starts_with("cpx_")
                && !id.starts_with("req_")
                && !MARKS.ray.is_match(id)
                && !words.contains(&format!(", request id: {id}"))
        };
        of_lambda.extend(ids.iter().filter(says_nothing).cloned());
        Self { found: ids, of_lambda, host: host(words) }
    }
}

/// Tells whether an id has the shape of a session's.
pub(crate) fn is_session(id: &str) -> bool {
    MARKS.any.find(id).is_some_and(|found| found.as_str() == id && id.matches('-').count() == 4)
}

/// Tells whether a folded text is nothing but ids, and words that say which.
pub(crate) fn is_only_ids(folded: &str) -> bool {
    let rest = MARKS.any.replace_all(folded, " ");
    let mut words = rest.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    rest != folded && words.all(|word| LABELS.contains(&word))
}

impl Ids {
    /// Finds the ids of an error: its own, else those of what stands around it in a short paste. Those of
    /// another error are another answer's.
    pub(crate) fn of_error(piece: &Piece, paste: &Paste, whole: &Piece) -> Self {
        let found = Self::of(&piece.words);
        if !found.found.is_empty() || paste.pieces.len() >= FEW_PIECES {
            return found;
        }
        let others = paste.pieces.iter().filter(|piece| piece.mark == Mark::None);
        let others: Vec<_> = others.map(|piece| &*piece.words).collect();
        let is_all = others.len() == paste.pieces.len();
        let around = if is_all { Self::of(&whole.words) } else { Self::of(&others.join("\n")) };
        Self { host: found.host, ..around }
    }
}

fn has_digits(id: &str) -> bool {
    id.bytes().filter(u8::is_ascii_digit).count() >= 2
}

fn host(words: &str) -> Option<Host> {
    let hosts =
        MARKS.host.captures_iter(words).map(|found| host_kind(&found[1].to_ascii_lowercase()));
    // Help pages and sites for people are not where a request went.
    let mut hosts = hosts.flatten();
    hosts.next().or_else(|| {
        let text = joined(words, "");
        let broken = words.contains('\n').then(|| MARKS.host.captures(&text))??;
        host_kind(&broken[1].to_ascii_lowercase())
    })
}

/// Tells whose a host is; `None` for pages that people read.
pub(crate) fn host_kind(host: &str) -> Option<Host> {
    const LOCAL: [&str; 5] = ["localhost", "127.", "[::1]", "0.0.0.0", "host.docker.internal"];
    const PAGES: [&str; 6] =
        ["platform.", "help.", "status.", "developers.", "docs.aws.", "github.com"];
    if PAGES.iter().any(|page| host.starts_with(page)) {
        return None;
    }
    Some(if host.contains("lambda-url") {
        Host::Lambda
    } else if host.ends_with("openai.com") || host.ends_with("chatgpt.com") {
        Host::Openai
    } else if LOCAL.iter().any(|local| host.starts_with(local)) {
        Host::Local
    } else {
        Host::Other
    })
}

/// A moment that a text names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The moment; without a zone it is taken for UTC, as Codex writes it.
    pub at: Timestamp,
    /// The text names the zone.
    pub has_zone: bool,
}

/// Reads the last moment that a text names.
pub(crate) fn moment(words: &str) -> Option<Moment> {
    let found = MARKS.time.captures_iter(words).last()?;
    let (date, time) = (&found[1], &found[2]);
    if let Some(zone) = found.get(3) {
        let zone: String = zone.as_str().chars().filter(|c| !":  ".contains(*c)).collect();
        let zone = match zone.split_at_checked(3) {
            Some((hours, minutes)) => format!("{hours}:{minutes}"),
            None => zone,
        };
        let at = format!("{date}T{time}{zone}").parse().ok()?;
        return Some(Moment { at, has_zone: true });
    }
    let civil: DateTime = format!("{date}T{time}").parse().ok()?;
    let at = civil.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(Moment { at, has_zone: false })
}

/// Tells whether a request id is Anthropic's, the first of the vendors: behind `req_` OpenAI's have hex
/// digits only.
pub(crate) fn is_of_anthropic(id: &str) -> bool {
    let digits = id.strip_prefix("req_01");
    digits.is_some_and(|digits| digits.bytes().any(|digit| !digit.is_ascii_hexdigit()))
}

/// Tells whether an id is Cloudflare's: 16 hex digits and an airport, or the beginning of them.
pub(crate) fn is_ray(id: &str) -> bool {
    let Some((digits, place)) = id.split_once('-') else { return false };
    let is_place = place.len() == 3 && place.bytes().all(|byte| byte.is_ascii_uppercase());
    is_place && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Tells whether an id is Cloudflare's without the airport, as its pages show it.
pub(crate) fn is_bare_ray(id: &str) -> bool {
    id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<String> {
        Ids::of(text).found
    }

    #[test]
    fn ids_of_every_kind_are_found() {
        for (text, expected) in [
            ("x, request id: req_0123456789abcdef", "req_0123456789abcdef"),
            ("cf-ray: 8f0012345678abcd-FRA, x", "8f0012345678abcd-FRA"),
            (
                "request id: 97cec234-d094-4976-a6a8-85359c87a712",
                "97cec234-d094-4976-a6a8-85359c87a712",
            ),
            ("request_id='req_0123456789abcdef'", "req_0123456789abcdef"),
            (
                "x-codex-proxy-exchange-id: cpx_01a200ea080c7b3e9f1c2d4a5b6c7d8e",
                "cpx_01a200ea080c7b3e9f1c2d4a5b6c7d8e",
            ),
            ("Please include the request ID 97cec234aa in your message", "97cec234aa"),
        ] {
            assert_eq!(ids(text), [expected], "{text}");
        }
        assert!(ids("no request id: nothing of the kind").is_empty());
        let uuid = "97cec234-d094-4976-a6a8-85359c87a712";
        assert_eq!(ids(&format!("turn_id: {uuid}")), [uuid]);
        assert_eq!(ids(&format!(" {uuid}\n")), [uuid]);
        assert_eq!(ids("8f0012345678abcd-FRA"), ["8f0012345678abcd-FRA"]);
        assert!(ids(&format!("high demand {uuid}")).is_empty());
    }

    #[test]
    fn a_text_of_ids_alone_is_told_from_one_that_says_more() {
        let uuid = "97cec234-d094-4976-a6a8-85359c87a712";
        for text in [
            format!("session id: {uuid}"),
            format!("to continue this session, run codex resume {uuid}"),
            format!("turn_id={uuid}"),
            format!("thread {uuid}, request id: req_0123456789abcdef"),
            uuid.to_owned(),
            "cf-ray: 8f0012345678abcd-fra".to_owned(),
            "cpx_01a200ea080c7b3e9f1c2d4a5b6c7d8e".to_owned(),
        ] {
            assert!(is_only_ids(&text), "{text}");
        }
        for text in [
            format!("session id: {uuid} high demand"),
            "session id".to_owned(),
            "request id: 12345678".to_owned(),
            String::new(),
        ] {
            assert!(!is_only_ids(&text), "{text}");
        }
    }

    #[test]
    fn an_id_that_a_terminal_broke_is_healed_and_no_word_is_glued_to_one() {
        let broken = "request id: cpx_01a200ea080c7b3e\n  9f1c2d4a5b6c7d8e\ntokens used";
        assert_eq!(ids(broken), ["cpx_01a200ea080c7b3e9f1c2d4a5b6c7d8e"]);
        let ray = "cf-ray: 8f001234\n5678abcd-FRA";
        assert_eq!(ids(ray), ["8f0012345678abcd-FRA"]);
        assert_eq!(ids("request id: req_0123456789\ntokens used"), ["req_0123456789"]);
    }

    #[test]
    fn an_address_tells_who_was_asked() {
        let host = |text| Ids::of(text).host;
        assert_eq!(host("url: https://x.lambda-url.eu-central-1.on.aws/v1"), Some(Host::Lambda));
        assert_eq!(host("url: http://127.0.0.1:8787/v1"), Some(Host::Local));
        assert_eq!(
            host("see https://platform.openai.com/x, url: http://proxy/v1"),
            Some(Host::Other)
        );
        assert_eq!(host("url: https://api.openai.com/v1"), Some(Host::Openai));
        assert_eq!(host("no address"), None);
    }
}
