//! Where a follower's records come from.

use crate::{Mark, Record};

/// How far a read came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fed {
    /// There may be more: read again.
    More,
    /// Everything that is durable was handed out.
    All,
    /// Too much was handed out without a mark: those of this turn are waited for.
    Full,
}

/// The log's end of the feed.
pub trait Source {
    /// Hands out durable records after the last that was taken, each shard's in the order of its ops, until there are no more or `take`
    /// says no. What it said no to comes again.
    ///
    /// # Errors
    /// A line: the log cannot be read, or a shard cannot be followed any more (it was stopped).
    fn read(&mut self, take: &mut dyn FnMut(&dyn Fn() -> Record) -> bool) -> Result<Fed, String>;

    /// The store has the mark's shard up to its op.
    ///
    /// # Errors
    /// A line: the mark is not of what was handed out; its shard was stopped.
    fn applied(&mut self, mark: Mark) -> Result<(), String>;

    /// The store cannot follow this shard: it takes no more orders.
    fn stop_shard(&mut self, shard: u16);
}
