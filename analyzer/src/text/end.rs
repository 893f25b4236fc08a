//! Where the line of an answer ends: whole, or cut off before or within the id that stands last.
//!
//! In: a squeezed line. Out: whether a missing id says anything.

/// What follows the words of an answer in a line of Codex, squeezed. The id comes last.
const FIELDS: [&str; 3] = [",url:http", ",cf-ray:", ",requestid:"];

/// How the path begins that Codex asks for, squeezed.
const PATH: &str = "/v1/responses";

/// How much of what Codex puts behind the words of an answer a text still has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// All of it, as far as anybody can tell.
    Whole,
    /// It was cut off before an id could have stood there.
    BeforeId,
    /// It was cut off within an id, so that there was one.
    WithinId,
}

/// Tells how the squeezed line of an answer ends. The id comes last.
pub(crate) fn end(squeezed: &str) -> End {
    let hides_words = squeezed.contains(LAST_STATUS);
    if is_within_status(squeezed) {
        return End::BeforeId;
    }
    let Some((before, last)) = squeezed.rsplit_once(',') else { return End::Whole };
    if before.is_empty() {
        return End::Whole;
    }
    let last = format!(",{last}");
    let begins = |field: &str| {
        let id = last.strip_prefix(field);
        let is_none = |id: &str| ["null", "none", "undefined"].iter().any(|no| id.starts_with(no));
        field.starts_with(&last) || id.is_some_and(|id| !is_none(id))
    };
    // Behind a status alone there is nothing but an id.
    let is_id = FIELDS[1..].iter().any(|field| begins(field)) && (last.len() > 1 || hides_words);
    let path = last.split_once("://").and_then(|(_, to)| to.find('/').map(|at| &to[at..]));
    let is_in_path = path.is_some_and(|path| path != PATH && PATH.starts_with(path));
    match is_id {
        true => End::WithinId,
        false if is_in_path || FIELDS[0].starts_with(&last) => End::BeforeId,
        false => End::Whole,
    }
}

/// How Codex tells of an answer whose words it hides, squeezed.
const LAST_STATUS: &str = "laststatus:";

/// Tells whether a line ends before the reason that stands behind every status.
fn is_within_status(squeezed: &str) -> bool {
    const REASONS: [(&str, &str); 6] = [
        ("401", "unauthorized"),
        ("429", "toomanyrequests"),
        ("500", "internalservererror"),
        ("502", "badgateway"),
        ("503", "serviceunavailable"),
        ("504", "gatewaytimeout"),
    ];
    let Some((_, status)) = squeezed.rsplit_once(LAST_STATUS) else { return false };
    let reason = REASONS
        .iter()
        .find_map(|(code, reason)| status.strip_prefix(code).map(|rest| (rest, *reason)));
    reason.is_some_and(|(rest, reason)| rest.len() < reason.len() && reason.starts_with(rest))
}
