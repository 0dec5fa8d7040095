//! The newest entry of a data directory's log, from its last segments alone.

use std::path::Path;

use tidegate_log::{Chains, SegmentFile, SegmentNumber, SegmentSource, WalkError, verify};

use crate::cli::log::{Files, logs};

/// Segments of each log that are read at most: one that is written, one full one, and those that were prepared ahead.
const SEGMENTS: usize = 4;

/// The latest shard time of any record there, unix milliseconds; `None`: no log, or an empty one.
///
/// # Errors
/// What cannot be read.
pub(super) fn last_time_ms(data: &Path) -> Result<Option<u64>, String> {
    if !data.join("MANIFEST").exists() {
        return Ok(None);
    }
    let mut last = 0;
    for log in logs(data)? {
        let mut end = LogEnd::new(Files::new(data, log));
        let walked = verify(&mut end, log, &mut Chains::lenient()).map_err(
            |error: WalkError<std::io::Error, std::convert::Infallible>| format!("log {log}: {error}"),
        )?;
        last = last.max(walked.last_time);
    }
    Ok((last > 0).then_some(last))
}

/// A log as if its older segments had been freed.
pub(in crate::cli) struct LogEnd(Files);

impl LogEnd {
    pub fn new(files: Files) -> LogEnd {
        LogEnd(files)
    }
}

impl SegmentSource for LogEnd {
    type Error = std::io::Error;

    fn segments(&mut self) -> std::io::Result<Vec<SegmentFile>> {
        let mut files = self.0.segments()?;
        files.sort_unstable_by_key(|file| file.number);
        files.drain(..files.len().saturating_sub(SEGMENTS));
        Ok(files)
    }

    fn read(&mut self, segment: SegmentNumber, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.0.read(segment, offset, out)
    }
}
