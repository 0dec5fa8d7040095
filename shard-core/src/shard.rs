//! The state machine of one shard: [`Shard::decide`] may refuse and changes nothing, [`Shard::apply`] changes state and
//! cannot fail.

use crate::codec::DecodeError;
use crate::command::Command;
use crate::entry::Entry;
use crate::ids::{Millis, Op, OrderId, ShardId, SkuName};
use crate::limits::Limits;
use crate::message::Message;
use crate::outcome::{Outcome, StockView};

/// What a shard is and how much it may grow.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// Which shard.
    pub id: ShardId,
    /// How many the data directory has.
    pub shards: u16,
    /// Bounds.
    pub limits: Limits,
    /// Seed of the in-memory hash tables, random per process where outsiders choose keys. It never shows in results.
    pub hash_seed: u64,
    /// A mistake made on purpose, for the simulation to find.
    #[cfg(feature = "planted-bugs")]
    pub planted: Option<PlantedBug>,
}

impl ShardConfig {
    /// A shard with the default bounds.
    #[must_use]
    pub fn new(id: ShardId, shards: u16) -> ShardConfig {
        ShardConfig {
            id,
            shards,
            limits: Limits::default(),
            hash_seed: 0,
            #[cfg(feature = "planted-bugs")]
            planted: None,
        }
    }
}

/// Mistakes that the simulation must find.
#[cfg(feature = "planted-bugs")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlantedBug {
    /// A late confirmation is taken as if the order's stock were still held.
    ConfirmAfterExpiry,
    /// After a restart ids are taken from the clock (in steps of about a second), without lease or last id.
    IdReuseAfterClockStep,
    /// A question about an attempt that gathers is answered "released", and the attempt lives on.
    AbortAnswerDoesNotBind,
    /// The home shard takes the first acknowledgement for all of them.
    HomeForgetsEarly,
    /// No tombstone is kept.
    TombstoneDropped,
}

/// What reaches a shard.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// From a client, through the gateway.
    Command(&'a Command),
    /// From another shard.
    Message {
        /// Which shard sent it.
        from: ShardId,
        /// What it says.
        message: &'a Message,
    },
}

/// What is to be done. The entry must be applied before the shard decides anything else; reply, wake and sends leave
/// only when the shard's op after that (or its current op, without an entry) is durable.
#[derive(Debug)]
pub struct Decision {
    /// To be logged and applied.
    pub entry: Option<Entry>,
    /// For the caller.
    pub reply: Reply,
    /// For everyone parked on this order: their answer.
    pub wake: Option<Box<(OrderId, Outcome)>>,
    /// For other shards.
    pub sends: Vec<(ShardId, Message)>,
}

/// What the caller of a command gets.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    /// There is no caller.
    None,
    /// This.
    Now(Outcome),
    /// The answer that a later decision's `wake` has for this order.
    Park(OrderId),
}

/// The log and the state do not agree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReplayError {
    /// The op of the digest entry.
    pub op: Op,
    /// What the log says.
    pub logged: u64,
    /// What the state says.
    pub computed: u64,
}

impl core::fmt::Display for ReplayError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "digest at op {}: logged {:016x}, computed {:016x}",
            self.op, self.logged, self.computed
        )
    }
}

impl core::error::Error for ReplayError {}

/// One shard.
#[derive(Debug)]
pub struct Shard {
    config: ShardConfig,
    op: Op,
}

impl Shard {
    /// An empty shard at op 0.
    #[must_use]
    pub fn new(config: ShardConfig) -> Shard {
        Shard { config, op: Op(0) }
    }

    /// Which shard.
    #[must_use]
    pub fn id(&self) -> ShardId {
        self.config.id
    }

    /// Entries applied so far.
    #[must_use]
    pub fn op(&self) -> Op {
        self.op
    }

    /// Shard time of the last entry; a start must not be earlier.
    #[must_use]
    pub fn time(&self) -> Millis {
        panic!("being written")
    }

    /// What to do about an input. Pure.
    #[must_use]
    pub fn decide(&self, _now: Millis, _input: Input<'_>) -> Decision {
        panic!("being written")
    }

    /// Applies an entry: one that was just decided, or the log's next.
    pub fn apply(&mut self, _entry: &Entry) {
        panic!("being written")
    }

    /// When [`Shard::poll_timer`] may have something to do.
    #[must_use]
    pub fn next_timer(&self) -> Option<Millis> {
        panic!("being written")
    }

    /// The next thing that is due: expiry, end of a closing grace, gather time-out, question or resend. One a call;
    /// `None` when nothing is due. A decision with an entry must be applied, or its timer is lost until a restart.
    pub fn poll_timer(&mut self, _now: Millis) -> Option<Decision> {
        panic!("being written")
    }

    /// No order expires and no closing ends before this moment: the grace after a start.
    pub fn hold_expiry_until(&mut self, _until: Millis) {
        panic!("being written")
    }

    /// The lease entry that is due, if any. Call it about every second; log and apply the result.
    #[must_use]
    pub fn lease(&self, _now: Millis) -> Option<Entry> {
        panic!("being written")
    }

    /// Everything up to this op is durable: leases up to it count.
    pub fn note_durable(&mut self, _op: Op) {
        panic!("being written")
    }

    /// Entries to apply and log, in this order, when a process begins to serve the shard. Before this the shard was
    /// recovered: everything in it is durable.
    pub fn start(&mut self, _now: Millis, _term: u64) -> Vec<Entry> {
        panic!("being written")
    }

    /// The store has everything up to `op`: an entry to apply and log that says so, if it is news. Ended orders leave
    /// memory only below this mark.
    #[must_use]
    pub fn applied(&self, _now: Millis, _op: Op) -> Option<Entry> {
        panic!("being written")
    }

    /// Whether more orders may be remembered: `false` refuses new ones with `Bound::Orders`. Volatile.
    pub fn allow_growth(&mut self, _allowed: bool) {
        panic!("being written")
    }

    /// Appends the state; equal states give equal bytes. Volatile bookkeeping is left out.
    pub fn snapshot(&self, _out: &mut Vec<u8>) {
        panic!("being written")
    }

    /// Reads what [`Shard::snapshot`] wrote. Never panics, and allocates no more than a small multiple of the input.
    ///
    /// # Errors
    /// When the bytes are anything else, or belong to another shard.
    pub fn restore(_config: ShardConfig, _bytes: &[u8]) -> Result<Shard, DecodeError> {
        panic!("being written")
    }

    /// A hash of the state, kept up to date: O(1). The same on every machine and under every seed.
    #[must_use]
    pub fn digest(&self) -> u64 {
        panic!("being written")
    }

    /// An entry that logs the digest; apply it before anything else.
    #[must_use]
    pub fn digest_entry(&self, _now: Millis) -> Entry {
        panic!("being written")
    }

    /// Compares a logged digest with the state; call it before applying. Other entries pass.
    ///
    /// # Errors
    /// When they differ: the log and the state have parted.
    pub fn check_digest(&self, _entry: &Entry) -> Result<(), ReplayError> {
        panic!("being written")
    }

    /// Recomputes everything that is kept incrementally. O(n): for tests and the simulation.
    ///
    /// # Errors
    /// A sentence about the first thing that is wrong.
    pub fn check_invariants(&self) -> Result<(), String> {
        panic!("being written")
    }

    /// Stock of a SKU.
    #[must_use]
    pub fn stock(&self, _sku: &SkuName) -> Option<StockView> {
        panic!("being written")
    }

    /// Stock of every SKU, in the order they were made.
    pub fn skus(&self) -> impl Iterator<Item = StockView> + '_ {
        core::iter::empty()
    }

    /// SKUs whose stock changed since the last call; at most one view each. Volatile.
    pub fn changed_skus(&mut self) -> impl Iterator<Item = StockView> + '_ {
        core::iter::empty()
    }

    /// Orders that have not ended.
    #[must_use]
    pub fn open_orders(&self) -> u64 {
        panic!("being written")
    }

    /// Order rows in memory, ended ones included.
    #[must_use]
    pub fn order_rows(&self) -> u64 {
        panic!("being written")
    }
}
