//! Where the logs of a data directory stand: files, positions, ops. No record's content is read into it.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use tidegate_log::{Chains, LogId, SegmentSource as _, WalkError, verify};

use crate::cli::doctor::LogEnd;
use crate::cli::log::{Files, logs};

/// A line a log, a line a segment that is read, a line a file of checkpoints.
///
/// # Errors
/// There is no log.
pub(super) fn text(data: &Path) -> Result<String, String> {
    let mut text = String::new();
    for log in logs(data)? {
        let _ = writeln!(text, "log {log}: {}", extent(data, log));
        let mut end = LogEnd::new(Files::new(data, log));
        match verify(&mut end, log, &mut Chains::lenient()) {
            Ok(walked) => {
                for segment in &walked.segments {
                    let ops: Vec<String> = segment
                        .ops
                        .iter()
                        .map(|last| format!("{}:{}", last.shard, last.op))
                        .collect();
                    let _ = writeln!(
                        text,
                        "  {}: {} records, valid up to {} of {} bytes; last op by shard: {}",
                        segment.number.file_name(),
                        segment.records,
                        segment.end,
                        segment.file_bytes,
                        ops.join(" ")
                    );
                }
                let _ = writeln!(
                    text,
                    "  ends in {} at {}, newest entry at {} ms{}",
                    walked.end.segment.file_name(),
                    walked.end.offset,
                    walked.last_time,
                    if walked.torn {
                        ", then a write that was cut short"
                    } else {
                        ""
                    }
                );
            }
            Err(error) => {
                let error: WalkError<io::Error, Infallible> = error;
                let _ = writeln!(text, "  FAULT: {error}");
            }
        }
    }
    for (name, bytes) in files(&data.join("checkpoints")) {
        let _ = writeln!(text, "checkpoints/{name}: {bytes} bytes");
    }
    Ok(text)
}

fn extent(data: &Path, log: LogId) -> String {
    match Files::new(data, log).segments() {
        Ok(files) => {
            let bytes: u64 = files.iter().map(|file| file.bytes).sum();
            format!("{} segments, {bytes} bytes; the last of them:", files.len())
        }
        Err(error) => error.to_string(),
    }
}

fn files(directory: &Path) -> Vec<(String, u64)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .filter_map(|entry| {
            Some((
                entry.file_name().into_string().ok()?,
                entry.metadata().ok()?.len(),
            ))
        })
        .collect();
    files.sort();
    files
}
