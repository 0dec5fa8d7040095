//! What the store has, for those who ask: by index, beside the connection that writes.

use std::collections::{BTreeMap, HashSet};

use mysql_async::{Pool, Row, Value};
use tidegate_follow::OrderRow;
use tidegate_rows::{Filter, StepRow};
use tidegate_shard_core::entry::SkuPut;
use tidegate_shard_core::{Line, Millis, OrderId, SkuName};

use crate::columns::{Columns, order_of, sku_of, text};
use crate::pooled::{Pooled, pool};
use crate::session::timed;
use crate::{MysqlError, Settings, queries};

mod dump;
mod marks;

pub use dump::{Dump, OrderRead, PAGE_MAX};
pub use marks::StoreMarks;

/// Keys in a list of one statement at most. A power of two, as is every number of keys that is sent: few statements serve lists of any length.
const KEYS_MAX: usize = 512;

/// Connections that only read, for tasks of any runtime.
#[derive(Clone, Debug)]
pub struct Reader {
    pool: Pool,
    settings: Settings,
}

impl Reader {
    /// Connects when the first read comes.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub fn new(settings: Settings) -> Result<Reader, MysqlError> {
        let options = settings
            .options()?
            .setup(vec!["SET SESSION TRANSACTION READ ONLY"]);
        Ok(Reader {
            pool: pool(options, settings.readers_max),
            settings,
        })
    }

    /// One order with its lines; none while it gathers holds.
    ///
    /// # Errors
    /// The database cannot be read now.
    pub async fn order(&self, id: OrderId) -> Result<Option<OrderRow>, MysqlError> {
        let mut conn = self.connection().await?;
        let found = conn.rows(queries::ORDER, vec![Value::UInt(id.0)]).await?;
        Ok(with_lines(&mut conn, &found).await?.into_iter().next())
    }

    /// A page of orders with their lines, newest first, `rows` at most.
    ///
    /// # Errors
    /// The database cannot be read now.
    pub async fn orders(&self, filter: &Filter, rows: usize) -> Result<Vec<OrderRow>, MysqlError> {
        let (sql, values) = queries::orders(filter, rows);
        let mut conn = self.connection().await?;
        let found = conn.rows(&sql, values).await?;
        with_lines(&mut conn, &found).await
    }

    /// What happened to an order, by op.
    ///
    /// # Errors
    /// The database cannot be read now.
    pub async fn history(&self, id: OrderId) -> Result<Vec<StepRow>, MysqlError> {
        let found = self.rows(queries::HISTORY, vec![Value::UInt(id.0)]).await?;
        found.iter().map(step).collect()
    }

    /// A page of SKUs after one, by the bytes of their names, `rows` at most; see [`tidegate_rows::Skus::skus`].
    ///
    /// # Errors
    /// The database cannot be read now.
    pub async fn skus(&self, search: &str, after: &str, rows: usize) -> Result<Vec<SkuPut>, MysqlError> {
        let (sql, values) = queries::skus(search, after, rows);
        let found = self.rows(&sql, values).await?;
        found.iter().map(|row| Ok(sku_of(row)?.put)).collect()
    }

    /// Those of `skus` that the store has.
    ///
    /// # Errors
    /// The database cannot be read now.
    pub async fn known_skus(&self, skus: &[SkuName]) -> Result<HashSet<SkuName>, MysqlError> {
        let mut known = HashSet::new();
        if skus.is_empty() {
            return Ok(known);
        }
        let mut conn = self.connection().await?;
        for keys in skus.chunks(KEYS_MAX) {
            let keys = padded(keys.iter().map(|sku| text(sku.as_str())).collect());
            for row in &conn.rows(&queries::known_skus(keys.len()), keys).await? {
                known.insert(Columns::of(row).sku()?);
            }
        }
        Ok(known)
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

    /// The rows of one statement.
    pub(crate) async fn rows(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, MysqlError> {
        self.connection().await?.rows(sql, values).await
    }

    async fn connection(&self) -> Result<Pooled, MysqlError> {
        Pooled::take(&self.pool, &self.settings).await
    }
}

/// The last key repeated up to a power of two.
fn padded(mut keys: Vec<Value>) -> Vec<Value> {
    if let Some(last) = keys.last().cloned() {
        keys.resize(keys.len().next_power_of_two(), last);
    }
    keys
}

async fn with_lines(conn: &mut Pooled, rows: &[Row]) -> Result<Vec<OrderRow>, MysqlError> {
    let mut orders: Vec<OrderRow> = rows.iter().map(order_of).collect::<Result<_, _>>()?;
    let mut lines: BTreeMap<u64, Vec<Line>> = BTreeMap::new();
    for page in orders.chunks(KEYS_MAX) {
        let ids = padded(page.iter().map(|row| Value::UInt(row.order.0)).collect());
        for row in &conn.rows(&queries::lines(ids.len()), ids).await? {
            let mut row = Columns::of(row);
            let order = row.next()?;
            let line = Line {
                sku: row.sku()?,
                qty: row.next()?,
            };
            lines.entry(order).or_default().push(line);
        }
    }
    for order in &mut orders {
        order.lines = lines.remove(&order.order.0).unwrap_or_default().into();
    }
    Ok(orders)
}

fn step(row: &Row) -> Result<StepRow, MysqlError> {
    step_of(&mut Columns::of(row))
}

fn step_of(row: &mut Columns<'_>) -> Result<StepRow, MysqlError> {
    Ok(StepRow {
        op: row.next()?,
        shard: row.next()?,
        at: Millis(row.next()?),
        kind: row.next()?,
        detail: row.next()?,
    })
}
