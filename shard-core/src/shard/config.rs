//! What a shard is told when it is made.

use crate::ids::ShardId;
use crate::limits::Limits;

/// What a shard is and how much it may grow.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// Which shard.
    pub id: ShardId,
    /// How many the data directory has.
    pub shards: u16,
    /// Bounds.
    pub limits: Limits,
    /// Seed of the in-memory hash tables, random per process where outsiders choose keys. It never shows in results.
    pub hash_seed: u64,
    /// A mistake made on purpose, for the simulation to find.
    #[cfg(feature = "planted-bugs")]
    pub planted: Option<PlantedBug>,
}

impl ShardConfig {
    /// A shard with the default bounds.
    #[must_use]
    pub fn new(id: ShardId, shards: u16) -> ShardConfig {
        ShardConfig {
            id,
            shards,
            limits: Limits::default(),
            hash_seed: 0,
            #[cfg(feature = "planted-bugs")]
            planted: None,
        }
    }
}

/// Mistakes that the simulation must find.
#[cfg(feature = "planted-bugs")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlantedBug {
    /// A late confirmation is taken as if the order's stock were still held.
    ConfirmAfterExpiry,
    /// After a restart ids are taken from the clock (in steps of about a second), without lease or last id.
    IdReuseAfterClockStep,
    /// A question about an attempt that gathers is answered "released", and the attempt lives on.
    AbortAnswerDoesNotBind,
    /// The home shard takes the first acknowledgement for all of them.
    HomeForgetsEarly,
    /// No tombstone is kept.
    TombstoneDropped,
    /// Ended orders are forgotten although the store does not have their end.
    ForgottenBeforeStored,
}
