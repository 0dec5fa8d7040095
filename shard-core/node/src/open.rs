//! A start: what is on disk becomes nodes that can serve.
//!
//! Manifest, then the newest checkpoint of each shard, then every log's records after it, oldest layout first. What was
//! read is repaired and synced before anything else happens. When the number of threads differs from the last start's,
//! all shards are checkpointed under new logs and the manifest is switched; the old logs stay until they are applied.
//! Doing all of it again after a crash in between is harmless.

use std::cell::RefCell;
use std::sync::Arc;

use tidegate_log::{
    Appender, AppenderConfig, Chains, LogId, Manifest, Recovered, RecoveryAction, RecoveryOptions, Retention,
    SegmentNumber, ShardMark, StartNumber, recover,
};
use tidegate_shard_core::{Millis, Op, Shard, ShardConfig, ShardId};

use crate::checkpoint;
use crate::files::Files;
use crate::node::{Node, NodeConfig};
use crate::segments::{self, LogFiles};

mod error;
mod manifest;
mod old_logs;

pub use error::OpenError;
pub use old_logs::OldLogs;

use manifest::{current_logs, next_manifest, read_manifest};

/// The name of the manifest's file.
pub const MANIFEST: &str = "MANIFEST";

/// The name of the hash from SKU to shard ([`tidegate_shard_core::shard_of`]).
pub const HASH: &str = "siphash13-group";

/// How to start.
#[derive(Clone, Debug)]
pub struct OpenConfig {
    /// Number of shards of a new data directory. An existing one keeps its own, see [`Opened::manifest`].
    pub shards: u16,
    /// Number of shard threads, 1 to the number of shards.
    pub threads: usize,
    /// The store that the data directory feeds; a directory of another store is refused.
    pub store: String,
    /// Random bits, for the ids of new logs.
    pub entropy: u64,
    /// The configuration of a shard; id and count are filled in.
    pub shard: ShardConfig,
    /// The configuration of a node; thread, log, term and map of shards are filled in.
    pub node: NodeConfig,
    /// Bytes of a new segment.
    pub segment_bytes: u32,
    /// Bytes of a batch past which a node should decide no more.
    pub batch_bytes_max: usize,
    /// The fault planted in the log, if any.
    pub log_planted: tidegate_log::Planted,
}

impl OpenConfig {
    /// The defaults.
    pub fn new(shards: u16, threads: usize) -> OpenConfig {
        OpenConfig {
            shards,
            threads,
            store: "none".to_owned(),
            entropy: 0,
            shard: ShardConfig::new(ShardId(0), shards),
            node: NodeConfig::new(LogId(0), shards),
            segment_bytes: tidegate_log::limits::SEGMENT_BYTES_DEFAULT,
            batch_bytes_max: tidegate_log::limits::BATCH_BYTES_DEFAULT,
            log_planted: tidegate_log::Planted::None,
        }
    }

    /// The configuration of one shard of a data directory with `shards` shards.
    pub fn shard_config(&self, shard: u16, shards: u16) -> ShardConfig {
        ShardConfig {
            id: ShardId(shard),
            shards,
            ..self.shard.clone()
        }
    }
}

/// How far a start has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recovering {
    /// Log records read.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A data directory that is ready to serve.
pub struct Opened {
    /// A node per thread, in the order of threads. Call [`Node::start`] on each, with one shard clock's time.
    pub nodes: Vec<Node>,
    /// The manifest as it is on disk.
    pub manifest: Manifest,
    /// The latest time of any entry: where shard time goes on from; 0 for a new directory.
    pub last_time: Millis,
    /// What was read.
    pub recovered: Recovering,
    /// The logs of earlier layouts, kept until the store has applied them.
    pub old_logs: OldLogs,
}

/// Recovers the data directory below `files`, or makes a new one. When this returns, everything that was read is on the
/// device, and every shard of every thread is recovered. `progress` is told now and then how far it is.
pub fn open<F: Files>(
    files: &mut F,
    config: &OpenConfig,
    progress: &mut dyn FnMut(Recovering),
) -> Result<Opened, OpenError> {
    let found = read_manifest(files, config)?;
    segments::create_dirs(files, found.layouts.iter().flat_map(|l| &l.logs).map(|l| l.log))?;
    let mut state = State::load(files, config, &found)?;
    for (layout, newest) in found.layouts.iter().zip((0..found.layouts.len()).rev()) {
        for log in &layout.logs {
            state.recover_log(files, config, &found, log.log, newest == 0, progress)?;
        }
    }
    state.check(&found)?;
    let manifest = next_manifest(files, config, &found, &state)?;
    files.replace("", MANIFEST, &manifest.encode())?;
    checkpoint::remove_others(files, &current_logs(&manifest))?;
    old_logs::remove_unknown(files, &manifest)?;
    let old_logs = OldLogs::new(&manifest, &state.logs);
    let (last_time, recovered) = (state.last_time, state.recovered);
    let nodes = state.into_nodes(config, &manifest);
    Ok(Opened {
        nodes,
        manifest,
        last_time,
        recovered,
        old_logs,
    })
}

/// What has been recovered so far.
struct State {
    /// All shards of the data directory, and what their newest checkpoint holds.
    shards: Vec<(Shard, Op)>,
    chains: Chains,
    /// Each log with what recovery found in it, oldest layout first.
    logs: Vec<(LogId, Recovered)>,
    last_time: Millis,
    recovered: Recovering,
}

impl State {
    fn load<F: Files>(files: &mut F, config: &OpenConfig, manifest: &Manifest) -> Result<State, OpenError> {
        let count = manifest.shards;
        let fresh = |shard| (Shard::new(config.shard_config(shard, count)), Op(0));
        let mut shards: Vec<(Shard, Op)> = (0..count).map(fresh).collect();
        let mut marks: Vec<ShardMark> = Vec::new();
        for log in current_logs(manifest) {
            checkpoint::sync(files, log)?;
            checkpoint::read(files, log, |mark, digest, snapshot| {
                let config = config.shard_config(mark.shard, count);
                let slot = shards.get_mut(usize::from(mark.shard));
                let slot = slot.ok_or(OpenError::Snapshot { shard: mark.shard })?;
                *slot = (checkpoint::restore(config, mark, digest, snapshot)?, Op(mark.op));
                marks.push(mark);
                Ok(())
            })?;
        }
        let last_time = shards
            .iter()
            .map(|(shard, _)| shard.time())
            .max()
            .unwrap_or_default();
        let chains = Chains::strict(marks);
        Ok(State {
            shards,
            chains,
            logs: Vec::new(),
            last_time,
            recovered: Recovering::default(),
        })
    }

    /// Reads a log, then repairs and syncs what was read.
    fn recover_log<F: Files>(
        &mut self,
        files: &mut F,
        config: &OpenConfig,
        manifest: &Manifest,
        log: LogId,
        newest: bool,
        progress: &mut dyn FnMut(Recovering),
    ) -> Result<(), OpenError> {
        let shared = RefCell::new(&mut *files);
        let mut source = LogFiles::new(&shared, log);
        let next_segment_min = if newest {
            manifest.next_segment
        } else {
            SegmentNumber::NONE
        };
        let options = RecoveryOptions {
            next_segment_min,
            planted: config.log_planted,
        };
        let (shards, seen) = (&mut self.shards, &mut self.recovered);
        let recovered = recover(&mut source, log, &mut self.chains, options, |record| {
            seen.records += 1;
            seen.bytes += record.payload.len() as u64;
            if seen.records % 65_536 == 0 {
                progress(*seen);
            }
            match shards.get_mut(usize::from(record.shard)) {
                Some((shard, _)) => checkpoint::apply(shard, &record),
                None => Err(OpenError::UnknownShard { shard: record.shard }),
            }
        })
        .map_err(OpenError::from_walk)?;
        for action in &recovered.actions {
            match *action {
                RecoveryAction::Zero { segment, from } => segments::zero_tail(files, log, segment, from)?,
                RecoveryAction::Sync { segment } => files.sync(&segments::path(log, segment))?,
                RecoveryAction::Free { segment } => segments::free(files, log, segment)?,
            }
        }
        files.sync_dir(&segments::log_dir(log))?;
        self.last_time = self.last_time.max(Millis(recovered.walked.last_time));
        self.logs.push((log, recovered));
        Ok(())
    }

    /// What can only be seen when everything was read.
    fn check(&self, manifest: &Manifest) -> Result<(), OpenError> {
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

    fn into_nodes(self, config: &OpenConfig, manifest: &Manifest) -> Vec<Node> {
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
            let known = self
                .logs
                .iter()
                .find(|(known, _)| *known == log)
                .map(|(_, recovered)| recovered);
            let appender = appender_config(config, manifest.start, log, known);
            let found = known.map_or(&[][..], |recovered| &recovered.walked.segments);
            let node = NodeConfig {
                threads_of: threads_of.clone(),
                thread: thread as u16,
                log,
                term: manifest.start.0,
                log_planted: config.log_planted,
                ..config.node.clone()
            };
            let retention = Retention::new(found, config.log_planted);
            nodes.push(Node::new(
                node,
                shards,
                Appender::new(appender, &self.chains),
                retention,
            ));
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
