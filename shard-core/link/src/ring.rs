//! A bounded queue between one writing and one reading thread.
//!
//! Each side keeps its own index in plain memory and a copy of the other's, and looks at the shared one only
//! when the copy says "full" or "empty". What was pushed becomes visible with [`Producer::publish`], so that
//! a batch costs one shared store, and the reader's cache line is not pulled over once an item.

// The slots are handed from one thread to the other by the two indices; nothing safe expresses that.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

use crate::limits::RING_SLOTS_MAX;
use crate::sync::{Arc, AtomicUsize, Ordering, UnsafeCell};

#[cfg(test)]
mod tests;

/// Keeps the two indices on cache lines of their own: 128, because x86 fetches lines in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Padded<T>(T);

struct Shared<T> {
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
    /// Slots below this count were taken out by the reader. Only the reader stores it.
    head: Padded<AtomicUsize>,
    /// Slots below this count are filled. Only the writer stores it.
    tail: Padded<AtomicUsize>,
}

// SAFETY: a slot is touched by the writer only while `head <= index - capacity`, by the reader only while
// `index < tail`; the release stores and acquire loads of the two indices order those accesses. `T` moves
// from one thread to the other, so `T: Send` is all that is needed.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above; no `&T` is ever shared.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    fn mask(&self) -> usize {
        self.slots.len() - 1
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        let (head, tail) = (
            self.head.0.load(Ordering::Acquire),
            self.tail.0.load(Ordering::Acquire),
        );
        let mask = self.mask();
        let mut index = head;
        while index != tail {
            // SAFETY: both ends are gone; `head..tail` are the slots that were filled and not taken out.
            self.slots[index & mask].with_mut(|slot| unsafe { (*slot).assume_init_drop() });
            index = index.wrapping_add(1);
        }
    }
}

/// A ring of at least `slots` slots (rounded up to a power of two).
///
/// # Panics
/// When `slots` is 0 or above [`RING_SLOTS_MAX`].
pub fn ring<T: Send>(slots: usize) -> (Producer<T>, Consumer<T>) {
    assert!(slots > 0 && slots <= RING_SLOTS_MAX, "a ring of {slots} slots");
    let slots = slots.next_power_of_two();
    let shared = Arc::new(Shared {
        slots: (0..slots)
            .map(|_| UnsafeCell::new(MaybeUninit::uninit()))
            .collect(),
        head: Padded(AtomicUsize::new(0)),
        tail: Padded(AtomicUsize::new(0)),
    });
    let producer = Producer {
        shared: Arc::clone(&shared),
        tail: 0,
        published: 0,
        head_seen: 0,
    };
    (
        producer,
        Consumer {
            shared,
            head: 0,
            tail_seen: 0,
        },
    )
}

/// The writing end of a [`ring`].
pub struct Producer<T: Send> {
    shared: Arc<Shared<T>>,
    /// Count of pushed items, published or not.
    tail: usize,
    published: usize,
    /// The reader's index when last looked at; never above the true one.
    head_seen: usize,
}

impl<T: Send> Producer<T> {
    /// Puts an item in; the reader sees it after the next [`publish`](Self::publish). Gives it back when full.
    #[inline]
    pub fn push(&mut self, item: T) -> Result<(), T> {
        if self.free_seen() == 0 {
            self.head_seen = self.shared.head.0.load(Ordering::Acquire);
            if self.free_seen() == 0 {
                return Err(item);
            }
        }
        let slot = &self.shared.slots[self.tail & self.shared.mask()];
        // SAFETY: the slot is free (`tail - head < capacity`, `head` loaded with acquire) and unpublished, so
        // the reader does not look at it.
        slot.with_mut(|slot| unsafe { (*slot).write(item) });
        self.tail = self.tail.wrapping_add(1);
        Ok(())
    }

    /// Shows everything pushed so far to the reader. Returns true if there was something new; then the
    /// reader's bell is to be rung.
    #[inline]
    pub fn publish(&mut self) -> bool {
        if self.published == self.tail {
            return false;
        }
        self.shared.tail.0.store(self.tail, Ordering::Release);
        self.published = self.tail;
        true
    }

    /// Items pushed and not yet published.
    pub fn unpublished(&self) -> usize {
        self.tail.wrapping_sub(self.published)
    }

    /// Slots free right now; the reader can only add to it.
    pub fn free(&mut self) -> usize {
        self.head_seen = self.shared.head.0.load(Ordering::Acquire);
        self.free_seen()
    }

    /// True when at least `slots` are free. Looks at the reader's index only if the copy does not say so.
    #[inline]
    pub fn has_room(&mut self, slots: usize) -> bool {
        self.free_seen() >= slots || self.free() >= slots
    }

    /// Slots in all.
    pub fn capacity(&self) -> usize {
        self.shared.slots.len()
    }

    /// True when the reading end is gone.
    pub fn is_abandoned(&self) -> bool {
        Arc::strong_count(&self.shared) == 1
    }

    fn free_seen(&self) -> usize {
        self.shared.slots.len() - self.tail.wrapping_sub(self.head_seen)
    }
}

impl<T: Send> Drop for Producer<T> {
    /// What was pushed still arrives.
    fn drop(&mut self) {
        self.publish();
    }
}

/// The reading end of a [`ring`].
pub struct Consumer<T: Send> {
    shared: Arc<Shared<T>>,
    /// Count of items taken out.
    head: usize,
    /// The writer's published index when last looked at; never above the true one.
    tail_seen: usize,
}

impl<T: Send> Consumer<T> {
    /// Takes one item out and frees its slot.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        let item = self.take()?;
        self.release();
        Some(item)
    }

    /// Hands up to `max` items to `each`, then frees their slots with one store. Returns how many there were.
    /// Looks at the writer's index once, so that a writer that never stops cannot keep the reader here.
    #[inline]
    pub fn drain(&mut self, max: usize, mut each: impl FnMut(T)) -> usize {
        self.refresh();
        let count = self.tail_seen.wrapping_sub(self.head).min(max);
        for _ in 0..count {
            if let Some(item) = self.take() {
                each(item);
            }
        }
        if count > 0 {
            self.release();
        }
        count
    }

    /// True when nothing is published. Looks at the shared index: this is the check before sleeping.
    pub fn is_empty(&mut self) -> bool {
        self.refresh();
        self.tail_seen == self.head
    }

    /// Items that can be taken out now.
    pub fn len(&mut self) -> usize {
        self.refresh();
        self.tail_seen.wrapping_sub(self.head)
    }

    /// Slots in all.
    pub fn capacity(&self) -> usize {
        self.shared.slots.len()
    }

    /// True when the writing end is gone; what it pushed before can still be taken out.
    pub fn is_abandoned(&self) -> bool {
        Arc::strong_count(&self.shared) == 1
    }

    fn refresh(&mut self) {
        self.tail_seen = self.shared.tail.0.load(Ordering::Acquire);
    }

    #[inline]
    fn take(&mut self) -> Option<T> {
        if self.head == self.tail_seen {
            self.refresh();
            if self.head == self.tail_seen {
                return None;
            }
        }
        let slot = &self.shared.slots[self.head & self.shared.mask()];
        // SAFETY: `head < tail`, loaded with acquire, so the slot was written before; `head` moves on, so it
        // is read out once.
        let item = slot.with(|slot| unsafe { (*slot).assume_init_read() });
        self.head = self.head.wrapping_add(1);
        Some(item)
    }

    #[inline]
    fn release(&mut self) {
        self.shared.head.0.store(self.head, Ordering::Release);
    }
}

impl<T: Send> Drop for Consumer<T> {
    fn drop(&mut self) {
        // A panic inside `drain`'s closure leaves items that were taken out but not released.
        self.release();
    }
}

impl<T: Send> std::fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer")
            .field("tail", &self.tail)
            .field("published", &self.published)
            .finish()
    }
}

impl<T: Send> std::fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer").field("head", &self.head).finish()
    }
}
