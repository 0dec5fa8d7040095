//! What a store does with a batch inside its transaction, whatever it keeps its rows in.

use std::collections::BTreeMap;

use tidegate_shard_core::Entry;

use crate::{Mark, Next, Parted, Planted, Record, StoreError, check};

/// Compares each record with the store's mark of its shard, leaves out what the store has, and has the rest written. Gives the marks to
/// store in the same transaction, in the order of shards: one of each shard in the batch.
///
/// `mark_of` reads a shard's mark; `write` writes what one entry changes. Production plants nothing.
///
/// # Errors
/// [`StoreError`]: the transaction must be rolled back.
pub fn take_in<E>(
    batch: &[Record],
    planted: Planted,
    mut mark_of: impl FnMut(u16) -> Result<Mark, E>,
    mut write: impl FnMut(&Record, &Entry) -> Result<(), E>,
) -> Result<Vec<Mark>, StoreError<E>> {
    let mut marks: BTreeMap<u16, Mark> = BTreeMap::new();
    for record in batch {
        let have = match marks.get(&record.shard) {
            Some(have) => *have,
            None => mark_of(record.shard).map_err(StoreError::Failed)?,
        };
        marks.insert(record.shard, have);
        match check(have, record) {
            Ok(Next::Known) if !planted.writes_known() => continue,
            Err(Parted::Gap { .. }) if planted.skips_gaps() => {}
            Err(parted) => return Err(StoreError::Parted(parted)),
            Ok(_) => {}
        }
        let entry = Entry::decode(&record.payload).map_err(|error| StoreError::Unreadable {
            mark: record.mark(),
            why: format!("{error:?}"),
        })?;
        write(record, &entry).map_err(StoreError::Failed)?;
        marks.insert(record.shard, record.mark());
    }
    Ok(marks.into_values().collect())
}
