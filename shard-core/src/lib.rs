//! What must be true about stock and orders: the deterministic state machine of one shard.
//!
//! Pure: no clock, no I/O, no threads, no randomness. Time is an argument, entries go out, and the same entries give
//! the same state on every machine.

pub mod codec;
pub mod command;
pub mod entry;
pub mod ids;
pub mod limits;
pub mod message;
pub mod outcome;
pub mod shard;

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
