//! Rows as DynamoDB items, new and old. Attributes that are not ours are ignored, and kept.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::token::register::{StoredAs, TokenRow};

/// The table's key.
pub(super) const TOKEN: &str = "token";
pub(super) const ENABLED: &str = "enabled";
pub(super) const DEVELOPER: &str = "developer";
pub(super) const CREATED_AT: &str = "created_at";

type Item = HashMap<String, AttributeValue>;

/// Returns the key of a row, as DynamoDB takes it.
pub(super) fn key(token: &str) -> Item {
    HashMap::from([(TOKEN.to_owned(), AttributeValue::S(token.to_owned()))])
}

/// Reads an item; `None` when its key is no text, which a table of this kind cannot hold.
pub(super) fn read(item: &Item) -> Option<TokenRow> {
    let text = |name: &str| match item.get(name)? {
        AttributeValue::S(text) | AttributeValue::N(text) => {
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        }
        _ => None,
    };
    Some(TokenRow {
        stored: StoredAs::parse(item.get(TOKEN)?.as_s().ok()?),
        developer: text(DEVELOPER),
        enabled: item.get(ENABLED).is_none_or(says_yes),
        created_at: text(CREATED_AT),
    })
}

/// Writes a new item.
pub(super) fn write(row: TokenRow) -> Item {
    let mut item = key(row.stored.key().expose());
    item.insert(ENABLED.to_owned(), AttributeValue::Bool(row.enabled));
    let texts = [(DEVELOPER, row.developer), (CREATED_AT, row.created_at)];
    let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text?)));
    item.extend(texts.map(|(name, text)| (name.to_owned(), AttributeValue::S(text))));
    item
}

/// Reads `enabled`. A row without it is enabled, because it always was: "token not in DynamoDB or
/// `enabled = false`". Where it stands, only a yes is a yes: true, 1 or "true".
fn says_yes(enabled: &AttributeValue) -> bool {
    match enabled {
        AttributeValue::Bool(enabled) => *enabled,
        AttributeValue::N(number) => number == "1",
        AttributeValue::S(text) => text.trim().eq_ignore_ascii_case("true") || text.trim() == "1",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::TokenHash;

    fn s(text: &str) -> AttributeValue {
        AttributeValue::S(text.to_owned())
    }

    #[test]
    fn enabled_is_a_yes_or_missing_and_nothing_else() {
        let n = |text: &str| AttributeValue::N(text.to_owned());
        for (enabled, expected) in [
            (None, true),
            (Some(AttributeValue::Bool(true)), true),
            (Some(AttributeValue::Bool(false)), false),
            (Some(n("1")), true),
            (Some(n("0")), false),
            (Some(s("true")), true),
            (Some(s("True ")), true),
            (Some(s("false")), false),
            (Some(s("")), false),
            (Some(AttributeValue::Null(true)), false),
            (Some(AttributeValue::L(Vec::new())), false),
        ] {
            let mut item = key("old-token");
            item.extend(enabled.clone().map(|value| (ENABLED.to_owned(), value)));
            assert_eq!(read(&item).expect("a row").enabled, expected, "{enabled:?}");
        }
    }

    #[test]
    fn a_row_is_written_and_read_back_and_an_old_one_may_say_little() {
        let row = TokenRow {
            stored: StoredAs::Hash(TokenHash::of("a")),
            developer: Some("dev-01".to_owned()),
            enabled: true,
            created_at: Some("2026-11-22T00:00:00Z".to_owned()),
        };
        assert_eq!(read(&write(row.clone())), Some(row));
        let mut old = key("old-token");
        old.insert(DEVELOPER.to_owned(), s(" "));
        old.insert("team".to_owned(), s("x"));
        let read = read(&old).expect("a row");
        assert_eq!((read.developer, read.created_at), (None, None));
        assert!(matches!(read.stored, StoredAs::Plain(_)));
        assert!(super::read(&HashMap::new()).is_none());
    }
}
