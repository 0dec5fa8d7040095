//! Entries and marks.

use tidegate_follow::{Mark, Record};
use tidegate_shard_core::ShardId;

use super::Malformed;
use crate::pb;

fn shard(number: u32) -> Result<u16, Malformed> {
    u16::try_from(number)
        .ok()
        .filter(|shard| *shard < ShardId::COUNT_MAX)
        .ok_or(Malformed("shard"))
}

impl From<Record> for pb::Record {
    fn from(record: Record) -> pb::Record {
        pb::Record {
            shard: record.shard.into(),
            op: record.op,
            previous: record.previous,
            chain: record.chain,
            payload: record.payload.into(),
        }
    }
}

impl TryFrom<pb::Record> for Record {
    type Error = Malformed;

    fn try_from(record: pb::Record) -> Result<Record, Malformed> {
        Ok(Record {
            shard: shard(record.shard)?,
            op: record.op,
            previous: record.previous,
            chain: record.chain,
            payload: Vec::from(record.payload).into(),
        })
    }
}

impl From<Mark> for pb::Mark {
    fn from(mark: Mark) -> pb::Mark {
        pb::Mark {
            shard: mark.shard.into(),
            op: mark.op,
            chain: mark.chain,
        }
    }
}

impl TryFrom<pb::Mark> for Mark {
    type Error = Malformed;

    fn try_from(mark: pb::Mark) -> Result<Mark, Malformed> {
        Ok(Mark {
            shard: shard(mark.shard)?,
            op: mark.op,
            chain: mark.chain,
        })
    }
}

/// Marks of a message.
///
/// # Errors
/// [`Malformed`].
pub fn marks(marks: Vec<pb::Mark>) -> Result<Vec<Mark>, Malformed> {
    marks.into_iter().map(Mark::try_from).collect()
}
