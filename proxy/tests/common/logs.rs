//! Every record that a proxy left, with its key.

use std::fs;
use std::path::Path;

use schemas::key::LogKey;
use schemas::record::LogRecord;

/// One object of the log.
#[derive(Debug)]
pub(crate) struct Logged {
    /// Key below the root.
    pub(crate) name: String,
    /// What the key says.
    pub(crate) key: LogKey,
    /// The object as it was stored.
    pub(crate) object: Vec<u8>,
    /// Decompressed.
    pub(crate) json: Vec<u8>,
    /// Parsed.
    pub(crate) record: LogRecord,
}

impl Logged {
    pub(crate) fn parse(name: &str, object: Vec<u8>) -> Self {
        let json = zstd::decode_all(&object[..]).expect("an object is one zstd frame");
        let record = serde_json::from_slice(&json).expect("an object is one record");
        let key = LogKey::parse(name).unwrap_or_else(|| panic!("{name} is a key of version 1"));
        Self { name: name.to_owned(), key, object, json, record }
    }

    /// The record as it was written.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.json).expect("JSON is text")
    }

    /// `origin error.origin error.code error.detail ending`
    pub(crate) fn outcome(&self) -> String {
        let name = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let origin = name(serde_json::json!(self.record.origin));
        let ending = name(serde_json::json!(self.record.ending));
        let error = self.record.error.as_ref().map_or("-".to_owned(), |error| {
            let detail = error.detail.as_deref().unwrap_or("-");
            format!("{} {} {detail}", error.origin, error.code)
        });
        format!("{origin} {error} {ending}")
    }
}

/// All objects of a log, in the order of their keys.
#[derive(Debug)]
pub(crate) struct Logs(pub(crate) Vec<Logged>);

impl Logs {
    /// Reads everything below `root/logs`; a file that is no record is a failure.
    pub(crate) fn read(root: &Path) -> Self {
        let mut names = Vec::new();
        walk(root, &root.join("logs"), &mut names);
        names.sort();
        let object = |name: &String| fs::read(root.join(name)).expect("a log can be read");
        Self(names.iter().map(|name| Logged::parse(name, object(name))).collect())
    }

    /// The record of the request that was given this name.
    pub(crate) fn named(&self, name: &str) -> &Logged {
        let is_meant = |logged: &&Logged| logged.record.client.session_id.as_deref() == Some(name);
        let mut found = self.0.iter().filter(is_meant);
        let first = found.next().unwrap_or_else(|| panic!("`{name}` left a record"));
        assert!(found.next().is_none(), "`{name}` left one record only");
        first
    }

    /// The record of the only request.
    pub(crate) fn only(&self) -> &Logged {
        assert_eq!(self.0.len(), 1, "one request leaves one record");
        &self.0[0]
    }
}

fn walk(root: &Path, folder: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("the log's folder can be listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(root, &path, names);
        } else {
            let name = path.strip_prefix(root).expect("a path below the root");
            names.push(name.to_str().expect("a key is text").to_owned());
        }
    }
}
