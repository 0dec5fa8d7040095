//! What was sent and is not said to be there.

use std::collections::{BTreeMap, VecDeque};

use tidegate_follow::Mark;

/// Records on their way, by shard.
#[derive(Debug, Default)]
pub struct Flight {
    shards: BTreeMap<u16, VecDeque<(u64, u32)>>,
    bytes: u64,
}

impl Flight {
    /// A record went out.
    pub fn went(&mut self, mark: Mark, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.shards
            .entry(mark.shard)
            .or_default()
            .push_back((mark.op, bytes));
        self.bytes += u64::from(bytes);
    }

    /// A shard's records up to an op are there.
    pub fn arrived(&mut self, mark: Mark) {
        let Some(shard) = self.shards.get_mut(&mark.shard) else {
            return;
        };
        while let Some((_, bytes)) = shard.front().copied().filter(|(op, _)| *op <= mark.op) {
            shard.pop_front();
            self.bytes -= u64::from(bytes);
        }
    }

    /// Nothing more is heard of a shard.
    pub fn forget(&mut self, shard: u16) {
        self.arrived(Mark {
            shard,
            op: u64::MAX,
            chain: 0,
        });
    }

    /// Bytes on their way.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(shard: u16, op: u64) -> Mark {
        Mark { shard, op, chain: 0 }
    }

    #[test]
    fn a_mark_takes_its_shards_records_up_to_its_op_and_no_others() {
        let mut flight = Flight::default();
        for (shard, op) in [(0, 1), (1, 1), (0, 2), (0, 3)] {
            flight.went(mark(shard, op), 10);
        }
        flight.arrived(mark(0, 2));
        flight.arrived(mark(7, 9));
        assert_eq!(flight.bytes(), 20);
        flight.forget(0);
        assert_eq!(flight.bytes(), 10);
        flight.arrived(mark(1, 5));
        assert_eq!(flight.bytes(), 0);
    }
}
