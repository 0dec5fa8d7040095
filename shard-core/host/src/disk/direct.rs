//! The portable writer: a blocking `pwritev2` with O_DIRECT and RWF_DSYNC.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::{Errno, ReadWriteFlags, pwritev2};
use tidegate_log::{AlignedBuf, SegmentNumber};

use super::{DiskWriter, segment_path};

/// One syscall a commit: write and sync in one.
#[derive(Debug)]
pub struct DirectWriter {
    dir: PathBuf,
    open: Option<(SegmentNumber, File)>,
    /// The next segment, opened ahead: at the switch there may be no descriptor left.
    next: Option<(SegmentNumber, File)>,
}

impl DirectWriter {
    /// For the log in `dir`.
    pub fn new(dir: &Path) -> DirectWriter {
        DirectWriter {
            dir: dir.to_owned(),
            open: None,
            next: None,
        }
    }

    fn file(&mut self, segment: SegmentNumber) -> io::Result<&File> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != segment) {
            self.open = Some(match self.next.take() {
                Some((next, file)) if next == segment => (segment, file),
                _ => (segment, open_direct(&segment_path(&self.dir, segment))?),
            });
        }
        let (_, file) = self.open.as_ref().ok_or(io::ErrorKind::NotFound)?;
        Ok(file)
    }
}

/// Without O_DIRECT where the file system does not have it (tmpfs): the sync is what counts.
pub(crate) fn open_direct(path: &Path) -> io::Result<File> {
    let direct = OFlags::DIRECT.bits() as i32;
    match File::options().write(true).custom_flags(direct).open(path) {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => File::options().write(true).open(path),
        opened => opened,
    }
}

impl DiskWriter for DirectWriter {
    fn write(&mut self, segment: SegmentNumber, offset: u32, bytes: &AlignedBuf) -> io::Result<()> {
        let file = self.file(segment)?;
        let mut done = 0;
        while done < bytes.len() {
            let rest = [IoSlice::new(&bytes[done..])];
            match pwritev2(
                file,
                &rest,
                u64::from(offset) + done as u64,
                ReadWriteFlags::DSYNC,
            ) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(wrote) => done += wrote,
                // Nothing was written: a signal came before the write began. Not a failed sync.
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn supply(&mut self, segment: SegmentNumber, file: File) {
        self.next = Some((segment, file));
    }

    fn name(&self) -> &'static str {
        "pwritev2 (O_DIRECT, RWF_DSYNC)"
    }
}
