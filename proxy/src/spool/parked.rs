//! A closed segment whose record has yet to reach the sink: of this process, or of one that died.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use schemas::journal::{Ended, Fate};
use schemas::record::LogRecord;

use super::folder::Folder;
use super::frame::Seed;
use super::replay::{Replayed, replay};
use super::segment::write_object;
use crate::encode::{self, Encoded, LogObject};
use crate::settings::Settings;

/// A closed segment; its file stays until it is removed.
#[derive(Clone)]
pub struct Parked {
    pub(super) folder: Arc<Folder>,
    pub(crate) number: u64,
    /// A process that is dead left it; else it is this one's own.
    pub(super) is_left: bool,
}

/// A record that was brought back.
pub struct Brought {
    /// What is stored.
    pub object: LogObject,
    /// How the exchange ended; `None` where this process has said so before. One that died may have
    /// said so too, and nobody knows.
    pub ended: Option<Ended>,
    /// The record was made just now, out of frames: before, nobody could say how the exchange ended.
    pub is_new: bool,
}

impl Parked {
    fn path(&self) -> PathBuf {
        self.folder.segment(self.number)
    }

    /// Returns the object to store; `None` when the segment holds no exchange. An object that was
    /// encoded before is returned as it is; else it is made from the frames, and written down before
    /// anybody stores it, if the disk has room.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or the record cannot be made.
    pub fn object(&self, settings: &Settings) -> io::Result<Option<Brought>> {
        let file = File::options().read(true).write(true).open(self.path())?;
        let died_at = file.metadata()?.modified().ok();
        let (recalled, whole) = match replay(&file, settings)? {
            Replayed::Nothing => return Ok(None),
            Replayed::Object(object) => {
                let ended = self.is_left.then(|| ended(&object)).flatten();
                return Ok(Some(Brought { object, ended, is_new: false }));
            }
            Replayed::Frames(recalled, whole) => (recalled, whole),
        };
        let id = recalled.id();
        let mut facts = recalled.finish(died_at);
        let Encoded { object, ended } = encode::encode_facts(&mut facts, settings)?;
        let written =
            file.set_len(whole).and_then(|()| write_object(&file, Seed::of(id), &object, whole));
        if written.is_err() {
            // On a full disk bringing the record is what makes room. The same frames, last written at
            // the same time, make the same bytes again.
            let _ = file.set_len(whole);
            let _ = died_at.map(|time| file.set_modified(time));
        }
        Ok(Some(Brought { object, ended: Some(ended), is_new: true }))
    }

    /// Removes the file: its record is where it belongs, or there never was one.
    pub fn remove(&self) {
        let _ = fs::remove_file(self.path());
    }
}

/// Reads in an object how the exchange ended. One that this version cannot read is stored all the same.
fn ended(object: &LogObject) -> Option<Ended> {
    let json = zstd::decode_all(&object.bytes[..]).ok()?;
    let record: LogRecord = serde_json::from_slice(&json).ok()?;
    Some(Ended::of(&record, Fate::Stored))
}
