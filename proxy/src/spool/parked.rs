//! A closed segment whose record has yet to reach the sink: of this process, or of one that died.

use std::fs::{self, File};
use std::io::{self, BufReader, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use super::folder::Folder;
use super::frame::{Frames, Kind, Seed};
use super::replay::{Recalled, object_of};
use super::segment::write_object;
use crate::encode::{self, LogObject};
use crate::settings::Settings;

/// A closed segment; its file stays until it is removed.
#[derive(Clone)]
pub struct Parked {
    pub(super) folder: Arc<Folder>,
    pub(super) number: u64,
}

impl Parked {
    fn path(&self) -> PathBuf {
        self.folder.segment(self.number)
    }

    /// Returns the object to store; `None` when the segment holds no exchange. An object that was
    /// encoded before is returned as it is; else it is made from the frames, and written down before
    /// anybody stores it.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or the record cannot be made.
    pub fn object(&self, settings: &Settings) -> io::Result<Option<LogObject>> {
        let mut file = File::options().read(true).write(true).open(self.path())?;
        let died_at = file.metadata()?.modified().ok();
        let Some((id, mut frames)) = Frames::open(BufReader::with_capacity(64 << 10, &file))?
        else {
            return Ok(None);
        };
        let mut recalled: Option<Recalled> = None;
        while let Some((kind, payload)) = frames.next()? {
            if kind == Kind::Object {
                return object_of(&payload)
                    .map(Some)
                    .ok_or_else(|| io::ErrorKind::InvalidData.into());
            }
            match &mut recalled {
                Some(recalled) => recalled.take(kind, &payload),
                none => *none = Recalled::begin(id, kind, &payload, settings),
            }
        }
        let Some(recalled) = recalled else { return Ok(None) };
        let whole = frames.whole();
        drop(frames);
        let object = encode::encode_facts(recalled.finish(died_at), settings)?;
        file.set_len(whole)?;
        file.seek(SeekFrom::Start(whole))?;
        write_object(&file, Seed::of(id), &object)?;
        Ok(Some(object))
    }

    /// Removes the file: its record is where it belongs, or there never was one.
    pub fn remove(&self) {
        let _ = fs::remove_file(self.path());
    }
}
