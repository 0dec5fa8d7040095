//! Checkpoints: made off the hot thread by replaying closed segments over the checkpoint before.
//!
//! Shards are taken in groups, so that the copy in memory stays a fraction of the node's own. The newest checkpoint of
//! a log's shards is one file, replaced as a whole; it counts once file and directory are synced.

use std::cell::RefCell;
use std::io::{self, BufReader, BufWriter, Read, Write};

use tidegate_log::{
    Chains, CheckpointReader, CheckpointWriter, LogId, Planted, Record, SegmentNumber, ShardMark, walk,
};
use tidegate_shard_core::{Entry, Op, Shard, ShardConfig};

use crate::files::{Files, join};
use crate::open::OpenError;
use crate::segments::LogFiles;

const DIR: &str = "checkpoints";

/// Snapshot bytes that one pass over the segments restores at most, one shard at least.
const GROUP_BYTES: u64 = 32 * 1024 * 1024;

/// Bytes of a read or write of a checkpoint file.
const BUFFER_BYTES: usize = 64 * 1024;

/// What to checkpoint.
#[derive(Clone, Debug)]
pub struct CheckpointJob {
    /// The log whose closed segments are replayed.
    pub log: LogId,
    /// The shards that write to it, ascending.
    pub shards: Vec<u16>,
    /// The last closed segment.
    pub upto: SegmentNumber,
    /// The start's number.
    pub term: u64,
    /// The fault planted in the log, if any.
    pub planted: Planted,
}

/// The path of the newest checkpoint of the shards that write to `log`.
pub fn path(log: LogId) -> String {
    join(DIR, &format!("{log}.ckpt"))
}

/// Makes a checkpoint; returns what it holds. Give the marks to [`Node::checkpointed`](crate::Node::checkpointed).
/// `shard_config` makes the configuration of a shard, as [`OpenConfig::shard`](crate::OpenConfig) does.
pub fn run<F: Files>(
    files: &mut F,
    job: &CheckpointJob,
    shard_config: &dyn Fn(u16) -> ShardConfig,
) -> Result<Vec<ShardMark>, OpenError> {
    let old = sections(files, job.log)?;
    let shards = shard_config(0).shards;
    let files = RefCell::new(files);
    let fresh = format!("{}.new", path(job.log));
    files.borrow_mut().remove(&fresh)?;
    let out = BufWriter::with_capacity(
        BUFFER_BYTES,
        FileWriter {
            files: &files,
            path: fresh,
            at: 0,
        },
    );
    let mut writer = CheckpointWriter::begin(out, job.term, shards)?;
    let mut marks = Vec::new();
    let mut left = job.shards.as_slice();
    while !left.is_empty() {
        let group = group_len(left, &old);
        let (now, rest) = left.split_at(group);
        left = rest;
        for (mark, shard) in replay(&files, job, now, &old, shard_config)? {
            let mut snapshot = Vec::new();
            shard.snapshot(&mut snapshot);
            writer.shard(mark, shard.digest(), &snapshot)?;
            marks.push(mark);
        }
    }
    let out = writer
        .finish()?
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    install(&mut **files.borrow_mut(), &out.path, job.log)?;
    Ok(marks)
}

/// Writes a checkpoint of shards as they are; used when the layout of threads changes.
pub(crate) fn write<F: Files>(
    files: &mut F,
    log: LogId,
    term: u64,
    count: u16,
    shards: &[(ShardMark, &Shard)],
) -> io::Result<()> {
    let files = RefCell::new(files);
    let fresh = format!("{}.new", path(log));
    files.borrow_mut().remove(&fresh)?;
    let out = BufWriter::with_capacity(
        BUFFER_BYTES,
        FileWriter {
            files: &files,
            path: fresh,
            at: 0,
        },
    );
    let mut writer = CheckpointWriter::begin(out, term, count)?;
    for (mark, shard) in shards {
        let mut snapshot = Vec::new();
        shard.snapshot(&mut snapshot);
        writer.shard(*mark, shard.digest(), &snapshot)?;
    }
    let out = writer
        .finish()?
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    install(&mut **files.borrow_mut(), &out.path, log)
}

/// Reads the newest checkpoint of a log's shards, one shard at a time; nothing when there is none yet.
pub(crate) fn read<F: Files>(
    files: &mut F,
    log: LogId,
    mut visit: impl FnMut(ShardMark, u64, &[u8]) -> Result<(), OpenError>,
) -> Result<(), OpenError> {
    let path = path(log);
    if !files.list(DIR)?.contains(&format!("{log}.ckpt")) {
        return Ok(());
    }
    let damaged = |error| OpenError::Checkpoint {
        path: path.clone(),
        error,
    };
    let files = RefCell::new(files);
    let from = BufReader::with_capacity(
        BUFFER_BYTES,
        FileReader {
            files: &files,
            path: path.clone(),
            at: 0,
        },
    );
    let mut reader = CheckpointReader::begin(from).map_err(damaged)?;
    let mut snapshot = Vec::new();
    while let Some(section) = reader.next(&mut snapshot).map_err(damaged)? {
        visit(section.mark, section.digest, &snapshot)?;
    }
    Ok(())
}

/// Removes the checkpoints of logs that are not in use, and what a crash left of unfinished ones.
pub(crate) fn remove_others<F: Files>(files: &mut F, logs: &[LogId]) -> io::Result<()> {
    let keep: Vec<String> = logs.iter().map(|log| format!("{log}.ckpt")).collect();
    for name in files.list(DIR)? {
        if !keep.contains(&name) {
            files.remove(&join(DIR, &name))?;
        }
    }
    files.sync_dir(DIR)
}

/// Makes sure that the checkpoint which was read is on the device: a kill may have come before its directory's sync.
pub(crate) fn sync<F: Files>(files: &mut F, log: LogId) -> io::Result<()> {
    if files.list(DIR)?.contains(&format!("{log}.ckpt")) {
        files.sync(&path(log))?;
    }
    files.sync_dir(DIR)
}

/// A section of the checkpoint before: its mark and the snapshot's length.
struct Old {
    mark: ShardMark,
    bytes: u64,
}

fn sections<F: Files>(files: &mut F, log: LogId) -> Result<Vec<Old>, OpenError> {
    let mut old = Vec::new();
    read(files, log, |mark, _, snapshot| {
        old.push(Old {
            mark,
            bytes: snapshot.len() as u64,
        });
        Ok(())
    })?;
    Ok(old)
}

fn group_len(left: &[u16], old: &[Old]) -> usize {
    let bytes = |shard: u16| {
        old.iter()
            .find(|old| old.mark.shard == shard)
            .map_or(0, |old| old.bytes)
    };
    let mut sum = 0;
    let fits = left.iter().take_while(|&&shard| {
        sum += bytes(shard);
        sum <= GROUP_BYTES
    });
    fits.count().max(1)
}

/// The shards of a group as they are at the end of the closed segments.
fn replay<F: Files>(
    files: &RefCell<&mut F>,
    job: &CheckpointJob,
    group: &[u16],
    old: &[Old],
    shard_config: &dyn Fn(u16) -> ShardConfig,
) -> Result<Vec<(ShardMark, Shard)>, OpenError> {
    let mut shards: Vec<Shard> = group
        .iter()
        .map(|&shard| Shard::new(shard_config(shard)))
        .collect();
    read(&mut **files.borrow_mut(), job.log, |mark, digest, snapshot| {
        if let Ok(at) = group.binary_search(&mark.shard) {
            shards[at] = restore(shard_config(mark.shard), mark, digest, snapshot)?;
        }
        Ok(())
    })?;
    let mut chains = Chains::strict(old.iter().map(|old| old.mark));
    let mut files = files.borrow_mut();
    let shared = RefCell::new(&mut **files);
    let mut source = LogFiles::closed(&shared, job.log, job.upto);
    let mut apply = |record: Record<'_>| match group.binary_search(&record.shard) {
        Ok(at) => apply(&mut shards[at], &record),
        Err(_) => Ok(()),
    };
    walk(&mut source, job.log, &mut chains, job.planted, &mut apply).map_err(OpenError::from_walk)?;
    let marks = group.iter().map(|&shard| chains.mark(shard));
    Ok(marks.zip(shards).collect())
}

/// A shard from its snapshot; the digest must match.
pub(crate) fn restore(
    config: ShardConfig,
    mark: ShardMark,
    digest: u64,
    snapshot: &[u8],
) -> Result<Shard, OpenError> {
    let shard = Shard::restore(config, snapshot).map_err(|_| OpenError::Snapshot { shard: mark.shard })?;
    if shard.op() != Op(mark.op) || shard.digest() != digest {
        return Err(OpenError::Snapshot { shard: mark.shard });
    }
    Ok(shard)
}

/// Applies a record to its shard, unless the shard has it already.
pub(crate) fn apply(shard: &mut Shard, record: &Record<'_>) -> Result<(), OpenError> {
    if record.op <= shard.op().0 {
        return Ok(());
    }
    assert_eq!(record.op, shard.op().next().0, "the chains were followed");
    let place = || {
        format!(
            "{}, offset {}",
            crate::segments::path(record.log, record.segment),
            record.offset
        )
    };
    let entry = Entry::decode(record.payload).map_err(|_| OpenError::Entry { place: place() })?;
    shard.check_digest(&entry).map_err(|error| OpenError::Digest {
        place: place(),
        error,
    })?;
    shard.apply(&entry);
    Ok(())
}

fn install<F: Files>(files: &mut F, fresh: &str, log: LogId) -> io::Result<()> {
    files.sync(fresh)?;
    files.rename(fresh, &path(log))?;
    files.sync_dir(DIR)
}

struct FileWriter<'a, 'b, F> {
    files: &'a RefCell<&'b mut F>,
    path: String,
    at: u64,
}

impl<F: Files> Write for FileWriter<'_, '_, F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.files.borrow_mut().write_at(&self.path, self.at, bytes)?;
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct FileReader<'a, 'b, F> {
    files: &'a RefCell<&'b mut F>,
    path: String,
    at: u64,
}

impl<F: Files> Read for FileReader<'_, '_, F> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.files.borrow_mut().read_at(&self.path, self.at, out)?;
        self.at += read as u64;
        Ok(read)
    }
}
