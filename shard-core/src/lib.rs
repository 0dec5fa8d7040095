//! What must be true about stock and orders: the deterministic state machine of one shard.
//!
//! Pure: no clock, no I/O, no threads, no randomness. Time is an argument, entries go out, and the same entries give
//! the same state on every machine.

mod buyer;
mod change;
pub mod codec;
pub mod command;
mod cross;
mod digest;
mod end;
pub mod entry;
mod expiry;
mod hold;
pub mod ids;
mod index;
mod invariants;
pub mod limits;
pub mod message;
mod order;
mod order_state;
mod orders;
pub mod outcome;
mod pay;
mod place;
pub mod shard;
mod sku;
mod skus;
mod snapshot;
mod stock;
mod wire;

#[cfg(test)]
mod tests;

pub use codec::DecodeError;
pub use command::{Caller, ChangeStock, Command, Line, Lines, Place, PutSku, body_hash, home_shard};
pub use entry::{Effect, Entry};
pub use ids::{BodyHash, Buyer, ChargeId, KeyHash, Millis, Op, OrderId, ShardId, SkuName, shard_of};
pub use limits::Limits;
pub use message::Message;
pub use outcome::{OrderStatus, OrderView, Outcome, Refusal, SkuView, StockView};
#[cfg(feature = "planted-bugs")]
pub use shard::PlantedBug;
pub use shard::{Decision, Input, ReplayError, Reply, Shard, ShardConfig};
