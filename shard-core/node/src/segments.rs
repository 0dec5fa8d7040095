//! The log's files: where they are, and how they are supplied and recycled.
//!
//! ```text
//! MANIFEST                   which logs there are, and which shard writes to which
//! logs/<log id>/<number>.seg the segments of a log
//! spare/<log id>-<number>    freed segments, to be used again
//! checkpoints/<log id>.ckpt  the newest checkpoint of the shards that write to the log
//! checkpoints/<log id>.previous  the one before it
//! ```

use std::cell::RefCell;
use std::io;

use tidegate_log::{LogId, NewSegment, SegmentFile, SegmentNumber, SegmentSource};

use crate::files::{Files, join};

/// Freed segments that are kept to be used again; more are removed. One is prepared while one fills.
const SPARE_MAX: usize = 4;

const SPARE: &str = "spare";

/// The directory of a log's segments.
pub fn log_dir(log: LogId) -> String {
    format!("logs/{log}")
}

/// The path of a segment.
pub fn path(log: LogId, segment: SegmentNumber) -> String {
    join(&log_dir(log), &segment.file_name())
}

/// Makes the directories that segments need.
pub fn create_dirs<F: Files>(files: &mut F, logs: impl Iterator<Item = LogId>) -> io::Result<()> {
    for dir in [SPARE, "logs", "checkpoints"] {
        files.create_dir(dir)?;
    }
    for log in logs {
        files.create_dir(&log_dir(log))?;
    }
    files.sync_dir("logs")?;
    files.sync_dir("")
}

/// Prepares the segment that an appender asked for: durable under its name when this returns, its blocks allocated and
/// written, so that a sync of a batch needs no metadata. `StorageFull`: there is no room; try again later. Not to be
/// called by two threads at once: all logs share the spare files.
pub fn prepare<F: Files>(files: &mut F, log: LogId, segment: &NewSegment) -> io::Result<()> {
    let bytes = u64::from(segment.bytes);
    let target = path(log, segment.number);
    let fresh = join(SPARE, &format!("{log}-{}.new", segment.number));
    let spare = take_spare(files, bytes)?;
    let source = match &spare {
        Some(path) => {
            // A kill may have come right after the segment was taken out of its log. Were the power lost later, it would
            // be back there with another log's header.
            files.sync_dir(SPARE)?;
            path.clone()
        }
        None => {
            let zeroed = files.zero(&fresh, 0, bytes);
            if zeroed.is_err() {
                // Half a file is of no use, and its blocks are somebody's room.
                files.remove(&fresh)?;
            }
            zeroed?;
            fresh
        }
    };
    files.write_at(&source, 0, &segment.header[..])?;
    files.sync(&source)?;
    // The name that is renamed must itself be on the device.
    files.sync_dir(SPARE)?;
    files.rename(&source, &target)?;
    files.sync_dir(&log_dir(log))?;
    files.sync_dir(SPARE)
}

/// Takes a segment out of its log for good.
pub fn free<F: Files>(files: &mut F, log: LogId, segment: SegmentNumber) -> io::Result<()> {
    let source = path(log, segment);
    let spares = files.list(SPARE)?.len();
    if spares < SPARE_MAX {
        files.rename(&source, &join(SPARE, &format!("{log}-{segment}")))?;
        files.sync_dir(SPARE)?;
    } else {
        files.remove(&source)?;
    }
    files.sync_dir(&log_dir(log))
}

fn take_spare<F: Files>(files: &mut F, bytes: u64) -> io::Result<Option<String>> {
    for name in files.list(SPARE)? {
        let path = join(SPARE, &name);
        if name.ends_with(".new") {
            // A start that was cut short left it; it may be half written.
            files.remove(&path)?;
        } else if files.len(&path)? == bytes {
            return Ok(Some(path));
        } else {
            // Segments have another size now.
            files.remove(&path)?;
        }
    }
    Ok(None)
}

/// The segments of one log, for recovery and for checkpoints.
pub struct LogFiles<'a, F> {
    files: &'a RefCell<&'a mut F>,
    log: LogId,
    upto: SegmentNumber,
}

impl<'a, F: Files> LogFiles<'a, F> {
    /// All segments of the log.
    pub fn new(files: &'a RefCell<&'a mut F>, log: LogId) -> LogFiles<'a, F> {
        LogFiles {
            files,
            log,
            upto: SegmentNumber(u32::MAX),
        }
    }

    /// The segments up to `upto`, which is closed: those after it are being written.
    pub fn closed(files: &'a RefCell<&'a mut F>, log: LogId, upto: SegmentNumber) -> LogFiles<'a, F> {
        LogFiles { files, log, upto }
    }
}

impl<F: Files> SegmentSource for LogFiles<'_, F> {
    type Error = io::Error;

    fn segments(&mut self) -> io::Result<Vec<SegmentFile>> {
        let mut files = self.files.borrow_mut();
        let dir = log_dir(self.log);
        let mut segments = Vec::new();
        for name in files.list(&dir)? {
            let Some(number) = SegmentNumber::from_file_name(&name) else {
                continue;
            };
            if number <= self.upto {
                segments.push(SegmentFile {
                    number,
                    bytes: files.len(&join(&dir, &name))?,
                });
            }
        }
        Ok(segments)
    }

    fn read(&mut self, segment: SegmentNumber, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut files = self.files.borrow_mut();
        let path = path(self.log, segment);
        let mut filled = 0;
        while filled < out.len() {
            let read = files.read_at(&path, offset + filled as u64, &mut out[filled..])?;
            if read == 0 {
                break;
            }
            filled += read;
        }
        out[filled..].fill(0);
        Ok(())
    }
}
