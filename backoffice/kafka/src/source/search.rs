//! Where in a partition a store's mark is.

use std::time::Instant;

use tidegate_follow::{Mark, Record, check};

use crate::Fault;
use crate::reader::{Found, Reader};

/// The offset to read a partition from, for a store that has this mark: the mark's own entry or the one after it. A line when the
/// partition does not go on from there.
///
/// Ops grow with offsets, so a search by halves needs some twenty looks. An entry that cannot be read is taken for a later one; where
/// that is wrong, the comparison at the end finds it.
pub(super) fn place(reader: &Reader, mark: Mark, deadline: Instant) -> Result<Result<i64, String>, Fault> {
    let partition = i32::from(mark.shard);
    let (low, high) = reader.ends(partition, deadline)?;
    if mark.op == 0 {
        // What is wrong with the first entry, the read finds.
        return Ok(Ok(low));
    }
    let earlier = |record: &Record| record.op < mark.op;
    let (mut from, mut to, mut best) = (low, high, None);
    while from < to {
        let middle = from + (to - from) / 2;
        match reader.first_from(partition, middle, deadline)? {
            Some(found) if found.record.as_ref().is_ok_and(earlier) => from = found.offset + 1,
            other => {
                to = middle;
                best = other.or(best);
            }
        }
    }
    Ok(judge(mark, best))
}

/// Whether a store with the mark can go on with the first entry that is not earlier.
fn judge(mark: Mark, found: Option<Found>) -> Result<i64, String> {
    let Some(Found { offset, record }) = found else {
        return Err(format!(
            "shard {}: the store has op {}, and its partition ends before that",
            mark.shard, mark.op
        ));
    };
    let record = record.map_err(|why| format!("offset {offset} of partition {}: {why}", mark.shard))?;
    match check(mark, &record) {
        Ok(_) => Ok(offset),
        Err(parted) => Err(format!("offset {offset} of partition {}: {parted}", mark.shard)),
    }
}
