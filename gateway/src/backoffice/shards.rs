//! The backoffice's way to the shards.

use tidegate_backoffice::shards::{Asked, NotDecided, Shards};
use tidegate_shard_core::Command;

use crate::desk::{Desk, Undecided};

/// Commands by a desk.
pub struct DeskShards(pub Desk);

impl Shards for DeskShards {
    fn ask(&self, command: Command) -> Asked<'_> {
        Box::pin(async move {
            self.0.decide(command).await.map_err(|why| match why {
                Undecided::NotDone => NotDecided::NotDone,
                Undecided::Unknown => NotDecided::Unknown,
            })
        })
    }
}
