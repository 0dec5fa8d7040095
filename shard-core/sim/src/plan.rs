//! What a seed decides before a run begins.

use tidegate_follow::Bounds;
use tidegate_node::{Durability, NodeConfig, OpenConfig};
use tidegate_shard_core::{Limits, Millis, ShardConfig, ShardId};

use crate::bug::Bug;
use crate::rng::Rng;

/// Microseconds in a millisecond.
pub const MS: u64 = 1000;

/// How the machine is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The process is killed; what it wrote may still reach the disk.
    Kill,
    /// The power goes: what was not synced is lost, kept, torn or damaged.
    PowerLoss,
    /// A sync fails, which ends the process.
    SyncFailure,
    /// The machine is gone with its disk; only where answers wait for a bus.
    DiskLost,
}

/// How often a transaction of the store goes wrong, each in percent.
#[derive(Clone, Copy, Debug)]
pub struct StoreFaults {
    /// Nothing is written.
    pub rolled_back: u64,
    /// All is written, and the answer is lost.
    pub lost_answers: u64,
    /// The store's side dies in it.
    pub deaths: u64,
}

/// A bus that answers wait for.
#[derive(Clone, Debug)]
pub struct BusPlan {
    /// From one transaction to the next, from and to.
    pub transaction_us: (u64, u64),
    /// In percent: batches of which some transactions are aborted.
    pub aborted: u64,
    /// In percent: transactions that are committed, and whose answer is lost.
    pub lost_answers: u64,
    /// When it does not answer, and for how long.
    pub downs: Vec<(u64, u64)>,
    /// When the machine's disk is lost.
    pub losses: Vec<u64>,
    /// In percent: how often it is lost where some transactions of a batch are committed and others not.
    pub midway_losses: u64,
    /// Hashes that a feed may remember.
    pub hashes: usize,
    /// Answers that may wait for it.
    pub answers_max: usize,
    /// How long an order may gather holds, in ms: three transactions at least lie in it.
    pub gather_ms: u64,
}

impl BusPlan {
    fn new(rng: &mut Rng, until: u64) -> BusPlan {
        BusPlan {
            transaction_us: (MS, [3 * MS, 10 * MS, 40 * MS][rng.index(3)]),
            aborted: rng.below(20),
            lost_answers: rng.below(20),
            downs: (0..rng.below(3))
                .map(|_| (rng.below(until), rng.between(20, 500) * MS))
                .collect(),
            losses: (0..rng.between(1, 2))
                .map(|_| rng.between(100 * MS, until))
                .collect(),
            midway_losses: [0, 10, 30][rng.index(3)],
            hashes: [40, 400, 4000][rng.index(3)],
            answers_max: [3, 1000][rng.index(2)],
            gather_ms: [150, 400, 1000][rng.index(3)],
        }
    }
}

/// One run's size and faults.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Shards of the data directory.
    pub shards: u16,
    /// SKUs.
    pub skus: usize,
    /// Clients that work at the same time.
    pub clients: usize,
    /// When clients stop, in microseconds of simulated time.
    pub until: u64,
    /// When and how the machine stops.
    pub stops: Vec<(u64, Stop)>,
    /// When the wall's clock steps, and by how many seconds.
    pub steps: Vec<(u64, i64)>,
    /// When the disk is full, and for how long.
    pub full: Option<(u64, u64)>,
    /// Bytes of a segment.
    pub segment_bytes: u32,
    /// Bytes of a batch past which a node decides no more.
    pub batch_bytes_max: usize,
    /// Closed segments that make a checkpoint due.
    pub checkpoint_segments: u32,
    /// In percent: how many starts stop again before they serve.
    pub start_stops: u64,
    /// In percent: how often the newest checkpoint of a log is spoiled before a start.
    pub spoiled_checkpoints: u64,
    /// In a thousand: how often the machine stops in the middle of preparing or freeing a segment or of a checkpoint.
    pub midway_stops: u64,
    /// In percent: answers that are lost on their way to the client.
    pub lost_answers: u64,
    /// A write and its sync take this long in microseconds, from and to.
    pub write_us: (u64, u64),
    /// A message between threads takes this long, from and to.
    pub net_us: (u64, u64),
    /// In percent: messages between shards that are lost, repeated, or overtaken by later ones. Threads of one machine
    /// keep the order and lose messages only at a bound, so half of the runs have none; the protocol promises more.
    pub unruly_net: u64,
    /// How long an order may gather holds, in ms: some runs cut it close.
    pub gather_ms: u64,
    /// In percent, each 60 ms: the scheduler takes a thread off its core for up to a quarter of a second.
    pub stalls: u64,
    /// A client waits this long between two requests, from and to.
    pub think_us: (u64, u64),
    /// What goes wrong with the store's transactions.
    pub store: StoreFaults,
    /// When the store does not run, and for how long.
    pub lags: Vec<(u64, u64)>,
    /// How large a batch for the store may become.
    pub batch: Bounds,
    /// At the end, shards forget what ended, as after a day; the store alone has it then.
    pub ages: bool,
    /// How long a shard remembers what ended, in ms.
    pub key_window_ms: u64,
    /// In some runs answers wait for a bus, and the disk may be lost.
    pub bus: Option<BusPlan>,
    /// The planted fault.
    pub bug: Option<Bug>,
}

impl Plan {
    /// The plan of a seed.
    pub fn new(rng: &mut Rng, bug: Option<Bug>) -> Plan {
        let until = rng.between(1_500, 2_500) * MS;
        let stop = |rng: &mut Rng| match rng.below(10) {
            0..5 => Stop::PowerLoss,
            5..8 => Stop::Kill,
            _ => Stop::SyncFailure,
        };
        let stops = (0..rng.between(1, 4))
            .map(|_| (rng.between(50 * MS, until), stop(rng)))
            .collect();
        let steps = (0..rng.below(4)).map(|_| {
            let seconds = if rng.percent(50) {
                3600
            } else {
                rng.between(1, 3600)
            };
            (
                rng.below(until),
                if rng.percent(50) {
                    seconds as i64
                } else {
                    -(seconds as i64)
                },
            )
        });
        let steps = steps.collect();
        let slow_disk = rng.percent(25);
        let slow_net = rng.percent(25);
        // By chance of its own, so that the other runs are what they were before there was a bus.
        let mut of_bus = Rng::new(rng.clone().bits());
        let bus = of_bus.percent(25).then(|| BusPlan::new(&mut of_bus, until));
        Plan {
            shards: rng.between(5, 9) as u16,
            skus: rng.between(6, 14) as usize,
            clients: rng.between(4, 12) as usize,
            until,
            stops,
            steps,
            full: rng
                .percent(15)
                .then(|| (rng.below(until), rng.between(20, 400) * MS)),
            segment_bytes: tidegate_log::limits::SEGMENT_BYTES_MIN * [1, 2, 4][rng.index(3)],
            batch_bytes_max: [8 * 1024, 64 * 1024][rng.index(2)],
            checkpoint_segments: rng.between(1, 3) as u32,
            start_stops: 25,
            spoiled_checkpoints: if rng.percent(50) { 0 } else { 40 },
            midway_stops: if rng.percent(50) { 0 } else { 8 },
            lost_answers: rng.below(10),
            write_us: if slow_disk { (500, 20 * MS) } else { (80, 3 * MS) },
            net_us: if slow_net { (100, 60 * MS) } else { (5, 2 * MS) },
            unruly_net: if rng.percent(50) { 0 } else { rng.between(2, 25) },
            stalls: if rng.percent(50) { 0 } else { rng.between(5, 90) },
            gather_ms: [10, 30, 150][rng.index(3)],
            think_us: (0, rng.between(5, 40) * MS),
            store: match rng.percent(25) {
                true => StoreFaults {
                    rolled_back: 0,
                    lost_answers: 0,
                    deaths: 0,
                },
                false => StoreFaults {
                    rolled_back: rng.below(25),
                    lost_answers: rng.below(25),
                    deaths: rng.below(5),
                },
            },
            lags: (0..rng.below(3))
                .map(|_| (rng.below(until), rng.between(50, 900) * MS))
                .collect(),
            batch: match rng.percent(25) {
                true => Bounds::default(),
                false => Bounds {
                    records: rng.between(1, 64) as usize,
                    bytes: rng.between(64, 8 * 1024) as usize,
                },
            },
            ages: rng.percent(30),
            key_window_ms: Limits::default().key_window_ms,
            bus,
            bug,
        }
    }

    /// The fault that is planted in what follows the log.
    pub fn follow_planted(&self) -> tidegate_follow::Planted {
        self.bug.map(Bug::follow).unwrap_or_default()
    }

    /// How the nodes are opened; `threads` may change from start to start.
    pub fn open_config(&self, threads: usize, entropy: u64) -> OpenConfig {
        let limits = Limits {
            gather_ms: self.bus.as_ref().map_or(self.gather_ms, |bus| bus.gather_ms),
            closing_grace_ms: 300,
            counts_after_sale_ms: 100,
            payment_margin_ms: 20,
            again_ms: 20,
            key_window_ms: self.key_window_ms,
            ..Limits::default()
        };
        let shard = ShardConfig {
            limits,
            hash_seed: entropy,
            ..ShardConfig::new(ShardId(0), self.shards)
        };
        let node = NodeConfig {
            expiry_grace_ms: GRACE_MS,
            digest_every: 16,
            applied_every: 8,
            checkpoint_segments: self.checkpoint_segments,
            ..NodeConfig::new(tidegate_log::LogId(0), self.shards)
        };
        let node = match &self.bus {
            Some(bus) => NodeConfig {
                durability: Durability::Replicated,
                bus_answers_max: bus.answers_max,
                ..node
            },
            None => node,
        };
        let mut config = OpenConfig {
            entropy,
            shard,
            node,
            segment_bytes: self.segment_bytes,
            batch_bytes_max: self.batch_bytes_max,
            ..OpenConfig::new(self.shards, threads)
        };
        if let Some(bug) = self.bug {
            bug.plant(&mut config);
        }
        config
    }
}

/// Nothing expires for this long after a start.
pub const GRACE_MS: u64 = 200;

/// The wall's clock at the beginning: 2026-01-01T00:00:00Z.
pub const BEGINNING: Millis = Millis(1_767_225_600_000);
