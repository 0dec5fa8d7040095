//! A start: read the log, say what to repair, and where to go on.
//!
//! The order of a start: recover every log of every layout with one [`Chains`], oldest layout first; write and sync the
//! manifest with the next start number and the largest `next_segment`; do the actions of every log; then append, answer,
//! feed and checkpoint.

use crate::appender::AppenderConfig;
use crate::chains::Chains;
use crate::fault::{Fault, WalkError};
use crate::limits::BLOCK;
use crate::planted::Planted;
use crate::position::{LogId, Position, SegmentNumber, StartNumber};
use crate::source::SegmentSource;
use crate::walk::{Record, Walked, walk_from};

/// How to recover.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecoveryOptions {
    /// A number that the next segment must reach at least: the manifest's, for a log whose segments were all freed.
    pub next_segment_min: SegmentNumber,
    /// Up to here a checkpoint holds the log ([`crate::CheckpointHead::covered`]): it is not read. Position 0: read everything.
    pub covered: Position,
    /// The planted fault, if any.
    pub planted: Planted,
}

/// What the host does before the log is used: in this order, each done when it returns. Doing them again after a crash
/// in between is harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveryAction {
    /// Cut the segment's file at `from`: what lies past a file's end counts as zeros, and costs no room. Nothing durable
    /// lies there: what a cut-short write left, what the file held before it was recycled, or blocks that no start
    /// will use, since each begins a segment of its own.
    Cut {
        /// The segment.
        segment: SegmentNumber,
        /// A multiple of the block size.
        from: u32,
    },
    /// Sync the segment's file: what was read may only have been in the page cache.
    Sync {
        /// The segment.
        segment: SegmentNumber,
    },
    /// Take the file out of the log: rename it for recycling, or delete it; sync the directory.
    Free {
        /// The segment.
        segment: SegmentNumber,
    },
}

/// A recovered log.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// What was read.
    pub walked: Walked,
    /// What to do, in order, before anything of this log is answered, fed, checkpointed or appended to.
    pub actions: Vec<RecoveryAction>,
    /// The number of the next segment. Write the manifest with (at least) this number, the largest of all logs, before
    /// the actions: they free segments, and a number that only a freed segment had must not come again. (It may where a
    /// recycled file gets its new header before its new name: the start number in it then tells old batches apart.)
    pub next_segment: SegmentNumber,
}

impl Recovered {
    /// How to append to this log in the start `start`, once the actions are done.
    pub fn appender_config(&self, log: LogId, start: StartNumber) -> AppenderConfig {
        AppenderConfig {
            next_segment: self.next_segment,
            durable_upto: self.walked.end,
            ..AppenderConfig::new(log, start)
        }
    }

    /// The log's end.
    pub fn end(&self) -> Position {
        self.walked.end
    }
}

/// Reads a log for a start, from where a checkpoint's cover ends. Every record that is read goes to `visit`. After a bad
/// record it searches on: anything valid behind it that says it was durable stops the start, else the rest is to be cut off.
pub fn recover<S: SegmentSource, V>(
    source: &mut S,
    log: LogId,
    chains: &mut Chains,
    options: RecoveryOptions,
    visit: impl FnMut(Record<'_>) -> Result<(), V>,
) -> Result<Recovered, WalkError<S::Error, V>> {
    let walked = walk_from(source, log, options.covered, chains, options.planted, visit)?;
    // A checkpoint is made of closed segments, and one is closed by a durable batch in the next.
    if options.covered != Position::START && walked.segments.is_empty() {
        let at = options.covered;
        return Err(WalkError::Fault(Fault::EndsAtCheckpoint { log, at }));
    }
    let mut actions = Vec::new();
    for segment in &walked.segments {
        let end = segment.end.next_multiple_of(BLOCK as u32);
        if segment.number == walked.end.segment && segment.file_bytes > u64::from(end) {
            actions.push(RecoveryAction::Cut {
                segment: segment.number,
                from: end,
            });
        }
        actions.push(RecoveryAction::Sync {
            segment: segment.number,
        });
    }
    actions.extend(
        walked
            .unused
            .iter()
            .map(|&segment| RecoveryAction::Free { segment }),
    );
    let next_segment = walked.largest.next().max(options.next_segment_min);
    Ok(Recovered {
        walked,
        actions,
        next_segment,
    })
}
