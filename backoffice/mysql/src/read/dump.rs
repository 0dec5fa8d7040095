//! Every order of the store, as of one moment, in pages.

use std::collections::BTreeMap;

use mysql_async::Value;
use tidegate_follow::OrderRow;
use tidegate_rows::StepRow;
use tidegate_shard_core::OrderId;

use super::{Reader, padded, step_of, with_lines};
use crate::columns::Columns;
use crate::pooled::Pooled;
use crate::{MysqlError, queries};

/// Orders of a page at most.
pub const PAGE_MAX: usize = 128;

/// An order with its lines, and what happened to it, by op.
pub type OrderRead = (OrderRow, Vec<StepRow>);

/// A dump under way: a connection whose transaction sees the rows of the moment at which it began, however long it takes. What the store writes
/// meanwhile the server keeps twice until this is dropped.
#[derive(Debug)]
pub struct Dump {
    conn: Pooled,
    last: OrderId,
}

impl Reader {
    /// Begins a dump of every order but those that gather holds.
    ///
    /// # Errors
    /// The database cannot be read now.
    pub async fn dump(&self) -> Result<Dump, MysqlError> {
        let mut conn = self.connection().await?;
        conn.begin_snapshot().await?;
        Ok(Dump {
            conn,
            last: OrderId(0),
        })
    }
}

impl Dump {
    /// The next orders by id, at most [`PAGE_MAX`]; none at the end.
    ///
    /// # Errors
    /// The database cannot be read now, or the connection was lost, and with it the moment: begin anew.
    pub async fn page(&mut self) -> Result<Vec<OrderRead>, MysqlError> {
        let Dump { conn, last } = self;
        let values = vec![Value::UInt(last.0), Value::UInt(PAGE_MAX as u64)];
        let found = conn.rows(queries::ALL, values).await?;
        let orders = with_lines(conn, &found).await?;
        let Some(newest) = orders.last().map(|row| row.order) else {
            return Ok(Vec::new());
        };
        *last = newest;
        let ids = padded(orders.iter().map(|row| Value::UInt(row.order.0)).collect());
        let found = conn.rows(&queries::histories(ids.len()), ids).await?;
        let mut steps: BTreeMap<u64, Vec<StepRow>> = BTreeMap::new();
        for row in &found {
            let mut row = Columns::of(row);
            let order = row.next()?;
            steps.entry(order).or_default().push(step_of(&mut row)?);
        }
        let with_steps = |row: OrderRow| {
            let steps = steps.remove(&row.order.0).unwrap_or_default();
            (row, steps)
        };
        Ok(orders.into_iter().map(with_steps).collect())
    }
}
