//! The statements of the reads, as they are sent; an operator may EXPLAIN them. Each goes by one index, named where the server might
//! think of another.

/// One order. Parameters: id.
pub const ORDER: &str = "SELECT id, buyer, subject, status, total, currency, placed_at, changed_at, pay_by, charge, refund_due \
    FROM orders WHERE id = ? AND status <> 'gathering'";

/// A page of a buyer's orders, newest first. Parameters: buyer, an id that is newer than all of the page, rows.
///
/// The hint is for a server that counts on many orders of one buyer: the table's own key has the same order, and reading that backwards past
/// everybody's orders must not look cheaper.
pub const OF_BUYER: &str = "SELECT id, buyer, subject, status, total, currency, placed_at, changed_at, pay_by, charge, refund_due \
    FROM orders FORCE INDEX (orders_by_buyer) WHERE buyer = ? AND id < ? AND status <> 'gathering' ORDER BY id DESC LIMIT ?";

/// As [`OF_BUYER`], of one status. Parameters: buyer, an id that is newer than all of the page, status, rows.
pub const OF_BUYER_IN_STATUS: &str = "SELECT id, buyer, subject, status, total, currency, placed_at, changed_at, pay_by, charge, refund_due \
    FROM orders FORCE INDEX (orders_by_buyer) WHERE buyer = ? AND id < ? AND status = ? ORDER BY id DESC LIMIT ?";

/// A page of the orders with a line of a SKU, newest first. Parameters: SKU, an id that is newer than all of the page, rows.
pub const WITH_SKU: &str = "SELECT o.id, o.buyer, o.subject, o.status, o.total, o.currency, o.placed_at, o.changed_at, o.pay_by, o.charge, o.refund_due \
    FROM order_lines l FORCE INDEX (lines_by_sku) STRAIGHT_JOIN orders o ON o.id = l.order_id \
    WHERE l.sku = ? AND l.order_id < ? AND o.status <> 'gathering' ORDER BY l.order_id DESC LIMIT ?";

/// What happened to an order. Parameters: id.
pub const HISTORY: &str = "SELECT op, shard, at, kind, detail FROM history WHERE order_id = ? ORDER BY op";

/// A page of all orders, oldest first. Parameters: an id that is older than all of the page, rows.
pub const ALL: &str = "SELECT id, buyer, subject, status, total, currency, placed_at, changed_at, pay_by, charge, refund_due \
    FROM orders FORCE INDEX (PRIMARY) WHERE id > ? AND status <> 'gathering' ORDER BY id LIMIT ?";

/// The store's name, and how far it has each shard; one row without a shard where it has none.
pub const MARKS: &str = "SELECT s.name, m.shard, m.applied_op, m.applied_chain FROM store s LEFT JOIN marks m ON m.applied_op > 0";

/// The lines of so many orders, by order and SKU. Parameters: their ids.
#[must_use]
pub fn lines(orders: usize) -> String {
    format!(
        "SELECT order_id, sku, qty FROM order_lines FORCE INDEX (PRIMARY) WHERE order_id IN ({}) ORDER BY order_id, sku",
        vec!["?"; orders].join(", ")
    )
}

/// What happened to so many orders, by order and op. Parameters: their ids.
#[must_use]
pub fn histories(orders: usize) -> String {
    format!(
        "SELECT order_id, op, shard, at, kind, detail FROM history FORCE INDEX (PRIMARY) WHERE order_id IN ({}) ORDER BY order_id, op",
        vec!["?"; orders].join(", ")
    )
}
