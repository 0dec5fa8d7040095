//! The level in this process: bounded, short-lived, one load a key.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache;

use super::entry::Entry;
use crate::GetError;

/// Counters of invalidations. Keys that share one only load once more than they must.
const STRIPES: usize = 4096;
/// What an entry takes beside its bytes, roughly.
const ENTRY_BYTES: usize = 160;

/// A key as of an invalidation: a load that began before it answers to another one, so what it brings is never seen after.
pub(crate) type NearKey = (Arc<str>, u64);

/// Entries of this process.
#[derive(Debug)]
pub(crate) struct Near {
    entries: Cache<NearKey, Entry>,
    hasher: RandomState,
    stripes: Box<[AtomicU64]>,
}

struct OwnLife;

impl Expiry<NearKey, Entry> for OwnLife {
    fn expire_after_create(&self, _: &NearKey, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(entry.near_life)
    }
}

impl Near {
    pub fn new(bytes_max: u64) -> Near {
        let weigh = |key: &NearKey, entry: &Entry| {
            let value = entry.value.as_ref().map_or(0, |value| value.len());
            u32::try_from(ENTRY_BYTES + key.0.len() + value).unwrap_or(u32::MAX)
        };
        Near {
            entries: Cache::builder()
                .max_capacity(bytes_max)
                .weigher(weigh)
                .expire_after(OwnLife)
                .build(),
            hasher: RandomState::new(),
            stripes: (0..STRIPES).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    pub fn key(&self, key: &str) -> NearKey {
        (key.into(), self.stripe(key).load(Ordering::Acquire))
    }

    pub async fn get(&self, key: &NearKey) -> Option<Entry> {
        self.entries.get(key).await
    }

    /// The entry, by one `fetch` for all that ask for it meanwhile.
    pub async fn join<E: Send + Sync + 'static>(
        &self,
        key: NearKey,
        fetch: impl Future<Output = Result<Entry, GetError<E>>>,
    ) -> Result<Entry, Arc<GetError<E>>> {
        self.entries.try_get_with(key, fetch).await
    }

    /// What is known of the key, and what is being loaded, is not seen by those who ask from now on.
    pub fn invalidate(&self, key: &str) {
        self.stripe(key).fetch_add(1, Ordering::AcqRel);
    }

    pub fn invalidate_all(&self) {
        for stripe in &self.stripes {
            stripe.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn stripe(&self, key: &str) -> &AtomicU64 {
        &self.stripes[self.hasher.hash_one(key) as usize % STRIPES]
    }
}
