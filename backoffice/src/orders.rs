//! Orders as the API shows them.

use serde::Serialize;
use serde_json::value::RawValue;
use tidegate_follow::OrderRow;
use tidegate_rows::StepRow;
use tidegate_shard_core::{Lines, OrderStatus, OrderView};

use crate::time::rfc3339;

/// An order as the API shows it: the members and their order are the gateway's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Order {
    /// A decimal string.
    pub order_id: String,
    /// `pending`, `confirmed`, `cancelled` or `expired`.
    pub status: String,
    /// In minor units.
    pub total: u64,
    /// ISO 4217 letters.
    pub currency: String,
    /// Half-open: pay before this moment.
    pub pay_by: String,
    /// When it was placed.
    pub created: String,
    /// What was ordered, by SKU.
    pub lines: Vec<Line>,
}

/// A line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Which SKU.
    pub sku: String,
    /// Units.
    pub qty: u32,
}

impl From<&OrderView> for Order {
    fn from(view: &OrderView) -> Order {
        Order {
            order_id: view.id.to_string(),
            status: view.status.as_str().to_owned(),
            total: view.total,
            currency: String::from_utf8_lossy(&view.currency).into_owned(),
            pay_by: rfc3339(view.pay_by),
            created: rfc3339(view.created),
            lines: lines(&view.lines),
        }
    }
}

impl From<&OrderRow> for Order {
    fn from(row: &OrderRow) -> Order {
        Order {
            order_id: row.order.to_string(),
            status: row.status.map_or("gathering", OrderStatus::as_str).to_owned(),
            total: row.total,
            currency: String::from_utf8_lossy(&row.currency).into_owned(),
            pay_by: rfc3339(row.pay_by),
            created: rfc3339(row.placed_at),
            lines: lines(&row.lines),
        }
    }
}

fn lines(lines: &Lines) -> Vec<Line> {
    let line = |line: &tidegate_shard_core::Line| Line {
        sku: line.sku.to_string(),
        qty: line.qty,
    };
    lines.iter().map(line).collect()
}

/// One step of an order's history.
#[derive(Debug, Serialize)]
pub struct Step {
    /// The home shard's operation.
    pub op: u64,
    /// When.
    pub at: String,
    /// What happened.
    pub kind: String,
    /// What it changed.
    pub detail: Option<Box<RawValue>>,
}

impl From<StepRow> for Step {
    fn from(row: StepRow) -> Step {
        Step {
            op: row.op,
            at: rfc3339(row.at),
            kind: row.kind,
            detail: row.detail.and_then(|text| RawValue::from_string(text).ok()),
        }
    }
}
