//! A step of an order's history: what its home shard logged about it, for people.

use serde_json::{Value, json};
use tidegate_shard_core::entry::{AbortReason, Effect, Ending, Entry};
use tidegate_shard_core::{OrderId, ShardId};

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Which order.
    pub order: OrderId,
    /// The entry's kind.
    pub kind: &'static str,
    /// What the kind does not say; a JSON object.
    pub detail: Option<Value>,
}

impl Step {
    /// The step that an entry of a shard is in the history of an order, if it is one. What shards ask and tell each other about an
    /// order is none.
    #[must_use]
    pub fn of(shard: u16, entry: &Entry) -> Option<Step> {
        let order = entry.order().filter(|order| order.shard() == ShardId(shard))?;
        let detail = match &entry.effect {
            Effect::Placed(_) | Effect::Ended { .. } | Effect::Gathering(_) => None,
            Effect::Committed { total, .. } => Some(json!({ "total": total })),
            Effect::Aborted { reason, .. } => Some(json!({ "reason": reason_word(*reason) })),
            Effect::PaymentStarted { charge, .. } | Effect::RefundDue { charge, .. } => {
                Some(json!({ "charge": charge.to_string() }))
            }
            Effect::ChargeClosed { charge, ends, .. } => {
                let ends = ends.map(ending_word);
                Some(json!({ "charge": charge.to_string(), "ends": ends }))
            }
            Effect::Closing { ending, until, .. } => {
                Some(json!({ "ends": ending_word(*ending), "until_ms": until.0 }))
            }
            Effect::Confirmed {
                charge, held_again, ..
            } => Some(json!({ "charge": charge.to_string(), "held_again": held_again })),
            Effect::Regathering(again) => Some(json!({ "charge": again.charge.to_string() })),
            _ => return None,
        };
        Some(Step {
            order,
            kind: entry.kind(),
            detail,
        })
    }
}

fn ending_word(ending: Ending) -> &'static str {
    match ending {
        Ending::Cancelled => "cancelled",
        Ending::Expired => "expired",
    }
}

fn reason_word(reason: AbortReason) -> &'static str {
    match reason {
        AbortReason::Refused => "refused",
        AbortReason::TimedOut => "timed_out",
        AbortReason::Restarted => "restarted",
        AbortReason::Unpriceable => "unpriceable",
    }
}
