//! Renders the contract for people and for other programs: everything under `generated/`.
//!
//! Each page comes from one table or type of this crate and from nothing else.

use std::fmt::Write as _;

use schemars::generate::SchemaSettings;

use crate::catalogue::CATALOGUE;
use crate::origin::Acts;
use crate::record::LogRecord;
use crate::symptom;

/// Renders the JSON Schema of the log record. All fields are required; unknown ones are allowed.
#[must_use]
pub fn json_schema() -> String {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let schema = settings.into_generator().into_root_schema_for::<LogRecord>();
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// Renders the error reference page from the error catalogue.
#[must_use]
pub fn errors_page() -> String {
    let mut page = String::from(
        "# Errors that the proxy answers by itself\n\n\
         Rendered from `schemas/src/catalogue.rs`. Every such answer carries\n\
         `x-codex-proxy-origin: proxy`, an `x-request-id` that begins with `cpx_`, and a\n\
         `Proxy-Status` (RFC 9209). Its body has OpenAI's shape:\n\n\
         ```json\n\
         {\"error\":{\"message\":\"invalid or disabled token\",\"type\":\"proxy_error\",\"code\":\"proxy_invalid_token\",\"param\":null}}\n\
         ```\n\n\
         | code | status | message | origin | who acts |\n|---|---|---|---|---|\n",
    );
    for entry in &CATALOGUE {
        let retry = entry.retry_after_s.map(|s| format!(" + `Retry-After: {s}`"));
        let time_out = if entry.status == 502 { ", 504 on time-out" } else { "" };
        let _ = writeln!(
            page,
            "| [`{0}`](#{0}) | {1}{time_out}{2} | {3} | {4} | {5} |",
            entry.name,
            entry.status,
            retry.unwrap_or_default(),
            entry.message,
            entry.origin,
            who(entry.acts),
        );
    }
    for entry in &CATALOGUE {
        let _ = write!(
            page,
            "\n## {}\n\n- means: {}\n- next: {}\n- `Proxy-Status`: `codex-proxy; error={}`{}\n",
            entry.name,
            entry.meaning,
            entry.next_step,
            entry.proxy_status,
            if entry.status == 502 { ", or the more precise type that was seen" } else { "" },
        );
    }
    page
}

/// Renders the symptom reference page from the symptom catalogue: an index by who wrote the words,
/// then one entry for each row.
#[must_use]
pub fn symptoms_page() -> String {
    let mut page = String::from(
        "# What a developer sees, and what it proves\n\n\
         Rendered from `schemas/src/symptom/`. Search this page for a piece of the text, or paste it to\n\
         `analyzer origin`. Whoever wrote the words is often not who failed: the origin of the failure\n\
         is decided by the logs, by the condition that the text proves. In a text `{…}` stands for what\n\
         varies. The proxy's own messages are in [errors.md](errors.md).\n",
    );
    for part in &symptom::PARTS {
        let _ = write!(
            page,
            "\n**{}**\n\n| text | words by | without any log |\n|---|---|---|\n",
            part.title
        );
        for row in part.rows {
            let text: String = row.texts[0].chars().take(INDEXED).collect();
            let text = text.replace('|', "\\|").replace('`', "'");
            let more = if row.texts[0].chars().count() > INDEXED { "…" } else { "" };
            let _ = writeln!(
                page,
                "| [`{text}{more}`](#{}) | {} | {} |",
                row.id,
                row.author,
                alone(row.alone)
            );
        }
    }
    for row in symptom::catalogue() {
        symptom_entry(&mut page, row);
    }
    page
}

/// Characters of a text that the index shows.
const INDEXED: usize = 70;

fn symptom_entry(page: &mut String, row: &symptom::Symptom) {
    let _ = write!(page, "\n## {}\n\n```text\n{}\n```\n\n", row.id, row.texts.join("\n"));
    let _ = writeln!(page, "- means: {}", row.explains);
    let _ = writeln!(page, "- words by: {}", row.author);
    let _ = writeln!(page, "- proves: {}", proves(row.proves));
    let _ = writeln!(page, "- without any log: {}", alone(row.alone));
    if let Some(acts) = row.acts {
        let _ = writeln!(page, "- who acts: {}", who(acts));
    }
    if !row.seen.is_empty() {
        let _ = writeln!(page, "- seen in Codex CLI: {}", row.seen);
    }
    for check in row.checks {
        let _ = writeln!(page, "- next: {check}");
    }
}

fn who(acts: Acts) -> &'static str {
    match acts {
        Acts::Us => "whoever runs the proxy",
        Acts::Developer => "the developer",
        Acts::Openai => "OpenAI",
        Acts::Nobody => "nobody",
    }
}

fn proves(condition: symptom::Condition) -> String {
    use symptom::Condition;
    match condition {
        Condition::Status(statuses) => {
            let statuses: Vec<_> = statuses.iter().map(u16::to_string).collect();
            format!("an answer with HTTP status {}", statuses.join(" or "))
        }
        Condition::StatusInText(_) | Condition::StatusAlone => {
            "an answer with the status in the text".to_owned()
        }
        Condition::Code(codes) => format!("an error with code {}", codes.join(" or ")),
        Condition::CodeInText => "an error with the code in the text".to_owned(),
        Condition::NoTerminalEvent => "a stream without a terminal event for Codex".to_owned(),
        Condition::BodyCut => "a body that broke off".to_owned(),
        Condition::Silence => "a stream that fell silent".to_owned(),
        Condition::StreamBroken => "a stream that failed or ended too early".to_owned(),
        Condition::Words => "an error with these words".to_owned(),
        Condition::NoAnswer => "no answer of OpenAI or this proxy; there may be no log".to_owned(),
        Condition::NothingSent => "nothing that this proxy could have seen".to_owned(),
    }
}

fn alone(alone: symptom::Alone) -> String {
    match alone {
        symptom::Alone::Open => "open".to_owned(),
        symptom::Alone::Likely(origin) => format!("likely {origin}"),
        symptom::Alone::Proven(origin) => format!("certainly {origin}"),
        symptom::Alone::IdDecides => "the id in it decides, or that there is none".to_owned(),
    }
}
