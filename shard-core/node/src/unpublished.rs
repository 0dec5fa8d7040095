//! What waits for the bus.

use std::collections::VecDeque;

use tidegate_shard_core::Op;

use crate::output::{Envelope, Output};

/// What one shard has let out, and the bus not yet: each with the op that it depends on, which only grows.
///
/// A queue a shard, and not one a log: a partition's transaction says nothing of another's, and a shard that is never published again
/// holds up nobody else.
#[derive(Debug, Default)]
pub(crate) struct Unpublished {
    /// The bus has everything up to here; never goes back.
    published: Op,
    outputs: VecDeque<(Op, Output)>,
    sends: VecDeque<(Op, Envelope)>,
    /// The op of the last stock rows among the outputs.
    rows: Op,
}

impl Unpublished {
    pub fn published(&self) -> Op {
        self.published
    }

    /// The bus has everything up to `op`; what waited for it can be popped.
    pub fn advance(&mut self, op: Op) {
        assert!(op > self.published, "the caller leaves old marks out");
        self.published = op;
    }

    pub fn push_output(&mut self, op: Op, output: Output) {
        debug_assert!(self.outputs.back().is_none_or(|(last, _)| *last <= op));
        if matches!(output, Output::Stock(_)) {
            self.rows = op;
        }
        self.outputs.push_back((op, output));
    }

    pub fn push_send(&mut self, op: Op, envelope: Envelope) {
        debug_assert!(self.sends.back().is_none_or(|(last, _)| *last <= op));
        self.sends.push_back((op, envelope));
    }

    /// Stock rows wait: newer ones would only replace them, and there would be no end to them while the bus is down.
    pub fn rows_wait(&self) -> bool {
        self.rows > self.published
    }

    /// The next answer or row whose op is published.
    pub fn pop_output(&mut self) -> Option<Output> {
        let (op, _) = self.outputs.front()?;
        (*op <= self.published)
            .then(|| self.outputs.pop_front())?
            .map(|(_, output)| output)
    }

    /// The next message whose op is published.
    pub fn pop_send(&mut self) -> Option<Envelope> {
        let (op, _) = self.sends.front()?;
        (*op <= self.published)
            .then(|| self.sends.pop_front())?
            .map(|(_, envelope)| envelope)
    }

    /// Everything that waits: nothing of it will ever be published.
    pub fn give_up(&mut self) -> (VecDeque<(Op, Output)>, usize) {
        let sends = std::mem::take(&mut self.sends).len();
        self.rows = Op(0);
        (std::mem::take(&mut self.outputs), sends)
    }
}

#[cfg(test)]
mod tests;
