//! Starts the shard threads. The only file of the gateway that does.

use std::sync::Arc;

use tidegate_host::{Durability, Host, HostConfig, NetPort, Progress, StartError, WriterChoice};

use tidegate_log::ShardMark;

use crate::config::checked::{self, Config, Placement, Writer};
use crate::limits::STOCK_EVERY_MS;

/// The name of no store, in a data directory whose log keeps everything.
pub const NO_STORE: &str = tidegate_host::NO_STORE;

/// Ports beside those of the net threads: one for what the start puts into the shards and for the backoffice, one for the admin address.
pub const CONTROL_PORTS: usize = 2;

/// Starts the host for `nets` net threads; [`CONTROL_PORTS`] more ports come after theirs. `store`: the name of the store that follows it,
/// and how far that has each shard.
///
/// # Errors
/// The data directory cannot be used; the text says why and what to do.
pub fn start(
    config: &Config,
    threads: usize,
    cores: Option<Vec<usize>>,
    nets: usize,
    store: Option<(&str, &[ShardMark])>,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Host, Vec<NetPort>), StartError> {
    let shards = &config.shards;
    let mut host = HostConfig::new(&config.server.data);
    if let Some((name, marks)) = store {
        host.store = name.to_owned();
        host.marks = marks.to_vec();
    }
    host.shards = shards.count;
    host.threads = threads;
    host.cores = cores;
    host.window_us_max = u32::try_from(shards.window.as_micros()).unwrap_or(u32::MAX);
    host.writer = match shards.writer {
        Writer::Auto => WriterChoice::Auto,
        Writer::Glommio => WriterChoice::Glommio,
        Writer::Direct => WriterChoice::Direct,
    };
    host.segment_bytes = u32::try_from(shards.segment_bytes).unwrap_or(u32::MAX - 4095);
    host.durability = match shards.durability {
        checked::Durability::Local => Durability::Local,
        checked::Durability::Replicated => Durability::Replicated,
    };
    host.backlog_bytes_max = shards.backlog_bytes;
    host.checkpoint_bytes = shards.checkpoint_bytes;
    host.scrub_bytes_per_s = shards.scrub_bytes_per_s;
    host.shed_after_ms = u32::try_from(config.overload.shed_after.as_millis()).unwrap_or(u32::MAX);
    host.stock_every_ms = STOCK_EVERY_MS;
    host.allow_clock_jump = shards.allow_clock_jump;
    host.control_ports = CONTROL_PORTS;
    host.credits = config.overload.inflight_per_thread;
    host.on_failure = Some(Arc::new(|failure| {
        tracing::error!(thread = failure.thread, "{}", failure.text)
    }));
    Host::start(host, nets + CONTROL_PORTS, progress)
}

/// How many net and shard threads run, and on which cores, on a machine with `cores` cores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Net threads.
    pub nets: usize,
    /// Shard threads.
    pub shards: usize,
    /// Core of each net thread; empty: not pinned.
    pub net_cores: Vec<usize>,
    /// Core of each shard thread; `None`: not pinned.
    pub shard_cores: Option<Vec<usize>>,
}

impl Layout {
    /// The layout that the configuration asks for, completed for a machine of `cores` cores: a net thread a core, and a shard
    /// thread for every four (an order costs a shard a tenth of what it costs the edge).
    pub fn of(config: &Config, cores: usize) -> Layout {
        let cores = cores.max(1);
        let shards = config.shards.threads.unwrap_or((cores / 4).max(1));
        let own = config.shards.placement == Placement::Own && cores > shards;
        let left = if own { cores - shards } else { cores };
        let nets = config.server.threads.unwrap_or(left.max(1));
        let shard_cores = (!config.shards.cores.is_empty()).then(|| config.shards.cores.clone());
        Layout {
            nets,
            shards,
            net_cores: config.server.cores.clone(),
            shard_cores,
        }
    }
}
