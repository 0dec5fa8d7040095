//! What goes into a shard, and what comes out.

use crate::command::Command;
use crate::entry::Entry;
use crate::ids::{Op, OrderId, ShardId};
use crate::message::Message;
use crate::outcome::{Outcome, Refusal};

/// What reaches a shard.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// From a client, through the gateway.
    Command(&'a Command),
    /// From another shard.
    Message {
        /// Which shard sent it.
        from: ShardId,
        /// What it says.
        message: &'a Message,
    },
}

/// What is to be done. The entry must be applied before the shard decides anything else; reply, wake and sends leave
/// only when the shard's op after that (or its current op, without an entry) is durable.
#[derive(Debug)]
pub struct Decision {
    /// To be logged and applied.
    pub entry: Option<Entry>,
    /// For the caller.
    pub reply: Reply,
    /// For everyone parked on this order: their answer.
    pub wake: Option<Box<(OrderId, Outcome)>>,
    /// For other shards.
    pub sends: Vec<(ShardId, Message)>,
}

impl Decision {
    /// An answer that changes nothing.
    pub(crate) fn answer(outcome: Outcome) -> Decision {
        Decision {
            entry: None,
            reply: Reply::Now(outcome),
            wake: None,
            sends: Vec::new(),
        }
    }

    pub(crate) fn refuse(refusal: Refusal) -> Decision {
        Decision::answer(Outcome::Refused(refusal))
    }

    pub(crate) fn nothing() -> Decision {
        Decision {
            entry: None,
            reply: Reply::None,
            wake: None,
            sends: Vec::new(),
        }
    }

    pub(crate) fn log(entry: Entry, outcome: Outcome) -> Decision {
        Decision {
            entry: Some(entry),
            ..Decision::answer(outcome)
        }
    }

    /// An entry that no caller waits for.
    pub(crate) fn log_only(entry: Entry) -> Decision {
        Decision {
            entry: Some(entry),
            ..Decision::nothing()
        }
    }

    pub(crate) fn send(to: ShardId, message: Message) -> Decision {
        Decision {
            sends: vec![(to, message)],
            ..Decision::nothing()
        }
    }

    pub(crate) fn with_sends(self, sends: Vec<(ShardId, Message)>) -> Decision {
        Decision { sends, ..self }
    }

    pub(crate) fn waking(self, order: OrderId, outcome: Outcome) -> Decision {
        Decision {
            wake: Some(Box::new((order, outcome))),
            ..self
        }
    }
}

/// What the caller of a command gets.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    /// There is no caller.
    None,
    /// This.
    Now(Outcome),
    /// The answer that a later decision's `wake` has for this order.
    Park(OrderId),
}

/// The log and the state do not agree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReplayError {
    /// The op of the digest entry.
    pub op: Op,
    /// What the log says.
    pub logged: u64,
    /// What the state says.
    pub computed: u64,
}

impl core::fmt::Display for ReplayError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "digest at op {}: logged {:016x}, computed {:016x}",
            self.op, self.logged, self.computed
        )
    }
}

impl core::error::Error for ReplayError {}
