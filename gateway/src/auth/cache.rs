//! Verified tokens, remembered by one thread, in bounded memory.
//!
//! A token is known by SipHash-1-3-128 of its whole text under a random 128-bit key. The hash's outputs are never shown to anybody, so
//! nobody can search for a second token with the hash of a first; by chance alone, two of 10^6 tokens
//! meet with probability 10^-27. So the text itself is not kept: 96 bytes a token and its subject, not half a KiB.

use std::hash::Hasher as _;

use aws_lc_rs::rand;
use siphasher::sip128::{Hasher128, SipHasher13};

use super::Identity;

/// Slots a token may be in. Four entries are a few cache lines; the eviction is within them.
const WAYS: usize = 4;

/// A token's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenKey(u128);

struct Entry {
    key: TokenKey,
    /// When it was last found, in finds and inserts of this cache.
    used: u64,
    identity: Identity,
}

/// The table: fixed, 4-way, least recently used of the four leaves.
pub struct TokenCache {
    hasher: SipHasher13,
    slots: Box<[Option<Entry>]>,
    uses: u64,
}

impl TokenCache {
    /// Room for `tokens`, rounded up to a power of two.
    pub fn new(tokens: usize) -> TokenCache {
        let mut key = [0; 16];
        rand::fill(&mut key).expect("the operating system's randomness");
        let slots = tokens.max(WAYS).next_power_of_two();
        TokenCache {
            hasher: SipHasher13::new_with_key(&key),
            slots: (0..slots).map(|_| None).collect(),
            uses: 0,
        }
    }

    /// The hash of a token's whole text.
    pub fn key(&self, token: &[u8]) -> TokenKey {
        let mut hasher = self.hasher;
        hasher.write(token);
        TokenKey(hasher.finish128().as_u128())
    }

    /// The slot that remembers `key`, unless it expired by `now_s`. Allocates nothing.
    pub fn find(&mut self, key: TokenKey, now_s: u64) -> Option<usize> {
        let first = self.first(key);
        self.uses += 1;
        for (way, slot) in self.slots[first..first + WAYS].iter_mut().enumerate() {
            if let Some(entry) = slot
                && entry.key == key
            {
                if now_s >= entry.identity.exp {
                    *slot = None;
                    return None;
                }
                entry.used = self.uses;
                return Some(first + way);
            }
        }
        None
    }

    /// Remembers a verified token and returns its slot. Among its four slots an empty or expired one goes first, then
    /// the one that was not used for the longest.
    pub fn insert(&mut self, key: TokenKey, identity: Identity, now_s: u64) -> usize {
        let first = self.first(key);
        self.uses += 1;
        let age = |slot: &Option<Entry>| match slot {
            Some(entry) if now_s < entry.identity.exp => entry.used,
            _ => 0,
        };
        let set = &self.slots[first..first + WAYS];
        let way = (0..WAYS)
            .min_by_key(|way| age(&set[*way]))
            .expect("there are four");
        self.slots[first + way] = Some(Entry {
            key,
            used: self.uses,
            identity,
        });
        first + way
    }

    /// Who the token in `slot` speaks for.
    ///
    /// # Panics
    /// If the slot was not just returned by `find` or `insert`.
    pub fn identity(&self, slot: usize) -> &Identity {
        &self.slots[slot]
            .as_ref()
            .expect("the slot was just found")
            .identity
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.slots.fill_with(|| None);
    }

    fn first(&self, key: TokenKey) -> usize {
        let sets = self.slots.len() / WAYS;
        (key.0 as usize & (sets - 1)) * WAYS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn more_tokens_than_it_remembers_stay_within_its_memory_and_keep_the_recent_ones() {
        let mut cache = TokenCache::new(64);
        let identity = |n: u64| Identity {
            buyer: [0; 16],
            subject: n.to_string().into(),
            operator: false,
            exp: NOW + 10,
        };
        for n in 0..10_000_u64 {
            let key = cache.key(&n.to_be_bytes());
            assert_eq!(cache.find(key, NOW), None);
            cache.insert(key, identity(n), NOW);
            let slot = cache.find(key, NOW).expect("the newest is remembered");
            assert_eq!(*cache.identity(slot).subject, *n.to_string());
        }
        let kept = (0..10_000_u64)
            .filter(|n| cache.find(cache.key(&n.to_be_bytes()), NOW).is_some())
            .count();
        assert_eq!(kept, 64);
    }

    #[test]
    #[ignore = "a measurement: run with --release --ignored --nocapture"]
    fn how_long_a_remembered_token_takes() {
        let mut cache = TokenCache::new(131_072);
        let tokens: Vec<Vec<u8>> = (0..100_000_u64)
            .map(|n| format!("{n:0>300}").into_bytes())
            .collect();
        for (n, token) in tokens.iter().enumerate() {
            let identity = Identity {
                buyer: [0; 16],
                subject: n.to_string().into(),
                operator: false,
                exp: NOW + 10,
            };
            let key = cache.key(token);
            cache.insert(key, identity, NOW);
        }
        for (what, used) in [("one token", 1), ("100,000 tokens", 100_000)] {
            let began = std::time::Instant::now();
            let mut found = 0;
            for n in 0..1_000_000 {
                let key = cache.key(&tokens[n * 7919 % used]);
                found += usize::from(cache.find(key, NOW).is_some());
            }
            println!(
                "{what}: {} ns, {found} found",
                began.elapsed().as_nanos() / 1_000_000
            );
        }
    }
}
