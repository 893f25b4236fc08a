//! One page of a listing, from the XML of `ListObjectsV2`; and what S3's error bodies say.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::logs::source::{Listed, Listing};

/// A page.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// What stands on it, with whole keys.
    pub(super) listing: Listing,
    /// How to ask for the next one; `None` on the last.
    pub(super) next: Option<String>,
}

/// What a field's text is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Page,
    Object,
    Folder,
}

/// Reads a page; `None` when it is none, or cut off.
pub(super) fn read_page(xml: &[u8]) -> Option<Page> {
    let mut reader = Reader::from_reader(xml);
    let mut page = Page::default();
    let mut within = Within::Page;
    let mut object = Listed { key: String::new(), bytes: 0, modified: None };
    let (mut text, mut is_whole, mut is_page) = (String::new(), false, false);
    let mut is_encoded = false;
    loop {
        match reader.read_event().ok()? {
            Event::Start(tag) => {
                text.clear();
                match tag.name().as_ref() {
                    b"Contents" => within = Within::Object,
                    b"CommonPrefixes" => within = Within::Folder,
                    b"ListBucketResult" => is_page = true,
                    _ => {}
                }
            }
            Event::Text(piece) => text.push_str(&piece.decode().ok()?),
            Event::CData(piece) => text.push_str(&piece.decode().ok()?),
            Event::GeneralRef(entity) => text.push(character(&entity)?),
            Event::End(tag) => {
                match (within, tag.name().as_ref()) {
                    (Within::Object, b"Key") => object.key = std::mem::take(&mut text),
                    (Within::Object, b"Size") => object.bytes = text.trim().parse().ok()?,
                    (Within::Object, b"LastModified") => object.modified = text.trim().parse().ok(),
                    (Within::Object, b"Contents") => {
                        let empty = Listed { key: String::new(), bytes: 0, modified: None };
                        page.listing.objects.push(std::mem::replace(&mut object, empty));
                        within = Within::Page;
                    }
                    (Within::Folder, b"Prefix") => {
                        page.listing.folders.push(std::mem::take(&mut text));
                    }
                    (Within::Folder, b"CommonPrefixes") => within = Within::Page,
                    (Within::Page, b"NextContinuationToken") => {
                        page.next = Some(std::mem::take(&mut text));
                    }
                    (Within::Page, b"EncodingType") => is_encoded = text == "url",
                    (_, b"ListBucketResult") => is_whole = true,
                    _ => {}
                }
                text.clear();
            }
            Event::Eof => break,
            _ => {}
        }
    }
    if is_encoded {
        let keys = page.listing.objects.iter_mut().map(|object| &mut object.key);
        for name in keys.chain(&mut page.listing.folders) {
            if name.contains(['%', '+']) {
                *name = decoded(name);
            }
        }
    }
    (is_page && is_whole).then_some(page)
}

/// The character of `&amp;`, `&#13;` and the like.
fn character(entity: &quick_xml::events::BytesRef<'_>) -> Option<char> {
    if let Ok(Some(character)) = entity.resolve_char_ref() {
        return Some(character);
    }
    Some(match &**entity {
        b"amp" => '&',
        b"lt" => '<',
        b"gt" => '>',
        b"quot" => '"',
        b"apos" => '\'',
        _ => return None,
    })
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = code.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let (plain, behind) = match (byte, code) {
            (b'%', Some(code)) => (code, &after[2..]),
            (b'+', _) => (b' ', after),
            _ => (byte, after),
        };
        bytes.push(plain);
        rest = behind;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns the text of an element of an error body, such as `Code`.
pub(super) fn element<'a>(xml: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once("</")?;
    Some(if text.contains('&') {
        let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
        Cow::Owned(plain.replace("&apos;", "'").replace("&amp;", "&"))
    } else {
        Cow::Borrowed(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name><Prefix>logs/</Prefix><NextContinuationToken>1/x&amp;y==</NextContinuationToken><IsTruncated>true</IsTruncated><Contents><Key>logs/a&amp;b &#x26;&quot;c.json</Key><LastModified>2026-11-22T02:41:07.000Z</LastModified><ETag>&quot;0&quot;</ETag><Size>434234</Size><Owner><ID>x</ID></Owner></Contents>\n <Contents><Key>logs/ü.json</Key><Size>0</Size></Contents><CommonPrefixes><Prefix>logs/2026/</Prefix></CommonPrefixes></ListBucketResult>";

    #[test]
    fn a_page_is_read_with_its_keys_folders_and_next_token() {
        let page = read_page(PAGE.as_bytes()).expect("a page");
        let objects: Vec<_> =
            page.listing.objects.iter().map(|o| (o.key.as_str(), o.bytes)).collect();
        assert_eq!(objects, [("logs/a&b &\"c.json", 434_234), ("logs/ü.json", 0)]);
        assert!(page.listing.objects[0].modified.is_some());
        assert_eq!(page.listing.folders, ["logs/2026/"]);
        assert_eq!(page.next.as_deref(), Some("1/x&y=="));
    }

    #[test]
    fn names_are_decoded_where_the_page_says_so() {
        let xml = |encoding: &str| {
            format!(
                "<ListBucketResult>{encoding}<Contents><Key>a%2Bb+%C3%BC%0A%</Key><Size>1</Size></Contents></ListBucketResult>"
            )
        };
        let key =
            |xml: &str| read_page(xml.as_bytes()).expect("a page").listing.objects.remove(0).key;
        assert_eq!(key(&xml("<EncodingType>url</EncodingType>")), "a+b ü\n%");
        assert_eq!(key(&xml("")), "a%2Bb+%C3%BC%0A%");
    }

    #[test]
    fn what_is_no_whole_page_is_none() {
        for length in 0..PAGE.len() {
            if let Some(cut) = PAGE.get(..length) {
                assert!(read_page(cut.as_bytes()).is_none(), "{cut}");
            }
        }
        assert!(read_page(b"<Error><Code>SlowDown</Code></Error>").is_none());
        assert!(read_page(b"<html>").is_none());
    }

    #[test]
    fn an_error_says_its_elements() {
        let xml = "<Error><Code>PermanentRedirect</Code><Message>a &amp; b</Message><Region>eu-west-1</Region></Error>";
        assert_eq!(element(xml, "Code").as_deref(), Some("PermanentRedirect"));
        assert_eq!(element(xml, "Message").as_deref(), Some("a & b"));
        assert_eq!(element(xml, "Endpoint"), None);
    }
}
