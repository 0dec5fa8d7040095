//! A start: what is on disk becomes nodes that can serve.
//!
//! Manifest, then the newest sound checkpoint of each shard, then the log after it. What a checkpoint holds is not read
//! again: neither the segments it covers nor, when every log has one, the logs of earlier layouts. A checkpoint that is
//! damaged is passed over for the one before it, and that for the whole log. What was read is repaired and synced
//! before anything else happens. When the number of threads differs from the last start's,
//! all shards are checkpointed under new logs and the manifest is switched; the old logs stay until they are applied.
//! Doing all of it again after a crash in between is harmless.

use tidegate_log::{LogId, Manifest, ShardMark};
use tidegate_shard_core::{Millis, ShardConfig, ShardId};

use crate::checkpoint;
use crate::files::Files;
use crate::node::{Node, NodeConfig};
use crate::segments;

mod error;
mod manifest;
mod marks;
mod old_logs;
mod state;

pub use error::OpenError;
pub use old_logs::OldLogs;

use manifest::{current_logs, next_manifest, read_manifest};
use state::State;

/// The name of the manifest's file.
pub const MANIFEST: &str = "MANIFEST";

/// The name of the hash from SKU to shard ([`tidegate_shard_core::shard_of`]).
pub const HASH: &str = "siphash13-group";

/// The store of a data directory that feeds none; its log keeps everything.
pub const NO_STORE: &str = "none";

/// How to start.
#[derive(Clone, Debug)]
pub struct OpenConfig {
    /// Number of shards of a new data directory. An existing one keeps its own, see [`Opened::manifest`].
    pub shards: u16,
    /// Number of shard threads, 1 to the number of shards.
    pub threads: usize,
    /// The store that the data directory feeds; a directory of another store is refused.
    pub store: String,
    /// What the store says to have of each shard, by any number of marks: the start reaches every one, with equal hashes,
    /// or is refused.
    pub marks: Vec<ShardMark>,
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
            store: NO_STORE.to_owned(),
            marks: Vec::new(),
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
    /// Segments that were not read, since checkpoints hold them.
    pub skipped_segments: u64,
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
    /// Checkpoints that could not be used, each as a line for the operator: the start made do without them.
    pub warnings: Vec<String>,
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
    let checkpointed = state.is_checkpointed(&found);
    for (layout, newest) in found.layouts.iter().zip((0..found.layouts.len()).rev()) {
        for log in &layout.logs {
            if newest > 0 && checkpointed {
                state.skip_log(files, log)?;
            } else {
                state.recover_log(files, config, &found, log.log, newest == 0, progress)?;
            }
        }
    }
    state.check(&found)?;
    state.marks.reached(&state.shards)?;
    let manifest = next_manifest(files, config, &found, &state)?;
    files.replace("", MANIFEST, &manifest.encode())?;
    state.replace_unusable(files, &found, &manifest)?;
    checkpoint::remove_others(files, &current_logs(&manifest))?;
    old_logs::remove_unknown(files, &manifest)?;
    let old_logs = OldLogs::new(&manifest, &state.logs);
    let (last_time, recovered) = (state.last_time, state.recovered);
    let unusable = std::mem::take(&mut state.unusable);
    let warnings = unusable
        .iter()
        .map(|known| format!("{}: {}; the start did without it", known.path, known.error))
        .collect();
    let mut nodes = state.into_nodes(config, &manifest);
    let share = old_logs.bytes() / nodes.len() as u64;
    nodes.iter_mut().for_each(|node| node.set_old_bytes(share));
    Ok(Opened {
        nodes,
        manifest,
        last_time,
        recovered,
        old_logs,
        warnings,
    })
}
