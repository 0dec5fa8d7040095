//! An order as a dump of a store prints it, a line of JSON each: the same of SQLite and of MySQL, so that one verifier reads both.

use serde::Serialize;
use tidegate_follow::OrderRow;
use tidegate_rows::StepRow;
use tidegate_shard_core::{ChargeId, OrderStatus};

/// An order as the store has it. Ids are strings, times unix milliseconds, amounts minor units.
#[derive(Debug, Serialize)]
pub struct DumpedOrder {
    pub(super) order: String,
    pub(super) user: String,
    pub(super) status: String,
    pub(super) total: i64,
    pub(super) currency: String,
    pub(super) placed_at: i64,
    pub(super) changed_at: i64,
    pub(super) pay_by: i64,
    pub(super) charge: Option<String>,
    pub(super) refund_due: Option<String>,
    pub(super) lines: Vec<DumpedLine>,
    pub(super) history: Vec<DumpedStep>,
}

/// A line of an order.
#[derive(Debug, Serialize)]
pub struct DumpedLine {
    pub(super) sku: String,
    pub(super) qty: u32,
}

/// A step of an order's history, as its home shard logged it.
#[derive(Debug, Serialize)]
pub struct DumpedStep {
    pub(super) shard: u16,
    pub(super) op: i64,
    pub(super) at: i64,
    pub(super) kind: String,
    /// What the kind does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<serde_json::Value>,
}

impl DumpedOrder {
    /// Of a row, its lines sorted by SKU, and its history by op.
    ///
    /// # Errors
    /// A step's detail is no JSON.
    pub fn new(row: &OrderRow, history: Vec<StepRow>) -> Result<DumpedOrder, serde_json::Error> {
        let charge = |charge: &Option<ChargeId>| charge.as_ref().map(ToString::to_string);
        let lines = row.lines.iter().map(|line| DumpedLine {
            sku: line.sku.as_str().to_owned(),
            qty: line.qty,
        });
        // Ids, times and amounts are below 2^63.
        Ok(DumpedOrder {
            order: row.order.0.to_string(),
            user: row.user.to_string(),
            status: row.status.map_or("gathering", OrderStatus::as_str).to_owned(),
            total: row.total as i64,
            currency: String::from_utf8_lossy(&row.currency).into_owned(),
            placed_at: row.placed_at.0 as i64,
            changed_at: row.changed_at.0 as i64,
            pay_by: row.pay_by.0 as i64,
            charge: charge(&row.charge),
            refund_due: charge(&row.refund_due),
            lines: lines.collect(),
            history: history
                .into_iter()
                .map(DumpedStep::new)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl DumpedStep {
    fn new(step: StepRow) -> Result<DumpedStep, serde_json::Error> {
        Ok(DumpedStep {
            shard: step.shard,
            op: step.op as i64,
            at: step.at.0 as i64,
            kind: step.kind,
            detail: step.detail.as_deref().map(serde_json::from_str).transpose()?,
        })
    }
}
