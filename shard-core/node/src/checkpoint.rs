//! Checkpoints: made off the hot thread by replaying closed segments over the checkpoint before.
//!
//! Shards are taken in groups, so that the copy in memory stays a fraction of the node's own. A checkpoint of a log's
//! shards is one file, put in place as a whole; it counts once file and directory are synced. It says up to which
//! position of the log it holds everything: a start, and the next checkpoint, read on from there.

use std::cell::RefCell;
use std::io;

use tidegate_log::{Chains, LogId, Planted, Position, Record, SegmentNumber, ShardMark, walk_from};
use tidegate_shard_core::{Entry, Op, Shard, ShardConfig};

use crate::files::Files;
use crate::open::OpenError;
use crate::segments::LogFiles;

mod file;

use file::Fresh;
pub(crate) use file::{Unusable, newest, remove_others, sync};
pub use file::{check, path, previous_path};

const DIR: &str = "checkpoints";

/// Snapshot bytes that one pass over the segments restores at most, one shard at least.
const GROUP_BYTES: u64 = 32 * 1024 * 1024;

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

/// Makes a checkpoint; returns what it holds. Give the marks to [`Node::checkpointed`](crate::Node::checkpointed).
/// `shard_config` makes the configuration of a shard, as [`OpenConfig::shard`](crate::OpenConfig) does.
pub fn run<F: Files>(
    files: &mut F,
    job: &CheckpointJob,
    shard_config: &dyn Fn(u16) -> ShardConfig,
) -> Result<Vec<ShardMark>, OpenError> {
    let before = Before::find(files, job.log)?;
    let shards = shard_config(0).shards;
    let files = RefCell::new(files);
    let mut groups = Groups {
        files: &files,
        job,
        before,
        shard_config,
    };
    // Where the closed segments end is known when they were read, and the head says it.
    let (first, mut left) = groups.split(&job.shards);
    let (mut group, covered) = groups.replay(first)?;
    let mut fresh = Fresh::begin(&files, job.log, job.term, shards, covered)?;
    let mut marks = Vec::new();
    loop {
        for (mark, shard) in std::mem::take(&mut group) {
            let mut snapshot = Vec::new();
            shard.snapshot(&mut snapshot);
            fresh.shard(mark, shard.digest(), &snapshot)?;
            marks.push(mark);
        }
        if left.is_empty() {
            break;
        }
        let (next, rest) = groups.split(left);
        left = rest;
        (group, _) = groups.replay(next)?;
    }
    fresh.finish()?;
    file::install(&mut **files.borrow_mut(), job.log)?;
    Ok(marks)
}

/// Writes a checkpoint of shards as they are, twice, so that one alone may be damaged. It covers nothing of its log, which
/// is read from the beginning: for a new layout of threads.
pub(crate) fn write<F: Files>(
    files: &mut F,
    log: LogId,
    term: u64,
    count: u16,
    shards: &[(ShardMark, &Shard)],
) -> io::Result<()> {
    for install in [file::install_previous, file::install] {
        let shared = RefCell::new(&mut *files);
        let mut fresh = Fresh::begin(&shared, log, term, count, Position::START)?;
        for (mark, shard) in shards {
            let mut snapshot = Vec::new();
            shard.snapshot(&mut snapshot);
            fresh.shard(*mark, shard.digest(), &snapshot)?;
        }
        fresh.finish()?;
        install(files, log)?;
    }
    Ok(())
}

/// What the checkpoint before holds: each shard's mark and the length of its snapshot.
struct Before {
    covered: Position,
    sections: Vec<(ShardMark, u64)>,
}

impl Before {
    fn find<F: Files>(files: &mut F, log: LogId) -> Result<Before, OpenError> {
        let section = |mark, _, snapshot: &[u8]| Ok((mark, snapshot.len() as u64));
        let found = newest(files, log, &mut Vec::new(), section)?;
        Ok(found.map_or(
            Before {
                covered: Position::START,
                sections: Vec::new(),
            },
            |sound| Before {
                covered: sound.head.covered,
                sections: sound.shards,
            },
        ))
    }

    fn bytes(&self, shard: u16) -> u64 {
        let known = self.sections.iter().find(|(mark, _)| mark.shard == shard);
        known.map_or(0, |(_, bytes)| *bytes)
    }
}

/// Replays the closed segments for some shards at a time.
struct Groups<'a, 'b, F> {
    files: &'a RefCell<&'b mut F>,
    job: &'a CheckpointJob,
    before: Before,
    shard_config: &'a dyn Fn(u16) -> ShardConfig,
}

impl<F: Files> Groups<'_, '_, F> {
    /// The next group of shards, and the rest.
    fn split<'s>(&self, left: &'s [u16]) -> (&'s [u16], &'s [u16]) {
        let mut sum = 0;
        let fits = left.iter().take_while(|&&shard| {
            sum += self.before.bytes(shard);
            sum <= GROUP_BYTES
        });
        let group = fits.count().max(1).min(left.len());
        left.split_at(group)
    }

    /// The shards of a group as they are at the end of the closed segments, and where that is.
    fn replay(&mut self, group: &[u16]) -> Result<(Vec<(ShardMark, Shard)>, Position), OpenError> {
        let mut shards: Vec<Shard> = group
            .iter()
            .map(|&shard| Shard::new((self.shard_config)(shard)))
            .collect();
        let restored = |mark: ShardMark, digest, snapshot: &[u8]| {
            if let Ok(at) = group.binary_search(&mark.shard) {
                shards[at] = restore((self.shard_config)(mark.shard), mark, digest, snapshot)?;
            }
            Ok(())
        };
        newest(
            &mut **self.files.borrow_mut(),
            self.job.log,
            &mut Vec::new(),
            restored,
        )?;
        let mut chains = Chains::strict(self.before.sections.iter().map(|(mark, _)| *mark));
        let mut files = self.files.borrow_mut();
        let shared = RefCell::new(&mut **files);
        let mut source = LogFiles::closed(&shared, self.job.log, self.job.upto);
        let mut apply = |record: Record<'_>| match group.binary_search(&record.shard) {
            Ok(at) => apply(&mut shards[at], &record),
            Err(_) => Ok(()),
        };
        let (log, from, planted) = (self.job.log, self.before.covered, self.job.planted);
        let walked = walk_from(&mut source, log, from, &mut chains, planted, &mut apply)
            .map_err(OpenError::from_walk)?;
        let marks = group.iter().map(|&shard| chains.mark(shard));
        Ok((marks.zip(shards).collect(), walked.end))
    }
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
