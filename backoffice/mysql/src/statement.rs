//! Statements of many rows, and how rows are cut into them.

use mysql_async::{Row, Value};
use tidegate_follow::Mark;

use crate::MysqlError;
use crate::session::Session;

/// Rows in one statement at most. A power of two, as is every number of rows that is prepared: ten statements of a shape serve any batch.
pub(crate) const ROWS_MAX: usize = 512;
/// Bytes of one statement, past which it takes no more rows, whatever the server allows.
const BYTES_MAX: usize = 1 << 20;

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    MakeMarks,
    LockMarks,
    PutMarks,
    LoadOrders,
    LoadSkus,
    DropOrders,
    DropLines,
    DropHistory,
    AddOrders,
    AddLines,
    AddHistory,
    ChangeOrders,
    PutSkus,
}

/// The columns of an order, in the order of `columns.rs`.
pub(crate) const ORDER_COLUMNS: &str =
    "id, buyer, subject, status, total, currency, placed_at, changed_at, pay_by, charge, refund_due";

impl Shape {
    /// For time-outs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Shape::MakeMarks => "make marks",
            Shape::LockMarks => "lock marks",
            Shape::PutMarks => "write marks",
            Shape::LoadOrders => "read orders",
            Shape::LoadSkus => "read SKUs",
            Shape::DropOrders | Shape::DropLines | Shape::DropHistory => "delete orders",
            Shape::AddOrders => "insert orders",
            Shape::AddLines => "insert lines",
            Shape::AddHistory => "insert history",
            Shape::ChangeOrders => "change orders",
            Shape::PutSkus => "write SKUs",
        }
    }

    /// Values of a row.
    pub(crate) fn width(self) -> usize {
        match self {
            Shape::LockMarks
            | Shape::LoadOrders
            | Shape::LoadSkus
            | Shape::DropOrders
            | Shape::DropLines
            | Shape::DropHistory
            | Shape::MakeMarks => 1,
            Shape::AddLines => 3,
            Shape::PutMarks => 5,
            Shape::AddHistory => 6,
            Shape::AddOrders | Shape::ChangeOrders => 11,
            Shape::PutSkus => 12,
        }
    }

    /// Its text for so many rows.
    pub(crate) fn sql(self, rows: usize) -> String {
        let orders = || {
            format!(
                "INSERT INTO orders ({ORDER_COLUMNS}) VALUES {}",
                self.tuples(rows)
            )
        };
        match self {
            // A mark's row is there before it is locked: two that begin a shard at once would both find nothing to lock. Not INSERT
            // IGNORE, whose shared lock on a row that is there could not be turned into the one that is needed without a deadlock.
            Shape::MakeMarks => format!(
                "INSERT INTO marks VALUES {} ON DUPLICATE KEY UPDATE shard = VALUES(shard)",
                repeat("(?, 0, 0, 0, 0)", rows)
            ),
            Shape::LockMarks => format!(
                "SELECT shard, applied_op, applied_chain FROM marks WHERE shard IN {} ORDER BY shard FOR UPDATE",
                self.list(rows)
            ),
            Shape::PutMarks => format!(
                "INSERT INTO marks VALUES {} ON DUPLICATE KEY UPDATE applied_op = VALUES(applied_op), applied_chain = VALUES(applied_chain), \
                 published_op = VALUES(published_op), published_chain = VALUES(published_chain)",
                self.tuples(rows)
            ),
            Shape::LoadOrders => {
                format!(
                    "SELECT {ORDER_COLUMNS} FROM orders WHERE id IN {}",
                    self.list(rows)
                )
            }
            Shape::LoadSkus => format!(
                "SELECT sku, name, price, currency, stocked, buyer_limit, limit_scope, sale_start, sale_end, hold_ms, paused, changed_at \
                 FROM skus WHERE sku IN {}",
                self.list(rows)
            ),
            Shape::DropOrders => format!("DELETE FROM orders WHERE id IN {}", self.list(rows)),
            Shape::DropLines => format!("DELETE FROM order_lines WHERE order_id IN {}", self.list(rows)),
            Shape::DropHistory => format!("DELETE FROM history WHERE order_id IN {}", self.list(rows)),
            Shape::AddOrders => orders(),
            Shape::AddLines => {
                format!(
                    "INSERT INTO order_lines (order_id, sku, qty) VALUES {}",
                    self.tuples(rows)
                )
            }
            Shape::AddHistory => format!(
                "INSERT INTO history (order_id, op, shard, at, kind, detail) VALUES {}",
                self.tuples(rows)
            ),
            // Rows that were read in this transaction: an UPDATE takes one row's values, and a join with a list of them guesses types.
            Shape::ChangeOrders => format!(
                "{} ON DUPLICATE KEY UPDATE status = VALUES(status), total = VALUES(total), currency = VALUES(currency), \
                 placed_at = VALUES(placed_at), changed_at = VALUES(changed_at), pay_by = VALUES(pay_by), charge = VALUES(charge), \
                 refund_due = VALUES(refund_due)",
                orders()
            ),
            Shape::PutSkus => format!(
                "INSERT INTO skus VALUES {} ON DUPLICATE KEY UPDATE name = VALUES(name), price = VALUES(price), currency = VALUES(currency), \
                 stocked = VALUES(stocked), buyer_limit = VALUES(buyer_limit), limit_scope = VALUES(limit_scope), \
                 sale_start = VALUES(sale_start), sale_end = VALUES(sale_end), hold_ms = VALUES(hold_ms), paused = VALUES(paused), \
                 changed_at = VALUES(changed_at)",
                self.tuples(rows)
            ),
        }
    }

    fn tuples(self, rows: usize) -> String {
        repeat(&format!("({})", repeat("?", self.width())), rows)
    }

    fn list(self, rows: usize) -> String {
        format!("({})", repeat("?", rows))
    }
}

fn repeat(what: &str, times: usize) -> String {
    vec![what; times].join(", ")
}

/// Rows of one shape, with the mark of the record that each is of.
#[derive(Debug)]
pub(crate) struct Block {
    shape: Shape,
    values: Vec<Value>,
    marks: Vec<Mark>,
}

/// A statement was not done.
#[derive(Debug)]
pub(crate) struct NotDone {
    /// Why.
    pub(crate) error: MysqlError,
    /// The record of its first row.
    pub(crate) mark: Mark,
    /// It had this row only.
    pub(crate) alone: bool,
}

impl Block {
    pub(crate) fn new(shape: Shape) -> Block {
        Block {
            shape,
            values: Vec::new(),
            marks: Vec::new(),
        }
    }

    /// Adds a row; `values` pushes as many as the shape is wide.
    pub(crate) fn row(&mut self, mark: Mark, values: impl FnOnce(&mut Vec<Value>)) {
        values(&mut self.values);
        self.marks.push(mark);
        debug_assert_eq!(self.values.len(), self.marks.len() * self.shape.width());
    }

    /// Sends all rows, at most `rows_max` in a statement; gives what came back.
    pub(crate) async fn send(self, session: &mut Session, rows_max: usize) -> Result<Vec<Row>, NotDone> {
        let Block { shape, values, marks } = self;
        let bytes_max = BYTES_MAX.min(session.packet_max / 2);
        let (mut values, mut back) = (values.into_iter(), Vec::new());
        let mut left = &marks[..];
        while let Some(mark) = left.first() {
            let rows = cut(
                shape,
                values.as_slice(),
                left.len().min(rows_max).min(ROWS_MAX),
                bytes_max,
            );
            let these = values.by_ref().take(rows * shape.width()).collect();
            let answer = session.execute(shape, rows, these).await;
            let came = answer.map_err(|error| NotDone {
                error,
                mark: *mark,
                alone: rows == 1,
            })?;
            back.extend(came);
            left = &left[rows..];
        }
        Ok(back)
    }
}

/// How many of the next rows go into one statement: a power of two, and fewer where they are long. One at least.
fn cut(shape: Shape, values: &[Value], rows: usize, bytes_max: usize) -> usize {
    let mut rows = 1 << rows.ilog2();
    // The statement's text has its own packet, the types of its values are in that of the values.
    let overhead = 3 * shape.width() + 2;
    let bytes = |rows: usize| -> usize {
        let values = &values[..rows * shape.width()];
        values.iter().map(|value| value.bin_len() as usize).sum::<usize>() + rows * overhead
    };
    while rows > 1 && bytes(rows) > bytes_max {
        rows /= 2;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_has_a_question_mark_for_each_value_of_its_rows() {
        for shape in [
            Shape::MakeMarks,
            Shape::LockMarks,
            Shape::PutMarks,
            Shape::LoadOrders,
            Shape::LoadSkus,
            Shape::DropOrders,
            Shape::DropLines,
            Shape::DropHistory,
            Shape::AddOrders,
            Shape::AddLines,
            Shape::AddHistory,
            Shape::ChangeOrders,
            Shape::PutSkus,
        ] {
            for rows in [1, 2, ROWS_MAX] {
                let marks = shape.sql(rows).matches('?').count();
                assert_eq!(marks, rows * shape.width(), "{shape:?}");
                // The protocol counts them in 16 bits.
                assert!(marks <= usize::from(u16::MAX));
            }
        }
    }

    #[test]
    fn rows_are_cut_to_powers_of_two_and_to_what_a_packet_holds() {
        let short = vec![Value::UInt(1); 700];
        assert_eq!(cut(Shape::DropOrders, &short, 700, BYTES_MAX), 512);
        assert_eq!(cut(Shape::DropOrders, &short, 3, BYTES_MAX), 2);
        let long = vec![Value::Bytes(vec![b'x'; 1000]); 64];
        assert_eq!(cut(Shape::DropOrders, &long, 64, 10_000), 8);
        // The text counts as well: a statement of short values may not be longer than its packet either.
        assert_eq!(
            cut(Shape::ChangeOrders, &vec![Value::NULL; 512 * 11], 512, 8192),
            128
        );
        // One that is too long for any packet is sent alone, and the server says so.
        assert_eq!(cut(Shape::DropOrders, &long, 64, 10), 1);
    }
}
