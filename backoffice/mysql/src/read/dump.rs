//! Every order of the store, as of one moment, in pages.

use std::collections::BTreeMap;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Value};
use tidegate_follow::OrderRow;
use tidegate_shard_core::OrderId;

use super::{PAGE_MAX, Reader, StepRead, ids, step_of};
use crate::columns::Columns;
use crate::session::timed;
use crate::{MysqlError, queries};

/// An order with its lines, and what happened to it, by op.
pub type OrderRead = (OrderRow, Vec<StepRead>);

/// A dump under way: a connection whose transaction sees the rows of the moment at which it began, however long it takes. What the store writes
/// meanwhile the server keeps twice until this is dropped.
#[derive(Debug)]
pub struct Dump {
    reader: Reader,
    conn: Conn,
    last: OrderId,
}

impl Reader {
    /// Begins a dump of every order but those that gather holds.
    ///
    /// # Errors
    /// The database cannot be read now.
    pub async fn dump(&self) -> Result<Dump, MysqlError> {
        let mut conn = self.connection().await?;
        timed(self.settings.answer_timeout, "begin to read", async {
            conn.query_drop("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                .await?;
            Ok(conn
                .query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT")
                .await?)
        })
        .await?;
        Ok(Dump {
            reader: self.clone(),
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
        let Dump { reader, conn, last } = self;
        let values = vec![Value::UInt(last.0), Value::UInt(PAGE_MAX as u64)];
        let found = reader.rows(conn, queries::ALL, values).await?;
        let orders = reader.with_lines(conn, &found).await?;
        let Some(newest) = orders.last().map(|row| row.order) else {
            return Ok(Vec::new());
        };
        *last = newest;
        let ids = ids(&orders, newest);
        let found = reader.rows(conn, &queries::histories(ids.len()), ids).await?;
        let mut steps: BTreeMap<u64, Vec<StepRead>> = BTreeMap::new();
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
