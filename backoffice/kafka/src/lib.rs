//! The feed through Kafka: what the log holds, published a transaction a batch ([`KafkaBus`]), and read again for a store ([`KafkaSource`]).
//!
//! **What lies where.** One topic (`tidegate.entries`), a partition a shard, a message an entry: its bytes verbatim, with shard, op and the
//! chain hashes before and after it ([`encode`]). Read with `isolation.level=read_committed`, a partition has each op once and in order.
//! What a reader sees otherwise (control records, aborted batches) is not there.
//!
//! **Who may publish.** Shards are owned in groups of [`GROUP_SHARDS`]; a group has one transactional producer, whose `transactional.id` is
//! the setting's with the group's number. Who opens a group fences whoever had it: that one's transaction is aborted, and its next call
//! fails with a [`Fault`] that [`stops`](Fault::stops). So two buses never both publish, however long one of them was away. A transaction
//! that outlives `transaction_timeout`, because no broker answered, ends the same way: the broker cannot tell the two apart. Who still owns
//! the shards opens a new bus then.
//!
//! **What is published is read, not remembered.** At its start, and after each transaction that was aborted, a group reads the last
//! committed entry of each of its partitions. That is the mark from which on it publishes; what comes below is left out, and a gap or
//! another history is [`Parted`](tidegate_follow::StoreError::Parted) before anything of the batch is written. A batch over several groups is
//! as many transactions: one that fails leaves the others committed, and the batch is handed in again.
//!
//! **A store's position is its own.** [`KafkaSource`] commits no offsets. It is given the store's marks and searches each partition for
//! the op after the mark; so a store that was put back from a backup goes on where that backup is.
//!
//! Retention must be infinite, or at least pass no op that a store still needs: a store behind the oldest entry cannot go on. A topic that this
//! crate makes keeps everything. librdkafka is built without OpenSSL, so brokers are reached over a network that is private.

mod bus;
mod client;
mod error;
mod facts;
mod message;
mod reader;
mod settings;
mod source;
#[cfg(test)]
mod testing;
mod topic;

pub use bus::KafkaBus;
pub use error::Fault;
pub use facts::{Facts, TopicFacts, facts};
pub use message::{MessageError, VERSION, decode, encode};
pub use settings::{Compression, GROUP_SHARDS, Settings};
pub use source::KafkaSource;
pub use topic::ensure_topic;
