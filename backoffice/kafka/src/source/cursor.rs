//! How far one shard was handed out, and how far the store is.

use std::collections::VecDeque;

use tidegate_follow::{Mark, Parted};

/// A shard's place.
#[derive(Debug)]
pub(super) struct Cursor {
    /// It hands nothing out any more.
    pub stopped: bool,
    /// Everything committed was handed out.
    pub at_end: bool,
    /// The last that was handed out.
    pub given: Mark,
    /// What the store has.
    marked: Mark,
    /// Chain hashes of what lies between, in the order of ops.
    unmarked: VecDeque<u64>,
}

impl Cursor {
    /// At a store's mark.
    pub(super) fn new(mark: Mark) -> Cursor {
        Cursor {
            stopped: false,
            at_end: false,
            given: mark,
            marked: mark,
            unmarked: VecDeque::new(),
        }
    }

    /// The next record was handed out.
    pub(super) fn gave(&mut self, mark: Mark) {
        debug_assert_eq!(mark.op, self.given.op + 1);
        self.given = mark;
        self.unmarked.push_back(mark.chain);
    }

    /// Entries that no mark covers.
    pub(super) fn unmarked(&self) -> usize {
        self.unmarked.len()
    }

    /// The store has it up to this mark. Gives the number of entries that it covers anew.
    ///
    /// # Errors
    /// [`Parted`]: that is not what was handed out.
    pub(super) fn applied(&mut self, mark: Mark) -> Result<usize, Parted> {
        if mark.op > self.given.op {
            return Err(Parted::Gap {
                have: self.given,
                op: mark.op,
            });
        }
        // An older mark that comes late says nothing new, and its hash is not known any more.
        let Some(covers) = mark.op.checked_sub(self.marked.op) else {
            return Ok(0);
        };
        let covers = covers as usize;
        let chain = match covers {
            0 => self.marked.chain,
            covers => self.unmarked[covers - 1],
        };
        if chain != mark.chain {
            return Err(Parted::OtherContent {
                have: mark,
                op: mark.op,
                chain,
            });
        }
        self.unmarked.drain(..covers);
        self.marked = mark;
        Ok(covers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(op: u64) -> Mark {
        Mark {
            shard: 3,
            op,
            chain: op * 10,
        }
    }

    #[test]
    fn only_marks_of_what_was_handed_out_are_believed() {
        let mut cursor = Cursor::new(mark(5));
        for op in 6..=9 {
            cursor.gave(mark(op));
        }
        assert_eq!(cursor.applied(mark(5)), Ok(0));
        assert_eq!(cursor.applied(mark(7)), Ok(2));
        assert_eq!(cursor.applied(mark(7)), Ok(0));
        assert_eq!(cursor.applied(mark(6)), Ok(0), "late");
        let gap = Parted::Gap {
            have: mark(9),
            op: 10,
        };
        assert_eq!(cursor.applied(mark(10)), Err(gap));
        for op in [7, 8] {
            let other = Mark { chain: 1, ..mark(op) };
            let parted = Parted::OtherContent {
                have: other,
                op,
                chain: op * 10,
            };
            assert_eq!(cursor.applied(other), Err(parted));
        }
        assert_eq!(cursor.applied(mark(9)), Ok(2));
        assert_eq!(cursor.unmarked(), 0);
    }
}
