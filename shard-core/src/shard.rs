//! The state machine of one shard: [`Shard::decide`] may refuse and changes nothing, [`Shard::apply`] changes state and
//! cannot fail.

mod config;
mod decision;
mod forget;
mod lease;

#[cfg(feature = "planted-bugs")]
pub use config::PlantedBug;
pub use config::ShardConfig;
pub use decision::{Decision, Input, ReplayError, Reply};

use crate::change::Changes;
use crate::command::Command;
use crate::digest::RowHash;
use crate::entry::{Effect, Entry, Forget};
use crate::expiry::Timers;
use crate::hold::Holds;
use crate::ids::{KeyHash, Millis, Op, OrderId, ShardId, SkuName};
use crate::orders::Orders;
use crate::outcome::StockView;
use crate::skus::Skus;
use foldhash::fast::FixedState;
use std::collections::VecDeque;

/// One shard.
#[derive(Debug)]
pub struct Shard {
    pub(crate) config: ShardConfig,
    pub(crate) op: Op,
    pub(crate) time: Millis,
    pub(crate) term: u64,
    pub(crate) last_id: OrderId,
    pub(crate) lease_until: Millis,
    /// The store's mark: everything up to this op, whose record has this chain hash.
    pub(crate) applied: Op,
    pub(crate) applied_chain: u64,
    pub(crate) skus: Skus,
    pub(crate) orders: Orders,
    pub(crate) holds: Holds,
    pub(crate) changes: Changes,
    // From here on volatile: neither in the snapshot nor in the digest, and no entry's effect depends on it.
    pub(crate) timers: Timers,
    /// Leases that are not known to be durable, by op.
    leases: VecDeque<(Op, Millis)>,
    pub(crate) lease_durable: Millis,
    pub(crate) growth_allowed: bool,
}

impl Shard {
    /// An empty shard at op 0.
    #[must_use]
    pub fn new(config: ShardConfig) -> Shard {
        assert!(config.id.0 < config.shards && config.shards <= ShardId::COUNT_MAX);
        let seed = FixedState::with_seed(config.hash_seed);
        Shard {
            config,
            op: Op(0),
            time: Millis(0),
            term: 0,
            last_id: OrderId(0),
            lease_until: Millis(0),
            applied: Op(0),
            applied_chain: 0,
            skus: Skus::new(seed.clone()),
            orders: Orders::new(seed.clone()),
            holds: Holds::default(),
            changes: Changes::new(seed),
            timers: Timers::default(),
            leases: VecDeque::new(),
            lease_durable: Millis(0),
            growth_allowed: true,
        }
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
        self.time
    }

    /// What to do about an input. Pure.
    #[must_use]
    pub fn decide(&self, now: Millis, input: Input<'_>) -> Decision {
        // Time does not go back, whatever the caller's clock does.
        let now = now.max(self.time);
        match input {
            Input::Command(command) => self.decide_command(now, command),
            Input::Message { from, message } => self.decide_message(now, from, message),
        }
    }

    fn decide_command(&self, now: Millis, command: &Command) -> Decision {
        match command {
            Command::Place(place) => self.decide_place(now, place),
            Command::ReadOrder { order, caller } => self.read_order(*order, caller),
            Command::Cancel { order, caller } => self.decide_cancel(now, *order, caller),
            Command::StartPayment { order, charge } => self.decide_start_payment(now, *order, charge),
            Command::CloseCharge { order, charge } => self.decide_close_charge(now, *order, charge),
            Command::Confirm { order, charge } => self.decide_confirm(now, *order, charge),
            Command::PutSku(put) => self.decide_put_sku(now, put),
            Command::ChangeStock(change) => self.decide_change_stock(now, change),
            Command::ReadSku { sku } => self.read_sku(sku),
            Command::ReadStock { sku } => self.read_stock(sku),
        }
    }

    /// Applies an entry: one that was just decided, or the log's next.
    ///
    /// # Panics
    /// When the entry cannot follow the entries before it. A log that was checked cannot hold such an entry.
    pub fn apply(&mut self, entry: &Entry) {
        self.op = self.op.next();
        self.time = self.time.max(entry.at);
        if entry.forget != Forget::NOTHING {
            self.forget(entry.forget);
        }
        self.skus.free_some();
        let at = entry.at;
        match &entry.effect {
            Effect::Placed(placed) => self.apply_placed(at, placed),
            Effect::Ended { order, ending } => self.apply_ended(at, *order, *ending),
            Effect::Confirmed {
                order,
                charge,
                held_again,
            } => {
                self.apply_confirmed(at, *order, *charge, *held_again);
            }
            Effect::PaymentStarted { order, charge } => self.apply_payment_started(*order, *charge),
            Effect::ChargeClosed { order, charge, ends } => {
                self.apply_charge_closed(at, *order, *charge, *ends);
            }
            Effect::Closing { order, ending, until } => self.apply_closing(*order, *ending, *until),
            Effect::RefundDue { order, charge } => self.apply_refund_due(at, *order, *charge),
            Effect::Gathering(gathering) => self.apply_gathering(at, gathering),
            Effect::Answered {
                order, from, part, ..
            } => self.apply_answered(*order, *from, *part),
            Effect::Committed {
                order,
                total,
                currency,
                hold_ms,
                ..
            } => {
                self.apply_committed(at, *order, *total, *currency, *hold_ms);
            }
            Effect::Aborted { order, .. } => self.apply_aborted(at, *order),
            Effect::Regathering(again) => self.apply_regathering(again),
            Effect::Acknowledged { order, from, .. } => self.apply_acknowledged(*order, *from),
            Effect::Hold(hold) => self.apply_hold(at, hold),
            Effect::HoldSettled { order, attempt, fate } => {
                self.apply_hold_settled(at, (*order, *attempt), *fate);
            }
            Effect::Tombstone {
                order,
                attempt,
                until,
            } => self.apply_tombstone((*order, *attempt), *until),
            Effect::SkuPut(put) => self.apply_sku_put(at, put),
            Effect::SaleOver { sku } => {
                let slot = self.skus.known(sku);
                self.skus.end_counts(slot);
            }
            Effect::StockChanged(change) => self.apply_stock_changed(at, change),
            Effect::Start { term } => self.apply_start(*term),
            Effect::Lease { until } => {
                self.lease_until = self.lease_until.max(*until);
                self.leases.push_back((self.op, *until));
            }
            Effect::Digest { .. } => {}
            Effect::Applied { op, chain } => {
                if *op > self.applied {
                    (self.applied, self.applied_chain) = (*op, *chain);
                }
            }
        }
    }

    /// When [`Shard::poll_timer`] may have something to do.
    #[must_use]
    pub fn next_timer(&self) -> Option<Millis> {
        self.timers.next()
    }

    /// The next thing that is due: expiry, end of a closing grace, gather time-out, question or resend. One a call;
    /// `None` when nothing is due (or only leftovers were, and [`Shard::next_timer`] is still past: call again in the
    /// next batch). A decision with an entry must be applied, or its timer is lost until a restart.
    pub fn poll_timer(&mut self, now: Millis) -> Option<Decision> {
        let now = now.max(self.time);
        // Orders that ended early leave pairs behind; looking at them is bounded per call like expiry itself.
        for _ in 0..LEFTOVERS_PER_POLL {
            let Some((_, slot)) = self.timers.pop_deadline(now) else {
                break;
            };
            if let Some(decision) = self.deadline_due(now, slot) {
                return Some(decision);
            }
        }
        for _ in 0..LEFTOVERS_PER_POLL {
            let chore = self.timers.pop_chore(now)?;
            if let Some(decision) = self.chore_due(now, chore) {
                return Some(decision);
            }
        }
        None
    }

    /// No order expires and no closing ends before this moment: the grace after a start.
    pub fn hold_expiry_until(&mut self, until: Millis) {
        self.timers.grace_until = until;
    }

    /// The store has everything up to `op`, whose record has the hash `chain`: an entry to apply and log that says so, if
    /// it is news. Ended orders leave memory only below this mark, and a start knows from it what the store had.
    #[must_use]
    pub fn applied(&self, now: Millis, op: Op, chain: u64) -> Option<Entry> {
        let news = op > self.applied && op <= self.op;
        news.then(|| Entry::new(now.max(self.time), Effect::Applied { op, chain }))
    }

    /// The last mark of the store that was logged: op and chain hash, 0 and 0 before the first.
    #[must_use]
    pub fn applied_mark(&self) -> (Op, u64) {
        (self.applied, self.applied_chain)
    }

    /// Whether more orders may be remembered: `false` refuses new ones with `Bound::Orders`. Volatile; the node uses it
    /// to hold all its shards to one budget.
    pub fn allow_growth(&mut self, allowed: bool) {
        self.growth_allowed = allowed;
    }

    /// A hash of the state, kept up to date: O(1). The same on every machine and under every seed.
    #[must_use]
    pub fn digest(&self) -> u64 {
        RowHash::new(0)
            .word(self.op.0)
            .word(self.time.0)
            .word(self.term)
            .word(self.last_id.0)
            .word(self.lease_until.0)
            .word(self.applied.0)
            .word(self.applied_chain)
            .word(self.skus.digest())
            .word(self.orders.sum.0)
            .word(self.holds.sum.0)
            .word(self.changes.sum.0)
            .finish()
    }

    /// An entry that logs the digest; apply it before anything else.
    #[must_use]
    pub fn digest_entry(&self, now: Millis) -> Entry {
        Entry::new(
            now.max(self.time),
            Effect::Digest {
                digest: self.digest(),
            },
        )
    }

    /// Compares a logged digest with the state; call it before applying. Other entries pass.
    ///
    /// # Errors
    /// When they differ: the log and the state have parted.
    pub fn check_digest(&self, entry: &Entry) -> Result<(), ReplayError> {
        let computed = self.digest();
        match entry.effect {
            Effect::Digest { digest } if digest != computed => Err(ReplayError {
                op: self.op.next(),
                logged: digest,
                computed,
            }),
            _ => Ok(()),
        }
    }

    /// Stock of a SKU.
    #[must_use]
    pub fn stock(&self, sku: &SkuName) -> Option<StockView> {
        self.skus
            .slot(sku)
            .map(|slot| self.skus.row(slot).stock_view(self.op))
    }

    /// Stock of every SKU, in the order they were made.
    pub fn skus(&self) -> impl Iterator<Item = StockView> + '_ {
        self.skus.rows.iter().map(|row| row.stock_view(self.op))
    }

    /// SKUs whose stock changed since the last call; one view each. Volatile.
    pub fn changed_skus(&mut self) -> impl Iterator<Item = StockView> + '_ {
        self.skus.tell_changed();
        let told = self.skus.told().iter();
        told.map(|slot| self.skus.row(*slot).stock_view(self.op))
    }

    /// Whether an order with this key is remembered: to place it again logs nothing.
    #[must_use]
    pub fn knows_key(&self, key: &KeyHash) -> bool {
        self.orders.by_key(key).is_some()
    }

    /// Orders that have not ended.
    #[must_use]
    pub fn open_orders(&self) -> u64 {
        u64::from(self.orders.open)
    }

    /// Order rows in memory, ended ones included.
    #[must_use]
    pub fn order_rows(&self) -> u64 {
        self.orders.len() as u64
    }

    #[cfg(feature = "planted-bugs")]
    pub(crate) fn planted(&self, bug: PlantedBug) -> bool {
        self.config.planted == Some(bug)
    }
}

/// A leftover costs a heap step, under a microsecond: a poll stays well under a millisecond.
const LEFTOVERS_PER_POLL: usize = 512;
