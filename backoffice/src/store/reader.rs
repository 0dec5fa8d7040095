//! A store read from outside, beside the gateway that writes it: what `tidegate store` prints.

use std::path::Path;

use rusqlite::types::Type;
use rusqlite::{Connection, OpenFlags, Row};
use tidegate_follow::Mark;

use super::apply::read_marks;
use crate::database::DatabaseError;
use crate::dumped::{DumpedLine, DumpedOrder, DumpedStep};

/// A store's file, open to be read.
#[derive(Debug)]
pub struct Reader(Connection);

impl Reader {
    /// Opens a store's file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(path: &Path) -> Result<Reader, DatabaseError> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok(Reader(connection))
    }
}

/// How far the store has each shard, by shard.
///
/// # Errors
/// The store cannot be read.
pub fn marks(store: &Reader) -> Result<Vec<Mark>, DatabaseError> {
    Ok(read_marks(&store.0)?)
}

/// Hands every order to `each`, by id; those that still gather holds are left out.
///
/// # Errors
/// The store cannot be read.
pub fn orders(store: &Reader, each: impl FnMut(DumpedOrder)) -> Result<(), DatabaseError> {
    Ok(dump(&store.0, each)?)
}

fn dump(connection: &Connection, mut each: impl FnMut(DumpedOrder)) -> rusqlite::Result<()> {
    let mut orders = connection.prepare(
        "SELECT id, subject, status, total, currency, placed_at, changed_at, pay_by, charge, refund_due FROM orders \
         WHERE status <> 'gathering' ORDER BY id",
    )?;
    let mut lines = connection.prepare("SELECT sku, qty FROM lines WHERE order_id = ?1 ORDER BY sku")?;
    let mut history = connection
        .prepare("SELECT shard, op, at, kind, detail FROM history WHERE order_id = ?1 ORDER BY op")?;
    // As long as this query is open everything below is read as of one commit.
    let mut rows = orders.query([])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let mut order = order(row, id)?;
        let found = lines.query_map([id], |row| {
            Ok(DumpedLine {
                sku: row.get(0)?,
                qty: row.get(1)?,
            })
        })?;
        order.lines = found.collect::<rusqlite::Result<_>>()?;
        order.history = history.query_map([id], step)?.collect::<rusqlite::Result<_>>()?;
        each(order);
    }
    Ok(())
}

fn order(row: &Row<'_>, id: i64) -> rusqlite::Result<DumpedOrder> {
    Ok(DumpedOrder {
        order: id.to_string(),
        user: row.get(1)?,
        status: row.get(2)?,
        total: row.get(3)?,
        currency: row.get(4)?,
        placed_at: row.get(5)?,
        changed_at: row.get(6)?,
        pay_by: row.get(7)?,
        charge: row.get(8)?,
        refund_due: row.get(9)?,
        lines: Vec::new(),
        history: Vec::new(),
    })
}

fn step(row: &Row<'_>) -> rusqlite::Result<DumpedStep> {
    let detail: Option<String> = row.get(4)?;
    let detail = detail.map(|text| serde_json::from_str(&text)).transpose();
    Ok(DumpedStep {
        shard: row.get(0)?,
        op: row.get(1)?,
        at: row.get(2)?,
        kind: row.get(3)?,
        detail: detail
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(4, Type::Text, error.into()))?,
    })
}
