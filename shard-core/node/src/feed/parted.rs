//! That a follower and the log have parted.

use std::fmt;

use tidegate_log::ShardMark;

/// Why a follower cannot go on with a shard. The shard is to be stopped ([`Node::stop_shard`](crate::Node::stop_shard)):
/// store and log have parted, and every further order would widen the gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parted {
    /// What the follower has under this op is not what the log has.
    OtherContent {
        /// The shard and op, with the follower's hash.
        mark: ShardMark,
        /// The log's hash.
        chain: u64,
    },
    /// The follower says to have an op that it was not given.
    Gap {
        /// What it says to have.
        mark: ShardMark,
        /// The last op that it was given.
        given: u64,
    },
    /// The follower is behind the oldest segment: what it needs next was freed, because it had said to have it.
    Gone {
        /// The shard.
        shard: u16,
        /// The last op that the follower has.
        op: u64,
        /// The oldest op after it that is still there.
        oldest: u64,
    },
}

impl Parted {
    /// The shard.
    pub fn shard(&self) -> u16 {
        match self {
            Parted::OtherContent { mark, .. } | Parted::Gap { mark, .. } => mark.shard,
            Parted::Gone { shard, .. } => *shard,
        }
    }
}

impl fmt::Display for Parted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Parted::OtherContent { mark, chain } => write!(
                f,
                "shard {}, op {}: the store has another entry than the log (chain hash {:016x}, the log's is {chain:016x})",
                mark.shard, mark.op, mark.chain
            ),
            Parted::Gap { mark, given } => write!(
                f,
                "shard {}: the store says to have op {}, and the log gave it {given} at most",
                mark.shard, mark.op
            ),
            Parted::Gone { shard, op, oldest } => write!(
                f,
                "shard {shard}: the store has op {op}, and the log begins at op {oldest}: what lies between is gone"
            ),
        }
    }
}

impl std::error::Error for Parted {}
