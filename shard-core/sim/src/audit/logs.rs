//! Reading what would survive of the logs, beside the machine's own feed: what the store and every answer are held against.

use std::convert::Infallible;

use tidegate_log::{Chains, Manifest, Record, SegmentFile, SegmentSource, ShardMark, walk};
use tidegate_node::segments;

use super::*;
use crate::disk::Disk;

impl History {
    /// The last durable record that was read.
    fn mark(&self, shard: u16) -> ShardMark {
        ShardMark {
            shard,
            op: self.entries.len() as u64,
            chain: self.entries.last().map_or(0, |(_, chain)| *chain),
        }
    }
}

impl Audit {
    /// Reads on in every log that the manifest names. To be called before anything is fed, since a segment may go when a store has it.
    pub fn read_logs(&mut self, disk: &Disk, manifest: &Manifest) -> Result<(), Broken> {
        for log in manifest.layouts.iter().flat_map(|layout| &layout.logs) {
            if !self.is_read(log.log, &log.shards) {
                self.read(disk, log.log)?;
            }
        }
        Ok(())
    }

    /// What is durable of each shard.
    pub fn marks(&self) -> Vec<ShardMark> {
        let shards = self.shards.iter().enumerate();
        shards
            .map(|(shard, history)| history.mark(shard as u16))
            .collect()
    }

    /// The feed hands out a record: it is the one that was read.
    pub fn fed(&self, record: &Record<'_>) -> Result<(), Broken> {
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

    /// It was read once, and nothing of its shards became durable since.
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
            Err(tidegate_log::WalkError::Fault(fault)) => return Err(format!("the audit reads: {fault}")),
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
                "shard {shard}: op {seen} was durable, and the log goes on with {}",
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
    pub(super) fn note(&mut self, shard: ShardId, entry: &Entry) -> Result<(), Broken> {
        match &entry.effect {
            Effect::Placed(placed) => self.new_order(shard, placed, Standing::Stands(OrderStatus::Pending)),
            Effect::Gathering(gathering) => self.new_order(shard, &gathering.placed, Standing::Gathering),
            Effect::Committed { order, total, .. } => {
                self.change(*order, |standing| {
                    (standing == Standing::Gathering).then_some(Standing::Stands(OrderStatus::Pending))
                })?;
                self.orders.get_mut(order).expect("it was changed").total = *total;
                Ok(())
            }
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
            total: placed.total,
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
