//! From the feed through the bus into the store: what is under way, and what may be said to be there.

use std::convert::Infallible;

use crate::{Bus, Mark, Planted, Record, Store, StoreError};

/// Records in a batch at most: a transaction of some tens of milliseconds.
pub const BATCH_RECORDS_MAX: usize = 2048;

/// Bytes of entries in a batch, past which it takes no more.
pub const BATCH_BYTES_MAX: usize = 1 << 20;

/// How large a batch may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Records in it at most.
    pub records: usize,
    /// Bytes of entries past which it takes no more.
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            records: BATCH_RECORDS_MAX,
            bytes: BATCH_BYTES_MAX,
        }
    }
}

/// No bus: the store is written straight from the log, and what it has applied is published.
#[derive(Debug, Default)]
pub struct NoBus;

impl Bus for NoBus {
    type Error = Infallible;

    fn publish(&mut self, _: &[Record]) -> Result<(), StoreError<Infallible>> {
        Ok(())
    }
}

/// One batch at a time on its way from the log to bus and store. A batch stays until both have it: whatever fails is done again, and
/// both leave out what they have.
#[derive(Debug, Default)]
pub struct Follower {
    batch: Vec<Record>,
    bytes: usize,
    published: bool,
    bounds: Bounds,
    planted: Planted,
}

/// Why a batch is still under way.
#[derive(Debug)]
pub enum Stuck<B, S> {
    /// The bus did not take it.
    Bus(StoreError<B>),
    /// The store did not take it.
    Store(StoreError<S>),
}

impl Follower {
    /// Nothing under way.
    #[must_use]
    pub fn new() -> Follower {
        Follower::default()
    }

    /// Nothing under way, with other bounds and perhaps a fault: for simulations.
    #[must_use]
    pub fn with(bounds: Bounds, planted: Planted) -> Follower {
        Follower {
            bounds,
            planted,
            ..Follower::default()
        }
    }

    /// Takes a record in; false when the batch is full, or was published already: bring it [`on`](Self::bring_on) first. An empty batch
    /// takes any record.
    pub fn take(&mut self, record: impl FnOnce() -> Record) -> bool {
        let full = self.batch.len() >= self.bounds.records || self.bytes >= self.bounds.bytes;
        if self.published || (full && !self.batch.is_empty()) {
            return false;
        }
        let record = record();
        self.bytes += record.payload.len();
        self.batch.push(record);
        true
    }

    /// Records under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Nothing is under way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Brings the batch into bus and store, in this order, and hands out the mark of each shard in it: the store has all up to there,
    /// durably. Marks leave only after the rows, so a log that frees what they cover frees nothing that is needed.
    ///
    /// # Errors
    /// [`Stuck`]: the batch stays; call again.
    pub fn bring_on<B: Bus, S: Store>(
        &mut self,
        bus: &mut B,
        store: &mut S,
    ) -> Result<Vec<Mark>, Stuck<B::Error, S::Error>> {
        if self.batch.is_empty() {
            return Ok(Vec::new());
        }
        if !self.published {
            bus.publish(&self.batch).map_err(Stuck::Bus)?;
            self.published = true;
        }
        if let Err(error) = store.apply(&self.batch) {
            if self.planted.gives_up() {
                self.drop_batch();
            }
            return Err(Stuck::Store(error));
        }
        let marks = self.marks();
        self.drop_batch();
        Ok(marks)
    }

    /// How far each shard is with what is under way.
    pub(crate) fn marks(&self) -> Vec<Mark> {
        last_marks(&self.batch)
    }

    pub(crate) fn planted(&self) -> Planted {
        self.planted
    }

    /// Gives up what is under way of a shard that must stop; the rest goes on.
    pub fn drop_shard(&mut self, shard: u16) {
        self.batch.retain(|record| record.shard != shard);
        self.bytes = self.batch.iter().map(|record| record.payload.len()).sum();
        self.published &= !self.batch.is_empty();
    }

    fn drop_batch(&mut self) {
        self.batch.clear();
        self.bytes = 0;
        self.published = false;
    }
}

fn last_marks(batch: &[Record]) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    for record in batch {
        match marks.iter_mut().find(|mark| mark.shard == record.shard) {
            Some(mark) => *mark = record.mark(),
            None => marks.push(record.mark()),
        }
    }
    marks
}

#[cfg(test)]
mod tests;
