//! A connection of a pool, which goes back to it only if it can be trusted.

use std::time::Duration;

use futures_util::FutureExt;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Params, Pool, PoolConstraints, PoolOpts, Row, Value};

use crate::session::timed;
use crate::{MysqlError, Settings};

/// How long a connection is kept for who comes next. Without such a time the driver keeps none, and each call would connect anew.
const IDLE: Duration = Duration::from_secs(60);

/// A pool of `connections_max` connections. They are not reset when they come back: a reset would forget their statements, and what is not clean
/// does not come back.
pub(crate) fn pool(options: OptsBuilder, connections_max: usize) -> Pool {
    let constraints = PoolConstraints::new(0, connections_max.max(1)).unwrap_or_default();
    let pool = PoolOpts::new()
        .with_constraints(constraints)
        .with_inactive_connection_ttl(IDLE)
        .with_reset_connection(false);
    Pool::new(Opts::from(options.pool_opts(pool)))
}

/// A connection that is in use.
#[derive(Debug)]
pub(crate) struct Pooled {
    /// Taken only by the drop.
    conn: Option<Conn>,
    /// A statement was sent and its answer not wholly read, since it was waited for too long or the task was dropped: who has the connection next
    /// would take that answer for its own. (The driver gives such a one up by itself; this does not lean on it.) Or the server said something
    /// after which another one is to be looked up.
    spoilt: bool,
    /// A transaction is open.
    open: bool,
    answer_timeout: Duration,
}

impl Pooled {
    /// Takes a connection, or makes one.
    pub(crate) async fn take(pool: &Pool, settings: &Settings) -> Result<Pooled, MysqlError> {
        let connected = async { Ok(pool.get_conn().await?) };
        Ok(Pooled {
            conn: Some(timed(settings.connect_timeout, "connect", connected).await?),
            spoilt: false,
            open: false,
            answer_timeout: settings.answer_timeout,
        })
    }

    /// Reads the rows of a statement.
    pub(crate) async fn rows(&mut self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, MysqlError> {
        let (conn, limit) = self.ask()?;
        let values = Params::Positional(values);
        let answer = timed(limit, "read", async { Ok(conn.exec(sql, values).await?) }).await;
        self.answered(answer)
    }

    /// Writes; gives how many rows were found to be written (not how many were changed by it), if the pool asks for that.
    pub(crate) async fn write(&mut self, sql: &str, values: Vec<Value>) -> Result<u64, MysqlError> {
        let (conn, limit) = self.ask()?;
        let values = Params::Positional(values);
        let written = async {
            conn.exec_drop(sql, values).await?;
            Ok(conn.affected_rows())
        };
        let answer = timed(limit, "write", written).await;
        self.answered(answer)
    }

    /// Opens a transaction.
    pub(crate) async fn begin(&mut self) -> Result<(), MysqlError> {
        self.open = true;
        self.run("START TRANSACTION").await
    }

    /// Opens a transaction that sees the rows of this moment, and no later ones.
    pub(crate) async fn begin_snapshot(&mut self) -> Result<(), MysqlError> {
        self.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            .await?;
        self.open = true;
        self.run("START TRANSACTION WITH CONSISTENT SNAPSHOT").await
    }

    /// Makes what was done durable, or undoes it.
    pub(crate) async fn end(&mut self, commit: bool) -> Result<(), MysqlError> {
        self.run(if commit { "COMMIT" } else { "ROLLBACK" }).await?;
        self.open = false;
        Ok(())
    }

    async fn run(&mut self, sql: &'static str) -> Result<(), MysqlError> {
        let (conn, limit) = self.ask()?;
        let answer = timed(limit, sql, async { Ok(conn.query_drop(sql).await?) }).await;
        self.answered(answer)
    }

    /// The connection, which is spoilt until it has [`answered`](Self::answered); and how long that may take.
    fn ask(&mut self) -> Result<(&mut Conn, Duration), MysqlError> {
        if self.spoilt {
            return Err(MysqlError::Refused("the connection cannot go on".to_owned()));
        }
        self.spoilt = true;
        let conn = self
            .conn
            .as_mut()
            .ok_or_else(|| MysqlError::Refused("there is no connection".to_owned()))?;
        Ok((conn, self.answer_timeout))
    }

    fn answered<T>(&mut self, answer: Result<T, MysqlError>) -> Result<T, MysqlError> {
        self.spoilt = answer.as_ref().is_err_and(|error| !error.spares_connection());
        answer
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take()
            && (self.spoilt || self.open)
        {
            // The first poll marks it as ended: what is dropped then is closed, and not put back. The server undoes what was open.
            _ = conn.disconnect().now_or_never();
        }
    }
}
