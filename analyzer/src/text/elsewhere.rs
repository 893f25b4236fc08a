//! Whether a text is about something else: another vendor, another program, another site.
//!
//! What other programs say of a connection or a server reads like ours. Words that only they have tell
//! them, or the address that they name; whatever speaks of Codex or of OpenAI is taken for ours.

use std::sync::LazyLock;

use regex::Regex;
use regex::bytes::{RegexSet, RegexSetBuilder};
use schemas::symptom::{PROGRAMS, VENDORS, Vendor};

use crate::text::ids::{Host, host_kind, is_of_anthropic};

/// Whom a text is about, if not this system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    /// A vendor of what OpenAI sells, whom Codex can be set up for.
    Vendor(&'static str),
    /// Some other program, or site.
    Program(&'static str),
}

/// Called so where a body has our words in another shape.
pub(crate) const SHAPE: &str = "the answer of another server";

/// Called so where only the name of a class tells.
const SERVER: &str = "another server, in its own log";

/// Called so where only an address tells.
const SITE: &str = "another site";

/// What speaks of this system, squeezed.
const OF_OURS: [&str; 10] = [
    "codex",
    "openai",
    "chatgpt",
    "cpx_",
    "proxy_error",
    "lambda-url",
    "unexpectedstatus",
    "streamdisconnected",
    "lambda.amazonaws.com",
    "exceededretrylimit",
];

/// How the paths go on that OpenAI serves, and this proxy.
const PATHS: [&str; 8] = [
    "/responses",
    "/chat/completions",
    "/completions",
    "/embeddings",
    "/models",
    "/files",
    "/images",
    "/audio",
];

struct Marks {
    vendors: RegexSet,
    programs: RegexSet,
    /// An address that was asked, with what stands behind the host.
    address: Regex,
    /// The name of a class, as Java and its kin put it before a line of a log.
    class: Regex,
    /// How a page of Cloudflare's names the site that it stands for, squeezed.
    site: Regex,
}

static MARKS: LazyLock<Marks> = LazyLock::new(|| {
    let regex = |pattern: &str| Regex::new(pattern).expect("tested");
    Marks {
        vendors: set(VENDORS),
        programs: set(PROGRAMS),
        address: regex(
            r#"(?i)(?:\b(?:https?|wss?)://|\bhost=["'])([a-z0-9._-]+|\[[0-9a-f:]+\])(?::[0-9]+)?(/[^\s"'<>)]*)?"#,
        ),
        class: regex(r"(?m)(?:^|[\s\[(])(?:com|org|net|io|de)\.[a-z0-9_]+(?:\.[A-Za-z0-9_]+)+"),
        site: regex(
            r"unabletoaccess([a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,})|(?:ownerof)?thiswebsite\(([a-z0-9.-]+)\)|[a-z0-9-]+(?:\.[a-z0-9-]+)+hosterror|<title>[a-z0-9-]+(?:\.[a-z0-9-]+)+\|5[0-9]{2}:",
        ),
    }
});

fn set(vendors: &[Vendor]) -> RegexSet {
    RegexSetBuilder::new(vendors.iter().map(|vendor| vendor.pattern.replace(' ', "")))
        .unicode(false)
        .size_limit(64 << 20)
        .build()
        .expect("tested with the catalogue")
}

/// Names the vendor whose words a squeezed text has, or whose id.
pub(crate) fn vendor(squeezed: &str, ids: &[String]) -> Option<Other> {
    // What AWS's own tools say of the function is about this system.
    let is_ours = squeezed.contains("invokeoperation")
        || squeezed.contains("functionconcurrency")
        || (squeezed.contains("codex") && squeezed.contains("lambda"));
    let by_words = MARKS
        .vendors
        .matches(squeezed.as_bytes())
        .iter()
        .find(|index| !(is_ours && VENDORS[*index].name.starts_with("AWS")));
    let by_id = || ids.iter().any(|id| is_of_anthropic(id)).then_some(0);
    by_words.or_else(by_id).map(|index| Other::Vendor(VENDORS[index].name))
}

/// Names the other program, or the other site, that a text is about. In come its words as they stand,
/// and squeezed.
pub(crate) fn program(words: &str, squeezed: &str) -> Option<Other> {
    if OF_OURS.iter().any(|ours| squeezed.contains(ours)) {
        return None;
    }
    let by_words = MARKS.programs.matches(squeezed.as_bytes()).iter().next();
    let name = by_words.map(|index| PROGRAMS[index].name);
    let name = name.or_else(|| MARKS.class.is_match(words).then_some(SERVER));
    name.or_else(|| names_site(words, squeezed).then_some(SITE)).map(Other::Program)
}

/// Tells whether the addresses that a text names are those of others: at least one, and all of them.
fn names_site(words: &str, squeezed: &str) -> bool {
    if MARKS.site.is_match(squeezed) {
        return true;
    }
    // A page that people read is no place that was asked.
    let asked = MARKS.address.captures_iter(words).filter_map(|found| {
        let host = host_kind(&found[1].to_ascii_lowercase())?;
        Some((host, found))
    });
    let mut asked = asked.peekable();
    asked.peek().is_some()
        && asked.all(|(host, found)| {
            let path = found.get(2).map_or("", |path| path.as_str());
            let path = path.split('?').next().unwrap_or_default().trim_end_matches(['/', ',', '.']);
            let is_served = path.ends_with("/v1")
                || PATHS
                    .iter()
                    .any(|served| path.ends_with(served) || path.contains("/responses/"));
            host == Host::Other && !path.is_empty() && !is_served
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::fold::{Squeezed, fold};

    fn whose(text: &str) -> Option<Other> {
        program(text, &Squeezed::of(&fold(text)).text)
    }

    #[test]
    fn another_program_is_told_by_its_words_and_another_site_by_its_address() {
        for text in [
            "psycopg2.OperationalError: connection to server at \"10.0.0.5\", port 5432 failed: Connection refused",
            "npm ERR! connect ECONNREFUSED 127.0.0.1:4873",
            "fatal: unable to access 'https://git.example.org/a.git/': Could not resolve host",
            "2026/11/22 [error] 31#31: *1 upstream request failed",
            "Vault: token lookup failed: permission denied",
            "429 Client Error: Too Many Requests for url: https://api.example.org/v1/charges",
            "HTTPSConnectionPool(host='files.example.org', port=443): Max retries exceeded with url: /simple/",
            "Sorry, you have been blocked. You are unable to access example.org",
        ] {
            let is_pool = text.starts_with("HTTPSConnectionPool");
            assert_eq!(whose(text).is_some(), !is_pool, "{text}");
        }
    }

    #[test]
    fn what_can_be_about_this_proxy_is_not_taken_for_another_s() {
        for text in [
            "error sending request for url (https://llm.example.org/v1/responses): dns error",
            "curl: (7) Failed to connect to llm.example.org port 443: Connection refused",
            "error sending request for url (https://llm.example.org/responses)",
            "connect ECONNREFUSED 127.0.0.1:8787",
            "GET http://127.0.0.1:8787/health: connection refused",
            "https://abc.lambda-url.us-east-1.on.aws/ : Forbidden",
            "codex: https://git.example.org/x failed",
            "Sorry, you have been blocked. You are unable to access chatgpt.com",
            "token lookup failed",
            "https://llm.example.org: connection refused",
        ] {
            assert_eq!(whose(text), None, "{text}");
        }
    }
}
