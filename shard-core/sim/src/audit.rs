//! The rules of CHECKS.md, checked by someone who sees only what is durable and what left the machine.
//!
//! The audit reads the logs a durable entry at a time, and remembers everything that left a shard with the op it
//! depended on. At the end it replays all entries on fresh shards and holds every answer against the state at its op:
//! that is one order of events which explains all answers. The store is held against the same entries.

use std::collections::{BTreeMap, HashMap, HashSet};

use tidegate_log::{Batch, LogId, SegmentNumber};
use tidegate_node::{Opened, StockRow};
use tidegate_shard_core::entry::Ending;
use tidegate_shard_core::{
    Buyer, Command, Effect, Entry, KeyHash, Lines, Millis, Op, OrderId, OrderStatus, Outcome, Refusal,
    ShardId, SkuName, StockView, shard_of,
};

use crate::bus::Bus;
use crate::clients::Sku;
use crate::machine::Machine;
use crate::plan::Plan;
use crate::world::Broken;

mod logs;
mod path;
mod replay;
mod rows;

/// What the audit knows.
pub struct Audit {
    plan: Plan,
    shards: Vec<History>,
    orders: HashMap<OrderId, Fact>,
    by_key: HashMap<KeyHash, OrderId>,
    changes: HashMap<KeyHash, u32>,
    /// Sales whose buyers' counts went.
    pub sales_over: u64,
    /// Attempts whose end each participant has logged.
    ended_holds: HashSet<(ShardId, OrderId, u8)>,
    /// The segment of each log that is read next.
    cursors: HashMap<LogId, SegmentNumber>,
    /// Orders that an answer told somebody of, with the lines and the total that it said.
    acknowledged: BTreeMap<OrderId, (Lines, u64)>,
}

/// One shard's durable past.
#[derive(Default)]
struct History {
    /// From op 1 on, with each record's chain hash.
    entries: Vec<(Entry, u64)>,
    /// The last op that is known to be durable; `entries` may be behind.
    durable: u64,
    /// The last op that the bus has.
    published: u64,
    /// The last op that a message to another shard depended on.
    sent: u64,
    last_id: OrderId,
    claims: Vec<(u64, Claim)>,
    /// The op of the last stock row of each SKU.
    rows: HashMap<SkuName, Op>,
}

/// Something that an answer said about the state at its op.
#[derive(Debug)]
enum Claim {
    Order(Box<tidegate_shard_core::OrderView>),
    Stock(StockView),
    SoldOut { sku: SkuName, qty: u32 },
}

/// What the entries say of an order.
#[derive(Clone, Debug)]
struct Fact {
    key: KeyHash,
    buyer: Buyer,
    lines: Lines,
    /// In minor units; of the home shard's lines only while it gathers.
    total: u64,
    standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Gathering,
    Dead,
    Stands(OrderStatus),
}

impl Audit {
    /// An audit of an empty shop.
    pub fn new(plan: &Plan) -> Audit {
        Audit {
            plan: plan.clone(),
            shards: (0..plan.shards).map(|_| History::default()).collect(),
            orders: HashMap::new(),
            by_key: HashMap::new(),
            changes: HashMap::new(),
            sales_over: 0,
            ended_holds: HashSet::new(),
            cursors: HashMap::new(),
            acknowledged: BTreeMap::new(),
        }
    }

    /// A start has recovered: nothing that was durable may be missing.
    pub fn recovered(&mut self, opened: &Opened) -> Result<(), Broken> {
        for shard in opened.nodes.iter().flat_map(|node| node.shards()) {
            let known = &mut self.shards[usize::from(shard.id().0)];
            if shard.op().0 < known.durable {
                return Err(format!(
                    "shard {}: op {} was durable, and the start found only {}",
                    shard.id(),
                    known.durable,
                    shard.op()
                ));
            }
            known.durable = shard.op().0;
            shard
                .check_invariants()
                .map_err(|broken| format!("recovered shard {}: {broken}", shard.id()))?;
        }
        Ok(())
    }

    /// The disk has synced a batch.
    pub fn synced(&mut self, batch: &Batch) {
        for op in &batch.ops {
            let known = &mut self.shards[usize::from(op.shard)].durable;
            *known = op.op.max(*known);
        }
    }

    /// Something left a shard: rule 15.
    pub fn left(&self, shard: ShardId, op: Op, what: &str) -> Result<(), Broken> {
        let known = &self.shards[usize::from(shard.0)];
        if self.plan.bus.is_some() && op.0 > known.published {
            return Err(format!(
                "shard {shard}: {what} left with op {op}, and only {} is published",
                known.published
            ));
        }
        let durable = known.durable;
        if op.0 > durable {
            return Err(format!(
                "shard {shard}: {what} left with op {op}, and only {durable} is durable"
            ));
        }
        Ok(())
    }

    /// A message left a shard. That it waits for the bus as well is not looked at here: what comes of one that did not is found when a disk
    /// is lost.
    pub fn sent(&mut self, shard: ShardId, op: Op) -> Result<(), Broken> {
        let known = &mut self.shards[usize::from(shard.0)];
        known.sent = op.0.max(known.sent);
        let durable = known.durable;
        match op.0 <= durable {
            true => Ok(()),
            false => Err(format!(
                "shard {shard}: a message to another shard left with op {op}, and only {durable} is durable"
            )),
        }
    }

    /// The bus has committed a transaction.
    pub fn published(&mut self, marks: impl Iterator<Item = tidegate_follow::Mark>) {
        for mark in marks {
            self.shards[usize::from(mark.shard)].published = mark.op;
        }
    }

    /// The disk is lost: what is durable now is what the bus has, and everything that ever left depends on no more than that.
    pub fn only_the_bus_is_left(&mut self, bus: &Bus) -> Result<(), Broken> {
        let mut left = Audit::new(&self.plan);
        left.acknowledged = std::mem::take(&mut self.acknowledged);
        for (shard, before) in (0..).zip(&mut self.shards) {
            let (claims, rows) = (
                std::mem::take(&mut before.claims),
                std::mem::take(&mut before.rows),
            );
            let mark = bus.mark(shard);
            if let Some((op, claim)) = claims.iter().find(|(op, _)| *op > mark.op) {
                return Err(format!(
                    "shard {shard}: the disk is lost, the bus has op {}, and an answer depended on op {op}: {claim:?}",
                    mark.op
                ));
            }
            if before.sent > mark.op {
                return Err(format!(
                    "shard {shard}: the disk is lost, the bus has op {}, and another shard was told of op {}",
                    mark.op, before.sent
                ));
            }
            for record in bus.partition(shard) {
                let entry = Entry::decode(&record.payload).map_err(|error| format!("{error:?}"))?;
                left.note(ShardId(shard), &entry)?;
                left.shards[usize::from(shard)]
                    .entries
                    .push((entry, record.chain));
            }
            let known = &mut left.shards[usize::from(shard)];
            (known.claims, known.rows) = (claims, rows);
            (known.durable, known.published, known.sent) = (mark.op, mark.op, before.sent);
        }
        *self = left;
        Ok(())
    }

    /// An answer left a shard.
    pub fn answered(
        &mut self,
        shard: ShardId,
        op: Op,
        command: &Command,
        outcome: &Outcome,
    ) -> Result<(), Broken> {
        self.left(shard, op, "an answer")?;
        let claim = match outcome {
            Outcome::Order(view) => Claim::Order(Box::new(tidegate_shard_core::OrderView {
                repeated: false,
                ..view.clone()
            })),
            Outcome::Stock(view) => Claim::Stock(*view),
            Outcome::Sku(view) => Claim::Stock(view.stock),
            Outcome::Refused(Refusal::SoldOut { sku }) if shard_of(sku, self.plan.shards) == shard => {
                let Command::Place(place) = command else {
                    return Ok(());
                };
                let line = place.lines.iter().find(|line| line.sku == *sku);
                let line = line.ok_or("sold out of a SKU that was not asked for")?;
                Claim::SoldOut {
                    sku: *sku,
                    qty: line.qty,
                }
            }
            Outcome::Refused(_) => return Ok(()),
        };
        // A repeated change of stock gets the figures of the first time.
        let at = if let Claim::Stock(view) = &claim {
            view.op
        } else {
            op
        };
        if let Claim::Order(view) = &claim {
            self.acknowledged
                .entry(view.id)
                .or_insert_with(|| (view.lines.clone(), view.total));
        }
        self.left(shard, at, "a figure")?;
        self.shards[usize::from(shard.0)].claims.push((at.0, claim));
        Ok(())
    }

    /// A stock row left a shard.
    pub fn stock_row(&mut self, row: &StockRow) -> Result<(), Broken> {
        let shard = shard_of(&row.sku, self.plan.shards);
        self.left(shard, row.op, "a stock row")?;
        if row.stocked != row.available + row.held + row.sold {
            return Err(format!("the figures of {} do not add up: {row:?}", row.sku));
        }
        let known = self.shards[usize::from(shard.0)].rows.entry(row.sku).or_default();
        if *known > row.op {
            return Err(format!(
                "the rows of {} go back from op {known} to {}",
                row.sku, row.op
            ));
        }
        *known = row.op;
        Ok(())
    }

    /// The order that stands or stood under a key.
    pub fn order_of(&self, key: &KeyHash) -> Option<OrderId> {
        self.by_key.get(key).copied()
    }

    /// How often a change of stock was done.
    pub fn changes_of(&self, key: &KeyHash) -> u32 {
        self.changes.get(key).copied().unwrap_or_default()
    }

    /// Entries seen.
    pub fn entries(&self) -> u64 {
        self.shards.iter().map(|shard| shard.entries.len() as u64).sum()
    }

    /// Orders that were placed, and those of them with lines on several shards.
    pub fn orders_placed(&self) -> (u64, u64) {
        let placed = || {
            self.orders
                .values()
                .filter(|fact| matches!(fact.standing, Standing::Stands(_)))
        };
        let shards = self.plan.shards;
        let spread = |fact: &&Fact| {
            fact.lines
                .iter()
                .any(|line| shard_of(&line.sku, shards) != shard_of(&fact.lines[0].sku, shards))
        };
        (placed().count() as u64, placed().filter(spread).count() as u64)
    }

    /// No buyer holds and owns more than a limit allows: rule 2.
    pub fn check_limits(&self, skus: &[Sku]) -> Result<(), Broken> {
        let mut units: HashMap<(Buyer, SkuName), u32> = HashMap::new();
        for fact in self.orders.values() {
            if matches!(
                fact.standing,
                Standing::Stands(OrderStatus::Pending | OrderStatus::Confirmed)
            ) {
                for line in &fact.lines {
                    *units.entry((fact.buyer, line.sku)).or_default() += line.qty;
                }
            }
        }
        for sku in skus {
            let Some(limit) = sku.limit else { continue };
            let over = units
                .iter()
                .find(|((_, name), units)| *name == sku.name && **units > limit);
            if let Some(((buyer, _), units)) = over {
                return Err(format!(
                    "{buyer:?} has {units} units of {}, over the limit {limit}",
                    sku.name
                ));
            }
        }
        Ok(())
    }
}
