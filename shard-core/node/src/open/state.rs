//! What a start has recovered so far.

use std::cell::RefCell;
use std::sync::Arc;

use tidegate_log::{
    Appender, AppenderConfig, Chains, Fault, LogId, LogShards, Manifest, Position, Recovered, RecoveryAction,
    RecoveryOptions, Retention, SegmentFile, SegmentNumber, SegmentSource, ShardMark, StartNumber, recover,
};
use tidegate_shard_core::{Millis, Op, Shard};

use super::marks::Marks;
use super::{OpenConfig, OpenError, Recovering, current_logs};
use crate::checkpoint::{self, Unusable};
use crate::files::Files;
use crate::node::{Node, NodeConfig};
use crate::segments::{self, LogFiles};

pub(super) struct State {
    /// All shards of the data directory, and what their newest checkpoint holds.
    pub(super) shards: Vec<(Shard, Op)>,
    pub(super) chains: Chains,
    /// The checkpoint of each current log that has a sound one.
    checkpoints: Vec<Checkpoint>,
    /// What the store says to have.
    pub(super) marks: Marks,
    /// A mark lies below a checkpoint, so the whole log is read.
    read_all: bool,
    /// Checkpoints that were passed over.
    pub(super) unusable: Vec<Unusable>,
    /// Each log and what is known of it, oldest layout first.
    pub(super) logs: Vec<Found>,
    pub(super) last_time: Millis,
    pub(super) recovered: Recovering,
}

struct Checkpoint {
    log: LogId,
    covered: Position,
    marks: Vec<ShardMark>,
}

/// A log as the start found it.
pub(super) struct Found {
    pub(super) log: LogId,
    /// None: checkpoints hold all of it, and it was not read.
    pub(super) recovered: Option<Recovered>,
    /// Segments that were not read.
    pub(super) skipped: Vec<SegmentFile>,
    /// Nothing in those is beyond.
    pub(super) marks: Vec<ShardMark>,
}

impl State {
    pub(super) fn load<F: Files>(
        files: &mut F,
        config: &OpenConfig,
        manifest: &Manifest,
    ) -> Result<State, OpenError> {
        let count = manifest.shards;
        let fresh = |shard| (Shard::new(config.shard_config(shard, count)), Op(0));
        let mut shards: Vec<(Shard, Op)> = (0..count).map(fresh).collect();
        let (mut checkpoints, mut unusable) = (Vec::new(), Vec::new());
        for log in current_logs(manifest) {
            checkpoint::sync(files, log)?;
            let restored = |mark: ShardMark, digest, snapshot: &[u8]| {
                if mark.shard >= count {
                    return Err(OpenError::Snapshot { shard: mark.shard });
                }
                let config = config.shard_config(mark.shard, count);
                Ok((mark, checkpoint::restore(config, mark, digest, snapshot)?))
            };
            let Some(sound) = checkpoint::newest(files, log, &mut unusable, restored)? else {
                continue;
            };
            let marks = sound.shards.iter().map(|(mark, _)| *mark).collect();
            let covered = sound.head.covered;
            checkpoints.push(Checkpoint { log, covered, marks });
            for (mark, shard) in sound.shards {
                shards[usize::from(mark.shard)] = (shard, Op(mark.op));
            }
        }
        let mut marks = Marks::new(&config.marks);
        let mut read_all = false;
        for at in checkpoints.iter().flat_map(|c: &Checkpoint| &c.marks) {
            marks.checkpointed(*at, &shards[usize::from(at.shard)].0)?;
            read_all |= marks.need_the_log_below(*at);
        }
        let last_time = shards
            .iter()
            .map(|(shard, _)| shard.time())
            .max()
            .unwrap_or_default();
        let chains = Chains::strict(checkpoints.iter().flat_map(|c| &c.marks).copied());
        Ok(State {
            shards,
            chains,
            checkpoints,
            marks,
            read_all,
            unusable,
            logs: Vec::new(),
            last_time,
            recovered: Recovering::default(),
        })
    }

    /// Whether each current log has a sound checkpoint. It was made over everything in the logs of earlier layouts, which
    /// need not be read then, unless for a mark.
    pub(super) fn is_checkpointed(&self, manifest: &Manifest) -> bool {
        let has = |log: &LogId| self.checkpoints.iter().any(|known| known.log == *log);
        !self.read_all && current_logs(manifest).iter().all(has)
    }

    /// Takes note of a log that need not be read.
    pub(super) fn skip_log<F: Files>(&mut self, files: &mut F, log: &LogShards) -> Result<(), OpenError> {
        let shared = RefCell::new(&mut *files);
        let skipped = LogFiles::new(&shared, log.log).segments()?;
        let marks = log.shards.iter().map(|&shard| self.chains.mark(shard));
        self.recovered.skipped_segments += skipped.len() as u64;
        self.logs.push(Found {
            log: log.log,
            recovered: None,
            skipped,
            marks: marks.collect(),
        });
        Ok(())
    }

    /// Reads a log from its checkpoint on, then repairs and syncs what was read.
    pub(super) fn recover_log<F: Files>(
        &mut self,
        files: &mut F,
        config: &OpenConfig,
        manifest: &Manifest,
        log: LogId,
        newest: bool,
        progress: &mut dyn FnMut(Recovering),
    ) -> Result<(), OpenError> {
        let next_segment_min = if newest {
            manifest.next_segment
        } else {
            SegmentNumber::NONE
        };
        let known = self.checkpoints.iter().find(|known| known.log == log);
        let (covered, marks) = known.map_or((Position::START, Vec::new()), |known| {
            (known.covered, known.marks.clone())
        });
        let covered = if self.read_all { Position::START } else { covered };
        let options = RecoveryOptions {
            next_segment_min,
            covered,
            planted: config.log_planted,
        };
        let mut recovered = self.read_log(files, log, options, progress)?;
        for action in &recovered.actions {
            match *action {
                RecoveryAction::Cut { segment, from } => {
                    files.cut(&segments::path(log, segment), u64::from(from))?;
                }
                RecoveryAction::Sync { segment } => files.sync(&segments::path(log, segment))?,
                RecoveryAction::Free { segment } => segments::free(files, log, segment)?,
            }
        }
        files.sync_dir(&segments::log_dir(log))?;
        self.last_time = self.last_time.max(Millis(recovered.walked.last_time));
        let skipped = std::mem::take(&mut recovered.walked.skipped);
        self.recovered.skipped_segments += skipped.len() as u64;
        self.logs.push(Found {
            log,
            recovered: Some(recovered),
            skipped,
            marks,
        });
        Ok(())
    }

    fn read_log<F: Files>(
        &mut self,
        files: &mut F,
        log: LogId,
        options: RecoveryOptions,
        progress: &mut dyn FnMut(Recovering),
    ) -> Result<Recovered, OpenError> {
        let shared = RefCell::new(&mut *files);
        let mut source = LogFiles::new(&shared, log);
        let (shards, seen, marks) = (&mut self.shards, &mut self.recovered, &mut self.marks);
        let read = recover(&mut source, log, &mut self.chains, options, |record| {
            seen.records += 1;
            seen.bytes += record.payload.len() as u64;
            if seen.records % 65_536 == 0 {
                progress(*seen);
            }
            marks.record(&record)?;
            match shards.get_mut(usize::from(record.shard)) {
                Some((shard, _)) => checkpoint::apply(shard, &record),
                None => Err(OpenError::UnknownShard { shard: record.shard }),
            }
        });
        read.map_err(|error| match OpenError::from_walk(error) {
            // What the log lacks at its beginning was in a checkpoint that cannot be read any more.
            OpenError::Log(Fault::OpGap { .. }) if !self.unusable.is_empty() => self.unusable.remove(0).error,
            error => error,
        })
    }

    /// What can only be seen when everything was read.
    pub(super) fn check(&self, manifest: &Manifest) -> Result<(), OpenError> {
        // With one layout all records of a shard are in one log, freed oldest first, so a log that ends below its
        // checkpoint has lost its end. With several an old log may outlive a newer log's first segments.
        if manifest.layouts.len() == 1
            && let Some(behind) = self.chains.behind().next()
        {
            return Err(OpenError::BehindCheckpoint {
                shard: behind.shard,
                op: behind.op,
            });
        }
        for (shard, _) in &self.shards {
            let mark = self.chains.mark(shard.id().0);
            assert_eq!(
                mark.op,
                shard.op().0,
                "every record that was followed was applied"
            );
        }
        Ok(())
    }

    /// Marks and shards of one log's threads, for a checkpoint.
    pub(super) fn shards_of(&self, log: &LogShards) -> Vec<(ShardMark, &Shard)> {
        let shard = |&shard: &u16| (self.chains.mark(shard), &self.shards[usize::from(shard)].0);
        log.shards.iter().map(shard).collect()
    }

    /// What was passed over must not become the checkpoint before the next. Where earlier layouts hold a log's past, a
    /// log without a sound checkpoint gets one: the next is made over it and this log alone.
    pub(super) fn replace_unusable<F: Files>(
        &self,
        files: &mut F,
        found: &Manifest,
        manifest: &Manifest,
    ) -> Result<(), OpenError> {
        for unusable in &self.unusable {
            files.remove(&unusable.path)?;
        }
        // The logs of a new layout have just got theirs.
        if manifest.layouts.len() == 1 || manifest.layouts.len() > found.layouts.len() {
            return Ok(());
        }
        for log in &manifest.current().logs {
            if !self.checkpoints.iter().any(|known| known.log == log.log) {
                let shards = self.shards_of(log);
                checkpoint::write(files, log.log, manifest.start.0, manifest.shards, &shards)?;
            }
        }
        Ok(())
    }

    pub(super) fn into_nodes(self, config: &OpenConfig, manifest: &Manifest) -> Vec<Node> {
        let layout = manifest.current();
        let of_shard = |shard| layout.thread_of(shard).expect("a layout has every shard") as u16;
        let threads_of: Arc<[u16]> = (0..manifest.shards).map(of_shard).collect();
        let mut of_thread: Vec<Vec<(Shard, Op)>> = layout.logs.iter().map(|_| Vec::new()).collect();
        for (shard, held) in self.shards {
            of_thread[usize::from(threads_of[usize::from(shard.id().0)])].push((shard, held));
        }
        let mut nodes = Vec::new();
        for (thread, shards) in of_thread.into_iter().enumerate() {
            let log = layout.logs[thread].log;
            let found = self.logs.iter().find(|found| found.log == log);
            let known = found.and_then(|found| found.recovered.as_ref());
            let appender = appender_config(config, manifest.start, log, known);
            let node = NodeConfig {
                threads_of: threads_of.clone(),
                thread: thread as u16,
                log,
                term: manifest.start.0,
                log_planted: config.log_planted,
                ..config.node.clone()
            };
            let read = known.map_or(&[][..], |recovered| &recovered.walked.segments);
            let mut retention = Retention::new(read, config.log_planted);
            if let Some(found) = found {
                retention = retention.with_skipped(&found.skipped, &found.marks);
            }
            let appender = Appender::new(appender, &self.chains);
            let checkpoint = self.checkpoints.iter().find(|known| known.log == log);
            let mut node = Node::new(node, shards, appender, retention);
            node.recovered_from(checkpoint.map_or(SegmentNumber::NONE, |known| known.covered.segment));
            nodes.push(node);
        }
        nodes
    }
}

fn appender_config(
    config: &OpenConfig,
    start: StartNumber,
    log: LogId,
    known: Option<&Recovered>,
) -> AppenderConfig {
    let base = match known {
        Some(recovered) => recovered.appender_config(log, start),
        None => AppenderConfig::new(log, start),
    };
    AppenderConfig {
        segment_bytes: config.segment_bytes,
        batch_bytes_max: config.batch_bytes_max,
        planted: config.log_planted,
        ..base
    }
}
