//! Files that get their name when they are whole: nobody sees half of one, and nothing is left of one
//! whose process dies before.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open};
use rustix::io::Errno;

/// Writes a file into a folder. What is there already under that path stays, and is success.
///
/// # Errors
///
/// `Unsupported` where the system or its file system has no such files; `NotFound` where there is no
/// such folder; else as for any file.
pub(super) fn write(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let mut file = match open(folder, flags, Mode::from_raw_mode(0o666)) {
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
            return Err(io::ErrorKind::Unsupported.into());
        }
        file => File::from(file?),
    };
    file.write_all(bytes)?;
    match link(&file, path) {
        Err(Errno::EXIST) => Ok(()),
        // Without /proc, or across the layers of a file system that has some.
        Err(Errno::XDEV | Errno::PERM | Errno::NOENT) => Err(io::ErrorKind::Unsupported.into()),
        linked => Ok(linked?),
    }
}

/// By itself a file is linked since Linux 6.10, or by the privileged; by its place in /proc, which takes
/// longer, by anybody.
fn link(file: &File, path: &Path) -> Result<(), Errno> {
    match linkat(file.as_fd(), "", CWD, path, AtFlags::EMPTY_PATH) {
        Err(Errno::NOENT | Errno::PERM | Errno::INVAL) => {
            let open = format!("/proc/self/fd/{}", file.as_raw_fd());
            linkat(CWD, open, CWD, path, AtFlags::SYMLINK_FOLLOW)
        }
        linked => linked,
    }
}
