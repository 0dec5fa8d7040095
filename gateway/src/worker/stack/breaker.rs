//! The breaker of a shard thread: while its log makes no progress, nothing more is sent to it.

use tidegate_shard_core::ShardId;

use crate::breaker::State;
use crate::codes::Code;
use crate::worker::refusal::Refusal;
use crate::worker::stack::Edge;

/// Lets a command through to its shard, or says 503 before anything is reserved.
pub fn admit(edge: &mut Edge, shard: ShardId) -> Result<(), Refusal> {
    let thread = edge.port.thread_of(shard);
    if edge.breakers[thread].state() == State::Open {
        let retry = edge.jitter.spread(1);
        return Err(Refusal::new(
            Code::ShardStalled,
            "the log of this SKU's shard makes no progress",
        )
        .retry_after(retry));
    }
    Ok(())
}
