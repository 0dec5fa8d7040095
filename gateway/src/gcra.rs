//! Token buckets that are exact over all threads: a fixed table of GCRA states, one compare-and-swap a take.
//!
//! The generic cell rate algorithm (ITU-T I.371, annex A) keeps one number per key: the *theoretical arrival
//! time* (TAT), the moment at which the key's bucket is full again. A take at `now` moves it to
//! `max(TAT, now) + interval`, and is refused when that would be more than `burst` intervals ahead of `now`.
//! A bucket in use is thus one word, and all threads share it by compare-and-swap.
//!
//! # Keys that meet in the table
//!
//! The table is a fixed array of 8-slot sets, a cache line each. A key's keyed hash chooses the set and a 14-bit
//! tag; a slot is the tag and a 50-bit TAT. A slot whose TAT has passed says exactly what an empty one says, so it is
//! taken over without losing anything. What remains:
//!
//! * Two live keys of the same set and tag share a bucket: with a set filled to the last slot the chance is 8 in 16,384
//!   a key; with the default table and 100,000 live keys it is 1 in 20,000. The hash is keyed at random, so nobody can aim at somebody else.
//! * When all eight slots of a set are live and none has the tag, the key shares the slot its hash points to.
//!   Sharing can only refuse too much, never admit too much. A live key is one that took within the last
//!   `burst / rate` seconds: the default table (2^17 sets) overflows a set only beyond some 400,000 live keys.
//! * Two threads that meet a new key in the same instant may write two slots for it; every later take uses the first
//!   of them, so each such race admits one take too many, once.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

mod pace;
mod take;

use pace::Pace;
pub use take::Take;

#[cfg(test)]
mod tests;

/// Slots of one set: eight words are one 64-byte cache line, so a take touches one line.
const WAYS: usize = 8;
/// Bits of a slot that hold the time. 2^50 units of 125 ns are 4.4 years of uptime.
const TIME_BITS: u32 = 50;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
/// Nanoseconds a unit of table time. At the highest rate allowed (100,000/s, 80 units an interval) rounding
/// the interval to whole units costs at most 0.6 %, inside the promised 2 %.
const UNIT_NS: u64 = 125;
/// The highest rate a limit may have, takes per second; see [`UNIT_NS`].
pub const RATE_MAX: f64 = 100_000.0;
/// The lowest rate, takes per second: one a day.
pub const RATE_MIN: f64 = 1.0 / 86_400.0;
/// The largest burst, takes.
pub const BURST_MAX: u32 = 1_000_000;
const SECOND_NS: u64 = 1_000_000_000;
/// Longer than a take, by far; see [`Table::set_limit`].
const SETTLE: Duration = Duration::from_millis(1);
/// Sets of the default table: 8 MiB. See the module's text for what it holds.
pub const SETS_DEFAULT: usize = 1 << 17;

/// What one key may do: `rate` takes a second in the long run, `burst` at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// Everything is admitted and nothing is counted.
    Off,
    /// A GCRA bucket.
    Bucket {
        /// Takes per second, [`RATE_MIN`] to [`RATE_MAX`].
        rate: f64,
        /// Takes at once from a full bucket, 1 to [`BURST_MAX`].
        burst: u32,
    },
}

/// The longest a bucket may take to fill, seconds: half a year, so that a TAT stays far inside [`TIME_BITS`].
const FILL_S_MAX: f64 = 15_768_000.0;

impl Limit {
    /// A bucket, or what is wrong with the figures.
    pub fn bucket(rate: f64, burst: u32) -> Result<Limit, String> {
        if !(RATE_MIN..=RATE_MAX).contains(&rate) {
            return Err(format!(
                "rate {rate} is outside {RATE_MIN:.6} to {RATE_MAX} per second"
            ));
        }
        if !(1..=BURST_MAX).contains(&burst) {
            return Err(format!("burst {burst} is outside 1 to {BURST_MAX}"));
        }
        if f64::from(burst) / rate > FILL_S_MAX {
            return Err(format!(
                "a burst of {burst} at {rate} per second would take over half a year to refill"
            ));
        }
        Ok(Limit::Bucket { rate, burst })
    }
}

/// The shared table of one limit. Make one per limit and share it by `Arc` over the threads.
pub struct Table {
    /// Made when the limit is first in force: an `off` limit costs no memory.
    sets: OnceLock<Box<[Set]>>,
    sets_count: usize,
    /// Keyed at random at start: nobody outside can choose keys that meet.
    hasher: RandomState,
    /// Table time 0, in the caller's nanoseconds.
    epoch_ns: u64,
    /// The limit in force as [`Pace::pack`] has it: one word, so that no thread ever sees the rate of one limit with the burst of another.
    pace: AtomicU64,
}

/// One cache line of slots.
#[repr(align(64))]
struct Set([AtomicU64; WAYS]);

/// A key's place: which set, and which tag inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    hash: u64,
}

impl Table {
    /// A table of `sets` sets (rounded up to a power of two).
    /// `now_ns` is the start of its time, on the clock that every later `take` uses (monotonic nanoseconds).
    ///
    /// # Panics
    /// If `limit` is one that [`Limit::bucket`] refuses; configuration goes through it.
    pub fn new(limit: Limit, sets: usize, now_ns: u64) -> Table {
        let table = Table {
            sets: OnceLock::new(),
            sets_count: sets.max(1).next_power_of_two(),
            hasher: RandomState::new(),
            epoch_ns: now_ns,
            pace: AtomicU64::new(0),
        };
        table.put(limit);
        table
    }

    /// Whether nothing is limited.
    pub fn is_off(&self) -> bool {
        self.pace.load(Ordering::Relaxed) == 0
    }

    /// Puts another limit in force, for all threads at once. For a control thread: it may walk the whole table.
    ///
    /// What a key has used stays used. A bucket that would need longer to fill than the new limit allows becomes an empty one of
    /// the new limit: else a user who emptied a slow bucket would wait for the old rate.
    ///
    /// # Panics
    /// As [`Table::new`].
    pub fn set_limit(&self, limit: Limit, now_ns: u64) {
        self.put(limit);
        // A take that read the old limit a moment ago has written its slot by the time of the walk.
        std::thread::sleep(SETTLE);
        let Some((pace, sets)) = self.in_force() else {
            return;
        };
        let empty = self.units(now_ns) + pace.capacity();
        // Threads' clocks differ by a turn or so; what they wrote under the new limit is not to be touched.
        let slack = SECOND_NS / UNIT_NS;
        for slot in sets.iter().flat_map(|set| &set.0) {
            _ = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |seen| {
                ((seen & TIME_MASK) > empty + slack).then_some((seen & !TIME_MASK) | (empty & TIME_MASK))
            });
        }
    }

    fn put(&self, limit: Limit) {
        let word = match limit {
            Limit::Off => 0,
            Limit::Bucket { rate, burst } => {
                assert_eq!(Limit::bucket(rate, burst), Ok(limit));
                self.sets.get_or_init(|| {
                    (0..self.sets_count)
                        .map(|_| Set(std::array::from_fn(|_| AtomicU64::new(0))))
                        .collect()
                });
                Pace::of(rate, burst).pack()
            }
        };
        self.pace.store(word, Ordering::Release);
    }

    fn in_force(&self) -> Option<(Pace, &[Set])> {
        let pace = Pace::unpack(self.pace.load(Ordering::Acquire))?;
        // The sets were made before the word was stored.
        Some((pace, self.sets.get()?))
    }

    fn units(&self, now_ns: u64) -> u64 {
        now_ns.saturating_sub(self.epoch_ns) / UNIT_NS
    }

    /// The key of a client address. IPv6 counts by /64, which is what one customer is given (RFC 6177): a
    /// single host there has 2^64 addresses to hide behind. IPv4-mapped addresses count as IPv4.
    pub fn address_key(&self, address: IpAddr) -> Key {
        let hash = match address.to_canonical() {
            IpAddr::V4(v4) => self.hasher.hash_one((4_u8, u64::from(v4.to_bits()))),
            IpAddr::V6(v6) => self.hasher.hash_one((6_u8, (v6.to_bits() >> 64) as u64)),
        };
        Key { hash }
    }

    /// The key of a buyer (see [`crate::auth::Identity`]).
    pub fn buyer_key(&self, buyer: &[u8; 16]) -> Key {
        Key {
            hash: self.hasher.hash_one(u128::from_le_bytes(*buyer)),
        }
    }

    /// Takes one token for `key` at `now_ns`. One compare-and-swap unless another thread is in the same slot.
    pub fn take(&self, key: Key, now_ns: u64) -> Take {
        let Some((pace, sets)) = self.in_force() else {
            return Take::UNLIMITED;
        };
        let now = self.units(now_ns);
        let set = &sets[(key.hash as usize) & (sets.len() - 1)];
        let tag = key.hash >> TIME_BITS;
        let overflow = (key.hash >> 32) as usize % WAYS;
        loop {
            let (slot, seen) = find(set, tag, now, overflow);
            let tat = (seen & TIME_MASK).max(now);
            let next = tat + pace.interval;
            let ahead = next - now;
            if ahead > pace.capacity() {
                return Take::refused(pace, ahead);
            }
            let word = (tag_of(seen, tag, now) << TIME_BITS) | (next & TIME_MASK);
            if slot
                .compare_exchange_weak(seen, word, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
            {
                return Take::admitted(pace, ahead);
            }
        }
    }
}

/// The slot to use for `tag` and what it held: the first with the tag; else the first whose time has passed;
/// else the shared one.
fn find(set: &Set, tag: u64, now: u64, overflow: usize) -> (&AtomicU64, u64) {
    let mut free = None;
    for slot in &set.0 {
        // Relaxed: a slot is one word that stands for itself, nothing else is published through it.
        let seen = slot.load(Ordering::Relaxed);
        if seen >> TIME_BITS == tag && seen != 0 {
            return (slot, seen);
        }
        if free.is_none() && (seen & TIME_MASK) <= now {
            free = Some((slot, seen));
        }
    }
    free.unwrap_or_else(|| {
        let slot = &set.0[overflow];
        (slot, slot.load(Ordering::Relaxed))
    })
}

/// The tag to write: ours into a slot that is ours or has run out; the owner's into a shared one, so that the
/// owner still finds its bucket.
fn tag_of(seen: u64, tag: u64, now: u64) -> u64 {
    if (seen & TIME_MASK) <= now {
        tag
    } else {
        seen >> TIME_BITS
    }
}
