//! The backoffice's way to the shards.

use tidegate_backoffice::shards::{Asked, NotDecided, Shards};
use tidegate_host::Answer;
use tidegate_shard_core::Command;

use crate::desk::Desk;

/// Commands by a desk.
pub struct DeskShards(pub Desk);

impl Shards for DeskShards {
    fn ask(&self, command: Command) -> Asked<'_> {
        Box::pin(async move {
            match self.0.ask(command).await {
                Ok(Answer::Decided(outcome)) => Ok(outcome),
                Ok(Answer::Shed) => Err(NotDecided::NotDone),
                Ok(Answer::Unavailable(why)) if why.reserved() == Some(false) => Err(NotDecided::NotDone),
                // It may have been asked, and may still decide.
                Ok(Answer::Unavailable(_)) | Err(_) => Err(NotDecided::Unknown),
            }
        })
    }
}
