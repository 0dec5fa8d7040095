//! How far bus and store are, as the edge was told.

use std::collections::BTreeMap;

use tidegate_follow::Mark;

use super::line::Marks;

/// Marks by shard.
#[derive(Debug)]
pub(super) struct Progress {
    name: String,
    published: BTreeMap<u16, u64>,
    applied: BTreeMap<u16, u64>,
}

impl Progress {
    /// At the welcome.
    pub(super) fn new(marks: &Marks) -> Progress {
        let by_shard = |marks: &[Mark]| marks.iter().map(|mark| (mark.shard, mark.op)).collect();
        Progress {
            name: marks.name.clone(),
            published: by_shard(match marks.has_bus {
                true => &marks.published,
                false => &marks.applied,
            }),
            applied: by_shard(&marks.applied),
        }
    }

    /// The store's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// These are published. Gives those that moved forward.
    pub(super) fn published(&mut self, marks: &[Mark]) -> Vec<Mark> {
        advance(&mut self.published, marks)
    }

    /// These are in the store. Gives those that moved forward: a reader may look at a replica that is behind for a moment.
    pub(super) fn applied(&mut self, marks: &[Mark]) -> Vec<Mark> {
        advance(&mut self.applied, marks)
    }

    /// Whether the store lacks what is published.
    pub(super) fn is_behind(&self) -> bool {
        self.unapplied() > 0
    }

    /// Entries that are published and not in the store.
    pub(super) fn unapplied(&self) -> i64 {
        let lacks =
            |(shard, op): (&u16, &u64)| op.saturating_sub(self.applied.get(shard).copied().unwrap_or(0));
        i64::try_from(self.published.iter().map(lacks).sum::<u64>()).unwrap_or(i64::MAX)
    }
}

fn advance(have: &mut BTreeMap<u16, u64>, marks: &[Mark]) -> Vec<Mark> {
    let mut moved = Vec::new();
    for mark in marks {
        let op = have.entry(mark.shard).or_default();
        if mark.op > *op {
            *op = mark.op;
            moved.push(*mark);
        }
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(shard: u16, op: u64) -> Mark {
        Mark { shard, op, chain: op }
    }

    #[test]
    fn the_store_is_asked_until_it_has_all_that_is_published_and_only_what_moved_is_told() {
        let mut progress = Progress::new(&Marks {
            name: "s".into(),
            applied: vec![mark(0, 5)],
            published: vec![mark(0, 7), mark(3, 1)],
            has_bus: true,
        });
        assert_eq!(progress.unapplied(), 3);
        assert_eq!(progress.applied(&[mark(0, 5), mark(3, 1)]), [mark(3, 1)]);
        assert_eq!(progress.applied(&[mark(0, 7)]), [mark(0, 7)]);
        assert!(!progress.is_behind());
        assert_eq!(progress.applied(&[mark(0, 6)]), [], "a replica that is behind");
        assert_eq!(progress.published(&[mark(0, 7), mark(3, 2)]), [mark(3, 2)]);
        assert_eq!(progress.unapplied(), 1);
    }

    #[test]
    fn without_a_bus_nothing_is_ever_published_and_not_applied() {
        let progress = Progress::new(&Marks {
            name: "s".into(),
            applied: vec![mark(0, 5)],
            published: Vec::new(),
            has_bus: false,
        });
        assert!(!progress.is_behind());
    }
}
