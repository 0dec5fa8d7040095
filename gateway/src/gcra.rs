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
use std::sync::atomic::{AtomicU64, Ordering};

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

/// The answer to one take, enough for the `RateLimit` and `Retry-After` headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Take {
    /// Whether the take was admitted.
    pub allowed: bool,
    /// Takes that would be admitted right now, after this one.
    pub remaining: u32,
    /// Nanoseconds until the next take is admitted; 0 if one is now.
    pub retry_after_ns: u64,
    /// Nanoseconds until the bucket is full again.
    pub reset_ns: u64,
}

impl Take {
    /// A take nothing limits.
    pub const UNLIMITED: Take = Take {
        allowed: true,
        remaining: u32::MAX,
        retry_after_ns: 0,
        reset_ns: 0,
    };

    /// Seconds for `Retry-After` (RFC 9110, section 10.2.3: whole seconds), at least 1.
    pub fn retry_after_s(&self) -> u64 {
        self.retry_after_ns.div_ceil(1_000_000_000).max(1)
    }
}

/// The shared table of one limit. Make one per limit and share it by `Arc` over the threads.
pub struct Table {
    sets: Box<[Set]>,
    /// Keyed at random at start: nobody outside can choose keys that meet.
    hasher: RandomState,
    /// Table time 0, in the caller's nanoseconds.
    epoch_ns: u64,
    interval: u64,
    /// `burst` intervals, in units.
    capacity: u64,
    burst: u32,
    rate: f64,
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
    /// A table of `sets` sets (rounded up to a power of two), or `None` for [`Limit::Off`].
    /// `now_ns` is the start of its time, on the clock that every later `take` uses (monotonic nanoseconds).
    ///
    /// # Panics
    /// If `limit` is one that [`Limit::bucket`] refuses; configuration goes through it.
    pub fn new(limit: Limit, sets: usize, now_ns: u64) -> Option<Table> {
        let Limit::Bucket { rate, burst } = limit else {
            return None;
        };
        assert_eq!(Limit::bucket(rate, burst), Ok(limit));
        let interval = ((1e9 / rate / UNIT_NS as f64).round() as u64).max(1);
        let sets = sets.max(1).next_power_of_two();
        let sets = (0..sets)
            .map(|_| Set(std::array::from_fn(|_| AtomicU64::new(0))))
            .collect();
        Some(Table {
            sets,
            hasher: RandomState::new(),
            epoch_ns: now_ns,
            interval,
            capacity: interval * u64::from(burst),
            burst,
            rate,
        })
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
        let now = now_ns.saturating_sub(self.epoch_ns) / UNIT_NS;
        let set = &self.sets[(key.hash as usize) & (self.sets.len() - 1)];
        let tag = key.hash >> TIME_BITS;
        let overflow = (key.hash >> 32) as usize % WAYS;
        loop {
            let (slot, seen) = find(set, tag, now, overflow);
            let tat = (seen & TIME_MASK).max(now);
            let next = tat + self.interval;
            let ahead = next - now;
            if ahead > self.capacity {
                return self.refused(ahead);
            }
            let word = (tag_of(seen, tag, now) << TIME_BITS) | (next & TIME_MASK);
            if slot
                .compare_exchange_weak(seen, word, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
            {
                return self.admitted(ahead);
            }
        }
    }

    fn admitted(&self, ahead: u64) -> Take {
        let room = self.capacity - ahead;
        Take {
            allowed: true,
            remaining: (room / self.interval) as u32,
            retry_after_ns: self.interval.saturating_sub(room) * UNIT_NS,
            reset_ns: ahead * UNIT_NS,
        }
    }

    fn refused(&self, ahead: u64) -> Take {
        Take {
            allowed: false,
            remaining: 0,
            retry_after_ns: (ahead - self.capacity) * UNIT_NS,
            reset_ns: (ahead - self.interval) * UNIT_NS,
        }
    }

    /// The `RateLimit-Policy` field's value for a policy called `name`
    /// (draft-ietf-httpapi-ratelimit-headers-10, section 3): the quota `q` and its window `w` in seconds.
    pub fn policy_header(&self, name: &str) -> String {
        let window = (f64::from(self.burst) / self.rate).ceil().max(1.0) as u64;
        format!("\"{name}\";q={};w={window}", self.burst)
    }
}

/// Writes the `RateLimit` field's value (same draft, section 4) for policy `name` into `out`: what remains
/// `r`, and `t` seconds until the quota is restored. Clears `out` first; no allocation once it has grown.
pub fn write_ratelimit_header(out: &mut Vec<u8>, name: &str, take: &Take) {
    let mut number = itoa::Buffer::new();
    out.clear();
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\";r=");
    out.extend_from_slice(number.format(take.remaining).as_bytes());
    out.extend_from_slice(b";t=");
    out.extend_from_slice(number.format(take.reset_ns.div_ceil(1_000_000_000)).as_bytes());
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
