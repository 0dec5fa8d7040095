//! A durable entry, verbatim, as the feed hands it out.

use crate::Mark;

/// One record of a shard's log. The bytes are the entry's own ([`tidegate_shard_core::Entry::decode`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The shard.
    pub shard: u16,
    /// The shard's op.
    pub op: u64,
    /// Chain hash of the shard's record before.
    pub previous: u64,
    /// Chain hash of this one.
    pub chain: u64,
    /// The entry.
    pub payload: Box<[u8]>,
}

impl Record {
    /// The mark of who has it.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark {
            shard: self.shard,
            op: self.op,
            chain: self.chain,
        }
    }
}
