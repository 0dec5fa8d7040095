//! The engine of one shard thread: its shards, their log, and what waits for the log.
//!
//! [`Node`] does no I/O, reads no clock and knows no thread: the host gives it commands, messages and the time, writes
//! the batches it seals, and takes what it lets out. **Whatever leaves a node waits until the shard's op it depends on is
//! durable**: answers, refusals, reads, messages to other shards and stock rows. With [`Durability::Replicated`] durable means that the bus
//! has it as well.
//!
//! [`open`] recovers a data directory and makes its nodes, [`checkpoint`] shortens the next start, [`segments`]
//! supplies and recycles the log's files, and [`feed`] hands what is durable to a store; all four work on any [`Files`],
//! so that the simulation runs the same code.

pub mod checkpoint;
mod durability;
pub mod feed;
mod files;
mod gated;
pub mod limits;
mod node;
pub mod open;
mod output;
mod parked;
mod planted;
pub mod segments;
mod unpublished;

pub use durability::Durability;
pub use feed::{Fed, Feed, FeedError, Parted};
pub use files::{Files, join};
pub use node::{Node, NodeConfig};
pub use open::{NO_STORE, OpenConfig, OpenError, Opened, open};
pub use output::{Answer, Envelope, Output, StockRow, Ticket, Unavailable};
pub use planted::Planted;
