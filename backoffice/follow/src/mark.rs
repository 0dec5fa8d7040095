//! How far a shard was followed.

/// A shard's op, with the chain hash of the record that made it: who has this mark has that history and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Mark {
    /// The shard.
    pub shard: u16,
    /// Its last op that is there.
    pub op: u64,
    /// Chain hash of that op's record.
    pub chain: u64,
}
