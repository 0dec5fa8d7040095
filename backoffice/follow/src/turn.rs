//! One turn of who follows the log: read, write, and only then tell.

use std::collections::BTreeMap;
use std::convert::Infallible;

use crate::{Fed, Follower, Mark, NoBus, Source, Store, StoreError, Stuck};

/// What a turn came to.
#[derive(Debug)]
pub struct Turn<E> {
    /// How far the read came, or a line: the log cannot be read, or it did not believe a mark.
    pub log: Result<Fed, String>,
    /// Why the store did not take the batch that was under way. A shard that the store cannot follow ([`StoreError::shard`]) was stopped
    /// and what was under way of it given up; the other records of the batch stay, and come again in the next turn.
    pub refused: Option<StoreError<E>>,
}

impl Follower {
    /// Reads on, a segment at most, and brings what comes into the store a batch at a time. The log is told at the end, only what the
    /// store has committed: what it gave is read once.
    ///
    /// `took` hears of each batch that the store took, with the number of its records, and says whether to read on.
    pub fn turn<L: Source, S: Store>(
        &mut self,
        log: &mut L,
        store: &mut S,
        mut took: impl FnMut(u64) -> bool,
    ) -> Turn<S::Error> {
        let (mut marks, mut refused) = (BTreeMap::new(), None);
        let mut read = log.read(&mut |record| {
            if self.take(record) {
                return true;
            }
            match self.write(store, &mut marks, &mut took) {
                Ok(on) => on && self.take(record),
                Err(why) => {
                    refused = Some(why);
                    false
                }
            }
        });
        if refused.is_none() {
            refused = self.write(store, &mut marks, &mut took).err();
        }
        // A shard that has to be stopped takes nothing from the others.
        for mark in marks.into_values() {
            if let Err(line) = log.applied(mark) {
                read = Err(line);
            }
        }
        if let Some(shard) = refused.as_ref().and_then(StoreError::shard) {
            log.stop_shard(shard);
            self.drop_shard(shard);
        }
        Turn { log: read, refused }
    }

    /// Brings what is under way into the store, and notes how far each shard is then. Says whether to read on.
    fn write<S: Store>(
        &mut self,
        store: &mut S,
        marks: &mut BTreeMap<u16, Mark>,
        took: &mut impl FnMut(u64) -> bool,
    ) -> Result<bool, StoreError<S::Error>> {
        let count = self.len() as u64;
        if count == 0 {
            return Ok(true);
        }
        if self.planted().tells_early() {
            marks.extend(self.marks().into_iter().map(|mark| (mark.shard, mark)));
        }
        let there = self.bring_on(&mut NoBus, store).map_err(only_the_store)?;
        marks.extend(there.into_iter().map(|mark| (mark.shard, mark)));
        Ok(took(count))
    }
}

/// No bus, no error of one.
fn only_the_store<E>(stuck: Stuck<Infallible, E>) -> StoreError<E> {
    match stuck {
        Stuck::Store(error) => error,
        Stuck::Bus(error) => error.map(|never| match never {}),
    }
}

#[cfg(test)]
mod tests;
