//! A bus in memory with transactions, as Kafka is one, and what may go wrong with one. It outlives every machine.

use std::fmt;

use tidegate_follow::{Mark, Next, Record, StoreError, check};

use crate::plan::BusPlan;
use crate::rng::Rng;

/// Shards whose records are in one transaction.
const GROUP: usize = 2;

/// Why a batch was not published, or no answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No broker answers.
    Down,
    /// A transaction was aborted, and others were not.
    Aborted,
    /// It was committed, and the answer was lost.
    AnswerLost,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// What was committed, a partition a shard.
pub struct Bus {
    partitions: Vec<Vec<Record>>,
    aborted: u64,
    lost_answers: u64,
    rng: Rng,
    /// It does not answer for a while.
    pub down: bool,
    /// No more faults.
    pub calm: bool,
    /// Transactions that went wrong, to see that some did.
    pub troubles: u64,
}

impl Bus {
    /// An empty topic.
    pub fn new(shards: u16, plan: &BusPlan, rng: Rng) -> Bus {
        Bus {
            partitions: (0..shards).map(|_| Vec::new()).collect(),
            aborted: plan.aborted,
            lost_answers: plan.lost_answers,
            rng,
            down: false,
            calm: false,
            troubles: 0,
        }
    }

    /// How far a shard is published.
    pub fn mark(&self, shard: u16) -> Mark {
        let none = Mark {
            shard,
            ..Mark::default()
        };
        self.partition(shard).last().map_or(none, Record::mark)
    }

    /// How far each shard is published.
    pub fn marks(&self) -> impl Iterator<Item = Mark> + '_ {
        (0..self.partitions.len() as u16).map(|shard| self.mark(shard))
    }

    /// What is published of a shard, from op 1 on.
    pub fn partition(&self, shard: u16) -> &[Record] {
        &self.partitions[usize::from(shard)]
    }

    fn fate(&mut self) -> Result<(), Trouble> {
        if self.calm {
            return Ok(());
        }
        if self.down {
            return Err(Trouble::Down);
        }
        match self.rng.below(100) {
            drawn if drawn < self.aborted => Err(Trouble::Aborted),
            drawn if drawn < self.aborted + self.lost_answers => Err(Trouble::AnswerLost),
            _ => Ok(()),
        }
    }
}

impl tidegate_follow::Bus for Bus {
    type Error = Trouble;

    fn publish(&mut self, batch: &[Record]) -> Result<(), StoreError<Trouble>> {
        let fate = self.fate();
        self.troubles += u64::from(fate.is_err());
        if fate == Err(Trouble::Down) {
            return Err(StoreError::Failed(Trouble::Down));
        }
        // A batch is a transaction a group of shards, and each ends by itself.
        let mut aborts = vec![false; self.partitions.len() / GROUP + 1];
        if fate == Err(Trouble::Aborted) {
            aborts.fill_with(|| self.rng.percent(50));
        }
        for record in batch
            .iter()
            .filter(|record| !aborts[usize::from(record.shard) / GROUP])
        {
            let next = check(self.mark(record.shard), record).map_err(StoreError::Parted)?;
            if next == Next::New {
                self.partitions[usize::from(record.shard)].push(record.clone());
            }
        }
        fate.map_err(StoreError::Failed)
    }
}
