//! Whether a record is the next one for who has a mark.

use std::fmt;

use crate::{Mark, Record};

/// What a record is to a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The one after the mark.
    New,
    /// It is there already: a batch whose answer was lost is handed in again.
    Known,
}

/// Follower and log have parted: the shard must stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parted {
    /// Records between the mark and this one are missing.
    Gap {
        /// What the follower has.
        have: Mark,
        /// What came.
        op: u64,
    },
    /// What the follower has is not what came before this record, or is another record of this op.
    OtherContent {
        /// What the follower has.
        have: Mark,
        /// What came.
        op: u64,
        /// The hash that the log has where the follower has the mark's.
        chain: u64,
    },
}

impl fmt::Display for Parted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Parted::Gap { have, op } => write!(
                f,
                "shard {}: the store has op {}, and op {op} came: what lies between is missing",
                have.shard, have.op
            ),
            Parted::OtherContent { have, op, chain } => write!(
                f,
                "shard {}, op {op}: the store has another history than the log (chain hash {:016x} at op {}, the log's is {chain:016x})",
                have.shard, have.chain, have.op
            ),
        }
    }
}

impl std::error::Error for Parted {}

/// Compares a record with what the follower has of its shard; a shard without a mark has op 0 and hash 0.
///
/// # Errors
/// [`Parted`], when the record cannot follow it. An op below the mark cannot be compared and is taken for known.
pub fn check(have: Mark, record: &Record) -> Result<Next, Parted> {
    debug_assert_eq!(have.shard, record.shard);
    let other = |chain| {
        Err(Parted::OtherContent {
            have,
            op: record.op,
            chain,
        })
    };
    match record.op {
        op if op < have.op => Ok(Next::Known),
        op if op == have.op && record.chain != have.chain => other(record.chain),
        op if op == have.op => Ok(Next::Known),
        op if op != have.op + 1 => Err(Parted::Gap { have, op }),
        _ if record.previous != have.chain => other(record.previous),
        _ => Ok(Next::New),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(op: u64, previous: u64, chain: u64) -> Record {
        Record {
            shard: 3,
            op,
            previous,
            chain,
            payload: Box::default(),
        }
    }

    #[test]
    fn only_the_next_op_with_the_right_hash_before_it_is_new() {
        let have = Mark {
            shard: 3,
            op: 7,
            chain: 70,
        };
        assert_eq!(check(have, &record(8, 70, 80)), Ok(Next::New));
        assert_eq!(check(have, &record(7, 60, 70)), Ok(Next::Known));
        assert_eq!(check(have, &record(2, 10, 20)), Ok(Next::Known));
        assert_eq!(check(have, &record(9, 80, 90)), Err(Parted::Gap { have, op: 9 }));
        let other = |op, chain| Err(Parted::OtherContent { have, op, chain });
        assert_eq!(check(have, &record(8, 71, 80)), other(8, 71));
        assert_eq!(check(have, &record(7, 60, 71)), other(7, 71));
    }

    #[test]
    fn a_shard_that_was_never_followed_begins_with_op_one() {
        let have = Mark {
            shard: 3,
            ..Mark::default()
        };
        assert_eq!(check(have, &record(1, 0, 10)), Ok(Next::New));
        assert!(check(have, &record(2, 10, 20)).is_err());
    }
}
