//! Logs of earlier layouts: complete, checkpointed, and kept until the store has applied them.

use std::io;

use tidegate_log::{LogId, Manifest, ShardOp};

use super::MANIFEST;
use super::state::Found;
use crate::files::{Files, join};
use crate::segments;

/// The logs of all layouts but the current one.
#[derive(Clone, Debug, Default)]
pub struct OldLogs {
    logs: Vec<OldLog>,
}

#[derive(Clone, Debug)]
struct OldLog {
    log: LogId,
    bytes: u64,
    /// The last op of each shard in it, or one that is not below.
    ops: Vec<ShardOp>,
}

impl OldLogs {
    pub(super) fn new(manifest: &Manifest, found: &[Found]) -> OldLogs {
        let current = super::current_logs(manifest);
        let old = found.iter().filter(|found| !current.contains(&found.log));
        let logs = old.map(OldLog::new).collect();
        OldLogs { logs }
    }

    /// Bytes that they keep for the store.
    pub fn bytes(&self) -> u64 {
        self.logs.iter().map(|log| log.bytes).sum()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.logs.is_empty()
    }

    /// Removes the oldest layouts of which the store has applied everything: from the manifest first, then from the
    /// disk. `applied` gives the store's mark of a shard.
    pub fn remove_applied<F: Files>(
        &mut self,
        files: &mut F,
        manifest: &mut Manifest,
        applied: impl Fn(u16) -> u64,
    ) -> io::Result<()> {
        let is_applied = |old: &OldLog| old.ops.iter().all(|op| op.op <= applied(op.shard));
        let mut fewer = manifest.clone();
        while fewer.layouts.len() > 1 {
            let layout = &fewer.layouts[0];
            let owed = |log: LogId| self.logs.iter().any(|old| old.log == log && !is_applied(old));
            if layout.logs.iter().any(|log| owed(log.log)) {
                break;
            }
            fewer.layouts.remove(0);
        }
        if fewer.layouts.len() == manifest.layouts.len() {
            return Ok(());
        }
        files.replace("", MANIFEST, &fewer.encode())?;
        *manifest = fewer;
        remove_unknown(files, manifest)?;
        self.logs.retain(|old| is_known(manifest, &old.log.to_string()));
        Ok(())
    }
}

impl OldLog {
    fn new(found: &Found) -> OldLog {
        let read = found.recovered.as_ref().map_or(&[][..], |r| &r.walked.segments);
        let mut ops: Vec<ShardOp> = Vec::new();
        let bounds = found.marks.iter().map(|mark| ShardOp {
            shard: mark.shard,
            op: mark.op,
        });
        let skipped = found
            .skipped
            .iter()
            .flat_map(|_| bounds.clone())
            .take(found.marks.len());
        for op in read
            .iter()
            .flat_map(|segment| &segment.ops)
            .copied()
            .chain(skipped)
        {
            match ops.iter_mut().find(|known| known.shard == op.shard) {
                Some(known) => known.op = known.op.max(op.op),
                None => ops.push(op),
            }
        }
        let read_bytes: u64 = read.iter().map(|segment| u64::from(segment.end)).sum();
        OldLog {
            log: found.log,
            bytes: read_bytes + found.skipped.iter().map(|file| file.bytes).sum::<u64>(),
            ops,
        }
    }
}

/// Removes the segments of logs that the manifest does not name: of removed layouts, and of a switch that a crash cut
/// short.
pub(super) fn remove_unknown<F: Files>(files: &mut F, manifest: &Manifest) -> io::Result<()> {
    for name in files.list("logs")? {
        if is_known(manifest, &name) {
            continue;
        }
        let dir = join("logs", &name);
        for segment in files.list(&dir)? {
            match (
                name.parse(),
                tidegate_log::SegmentNumber::from_file_name(&segment),
            ) {
                (Ok(log), Some(number)) => segments::free(files, log, number)?,
                _ => files.remove(&join(&dir, &segment))?,
            }
        }
        files.remove(&dir)?;
    }
    files.sync_dir("logs")
}

fn is_known(manifest: &Manifest, name: &str) -> bool {
    let mut logs = manifest.layouts.iter().flat_map(|layout| &layout.logs);
    logs.any(|log| log.log.to_string() == name)
}
