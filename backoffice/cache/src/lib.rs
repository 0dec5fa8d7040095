//! What stands before the database when everyone reads: values in two levels, a mirror of stock, and leases. No gateway uses it yet.
//!
//! - [`Cache::get`] reads a product or an order: this process, then Redis, then the loader that it is given.
//! - [`Cache::invalidator`] makes values void as committed entries come by.
//! - [`Cache::stock`] is what storefronts show; [`Cache::leases`] is one runner a job, with a fencing token.
//!
//! **A key is loaded once.** Within a process all that ask for a key wait for one load. Over processes, a miss takes a lock in Redis in the
//! step that missed (`lua/read.lua`); the others look again for `wait_max`, and then load as well without storing: no more loads of a key at a
//! time than there are processes. An absence is remembered for a short time. Lives are jittered, so what was written together does not end together.
//!
//! **An old value does not come back.** The race: a reader misses and reads the old row; the row changes, and the key is invalidated, which
//! finds nothing to delete; then the reader stores what it read. So the lock of a load is also its permission to store: invalidating deletes it,
//! and `lua/store.lua` stores only for who still has it. If Redis evicts or loses the lock, nothing is stored: every loss errs that way. In the
//! process, an invalidation moves a counter that is part of the key of what is remembered and of what is under way. A value carries no
//! op: an op is remembered a key, so that entries that a consumer repeats do not empty the cache.
//!
//! **What could not be invalidated is not served.** Each invalidator keeps a mark in Redis, a random word with a short life, that its consumer
//! renews ([`Invalidator::beat`]). A value is stamped with the marks of its time, and served only while exactly these are there. A consumer that
//! died or is cut off lets its mark run out: readers ask the loader. When it is back, after any error, and by each new connection (behind which
//! may be a replica or a restart that lost the last writes), it sets another word, and everything stored before is void at once. A count of
//! epochs would not do: a Redis that comes back from an older snapshot would count to the same number again. Other designs lose: a queue of
//! what is to be invalidated dies with its process, and flushing at a reconnect leaves the time before it open. The price is a cold cache
//! after each start of a consumer, which the single flight and `loads_max` bound.
//!
//! **So a value that is read is at most this old** once its entry was committed and consumed: `near_life` in other processes, and `mark_life` and
//! `near_life` together while Redis cannot be told.
//!
//! **Without Redis it is slower, and right.** A question has `answer_timeout`, after a few failures a breaker leaves Redis alone and tries it
//! now and then; readers go to the loader, `loads_max` at a time. Whatever an abandoned question still does in Redis is harmless: a
//! lock that nobody has runs out, a store needs its lock.
//!
//! **Servers.** One Redis, or what stands for one: scripts touch several keys, so no Redis Cluster. It may evict (`allkeys-lru`) what the cache
//! put there; leases need a Redis that does not evict, and the store's fence is what makes even that safe. TLS is rustls with aws-lc-rs.

mod breaker;
mod cache;
mod error;
mod invalidator;
mod lease;
mod link;
mod metrics;
mod settings;
mod stock;

pub use cache::Cache;
pub use error::{CacheError, GetError};
pub use invalidator::Invalidator;
pub use lease::{Lease, Leases};
pub use metrics::{Counter, Metrics};
pub use settings::Settings;
pub use stock::{Stock, StockMirror};
