//! What the store has, for those who ask: by index, beside the connection that writes.

use std::collections::BTreeMap;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Params, Pool, PoolConstraints, PoolOpts, Row, Value};
use tidegate_follow::OrderRow;
use tidegate_shard_core::{Buyer, Line, Millis, OrderId, OrderStatus, SkuName};

use crate::columns::{Columns, order_of, text};
use crate::session::timed;
use crate::{MysqlError, Settings, queries};

mod dump;
mod marks;

pub use dump::{Dump, OrderRead};
pub use marks::StoreMarks;

/// Orders on a page at most: its lines come by one statement.
pub const PAGE_MAX: usize = 128;

/// Connections that only read, for tasks of any runtime.
#[derive(Clone, Debug)]
pub struct Reader {
    pool: Pool,
    settings: Settings,
}

/// A step of an order's history, as its home shard logged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepRead {
    /// The home shard's operation.
    pub op: u64,
    /// The home shard.
    pub shard: u16,
    /// When.
    pub at: Millis,
    /// The entry's kind.
    pub kind: String,
    /// What the kind does not say; the text of a JSON object.
    pub detail: Option<String>,
}

/// Which orders of a buyer.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// In this status only.
    pub status: Option<OrderStatus>,
    /// Older than this order: the last of the page before.
    pub after: Option<OrderId>,
    /// Orders at most; no more than [`PAGE_MAX`].
    pub limit: usize,
}

impl Page {
    fn newer(&self) -> Value {
        // Ids are below 2^63.
        Value::UInt(self.after.map_or(1 << 63, |after| after.0))
    }

    fn rows(&self) -> Value {
        Value::UInt(self.limit.min(PAGE_MAX) as u64)
    }
}

impl Reader {
    /// Connects when the first read comes.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub fn new(settings: Settings) -> Result<Reader, MysqlError> {
        let constraints = PoolConstraints::new(0, settings.readers_max.max(1));
        let options = settings
            .options()?
            .setup(vec!["SET SESSION TRANSACTION READ ONLY"])
            .pool_opts(PoolOpts::new().with_constraints(constraints.unwrap_or_default()));
        Ok(Reader {
            pool: Pool::new(options),
            settings,
        })
    }

    /// One order with its lines; none while it gathers holds.
    ///
    /// # Errors
    /// The database cannot be read now.
    pub async fn order(&self, id: OrderId) -> Result<Option<OrderRow>, MysqlError> {
        let mut conn = self.connection().await?;
        let found = self
            .rows(&mut conn, queries::ORDER, vec![Value::UInt(id.0)])
            .await?;
        let found = self.with_lines(&mut conn, &found).await?;
        Ok(found.into_iter().next())
    }

    /// A page of a buyer's orders with their lines, newest first.
    ///
    /// # Errors
    /// The database cannot be read now.
    pub async fn of_buyer(&self, buyer: Buyer, page: Page) -> Result<Vec<OrderRow>, MysqlError> {
        let mut values = vec![Value::Bytes(buyer.0.to_vec()), page.newer()];
        let sql = match page.status {
            None => queries::OF_BUYER,
            Some(status) => {
                values.push(text(status.as_str()));
                queries::OF_BUYER_IN_STATUS
            }
        };
        values.push(page.rows());
        self.page(sql, values).await
    }

    /// A page of the orders with a line of a SKU, with all their lines, newest first, of any status.
    ///
    /// # Errors
    /// The database cannot be read now.
    pub async fn with_sku(
        &self,
        sku: SkuName,
        after: Option<OrderId>,
        limit: usize,
    ) -> Result<Vec<OrderRow>, MysqlError> {
        let page = Page {
            status: None,
            after,
            limit,
        };
        let values = vec![text(sku.as_str()), page.newer(), page.rows()];
        self.page(queries::WITH_SKU, values).await
    }

    /// What happened to an order, by op.
    ///
    /// # Errors
    /// The database cannot be read now.
    pub async fn history(&self, id: OrderId) -> Result<Vec<StepRead>, MysqlError> {
        let mut conn = self.connection().await?;
        let rows = self
            .rows(&mut conn, queries::HISTORY, vec![Value::UInt(id.0)])
            .await?;
        rows.iter().map(step).collect()
    }

    /// Closes the connections that are not in use.
    ///
    /// # Errors
    /// One could not be closed in order; it is closed nevertheless.
    pub async fn close(self) -> Result<(), MysqlError> {
        timed(self.settings.answer_timeout, "close", async {
            Ok(self.pool.disconnect().await?)
        })
        .await
    }

    async fn page(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<OrderRow>, MysqlError> {
        let mut conn = self.connection().await?;
        let found = self.rows(&mut conn, sql, values).await?;
        self.with_lines(&mut conn, &found).await
    }

    async fn connection(&self) -> Result<Conn, MysqlError> {
        let connected = async { Ok(self.pool.get_conn().await?) };
        timed(self.settings.connect_timeout, "connect to read", connected).await
    }

    async fn rows(&self, conn: &mut Conn, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, MysqlError> {
        let read = async { Ok(conn.exec(sql, Params::Positional(values)).await?) };
        timed(self.settings.answer_timeout, "read", read).await
    }

    async fn with_lines(&self, conn: &mut Conn, rows: &[Row]) -> Result<Vec<OrderRow>, MysqlError> {
        let mut orders: Vec<OrderRow> = rows.iter().map(order_of).collect::<Result<_, _>>()?;
        let Some(last) = orders.last() else {
            return Ok(orders);
        };
        let last = last.order;
        let ids = ids(&orders, last);
        let found = self.rows(conn, &queries::lines(ids.len()), ids).await?;
        let mut lines: BTreeMap<u64, Vec<Line>> = BTreeMap::new();
        for row in &found {
            let mut row = Columns::of(row);
            let order = row.next()?;
            let line = Line {
                sku: row.sku()?,
                qty: row.next()?,
            };
            lines.entry(order).or_default().push(line);
        }
        for order in &mut orders {
            order.lines = lines.remove(&order.order.0).unwrap_or_default().into();
        }
        Ok(orders)
    }
}

/// The ids of a page, the last one repeated up to a power of two, so that few statements serve pages of any length.
fn ids(orders: &[OrderRow], last: OrderId) -> Vec<Value> {
    let mut ids: Vec<Value> = orders.iter().map(|row| Value::UInt(row.order.0)).collect();
    ids.resize(ids.len().next_power_of_two(), Value::UInt(last.0));
    ids
}

fn step(row: &Row) -> Result<StepRead, MysqlError> {
    step_of(&mut Columns::of(row))
}

fn step_of(row: &mut Columns<'_>) -> Result<StepRead, MysqlError> {
    Ok(StepRead {
        op: row.next()?,
        shard: row.next()?,
        at: Millis(row.next()?),
        kind: row.next()?,
        detail: row.next()?,
    })
}
