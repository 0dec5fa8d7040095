//! Where in a partition a store's mark is.

use std::time::{Duration, Instant};

use tidegate_follow::{Mark, Record, check};

use crate::reader::{Found, Reader};
use crate::{Fault, Settings};

/// Between two looks at a partition whose last transactions are not marked yet.
const PAUSE: Duration = Duration::from_millis(20);

/// What looks for marks with.
pub(super) struct Search {
    looks: Reader,
    uncommitted: Reader,
}

impl Search {
    pub(super) fn new(settings: &Settings) -> Result<Search, Fault> {
        Ok(Search {
            looks: Reader::to_look(settings)?,
            uncommitted: Reader::of_the_uncommitted(settings)?,
        })
    }

    /// The offset to read a partition from, for a store that has this mark: the mark's own entry or the one after it. A line when the
    /// partition does not go on from there.
    ///
    /// A commit is answered before its markers are in the partitions, and until then they seem to end before what it wrote. So a
    /// partition ends before a mark only once all that was in it, committed or not, was decided.
    pub(super) fn place(&self, mark: Mark, deadline: Instant) -> Result<Result<i64, String>, Fault> {
        let partition = i32::from(mark.shard);
        let mut written = None;
        loop {
            let (low, high) = self.looks.ends(partition, deadline)?;
            if mark.op == 0 {
                // What is wrong with the first entry, the read finds.
                return Ok(Ok(low));
            }
            let found = self.first_not_earlier(mark, (low, high), deadline)?;
            let written = match written {
                Some(written) => written,
                None => *written.insert(self.uncommitted.ends(partition, deadline)?.1),
            };
            if found.is_some() || high >= written {
                return Ok(judge(mark, found));
            }
            if Instant::now() >= deadline {
                return Err(Fault::Again(format!(
                    "shard {}: the store has op {}, and a transaction is open in its partition before that",
                    mark.shard, mark.op
                )));
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Ops grow with offsets, so a search by halves needs some twenty looks. An entry that cannot be read is taken for a later one; where
    /// that is wrong, the comparison at the end finds it.
    fn first_not_earlier(
        &self,
        mark: Mark,
        (low, high): (i64, i64),
        deadline: Instant,
    ) -> Result<Option<Found>, Fault> {
        let earlier = |record: &Record| record.op < mark.op;
        let (mut from, mut to, mut best) = (low, high, None);
        while from < to {
            let middle = from + (to - from) / 2;
            match self.looks.first_from(i32::from(mark.shard), middle, deadline)? {
                Some(found) if found.record.as_ref().is_ok_and(earlier) => from = found.offset + 1,
                other => {
                    to = middle;
                    best = other.or(best);
                }
            }
        }
        Ok(best)
    }
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
