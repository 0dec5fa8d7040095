//! What a host is told at its start.

use std::path::PathBuf;
use std::sync::Arc;

use tidegate_log::ShardMark;
use tidegate_node::Durability;
use tidegate_shard_core::Limits;

use crate::host::Failure;
use crate::limits;

/// Which disk writer moves the log's blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WriterChoice {
    /// The one that `host/examples/writers.rs` measured as cheapest where it can run.
    #[default]
    Auto,
    /// glommio's DMA file: needs io_uring and 512 KiB of lockable memory a thread.
    Glommio,
    /// A plain `pwritev2` with O_DIRECT and RWF_DSYNC, on the shard thread itself. Runs everywhere.
    Direct,
}

/// Told once, from any thread, when the log cannot go on.
pub type OnFailure = Arc<dyn Fn(&Failure) + Send + Sync>;

/// Settings of a host. [`HostConfig::new`] gives the defaults.
#[derive(Clone)]
pub struct HostConfig {
    /// The data directory; made if it does not exist.
    pub data_dir: PathBuf,
    /// Shards of a new data directory (1 to 1024). An existing one keeps its number; 0 takes that, or 64.
    pub shards: u16,
    /// Shard threads, at most one a shard. May change between starts.
    pub threads: usize,
    /// The core of each shard thread, or none: they run wherever the scheduler puts them.
    pub cores: Option<Vec<usize>>,
    /// The longest commit window, in microseconds: how long a batch may wait to grow. 0: sync at once.
    pub window_us_max: u32,
    /// How long an idle shard thread spins before it sleeps, in microseconds. 0: never.
    pub spin_us: u32,
    /// The disk writer.
    pub writer: WriterChoice,
    /// Bytes of a log segment of a new log.
    pub segment_bytes: u32,
    /// What an answer waits for. [`Durability::Replicated`] needs a follower that publishes: it calls [`HostFeed::published`](crate::HostFeed::published).
    pub durability: Durability,
    /// Bytes of log that may be owed to the store, over all threads; beyond it new orders are refused.
    pub backlog_bytes_max: u64,
    /// Bytes of closed segments that are read again a second, to find damage early. 0: none.
    pub scrub_bytes_per_s: u64,
    /// Bytes of closed segments of one thread that make a checkpoint due.
    pub checkpoint_bytes: u64,
    /// A request that waited longer than this from its first byte to its turn is answered `Shed`, in ms.
    pub shed_after_ms: u32,
    /// How often a stock row is sent to the net threads at most, in milliseconds.
    pub stock_every_ms: u64,
    /// Slots of each request ring, and the most requests one net thread may have under way at one shard
    /// thread. Rounded up to a power of two.
    pub credits: usize,
    /// How many of the ports that are given out, the last ones, are for control threads: they get no stock rows, and a batch is not held
    /// open for what they might still send.
    pub control_ports: usize,
    /// Bounds of each shard.
    pub limits: Limits,
    /// A name for the store this data directory feeds; kept in the manifest, and another one is refused.
    pub store: String,
    /// What that store says to have of each shard: the start reaches every mark, with equal hashes, or is refused.
    pub marks: Vec<ShardMark>,
    /// Lets a start go on although the wall clock is more than 24 h ahead of the log.
    pub allow_clock_jump: bool,
    /// Told when a write or sync fails. The line on stderr is printed anyway.
    pub on_failure: Option<OnFailure>,
}

impl HostConfig {
    /// Defaults for a data directory.
    pub fn new(data_dir: impl Into<PathBuf>) -> HostConfig {
        HostConfig {
            data_dir: data_dir.into(),
            shards: 0,
            threads: 1,
            cores: None,
            window_us_max: 600,
            spin_us: 0,
            writer: WriterChoice::Auto,
            segment_bytes: tidegate_log::limits::SEGMENT_BYTES_DEFAULT,
            durability: Durability::Local,
            backlog_bytes_max: tidegate_node::limits::BACKLOG_BYTES_MAX,
            scrub_bytes_per_s: limits::SCRUB_BYTES_PER_S,
            checkpoint_bytes: limits::CHECKPOINT_BYTES,
            shed_after_ms: 50,
            stock_every_ms: tidegate_node::limits::STOCK_EVERY_MS,
            credits: 2048,
            control_ports: 0,
            limits: Limits::default(),
            store: "none".to_owned(),
            marks: Vec::new(),
            allow_clock_jump: false,
            on_failure: None,
        }
    }
}

impl std::fmt::Debug for HostConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostConfig")
            .field("data_dir", &self.data_dir)
            .field("shards", &self.shards)
            .field("threads", &self.threads)
            .field("cores", &self.cores)
            .field("window_us_max", &self.window_us_max)
            .field("spin_us", &self.spin_us)
            .field("writer", &self.writer)
            .field("segment_bytes", &self.segment_bytes)
            .field("durability", &self.durability)
            .field("backlog_bytes_max", &self.backlog_bytes_max)
            .field("scrub_bytes_per_s", &self.scrub_bytes_per_s)
            .field("checkpoint_bytes", &self.checkpoint_bytes)
            .field("shed_after_ms", &self.shed_after_ms)
            .field("stock_every_ms", &self.stock_every_ms)
            .field("credits", &self.credits)
            .field("control_ports", &self.control_ports)
            .field("store", &self.store)
            .field("marks", &self.marks)
            .field("allow_clock_jump", &self.allow_clock_jump)
            .finish_non_exhaustive()
    }
}
