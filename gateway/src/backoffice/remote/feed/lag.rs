//! How far the store is behind what was sent.

use std::collections::BTreeMap;

use tidegate_log::ShardMark;

/// The last op of each shard that is on its way or further, and the last that the store has.
#[derive(Debug, Default)]
pub struct Lag(BTreeMap<u16, Ops>);

#[derive(Clone, Copy, Debug, Default)]
struct Ops {
    sent: u64,
    applied: u64,
}

impl Lag {
    /// As a welcome says: the bus has these, and the store those.
    pub fn new(published: &[ShardMark], applied: &[ShardMark]) -> Lag {
        let mut lag = Lag::default();
        published.iter().for_each(|mark| lag.sent(mark.shard, mark.op));
        applied
            .iter()
            .for_each(|mark| _ = lag.applied(mark.shard, mark.op));
        lag
    }

    /// An op went out.
    pub fn sent(&mut self, shard: u16, op: u64) {
        let ops = self.0.entry(shard).or_default();
        ops.sent = ops.sent.max(op);
    }

    /// The store has a shard up to an op; how many ops that is more than before.
    pub fn applied(&mut self, shard: u16, op: u64) -> u64 {
        let ops = self.0.entry(shard).or_default();
        let more = op.saturating_sub(ops.applied);
        ops.applied += more;
        more
    }

    /// Nothing more is heard of a shard.
    pub fn forget(&mut self, shard: u16) {
        self.0.remove(&shard);
    }

    /// Whether the store has all that was sent.
    pub fn is_over(&self) -> bool {
        self.0.values().all(|ops| ops.applied >= ops.sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_behind_until_it_has_what_the_bus_had_at_the_welcome_and_what_was_sent_since() {
        let mark = |shard, op| ShardMark { shard, op, chain: 0 };
        let mut lag = Lag::new(&[mark(0, 7), mark(1, 3)], &[mark(0, 5), mark(1, 3)]);
        assert!(!lag.is_over());
        assert_eq!(lag.applied(0, 7), 2);
        assert_eq!(lag.applied(0, 6), 0);
        assert!(lag.is_over());
        lag.sent(1, 4);
        assert!(!lag.is_over());
        lag.forget(1);
        assert!(lag.is_over());
    }
}
