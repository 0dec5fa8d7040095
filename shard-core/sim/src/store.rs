//! A store in memory with transactions, as SQLite is one, and everything that may go wrong with one.
//!
//! What was committed outlives every crash, of the machine as well: the real one syncs each commit (`synchronous=FULL`). What a
//! transaction does with a batch is production code ([`take_in`]), and so is what an entry changes in rows and history.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use tidegate_follow::{Change, Mark, OrderRows, Planted, Record, Step, StoreError, take_in};
use tidegate_log::ShardMark;
use tidegate_shard_core::{Entry, OrderId};

use crate::plan::StoreFaults;
use crate::rng::Rng;
use crate::world::Broken;

/// Why a batch was not taken, or no answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The store does not run.
    Stopped,
    /// The transaction was rolled back.
    RolledBack,
    /// It was committed, and the answer was lost.
    AnswerLost,
    /// The store's side died in the midst.
    Died,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// What becomes of one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Commits,
    RollsBack,
    LosesAnswer,
    /// Before or after the commit, and before anybody heard of it.
    Dies {
        committed: bool,
    },
}

/// Rows, history and marks, and the faults of who keeps them.
pub struct Store {
    rows: OrderRows,
    /// The steps of each order, with the ops that made them, as they were written.
    history: BTreeMap<OrderId, Vec<(u64, Step)>>,
    marks: BTreeMap<u16, Mark>,
    faults: StoreFaults,
    rng: Rng,
    planted: Planted,
    /// It does not answer for a while.
    pub stopped: bool,
    /// No more faults.
    pub calm: bool,
    /// Its side died in a transaction: who follows hears nothing any more, and is made anew.
    died: Rc<Cell<bool>>,
    broken: Option<Broken>,
    /// What it did, to see that it did something.
    pub figures: StoreFigures,
}

/// What a store did.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoreFigures {
    /// Transactions that were committed.
    pub commits: u64,
    /// Transactions that were rolled back.
    pub rolled_back: u64,
    /// Commits whose answers were lost.
    pub lost_answers: u64,
    /// Deaths of the store's side in the midst of a transaction.
    pub deaths: u64,
}

impl Store {
    /// An empty store.
    pub fn new(faults: StoreFaults, rng: Rng, planted: Planted) -> Store {
        Store {
            rows: OrderRows::new(),
            history: BTreeMap::new(),
            marks: BTreeMap::new(),
            faults,
            rng,
            planted,
            stopped: false,
            calm: false,
            died: Rc::default(),
            broken: None,
            figures: StoreFigures::default(),
        }
    }

    /// The orders that it has.
    pub fn rows(&self) -> &OrderRows {
        &self.rows
    }

    /// The steps of an order, in the order in which they were written.
    pub fn history(&self, order: OrderId) -> &[(u64, Step)] {
        self.history.get(&order).map_or(&[], Vec::as_slice)
    }

    /// Orders with a history.
    pub fn histories(&self) -> usize {
        self.history.len()
    }

    /// How far it has a shard.
    pub fn mark(&self, shard: u16) -> Mark {
        let none = Mark {
            shard,
            ..Mark::default()
        };
        self.marks.get(&shard).copied().unwrap_or(none)
    }

    /// How far it has each shard, as a start and a feed are told.
    pub fn shard_marks(&self) -> Vec<ShardMark> {
        self.marks.values().copied().map(shard_mark).collect()
    }

    /// True from a death of its side until [`Store::revive`].
    pub fn died(&self) -> Rc<Cell<bool>> {
        Rc::clone(&self.died)
    }

    /// Its side runs again, with what was committed.
    pub fn revive(&mut self) {
        self.died.set(false);
    }

    /// A rule that the last transactions broke.
    pub fn take_broken(&mut self) -> Option<Broken> {
        self.broken.take()
    }

    fn fate(&mut self) -> Fate {
        if self.calm {
            return Fate::Commits;
        }
        let StoreFaults {
            rolled_back,
            lost_answers,
            deaths,
            ..
        } = self.faults;
        match self.rng.below(100) {
            drawn if drawn < rolled_back => Fate::RollsBack,
            drawn if drawn < rolled_back + lost_answers => Fate::LosesAnswer,
            drawn if drawn < rolled_back + lost_answers + deaths => Fate::Dies {
                committed: self.rng.percent(50),
            },
            _ => Fate::Commits,
        }
    }

    /// All of a transaction at once, or nothing of it.
    fn commit(&mut self, staged: Vec<(u64, u16, Entry)>, marks: Vec<Mark>) {
        self.figures.commits += 1;
        for (op, shard, entry) in staged {
            if let Some(step) = Step::of(shard, &entry) {
                self.write_step(op, step);
            }
            self.rows.apply(&entry);
            if let Some(Change::Dropped { order }) = Change::of(&entry) {
                self.history.remove(&order);
            }
        }
        for mark in marks {
            let before = self.marks.insert(mark.shard, mark).unwrap_or_default();
            if before.op > mark.op {
                self.broken = Some(format!("the store's mark goes back from {before:?} to {mark:?}"));
            }
        }
    }

    fn write_step(&mut self, op: u64, step: Step) {
        let steps = self.history.entry(step.order).or_default();
        if let Some((last, before)) = steps.last().filter(|(last, _)| *last >= op) {
            self.broken = Some(format!(
                "order {}: step {} of op {op} was written after {} of op {last}",
                step.order, step.kind, before.kind
            ));
        }
        steps.push((op, step));
    }
}

impl tidegate_follow::Store for Store {
    type Error = Trouble;

    fn marks(&mut self) -> Result<Vec<Mark>, Trouble> {
        Ok(self.marks.values().copied().collect())
    }

    fn apply(&mut self, batch: &[Record]) -> Result<(), StoreError<Trouble>> {
        if self.stopped || self.died.get() {
            return Err(StoreError::Failed(Trouble::Stopped));
        }
        let fate = self.fate();
        let mut staged = Vec::with_capacity(batch.len());
        let marks = take_in(
            batch,
            self.planted,
            |shard| Ok(self.mark(shard)),
            |record, entry| {
                staged.push((record.op, record.shard, entry.clone()));
                Ok(())
            },
        )?;
        if !matches!(fate, Fate::RollsBack | Fate::Dies { committed: false }) {
            self.commit(staged, marks);
        }
        let trouble = match fate {
            Fate::Commits => return Ok(()),
            Fate::RollsBack => {
                self.figures.rolled_back += 1;
                Trouble::RolledBack
            }
            Fate::LosesAnswer => {
                self.figures.lost_answers += 1;
                Trouble::AnswerLost
            }
            Fate::Dies { .. } => {
                self.figures.deaths += 1;
                self.died.set(true);
                Trouble::Died
            }
        };
        Err(StoreError::Failed(trouble))
    }
}

/// A store's mark, as the log knows it.
pub fn shard_mark(mark: Mark) -> ShardMark {
    ShardMark {
        shard: mark.shard,
        op: mark.op,
        chain: mark.chain,
    }
}

#[cfg(test)]
mod tests;
