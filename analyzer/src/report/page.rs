//! One exchange, whole: what `show` prints.

use std::fmt::{self, Write as _};

use jiff::tz::TimeZone;
use schemas::body::Shape;
use schemas::view::RecordView;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::exchange::duration;
use super::lines::words_of;
use super::printable;
use crate::logs::classify::Exchange;
use crate::verdict::advice::about;

/// Characters of a body that are shown; `--body` prints all of it.
const SHOWN: usize = 4_000;

/// Renders a record: what happened in one line, every field under its name, the beginning of the body.
///
/// # Errors
///
/// When `json` is not one JSON object.
pub fn render_page(
    json: &[u8],
    exchange: &Exchange,
    zone: &TimeZone,
) -> Result<String, serde_json::Error> {
    let Fields(fields) = serde_json::from_slice(json)?;
    let mut page = headline(exchange, zone);
    for (name, value) in fields.iter().filter(|(name, _)| !is_body(name)) {
        write_field(&mut page, name, value);
    }
    let body = RecordView::parse(json)?.body();
    let whole = String::from_utf8_lossy(&body);
    let shown: String = whole.chars().take(SHOWN).collect();
    let _ = write!(page, "\nresponse_body ({} bytes, {})\n", body.len(), shape(&body));
    for line in shown.lines() {
        page.push_str(&printable(line));
        page.push('\n');
    }
    if shown.len() < whole.len() {
        let more = whole.len() - shown.len();
        let _ = writeln!(page, "... {more} bytes more: --body prints all of it");
    }
    Ok(page)
}

/// `openai: OpenAI answered HTTP 500; we passed it on unchanged.`, who acts, and the way of time.
fn headline(exchange: &Exchange, zone: &TimeZone) -> String {
    let at = exchange.started_at.to_zoned(zone.clone());
    let took = exchange.timing.duration_ms.map(|ms| format!(", took {}", duration(ms)));
    let when = format!("{}{}", at.strftime("%Y-%m-%d %H:%M:%S %Z"), took.unwrap_or_default());
    let Some(error) = &exchange.error else {
        let status = exchange.status.map(|status| format!(" with {status}")).unwrap_or_default();
        return format!("a success{status}\nwhen    {when}\n\n");
    };
    let advice = about(error.origin, &error.code, exchange.status);
    let lines = [
        format!("{}: {}", error.origin, advice.what),
        format!("acts    {}", words_of(advice.acts)),
        format!("when    {when}"),
        format!("said    {}: {}", error.code, error.message),
        format!("do      {}", advice.step),
    ];
    lines.map(|line| printable(&line)).join("\n") + "\n\n"
}

fn write_field(page: &mut String, name: &str, value: &Value) {
    match value {
        Value::Object(inside) => {
            for (inner, value) in inside {
                write_field(page, &format!("{name}.{inner}"), value);
            }
        }
        Value::String(text) => {
            let _ = writeln!(page, "{name:28}  {}", printable(text));
        }
        other => {
            let _ = writeln!(page, "{name:28}  {}", printable(&other.to_string()));
        }
    }
}

fn is_body(name: &str) -> bool {
    name == "response_body" || name == "request_body"
}

fn shape(body: &[u8]) -> &'static str {
    match Shape::of(body) {
        Shape::Empty => "empty",
        Shape::Json => "JSON",
        Shape::Events => "server-sent events",
        Shape::Html => "HTML",
        Shape::Text => "text",
    }
}

/// The fields of a record in the order in which they stand in it.
struct Fields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a log record, which is one JSON object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields, M::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        from.deserialize_map(InOrder)
    }
}
