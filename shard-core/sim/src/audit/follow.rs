//! Following the logs, as a store does.

use std::convert::Infallible;

use tidegate_log::{Chains, Record, SegmentFile, SegmentSource, ShardMark, walk};
use tidegate_node::{Fed, FeedError, segments};

use super::*;
use crate::disk::Disk;
use crate::plan::MS;
use crate::queue::Live;
use crate::world::World;

impl World {
    /// The store reads what has become durable, and says so a while later.
    pub(crate) fn follow(&mut self) -> Result<(), Broken> {
        let Some(machine) = &mut self.machine else {
            return Ok(());
        };
        let current = machine.manifest.current().generation;
        for layout in &machine.manifest.layouts {
            for log in &layout.logs {
                let done = layout.generation != current && self.audit.is_read(log.log, &log.shards);
                if !done {
                    self.audit.read(&self.disk, log.log)?;
                }
            }
        }
        self.read_feed()?;
        self.remove_old_logs()?;
        if self.machine.is_none() {
            return Ok(());
        }
        for shard in 0..self.plan.shards {
            let history = &mut self.audit.shards[usize::from(shard)];
            let mark = history.mark(shard);
            let op = Op(mark.op);
            if std::mem::replace(&mut history.told, (self.life, op)) == (self.life, op) {
                continue;
            }
            let delay = self.rng.between(1, 100) * MS;
            self.plan_live(delay, Live::Applied(mark));
        }
        Ok(())
    }

    /// The machine's own feed hands out the same entries, up to the same op of each shard.
    fn read_feed(&mut self) -> Result<(), Broken> {
        let Some(machine) = &mut self.machine else {
            return Ok(());
        };
        let planted = self.plan.open_config(3, 0).log_planted;
        let threads = &machine.threads;
        let durable = |thread: usize| threads[thread].node.appender().durable_upto();
        let (audit, figures) = (&self.audit, &mut self.figures);
        loop {
            let fed = machine.feed.read(&mut self.disk, planted, durable, |record| {
                figures.fed += 1;
                audit.fed(record)
            });
            match fed {
                Ok(Fed::More) => {}
                Ok(Fed::All) => break,
                Ok(Fed::Full) => return Err("a short run fills the feed".to_owned()),
                Err(FeedError::Visitor(broken)) => return Err(broken),
                Err(error) => return Err(format!("the feed: {error:?}")),
            }
        }
        for shard in 0..self.plan.shards {
            let (fed, has) = (
                machine.feed.cursor(shard),
                self.audit.shards[usize::from(shard)].mark(shard),
            );
            if fed != Some(has) {
                return Err(format!("the feed gave {fed:?}, and {has:?} is durable"));
            }
        }
        Ok(())
    }

    /// Removes the logs of earlier layouts of which the store has everything.
    fn remove_old_logs(&mut self) -> Result<(), Broken> {
        self.risk();
        let audit = &self.audit;
        let applied = |shard: u16| audit.shards[usize::from(shard)].entries.len() as u64;
        let Some(machine) = &mut self.machine else {
            return Ok(());
        };
        let removed = machine
            .old_logs
            .remove_applied(&mut self.disk, &mut machine.manifest, applied);
        // A full disk: they are removed when there is room for the new manifest.
        if self.came_to_a_stop() || self.disk.room_bytes.is_some() {
            return Ok(());
        }
        removed.map_err(|error| error.to_string())
    }
}

impl History {
    /// What the store has.
    fn mark(&self, shard: u16) -> ShardMark {
        ShardMark {
            shard,
            op: self.entries.len() as u64,
            chain: self.entries.last().map_or(0, |(_, chain)| *chain),
        }
    }
}

impl Audit {
    /// What the store has of each shard: a start must reach it.
    pub fn marks(&self) -> Vec<ShardMark> {
        let shards = self.shards.iter().enumerate();
        shards
            .map(|(shard, history)| history.mark(shard as u16))
            .collect()
    }

    /// The feed handed out a record: the store knows it from its own reading.
    fn fed(&self, record: &Record<'_>) -> Result<(), Broken> {
        let known = self.shards[usize::from(record.shard)]
            .entries
            .get(record.op as usize - 1);
        let same = known.is_some_and(|(entry, chain)| {
            *chain == record.chain && Entry::decode(record.payload).as_ref() == Ok(entry)
        });
        match same {
            true => Ok(()),
            false => Err(format!(
                "shard {}: the feed gave another op {} than the log has",
                record.shard, record.op
            )),
        }
    }

    /// An old log that was read once does not grow.
    fn is_read(&self, log: LogId, shards: &[u16]) -> bool {
        let whole = |&shard: &u16| {
            let history = &self.shards[usize::from(shard)];
            history.entries.len() as u64 == history.durable
        };
        self.cursors.contains_key(&log) && shards.iter().all(whole)
    }

    fn read(&mut self, disk: &Disk, log: LogId) -> Result<(), Broken> {
        let from = self.cursors.get(&log).copied().unwrap_or_default();
        let mut source = Durable { disk, log, from };
        let mut chains = Chains::lenient();
        let planted = self.plan.open_config(3, 0).log_planted;
        let walked = walk(&mut source, log, &mut chains, planted, |record| {
            self.record(&record)
        });
        let walked = match walked {
            Ok(walked) => walked,
            Err(tidegate_log::WalkError::Stopped(broken)) => return Err(broken),
            Err(tidegate_log::WalkError::Fault(fault)) => return Err(format!("the store reads: {fault}")),
            Err(tidegate_log::WalkError::Read { .. }) => return Err("the simulated disk reads".to_owned()),
        };
        self.cursors.insert(log, walked.end.segment.max(from));
        Ok(())
    }

    fn record(&mut self, record: &Record<'_>) -> Result<(), Broken> {
        let shard = ShardId(record.shard);
        let known = &mut self.shards[usize::from(record.shard)];
        let seen = known.entries.len() as u64;
        if record.op <= seen {
            let same = known.entries[record.op as usize - 1].1 == record.chain;
            return if same {
                Ok(())
            } else {
                Err(format!("shard {shard}: op {} was rewritten", record.op))
            };
        }
        let before = known.entries.last().map_or(0, |(_, chain)| *chain);
        if record.op != seen + 1 || record.previous != before {
            return Err(format!(
                "shard {shard}: the store has op {seen}, and the log goes on with {}",
                record.op
            ));
        }
        if record.op > known.durable {
            // Written by a life that ended; the next start decides what it is worth.
            return Ok(());
        }
        let entry = Entry::decode(record.payload).map_err(|_| format!("shard {shard}: op {}", record.op))?;
        self.note(shard, &entry)?;
        self.shards[usize::from(shard.0)]
            .entries
            .push((entry, record.chain));
        Ok(())
    }

    /// Rules 4, 6, 7, 8 and 9: what may follow what.
    fn note(&mut self, shard: ShardId, entry: &Entry) -> Result<(), Broken> {
        match &entry.effect {
            Effect::Placed(placed) => self.new_order(shard, placed, Standing::Stands(OrderStatus::Pending)),
            Effect::Gathering(gathering) => self.new_order(shard, &gathering.placed, Standing::Gathering),
            Effect::Committed { order, .. } => self.change(*order, |standing| match standing {
                Standing::Gathering => Some(Standing::Stands(OrderStatus::Pending)),
                _ => None,
            }),
            Effect::Aborted {
                order, attempt: 1, ..
            } => {
                self.change(*order, |standing| {
                    (standing == Standing::Gathering).then_some(Standing::Dead)
                })?;
                let key = self.orders[order].key;
                self.by_key.remove(&key);
                Ok(())
            }
            Effect::ChargeClosed {
                order,
                ends: Some(ending),
                ..
            }
            | Effect::Ended { order, ending } => {
                let end = match ending {
                    Ending::Cancelled => OrderStatus::Cancelled,
                    Ending::Expired => OrderStatus::Expired,
                };
                self.change(*order, |standing| {
                    (standing == Standing::Stands(OrderStatus::Pending)).then_some(Standing::Stands(end))
                })
            }
            Effect::Confirmed {
                order, held_again, ..
            } => self.change(*order, |standing| {
                let from = if *held_again {
                    OrderStatus::Expired
                } else {
                    OrderStatus::Pending
                };
                (standing == Standing::Stands(from)).then_some(Standing::Stands(OrderStatus::Confirmed))
            }),
            Effect::Hold(hold) if self.ended_holds.contains(&(shard, hold.order, hold.attempt)) => {
                Err(format!(
                    "shard {shard} holds for order {} again, after its hold had ended",
                    hold.order
                ))
            }
            Effect::HoldSettled { order, attempt, .. } | Effect::Tombstone { order, attempt, .. } => {
                self.ended_holds.insert((shard, *order, *attempt));
                Ok(())
            }
            Effect::SaleOver { .. } => {
                self.sales_over += 1;
                Ok(())
            }
            Effect::StockChanged(change) => {
                *self.changes.entry(change.key).or_default() += 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn new_order(
        &mut self,
        shard: ShardId,
        placed: &tidegate_shard_core::entry::Placed,
        standing: Standing,
    ) -> Result<(), Broken> {
        let order = placed.order;
        let last = &mut self.shards[usize::from(shard.0)].last_id;
        if order <= *last || order.shard() != shard {
            return Err(format!("shard {shard} issued id {order} after {last}"));
        }
        *last = order;
        if let Some(before) = self.by_key.insert(placed.key, order) {
            return Err(format!("one key made order {before} and order {order}"));
        }
        let lines = placed.lines.clone();
        let fact = Fact {
            key: placed.key,
            buyer: placed.buyer,
            lines,
            standing,
        };
        match self.orders.insert(order, fact) {
            Some(_) => Err(format!("id {order} was issued twice")),
            None => Ok(()),
        }
    }

    fn change(&mut self, order: OrderId, next: impl Fn(Standing) -> Option<Standing>) -> Result<(), Broken> {
        let fact = self
            .orders
            .get_mut(&order)
            .ok_or_else(|| format!("order {order} ends before it began"))?;
        let before = fact.standing;
        fact.standing = next(before).ok_or_else(|| format!("order {order} may not go on from {before:?}"))?;
        Ok(())
    }
}

/// What would survive a loss of power now, of one log from one segment on.
struct Durable<'a> {
    disk: &'a Disk,
    log: LogId,
    from: SegmentNumber,
}

impl SegmentSource for Durable<'_> {
    type Error = Infallible;

    fn segments(&mut self) -> Result<Vec<SegmentFile>, Infallible> {
        let dir = segments::log_dir(self.log);
        let found = self.disk.paths_in(&dir).filter_map(|path| {
            let number = SegmentNumber::from_file_name(path.rsplit('/').next()?)?;
            let bytes = self.disk.durable(path)?.len() as u64;
            (number >= self.from).then_some(SegmentFile { number, bytes })
        });
        Ok(found.collect())
    }

    fn read(&mut self, segment: SegmentNumber, offset: u64, out: &mut [u8]) -> Result<(), Infallible> {
        out.fill(0);
        if let Some(bytes) = self.disk.durable(&segments::path(self.log, segment)) {
            let from = bytes.len().min(offset as usize);
            let len = out.len().min(bytes.len() - from);
            out[..len].copy_from_slice(&bytes[from..from + len]);
        }
        Ok(())
    }
}
