//! The state machine of one shard: [`Shard::decide`] may refuse and changes nothing, [`Shard::apply`] changes state and
//! cannot fail.

use crate::change::Changes;
use crate::command::Command;
use crate::digest::RowHash;
use crate::entry::{AbortReason, Effect, Entry, Forget};
use crate::expiry::Timers;
use crate::hold::Holds;
use crate::ids::{EPOCH, Millis, Op, OrderId, ShardId, SkuName};
use crate::limits::Limits;
use crate::message::Message;
use crate::order::Orders;
use crate::outcome::{Outcome, Refusal, StockView};
use crate::sku::Skus;
use foldhash::fast::FixedState;
use std::collections::VecDeque;

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

impl Decision {
    /// An answer that changes nothing.
    pub(crate) fn answer(outcome: Outcome) -> Decision {
        Decision {
            entry: None,
            reply: Reply::Now(outcome),
            wake: None,
            sends: Vec::new(),
        }
    }

    pub(crate) fn refuse(refusal: Refusal) -> Decision {
        Decision::answer(Outcome::Refused(refusal))
    }

    pub(crate) fn nothing() -> Decision {
        Decision {
            entry: None,
            reply: Reply::None,
            wake: None,
            sends: Vec::new(),
        }
    }

    pub(crate) fn log(entry: Entry, outcome: Outcome) -> Decision {
        Decision {
            entry: Some(entry),
            ..Decision::answer(outcome)
        }
    }

    /// An entry that no caller waits for.
    pub(crate) fn log_only(entry: Entry) -> Decision {
        Decision {
            entry: Some(entry),
            ..Decision::nothing()
        }
    }

    pub(crate) fn send(to: ShardId, message: Message) -> Decision {
        Decision {
            sends: vec![(to, message)],
            ..Decision::nothing()
        }
    }

    pub(crate) fn with_sends(self, sends: Vec<(ShardId, Message)>) -> Decision {
        Decision { sends, ..self }
    }

    pub(crate) fn waking(self, order: OrderId, outcome: Outcome) -> Decision {
        Decision {
            wake: Some(Box::new((order, outcome))),
            ..self
        }
    }
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
    pub(crate) config: ShardConfig,
    pub(crate) op: Op,
    pub(crate) time: Millis,
    pub(crate) term: u64,
    pub(crate) last_id: OrderId,
    pub(crate) lease_until: Millis,
    pub(crate) applied: Op,
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
            Effect::SkuPut(put) => self.apply_sku_put(put),
            Effect::StockChanged(change) => self.apply_stock_changed(at, change),
            Effect::Start { term } => self.apply_start(*term),
            Effect::Lease { until } => {
                self.lease_until = self.lease_until.max(*until);
                self.leases.push_back((self.op, *until));
            }
            Effect::Digest { .. } => {}
            Effect::Applied { op } => self.applied = self.applied.max(*op),
        }
    }

    /// An entry that also forgets what may be forgotten now. Only for decisions, which are applied at once: what was
    /// looked at here must be what [`Shard::apply`] finds.
    pub(crate) fn forgetting(&self, now: Millis, effect: Effect) -> Entry {
        Entry {
            at: now,
            forget: self.forgettable(now),
            effect,
        }
    }

    pub(crate) fn forgettable(&self, now: Millis) -> Forget {
        let limits = &self.config.limits;
        // Near the bound the shorter window counts, so that the bound refuses as late as is safe.
        let crowded = !self.growth_allowed || self.orders.len() + 16 >= limits.orders_max as usize;
        let window = if crowded {
            limits.key_window_min_ms
        } else {
            limits.key_window_ms
        };
        let count = |due: usize| due as u8;
        let most = usize::from(Forget::MAX) - 1;
        let order_due = |row: &&crate::order::OrderRow| {
            now >= row.ended_at.after(window) && row.ended_op <= self.applied && !row.unsettled()
        };
        Forget {
            orders: count(self.orders.retired().take(most).take_while(order_due).count()),
            tombstones: count(
                self.holds
                    .oldest()
                    .take(most)
                    .take_while(|until| now >= *until)
                    .count(),
            ),
            changes: count(
                self.changes
                    .iter()
                    .take(most)
                    .take_while(|row| now >= row.at.after(limits.key_window_ms))
                    .count(),
            ),
        }
    }

    fn forget(&mut self, forget: Forget) {
        (0..forget.orders).for_each(|_| self.orders.forget());
        (0..forget.tombstones).for_each(|_| self.holds.forget_tombstone());
        (0..forget.changes).for_each(|_| self.changes.forget());
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

    /// The id after the last, not before `now`; `None` until a lease that covers it is durable.
    pub(crate) fn next_id(&self, now: Millis) -> Option<OrderId> {
        let now = self.id_clock(now);
        let last = self.last_id;
        let id = if now > last.millis() {
            OrderId::new(now, self.config.id, 0)
        } else if last.sequence() < OrderId::SEQUENCE_MAX {
            OrderId::new(last.millis(), self.config.id, last.sequence() + 1)
        } else {
            OrderId::new(last.millis().after(1), self.config.id, 0)
        };
        (id.millis() < self.lease_durable).then_some(id)
    }

    fn id_clock(&self, now: Millis) -> Millis {
        #[cfg(feature = "planted-bugs")]
        if self.planted(PlantedBug::IdReuseAfterClockStep) {
            return Millis(now.0 & !1023);
        }
        now.max(EPOCH)
    }

    /// The lease entry that is due, if any. Call it about every second; log and apply the result.
    #[must_use]
    pub fn lease(&self, now: Millis) -> Option<Entry> {
        let now = now.max(self.time);
        let due = self.lease_until < self.lease_base(now).after(self.config.limits.lease_ms / 2);
        let until = self.lease_base(now).after(self.config.limits.lease_ms);
        due.then(|| Entry::new(now, Effect::Lease { until }))
    }

    fn lease_base(&self, now: Millis) -> Millis {
        now.max(EPOCH).max(self.last_id.millis())
    }

    /// Everything up to this op is durable: leases up to it count.
    pub fn note_durable(&mut self, op: Op) {
        while let Some(&(at, until)) = self.leases.front() {
            if at > op {
                return;
            }
            self.lease_durable = self.lease_durable.max(until);
            self.leases.pop_front();
        }
    }

    /// Entries to apply and log, in this order and before anything else, when a process begins to serve the shard.
    /// Before this the shard was recovered: everything in it is durable.
    pub fn start(&mut self, now: Millis, term: u64) -> Vec<Entry> {
        let now = now.max(self.time);
        self.note_durable(self.op);
        let mut entries = vec![Entry::new(
            now,
            Effect::Start {
                term: term.max(self.term + 1),
            },
        )];
        for slot in self.orders.sorted() {
            let row = self.orders.row(slot);
            if let (true, Some(cross)) = (row.state.gathers(), row.cross()) {
                let (order, attempt) = (row.id, cross.attempt);
                entries.push(Entry::new(
                    now,
                    Effect::Aborted {
                        order,
                        attempt,
                        reason: AbortReason::Restarted,
                    },
                ));
            }
        }
        let until = self
            .lease_base(now)
            .max(self.lease_until)
            .after(self.config.limits.lease_ms);
        entries.push(Entry::new(now, Effect::Lease { until }));
        entries
    }

    fn apply_start(&mut self, term: u64) {
        self.term = term;
        #[cfg(feature = "planted-bugs")]
        if self.planted(PlantedBug::IdReuseAfterClockStep) {
            self.last_id = OrderId(0);
            return;
        }
        // Ids go on at the lease's end: one below it may have been issued and be known elsewhere only.
        let before = Millis(self.lease_until.0.saturating_sub(1));
        let floor = OrderId::new(before, self.config.id, OrderId::SEQUENCE_MAX);
        self.last_id = self.last_id.max(floor);
    }

    /// The store has everything up to `op`: an entry to apply and log that says so, if it is news. Ended orders leave
    /// memory only below this mark.
    #[must_use]
    pub fn applied(&self, now: Millis, op: Op) -> Option<Entry> {
        let op = op.min(self.op);
        (op > self.applied).then(|| Entry::new(now.max(self.time), Effect::Applied { op }))
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
        let changed = self.skus.take_changed();
        changed
            .into_iter()
            .map(|slot| self.skus.row(slot).stock_view(self.op))
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
