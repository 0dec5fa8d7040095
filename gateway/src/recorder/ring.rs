//! A ring of fixed records with one writer, read while it is written: a seqlock a record, of atomics only.
//!
//! After Boehm, "Can Seqlocks Get Along With Programming Language Memory Models?" (MSPC 2012), section 4: the words are relaxed
//! atomics, so that a torn read is a wrong value and no undefined behaviour, and the fences make sure that it is noticed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// Words of a record, without the one that numbers it.
pub const WORDS: usize = 23;

/// The words of one record.
pub type Words = [u64; WORDS];

/// Three cache lines, 192 bytes: the longest request id and the longest SKU fit whole, so nothing is cut off and nothing is packed.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Slot {
    /// Twice the record's number plus two; odd while it is being written; 0: never written.
    sequence: AtomicU64,
    words: [AtomicU64; WORDS],
}

/// The last records of one writer.
#[derive(Debug)]
pub struct Ring {
    slots: Box<[Slot]>,
    /// Records so far. A hint for readers: the slots themselves say what they hold.
    written: AtomicU64,
}

impl Ring {
    /// Room for `records`, 192 bytes each; 0: nothing is kept.
    pub fn new(records: usize) -> Ring {
        Ring {
            slots: (0..records).map(|_| Slot::default()).collect(),
            written: AtomicU64::new(0),
        }
    }

    /// How many records it keeps.
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// Whole records, newest first. Those that the writer replaces meanwhile are left out.
    pub fn newest_first(&self) -> impl Iterator<Item = Words> {
        let written = self.written.load(Ordering::Acquire);
        let oldest = written.saturating_sub(self.slots.len() as u64);
        (oldest..written).rev().filter_map(|number| self.read(number))
    }

    /// Record `number`, if it is still there and not being replaced.
    fn read(&self, number: u64) -> Option<Words> {
        let slot = &self.slots[(number % self.slots.len() as u64) as usize];
        let whole = sequence_of(number);
        if slot.sequence.load(Ordering::Acquire) != whole {
            return None;
        }
        let words = std::array::from_fn(|at| slot.words[at].load(Ordering::Relaxed));
        // The words were loaded before the second look; pairs with the release fence in `write`.
        fence(Ordering::Acquire);
        (slot.sequence.load(Ordering::Relaxed) == whole).then_some(words)
    }
}

/// The writing end.
#[derive(Debug)]
pub struct Writer {
    ring: Arc<Ring>,
    next: u64,
    /// `next` modulo the ring's length, without a division a record.
    at: usize,
}

impl Writer {
    /// The one writer of a ring that was never written.
    pub fn new(ring: Arc<Ring>) -> Writer {
        Writer { ring, next: 0, at: 0 }
    }

    /// Whether anything is kept.
    pub fn is_on(&self) -> bool {
        !self.ring.slots.is_empty()
    }

    /// Puts a record in the place of the oldest.
    #[inline]
    pub fn write(&mut self, words: &Words) {
        let Some(slot) = self.ring.slots.get(self.at) else {
            return;
        };
        let whole = sequence_of(self.next);
        slot.sequence.store(whole - 1, Ordering::Relaxed);
        // A reader that sees one of the words below also sees the odd number above.
        fence(Ordering::Release);
        for (word, value) in slot.words.iter().zip(words) {
            word.store(*value, Ordering::Relaxed);
        }
        slot.sequence.store(whole, Ordering::Release);
        self.next += 1;
        self.at = if self.at + 1 == self.ring.slots.len() {
            0
        } else {
            self.at + 1
        };
        self.ring.written.store(self.next, Ordering::Release);
    }
}

fn sequence_of(number: u64) -> u64 {
    (number + 1) * 2
}
