//! Orders as the store has them.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};
use serde::Serialize;
use serde_json::value::RawValue;
use tidegate_shard_core::{Buyer, Millis, OrderId, OrderStatus, OrderView, ShardId, SkuName};

use crate::time::rfc3339;

/// How far an id's own time may be ahead of the moment its order was placed: ids go on at the end of a lease after a restart, and
/// are drawn from the next milliseconds when one is used up.
const ID_AHEAD_MS: u64 = 60_000;

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
        let line = |line: &tidegate_shard_core::Line| Line {
            sku: line.sku.to_string(),
            qty: line.qty,
        };
        Order {
            order_id: view.id.to_string(),
            status: view.status.as_str().to_owned(),
            total: view.total,
            currency: String::from_utf8_lossy(&view.currency).into_owned(),
            pay_by: rfc3339(view.pay_by),
            created: rfc3339(view.created),
            lines: view.lines.iter().map(line).collect(),
        }
    }
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

/// Which orders are listed.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this buyer only.
    pub buyer: Option<Buyer>,
    /// Of the token's subject.
    pub user: Option<String>,
    /// In this status.
    pub status: Option<OrderStatus>,
    /// With a line of this SKU.
    pub sku: Option<SkuName>,
    /// Placed at this moment or later.
    pub from: Option<Millis>,
    /// Placed before this moment.
    pub to: Option<Millis>,
    /// Older than this order.
    pub after: Option<OrderId>,
}

/// A page of orders, newest first: `limit` at most, and one more if there is one.
pub fn list(connection: &Connection, filter: &Filter, limit: usize) -> rusqlite::Result<Vec<Order>> {
    let mut query = Conditions::default();
    if let Some(sku) = &filter.sku {
        query.add(
            "o.id IN (SELECT order_id FROM lines WHERE sku = ?)",
            sku.to_string(),
        );
    }
    if let Some(buyer) = filter.buyer {
        query.add("o.buyer = ?", buyer.0.to_vec());
    }
    if let Some(user) = &filter.user {
        query.add("o.subject = ?", user.clone());
    }
    match filter.status {
        Some(status) => query.add("o.status = ?", status.as_str().to_owned()),
        None => query.text.push_str(" AND o.status <> 'gathering'"),
    }
    if let Some(Millis(from)) = filter.from {
        // Ids begin with their time, so that a window of time is a range of the table.
        query.add("o.id >= ?", OrderId::new(Millis(from), ShardId(0), 0).0 as i64);
        query.add("o.placed_at >= ?", from as i64);
    }
    if let Some(Millis(to)) = filter.to {
        query.add(
            "o.id < ?",
            OrderId::new(Millis(to).after(ID_AHEAD_MS), ShardId(0), 0).0 as i64,
        );
        query.add("o.placed_at < ?", to as i64);
    }
    if let Some(after) = filter.after {
        query.add("o.id < ?", after.0 as i64);
    }
    let Conditions { text, mut values } = query;
    values.push(Value::Integer(limit as i64 + 1));
    let sql = format!("SELECT {COLUMNS} FROM orders o WHERE 1{text} ORDER BY o.id DESC LIMIT ?");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values), read)?;
    rows.map(|row| with_lines(connection, row?)).collect()
}

/// One order, of anybody or of one buyer.
pub fn find(connection: &Connection, id: OrderId, buyer: Option<Buyer>) -> rusqlite::Result<Option<Order>> {
    let sql = format!("SELECT {COLUMNS}, o.buyer FROM orders o WHERE o.id = ? AND o.status <> 'gathering'");
    let found = connection
        .prepare_cached(&sql)?
        .query_row([id.0 as i64], |row| Ok((read(row)?, row.get::<_, Vec<u8>>(6)?)))
        .optional()?;
    match found {
        Some((order, owner)) if buyer.is_none_or(|buyer| owner == buyer.0) => {
            with_lines(connection, order).map(Some)
        }
        _ => Ok(None),
    }
}

/// What happened to an order, in the order of its home shard's operations.
pub fn history(connection: &Connection, id: OrderId) -> rusqlite::Result<Vec<Step>> {
    connection
        .prepare_cached("SELECT op, at, kind, detail FROM history WHERE order_id = ? ORDER BY op")?
        .query_map([id.0 as i64], |row| {
            let detail: Option<String> = row.get(3)?;
            Ok(Step {
                op: row.get::<_, i64>(0)? as u64,
                at: rfc3339(Millis(row.get::<_, i64>(1)? as u64)),
                kind: row.get(2)?,
                detail: detail.and_then(|text| RawValue::from_string(text).ok()),
            })
        })?
        .collect()
}

const COLUMNS: &str = "o.id, o.status, o.total, o.currency, o.pay_by, o.placed_at";

fn read(row: &Row<'_>) -> rusqlite::Result<Order> {
    let number = |column: usize| row.get::<_, i64>(column).map(|number| number as u64);
    Ok(Order {
        order_id: number(0)?.to_string(),
        status: row.get(1)?,
        total: number(2)?,
        currency: row.get(3)?,
        pay_by: rfc3339(Millis(number(4)?)),
        created: rfc3339(Millis(number(5)?)),
        lines: Vec::new(),
    })
}

fn with_lines(connection: &Connection, mut order: Order) -> rusqlite::Result<Order> {
    order.lines = connection
        .prepare_cached("SELECT sku, qty FROM lines WHERE order_id = CAST(? AS INTEGER) ORDER BY sku")?
        .query_map([&order.order_id], |row| {
            Ok(Line {
                sku: row.get(0)?,
                qty: row.get(1)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(order)
}

/// Conditions of a query, and the values for their question marks.
#[derive(Default)]
struct Conditions {
    text: String,
    values: Vec<Value>,
}

impl Conditions {
    fn add(&mut self, condition: &str, value: impl Into<Value>) {
        self.text.push_str(" AND ");
        self.text.push_str(condition);
        self.values.push(value.into());
    }
}
