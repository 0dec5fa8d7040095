//! The breaker of a shard thread: while its log makes no progress, or an operator holds it open, nothing more is sent to it.

use tidegate_shard_core::{Command, ShardId, shard_of};

use crate::breaker::{Force, State};
use crate::codes::Code;
use crate::worker::refusal::Refusal;
use crate::worker::stack::Edge;

/// Once a turn: what the shard threads' logs and the operators say.
pub fn observe(edge: &mut Edge, now_ns: u64) {
    for (thread, (breaker, stats)) in edge.breakers.iter_mut().zip(edge.port.stats()).enumerate() {
        breaker.force(edge.board.forced(thread));
        let waiting = Some(stats.oldest_unsynced_ns.get()).filter(|since| *since != 0);
        breaker.observe(now_ns, stats.progress.get(), waiting);
    }
}

/// Once a tick: shows the breakers as this thread sees them.
pub fn publish(edge: &Edge) {
    for (thread, breaker) in edge.breakers.iter().enumerate() {
        edge.board
            .publish(edge.net, thread, breaker.state(), breaker.transitions());
    }
}

/// Lets a command through to its shard, or says 503 before anything is reserved.
pub fn admit(edge: &mut Edge, command: &Command, home: ShardId) -> Result<(), Refusal> {
    if edge
        .breakers
        .iter()
        .all(|breaker| breaker.state() == State::Closed)
    {
        return Ok(());
    }
    match closed_to(edge, command, home) {
        Some(thread) => Err(refuse(edge, thread)),
        None => Ok(()),
    }
}

/// The first thread with an open breaker that the command needs: its home's, or that of another line of an order, whose stock
/// would be asked for there.
fn closed_to(edge: &Edge, command: &Command, home: ShardId) -> Option<usize> {
    let is_open = |thread: &usize| edge.breakers[*thread].state() == State::Open;
    let at_home = edge.port.thread_of(home);
    if is_open(&at_home) {
        return Some(at_home);
    }
    let Command::Place(place) = command else {
        return None;
    };
    let shards = edge.port.shards();
    let lines = place.lines.iter().map(|line| shard_of(&line.sku, shards));
    lines.map(|shard| edge.port.thread_of(shard)).find(is_open)
}

fn refuse(edge: &mut Edge, thread: usize) -> Refusal {
    edge.board.refused(edge.net, thread);
    let retry = edge.jitter.spread(1);
    let refusal = if edge.breakers[thread].forced() == Force::Open {
        Refusal::new(
            Code::OutOfService,
            "an operator has taken this SKU's shard out of service",
        )
    } else {
        Refusal::new(
            Code::ShardStalled,
            "the log of this SKU's shard makes no progress",
        )
    };
    refusal.retry_after(retry)
}
