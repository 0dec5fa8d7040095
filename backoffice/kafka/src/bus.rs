//! The log's entries into the topic, a transaction a batch and group of shards.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use tidegate_follow::{Bus, Mark, Next, Record, StoreError, check};
use tidegate_shard_core::Entry;

use crate::reader::Reader;
use crate::topic::ensure;
use crate::{Fault, Settings};

mod group;

use group::{Entries, Group, Tail};

/// Publishes the entries of some groups of shards. While it lives nobody else does: see the crate's documentation.
pub struct KafkaBus {
    settings: Settings,
    reader: Reader,
    groups: BTreeMap<u16, Group>,
    shards: BTreeSet<u16>,
}

impl KafkaBus {
    /// Makes the topic if it is missing, takes the groups of these shards over from whoever has them, and reads how far they are.
    ///
    /// A shard comes with its whole group: who opens some shards of a group alone fences who publishes its others.
    ///
    /// # Errors
    /// [`Fault`]; one that does not [stop](Fault::stops) may be gone at the next try.
    pub fn open(settings: Settings, shards: impl IntoIterator<Item = u16>) -> Result<KafkaBus, Fault> {
        settings.check()?;
        let shards: BTreeSet<u16> = shards.into_iter().collect();
        settings.check_shards(&shards)?;
        let reader = Reader::to_look(&settings)?;
        let topic = ensure(&settings, &reader)?;
        let numbers: BTreeSet<u16> = shards.iter().map(|shard| Settings::group_of(*shard)).collect();
        let opened = in_parallel(numbers, |number| {
            let ours = shards
                .iter()
                .copied()
                .filter(|shard| Settings::group_of(*shard) == number);
            Group::open(&settings, number, ours, topic).map(|group| (number, group))
        });
        let groups = opened.into_iter().collect::<Result<_, Fault>>()?;
        let mut bus = KafkaBus {
            settings,
            reader,
            groups,
            shards,
        };
        for group in bus.groups.values_mut() {
            // Each group has its own time: a large shop has a hundred.
            let deadline = Instant::now() + bus.settings.call_timeout;
            group.settle(&bus.reader, deadline)?;
        }
        Ok(bus)
    }

    /// How far each shard is published, as far as this bus knows; a shard whose last entry cannot be read is left out.
    pub fn marks(&self) -> impl Iterator<Item = Mark> {
        self.groups.values().flat_map(Group::marks)
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.settings.call_timeout
    }

    /// Brings every group in the batch to where it knows its marks.
    fn settle(&mut self, batch: &[Record], deadline: Instant) -> Result<(), Fault> {
        let groups: BTreeSet<u16> = batch
            .iter()
            .map(|record| Settings::group_of(record.shard))
            .collect();
        if let Some(record) = batch.iter().find(|record| !self.shards.contains(&record.shard)) {
            return Err(Fault::NotOurs { shard: record.shard });
        }
        let groups = self
            .groups
            .iter_mut()
            .filter(|(number, _)| groups.contains(number));
        for (_, group) in groups {
            group.settle(&self.reader, deadline)?;
        }
        Ok(())
    }

    /// What of the batch is to be published, by group.
    fn sift<'a>(&self, batch: &'a [Record]) -> Result<BTreeMap<u16, Entries<'a>>, StoreError<Fault>> {
        let mut marks: BTreeMap<u16, Mark> = BTreeMap::new();
        let mut new: BTreeMap<u16, Entries<'a>> = BTreeMap::new();
        for record in batch {
            let unreadable = |why: String| StoreError::Unreadable {
                mark: record.mark(),
                why,
            };
            let group = Settings::group_of(record.shard);
            let have = match (marks.get(&record.shard), self.groups.get(&group)) {
                (Some(mark), _) => *mark,
                (None, Some(group)) => match group.tail(record.shard) {
                    Tail::Mark(mark) => mark,
                    Tail::Unreadable(why) => return Err(unreadable(why)),
                },
                (None, None) => return Err(StoreError::Failed(Fault::NotOurs { shard: record.shard })),
            };
            marks.insert(record.shard, have);
            if check(have, record).map_err(StoreError::Parted)? == Next::Known {
                continue;
            }
            let entry = Entry::decode(&record.payload).map_err(|error| unreadable(format!("{error:?}")))?;
            marks.insert(record.shard, record.mark());
            new.entry(group).or_default().push((record, entry));
        }
        Ok(new)
    }
}

impl Bus for KafkaBus {
    type Error = Fault;

    /// Waits for brokers no longer than `call_timeout` or so. [`StoreError::Failed`] with a fault that [stops](Fault::stops) means that
    /// this bus is over; any other may be gone when the batch is handed in again.
    fn publish(&mut self, batch: &[Record]) -> Result<(), StoreError<Fault>> {
        let deadline = self.deadline();
        self.settle(batch, deadline).map_err(StoreError::Failed)?;
        let new = self.sift(batch)?;
        let work = self
            .groups
            .iter_mut()
            .filter_map(|(number, group)| Some((group, new.get(number)?)));
        let done = in_parallel(work, |(group, entries)| group.write(entries, deadline));
        // What ends the bus is said before what may pass.
        let fault = done
            .into_iter()
            .filter_map(Result::err)
            .min_by_key(|fault| !fault.stops());
        match fault {
            Some(fault) => Err(StoreError::Failed(fault)),
            None => Ok(()),
        }
    }
}

/// Groups wait for brokers, not for each other: all but the first have a thread.
fn in_parallel<T: Send, R: Send>(work: impl IntoIterator<Item = T>, run: impl Fn(T) -> R + Sync) -> Vec<R> {
    let mut work = work.into_iter();
    let Some(first) = work.next() else {
        return Vec::new();
    };
    std::thread::scope(|scope| {
        let run = &run;
        let others: Vec<_> = work.map(|one| scope.spawn(move || run(one))).collect();
        let mut done = vec![run(first)];
        for other in others {
            match other.join() {
                Ok(one) => done.push(one),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    })
}

#[cfg(test)]
mod tests;
