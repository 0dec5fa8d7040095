//! A log and a store in memory, with faults that a test asks for.

use std::collections::BTreeMap;

use tidegate_shard_core::Millis;
use tidegate_shard_core::entry::{Effect, Entry};

use crate::{Fed, Mark, Planted, Record, Source, Store, StoreError, take_in};

/// The chain hash that these tests give a shard's op.
pub fn chain(shard: u16, op: u64) -> u64 {
    match op {
        0 => 0,
        op => u64::from(shard) << 32 | op,
    }
}

/// The mark of who has a shard up to an op.
pub fn mark(shard: u16, op: u64) -> Mark {
    Mark {
        shard,
        op,
        chain: chain(shard, op),
    }
}

/// A shard's record that changes no row.
pub fn record(shard: u16, op: u64) -> Record {
    let mut payload = Vec::new();
    Entry::new(Millis(op), Effect::Digest { digest: op }).encode(&mut payload);
    Record {
        shard,
        op,
        previous: chain(shard, op - 1),
        chain: chain(shard, op),
        payload: payload.into(),
    }
}

/// What the store does with the next batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is written.
    Fails,
    /// All is written, and the answer is lost.
    LosesAnswer,
}

/// Keeps the op of every record that it wrote.
#[derive(Debug, Default)]
pub struct Memory {
    pub written: BTreeMap<u16, Vec<u64>>,
    pub marks: BTreeMap<u16, Mark>,
    pub faults: Vec<Fault>,
    /// Records of each batch that came.
    pub batches: Vec<usize>,
}

impl Store for Memory {
    type Error = &'static str;

    fn marks(&mut self) -> Result<Vec<Mark>, &'static str> {
        Ok(self.marks.values().copied().collect())
    }

    fn apply(&mut self, batch: &[Record]) -> Result<(), StoreError<&'static str>> {
        self.batches.push(batch.len());
        let fault = self.faults.pop();
        if fault == Some(Fault::Fails) {
            return Err(StoreError::Failed("the disk is full"));
        }
        let mut written = Vec::new();
        let have = |shard| Ok(self.marks.get(&shard).copied().unwrap_or(mark(shard, 0)));
        let marks = take_in(batch, Planted::None, have, |record, _| {
            written.push((record.shard, record.op));
            Ok(())
        })?;
        for (shard, op) in written {
            self.written.entry(shard).or_default().push(op);
        }
        self.marks
            .extend(marks.into_iter().map(|mark| (mark.shard, mark)));
        match fault {
            Some(Fault::LosesAnswer) => Err(StoreError::Failed("the connection was cut")),
            _ => Ok(()),
        }
    }
}

/// Hands its records out in their order, and remembers what it was told.
#[derive(Debug, Default)]
pub struct Log {
    pub records: Vec<Record>,
    /// How many were taken.
    pub given: usize,
    pub told: Vec<Mark>,
    pub stopped: Vec<u16>,
}

impl Source for Log {
    fn read(&mut self, take: &mut dyn FnMut(&dyn Fn() -> Record) -> bool) -> Result<Fed, String> {
        for record in &self.records[self.given..] {
            if !self.stopped.contains(&record.shard) && !take(&|| record.clone()) {
                return Ok(Fed::More);
            }
            self.given += 1;
        }
        Ok(Fed::All)
    }

    fn applied(&mut self, mark: Mark) -> Result<(), String> {
        self.told.push(mark);
        Ok(())
    }

    fn stop_shard(&mut self, shard: u16) {
        self.stopped.push(shard);
    }
}
