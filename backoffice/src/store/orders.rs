//! Orders, as the shop reads them.

use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};
use tidegate_follow::OrderRow;
use tidegate_rows::{Answer, Filter, Orders, StepRow};
use tidegate_shard_core::{Buyer, ChargeId, Line, Lines, Millis, OrderId, OrderStatus};

use super::Sqlite;
use super::cells::{letters, number, parsed, wrong};

impl Orders for Sqlite {
    fn order(&self, id: OrderId) -> Answer<'_, Option<OrderRow>> {
        self.reading(move |connection| find(connection, id))
    }

    fn orders(&self, filter: Filter, rows: usize) -> Answer<'_, Vec<OrderRow>> {
        self.reading(move |connection| list(connection, &filter, rows))
    }

    fn history(&self, id: OrderId) -> Answer<'_, Vec<StepRow>> {
        self.reading(move |connection| history(connection, id))
    }
}

const COLUMNS: &str = "o.id, o.buyer, o.subject, o.status, o.total, o.currency, o.placed_at, o.changed_at, o.pay_by, o.charge, o.refund_due";

fn list(connection: &Connection, filter: &Filter, rows: usize) -> rusqlite::Result<Vec<OrderRow>> {
    let Conditions { text, mut values } = conditions(filter);
    values.push(Value::Integer(rows as i64));
    let sql = format!("SELECT {COLUMNS} FROM orders o WHERE 1{text} ORDER BY o.id DESC LIMIT ?");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values), read)?;
    rows.map(|row| with_lines(connection, row?)).collect()
}

fn conditions(filter: &Filter) -> Conditions {
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
    if let Some(first) = filter.first_id() {
        query.add("o.id >= ?", first.0 as i64);
    }
    if let Some(below) = filter.below_id() {
        query.add("o.id < ?", below.0 as i64);
    }
    if let Some(Millis(from)) = filter.from {
        query.add("o.placed_at >= ?", from as i64);
    }
    if let Some(Millis(to)) = filter.to {
        query.add("o.placed_at < ?", to as i64);
    }
    query
}

fn find(connection: &Connection, id: OrderId) -> rusqlite::Result<Option<OrderRow>> {
    let sql = format!("SELECT {COLUMNS} FROM orders o WHERE o.id = ? AND o.status <> 'gathering'");
    let found = connection
        .prepare_cached(&sql)?
        .query_row([id.0 as i64], read)
        .optional()?;
    found.map(|order| with_lines(connection, order)).transpose()
}

fn history(connection: &Connection, id: OrderId) -> rusqlite::Result<Vec<StepRow>> {
    connection
        .prepare_cached("SELECT op, shard, at, kind, detail FROM history WHERE order_id = ? ORDER BY op")?
        .query_map([id.0 as i64], |row| {
            Ok(StepRow {
                op: number(row, 0)?,
                shard: row.get(1)?,
                at: Millis(number(row, 2)?),
                kind: row.get(3)?,
                detail: row.get(4)?,
            })
        })?
        .collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<OrderRow> {
    let charge = |column| -> rusqlite::Result<Option<ChargeId>> {
        let word: Option<String> = row.get(column)?;
        word.map(|word| word.parse().map_err(|error| wrong(column, error)))
            .transpose()
    };
    Ok(OrderRow {
        order: OrderId(number(row, 0)?),
        buyer: Buyer(row.get(1)?),
        user: Arc::from(row.get::<_, String>(2)?),
        lines: Lines::new(),
        status: parsed(row, 3, status)?,
        total: number(row, 4)?,
        currency: letters(row, 5)?,
        placed_at: Millis(number(row, 6)?),
        changed_at: Millis(number(row, 7)?),
        pay_by: Millis(number(row, 8)?),
        charge: charge(9)?,
        refund_due: charge(10)?,
    })
}

fn status(word: &str) -> Option<Option<OrderStatus>> {
    use OrderStatus::{Cancelled, Confirmed, Expired, Pending};
    let known = [Pending, Confirmed, Cancelled, Expired];
    match word {
        "gathering" => Some(None),
        word => known.into_iter().find(|status| status.as_str() == word).map(Some),
    }
}

fn with_lines(connection: &Connection, mut order: OrderRow) -> rusqlite::Result<OrderRow> {
    order.lines = connection
        .prepare_cached("SELECT sku, qty FROM lines WHERE order_id = ? ORDER BY sku")?
        .query_map([order.order.0 as i64], |row| {
            Ok(Line {
                sku: parsed(row, 0, |word| word.parse().ok())?,
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
