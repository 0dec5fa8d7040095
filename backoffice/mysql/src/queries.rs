//! The statements of the reads, as they are sent; an operator may EXPLAIN them. Each goes by one index, named where the server might
//! think of another.

use mysql_async::Value;
use tidegate_rows::{Filter, SEARCH_ESCAPE, escaped};
use tidegate_shard_core::Millis;

use crate::columns::text;

/// One order. Parameters: id.
pub const ORDER: &str = "SELECT id, buyer, subject, status, total, currency, placed_at, changed_at, pay_by, charge, refund_due \
    FROM orders WHERE id = ? AND status <> 'gathering'";

/// A page of all orders, oldest first. Parameters: an id that is older than all of the page, rows.
pub const ALL: &str = "SELECT id, buyer, subject, status, total, currency, placed_at, changed_at, pay_by, charge, refund_due \
    FROM orders FORCE INDEX (PRIMARY) WHERE id > ? AND status <> 'gathering' ORDER BY id LIMIT ?";

/// What happened to an order. Parameters: id.
pub const HISTORY: &str = "SELECT op, shard, at, kind, detail FROM history WHERE order_id = ? ORDER BY op";

/// The store's name, and how far it has each shard; one row without a shard where it has none.
pub const MARKS: &str = "SELECT s.name, m.shard, m.applied_op, m.applied_chain FROM store s LEFT JOIN marks m ON m.applied_op > 0";

const ORDER_COLUMNS: &str = "o.id, o.buyer, o.subject, o.status, o.total, o.currency, o.placed_at, o.changed_at, o.pay_by, o.charge, o.refund_due";

/// The columns of a SKU, in the order of `columns.rs`.
const SKU_COLUMNS: &str = "sku, name, price, currency, stocked, buyer_limit, limit_scope, sale_start, sale_end, hold_ms, paused, changed_at";

/// A statement that grows with what is asked, and the values for its question marks.
#[derive(Debug)]
struct Query {
    sql: String,
    values: Vec<Value>,
}

impl Query {
    fn and(&mut self, condition: &str, value: Value) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
        self.values.push(value);
    }
}

/// A page of orders, newest first, and its values.
///
/// It goes by the first of these that is asked for: the orders of a subject, those with a line of a SKU, all of them. Everything else is compared in
/// the rows that this finds, newest first, so a page of what is rare among them reads many. The hints are for a server that counts on that: the
/// table's own key has the same order, and reading it backwards past everybody's orders must not look cheaper.
#[must_use]
pub fn orders(filter: &Filter, rows: usize) -> (String, Vec<Value>) {
    let (mut query, id) = orders_from(filter);
    match filter.status {
        Some(status) => query.and("o.status = ?", text(status.as_str())),
        None => query.sql.push_str(" AND o.status <> 'gathering'"),
    }
    if let Some(buyer) = filter.buyer {
        query.and("o.buyer = ?", Value::Bytes(buyer.0.to_vec()));
    }
    // A bound on either side, so that the statement is a range of its index.
    let first = filter.first_id().map_or(0, |first| first.0);
    query.and(&format!("{id} >= ?"), Value::UInt(first));
    let below = filter.below_id().map_or(1 << 63, |below| below.0);
    query.and(&format!("{id} < ?"), Value::UInt(below));
    if let Some(Millis(from)) = filter.from {
        query.and("o.placed_at >= ?", Value::UInt(from));
    }
    if let Some(Millis(to)) = filter.to {
        query.and("o.placed_at < ?", Value::UInt(to));
    }
    query.sql.push_str(&format!(" ORDER BY {id} DESC LIMIT ?"));
    query.values.push(Value::UInt(rows as u64));
    (query.sql, query.values)
}

/// The tables, the index and its condition; and the column with the order's id.
fn orders_from(filter: &Filter) -> (Query, &'static str) {
    let from = |tables: &str, values: Vec<Value>| Query {
        sql: format!("SELECT {ORDER_COLUMNS} FROM {tables}"),
        values,
    };
    match (&filter.user, &filter.sku) {
        (Some(user), sku) => {
            // To a collation, texts that differ in spaces at their end are the same.
            let length = Value::UInt(user.len() as u64);
            let mut query = from(
                "orders o FORCE INDEX (orders_by_subject) WHERE o.subject = ? AND OCTET_LENGTH(o.subject) = ?",
                vec![text(user), length],
            );
            if let Some(sku) = sku {
                // Not EXISTS, which a server may turn into a join that begins with the SKU's orders.
                let line = "(SELECT COUNT(*) FROM order_lines l WHERE l.order_id = o.id AND l.sku = ?) > 0";
                query.and(line, text(sku.as_str()));
            }
            (query, "o.id")
        }
        (None, Some(sku)) => {
            let query = from(
                "order_lines l FORCE INDEX (lines_by_sku) STRAIGHT_JOIN orders o ON o.id = l.order_id WHERE l.sku = ?",
                vec![text(sku.as_str())],
            );
            (query, "l.order_id")
        }
        (None, None) => (
            from("orders o FORCE INDEX (PRIMARY) WHERE TRUE", Vec::new()),
            "o.id",
        ),
    }
}

/// A page of SKUs after one, and its values. A name is compared in the lower case that the server makes of it.
#[must_use]
pub fn skus(search: &str, after: &str, rows: usize) -> (String, Vec<Value>) {
    let mut query = Query {
        sql: format!("SELECT {SKU_COLUMNS} FROM skus FORCE INDEX (PRIMARY) WHERE sku > ?"),
        values: vec![text(after)],
    };
    if !search.is_empty() {
        let escaped = escaped(search);
        query.sql.push_str(&format!(
            " AND (LOWER(sku) LIKE LOWER(?) ESCAPE '{SEARCH_ESCAPE}' OR LOWER(name) LIKE LOWER(?) ESCAPE '{SEARCH_ESCAPE}')"
        ));
        query
            .values
            .extend([format!("{escaped}%"), format!("%{escaped}%")].map(|pattern| text(&pattern)));
    }
    query.sql.push_str(" ORDER BY sku LIMIT ?");
    query.values.push(Value::UInt(rows as u64));
    (query.sql, query.values)
}

/// Which of so many SKUs there are. Parameters: their names.
#[must_use]
pub fn known_skus(skus: usize) -> String {
    format!(
        "SELECT sku FROM skus FORCE INDEX (PRIMARY) WHERE sku IN ({})",
        marks(skus)
    )
}

/// The lines of so many orders, by order and SKU. Parameters: their ids.
#[must_use]
pub fn lines(orders: usize) -> String {
    format!(
        "SELECT order_id, sku, qty FROM order_lines FORCE INDEX (PRIMARY) WHERE order_id IN ({}) ORDER BY order_id, sku",
        marks(orders)
    )
}

/// What happened to so many orders, by order and op. Parameters: their ids.
#[must_use]
pub fn histories(orders: usize) -> String {
    format!(
        "SELECT order_id, op, shard, at, kind, detail FROM history FORCE INDEX (PRIMARY) WHERE order_id IN ({}) ORDER BY order_id, op",
        marks(orders)
    )
}

fn marks(count: usize) -> String {
    vec!["?"; count].join(", ")
}
