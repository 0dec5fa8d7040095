//! Why a data directory cannot be served.

use std::fmt;
use std::io;

use tidegate_log::{CheckpointError, Fault, ManifestError, ShardMark, WalkError};
use tidegate_shard_core::ReplayError;

/// Why a start stops. The text names the file and, where there is one, the offset.
#[derive(Debug)]
pub enum OpenError {
    /// The disk said no.
    Io(io::Error),
    /// The log has a fault that no crash explains.
    Log(Fault),
    /// The manifest cannot be used.
    Manifest(ManifestError),
    /// There are logs, but no manifest.
    NoManifest,
    /// A checkpoint cannot be read.
    Checkpoint {
        /// The file.
        path: String,
        /// What is wrong with it.
        error: CheckpointError,
    },
    /// A shard's snapshot is sound, but not the shard that its section promises.
    Snapshot {
        /// The shard.
        shard: u16,
    },
    /// A record holds no entry that this program knows.
    Entry {
        /// File and offset.
        place: String,
    },
    /// Replay and log have parted.
    Digest {
        /// File and offset.
        place: String,
        /// The digests.
        error: ReplayError,
    },
    /// A record of a shard that the data directory does not have.
    UnknownShard {
        /// The shard.
        shard: u16,
    },
    /// A log ends below what its checkpoint holds: it has lost its end.
    BehindCheckpoint {
        /// The shard.
        shard: u16,
        /// Its last op in the log.
        op: u64,
    },
    /// The store has more of a shard than the log.
    MarkNotReached {
        /// What the store has.
        mark: ShardMark,
        /// The shard's last op in the log.
        op: u64,
    },
    /// The store has something else than the log.
    OtherHistory {
        /// What the store has.
        mark: ShardMark,
        /// The log's hash of that op.
        chain: u64,
    },
    /// The directory was made with another hash from SKU to shard.
    OtherHash {
        /// What the manifest says.
        found: String,
    },
    /// The directory feeds another store.
    OtherStore {
        /// What the manifest says.
        found: String,
        /// What was configured.
        wanted: String,
    },
    /// The number of threads changed too often while nothing was applied.
    TooManyLayouts {
        /// The number of threads of the last start.
        threads: usize,
    },
    /// More threads than shards, or none.
    Threads {
        /// What was configured.
        threads: usize,
        /// What the directory has.
        shards: u16,
    },
}

impl OpenError {
    pub(crate) fn from_walk(error: WalkError<io::Error, OpenError>) -> OpenError {
        match error {
            WalkError::Fault(fault) => OpenError::Log(fault),
            WalkError::Read { error, .. } => OpenError::Io(error),
            WalkError::Stopped(error) => error,
        }
    }

    /// The disk failed or is full, nothing is known to be damaged: the same start may succeed later.
    pub fn is_io(&self) -> bool {
        matches!(
            self,
            OpenError::Io(_)
                | OpenError::Checkpoint {
                    error: CheckpointError::Read(_),
                    ..
                }
        )
    }
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> OpenError {
        OpenError::Io(error)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Io(error) => write!(f, "{error}"),
            OpenError::Log(fault) => write!(f, "{fault}"),
            OpenError::Manifest(error) => write!(f, "{error}"),
            OpenError::NoManifest => write!(f, "there are logs, but the file MANIFEST is missing"),
            OpenError::Checkpoint { path, error } => write!(f, "file {path}: {error}"),
            OpenError::Snapshot { shard } => {
                write!(
                    f,
                    "the checkpoint of shard {shard} does not restore to what it promises"
                )
            }
            OpenError::Entry { place } => write!(f, "file {place}: a record that is no entry"),
            OpenError::Digest { place, error } => write!(f, "file {place}: {error}"),
            OpenError::UnknownShard { shard } => {
                write!(
                    f,
                    "the log has records of shard {shard}, which the manifest does not have"
                )
            }
            OpenError::BehindCheckpoint { shard, op } => {
                write!(
                    f,
                    "the log of shard {shard} ends at op {op}, below what its checkpoint holds"
                )
            }
            OpenError::MarkNotReached { mark, op } => write!(
                f,
                "shard {}: the store has op {}, and the log ends at op {op}: it is another log, or has lost its end",
                mark.shard, mark.op
            ),
            OpenError::OtherHistory { mark, chain } => write!(
                f,
                "shard {}, op {}: the store has another entry than the log (chain hash {:016x}, the log's is {chain:016x})",
                mark.shard, mark.op, mark.chain
            ),
            OpenError::OtherHash { found } => {
                write!(
                    f,
                    "the data directory spreads SKUs by {found}, which this program does not know"
                )
            }
            OpenError::OtherStore { found, wanted } => {
                write!(f, "the data directory feeds the store {found:?}, not {wanted:?}")
            }
            OpenError::TooManyLayouts { threads } => write!(
                f,
                "the number of shard threads changed {} times and the store has applied none of the logs since: \
                 start with {threads} threads, as the last time",
                tidegate_log::limits::LAYOUTS_MAX - 1
            ),
            OpenError::Threads { threads, shards } => {
                write!(
                    f,
                    "{threads} shard threads for {shards} shards: it must be 1 to {shards}"
                )
            }
        }
    }
}

impl std::error::Error for OpenError {}
