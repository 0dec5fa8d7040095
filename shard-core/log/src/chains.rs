//! The per-shard chains while records are read: ops without a gap, each record naming the one before.

use crate::fault::Fault;
use crate::limits::SHARDS_MAX;
use crate::position::{Position, ShardMark};
use crate::walk::Record;

#[derive(Clone, Copy, Debug, Default)]
struct Chain {
    /// The last record seen, or op 0 and chain 0 when strict and none was.
    op: u64,
    chain: u64,
    seen: bool,
    /// What the checkpoint holds of this shard.
    mark_op: u64,
    mark_chain: u64,
}

/// Where each shard's chain stands. One value goes through all logs of a data directory, oldest layout first.
#[derive(Clone, Debug)]
pub struct Chains {
    shards: Vec<Chain>,
    strict: bool,
}

impl Chains {
    /// For a start: each shard continues from its checkpoint's mark, and a shard without one from op 0. Records up to
    /// the mark may be there or not; those after it must be there without a gap, the first one chained to the mark.
    pub fn strict(marks: impl IntoIterator<Item = ShardMark>) -> Chains {
        let mut chains = Chains {
            shards: Vec::new(),
            strict: true,
        };
        for mark in marks {
            assert!(mark.shard < SHARDS_MAX);
            let chain = chains.slot(mark.shard);
            (chain.mark_op, chain.mark_chain) = (mark.op, mark.chain);
        }
        chains
    }

    /// For a look at a log alone: a shard's first record is believed, every later one must follow.
    pub fn lenient() -> Chains {
        Chains {
            shards: Vec::new(),
            strict: false,
        }
    }

    /// The last op and chain of a shard: its last record's, or its mark's when that is ahead.
    pub fn mark(&self, shard: u16) -> ShardMark {
        let chain = self.shards.get(usize::from(shard)).copied().unwrap_or_default();
        if chain.seen && chain.op >= chain.mark_op {
            ShardMark {
                shard,
                op: chain.op,
                chain: chain.chain,
            }
        } else {
            ShardMark {
                shard,
                op: chain.mark_op,
                chain: chain.mark_chain,
            }
        }
    }

    /// The marks of all shards that have a record or a mark.
    pub fn marks(&self) -> impl Iterator<Item = ShardMark> + '_ {
        (0..self.shards.len() as u16)
            .map(|shard| self.mark(shard))
            .filter(|mark| mark.op > 0)
    }

    /// Shards whose records end below their checkpoint's mark, although they have some: a log that lost its end.
    pub fn behind(&self) -> impl Iterator<Item = ShardMark> + '_ {
        let short = |c: &Chain| c.seen && c.op < c.mark_op;
        let shards = self.shards.iter().enumerate().filter(move |(_, c)| short(c));
        shards.map(|(shard, c)| ShardMark {
            shard: shard as u16,
            op: c.op,
            chain: c.chain,
        })
    }

    /// Takes the next record of its shard.
    pub(crate) fn follow(&mut self, record: &Record<'_>) -> Result<(), Fault> {
        let at = Position::new(record.segment, record.offset);
        let strict = self.strict;
        let chain = self.slot(record.shard);
        chain.check(record, strict, at)?;
        (chain.op, chain.chain, chain.seen) = (record.op, record.chain, true);
        Ok(())
    }

    fn slot(&mut self, shard: u16) -> &mut Chain {
        let shard = usize::from(shard);
        if shard >= self.shards.len() {
            self.shards.resize(shard + 1, Chain::default());
        }
        &mut self.shards[shard]
    }
}

impl Chain {
    fn check(&self, record: &Record<'_>, strict: bool, at: Position) -> Result<(), Fault> {
        let broken = || Fault::ChainBroken {
            log: record.log,
            at,
            shard: record.shard,
            op: record.op,
        };
        let follows = |op: u64| record.op.checked_sub(1) == Some(op);
        if self.seen && follows(self.op) {
            if record.previous != self.chain {
                return Err(broken());
            }
        } else if self.seen || strict {
            // A hole is harmless only where the checkpoint covers it: older logs may be freed out of turn.
            let covered = record.op > self.op && (record.op <= self.mark_op || follows(self.mark_op));
            if !covered {
                let last = if self.seen { self.op } else { self.mark_op };
                let (log, shard, expected) = (record.log, record.shard, last.saturating_add(1));
                return Err(Fault::OpGap {
                    log,
                    at,
                    shard,
                    expected,
                    found: record.op,
                });
            }
            if follows(self.mark_op) && record.previous != self.mark_chain {
                return Err(broken());
            }
        }
        if self.mark_op > 0 && record.op == self.mark_op && record.chain != self.mark_chain {
            return Err(broken());
        }
        Ok(())
    }
}
