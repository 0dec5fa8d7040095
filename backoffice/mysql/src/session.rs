//! A connection that is set up to write: what it must be sure of before the first batch, and how long it waits.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Params, Row, Statement, Value};

use crate::statement::Shape;
use crate::{MysqlError, Settings, schema};

/// After so long without use the connection is tried before a batch relies on it: servers and what stands before them close idle ones.
const IDLE: Duration = Duration::from_secs(5);
/// A client that vanished within a transaction must not keep the marks locked for long. MariaDB ends such a connection; MySQL, at its `wait_timeout`.
const ABANDONED_S: u64 = 60;

/// One connection.
#[derive(Debug)]
pub(crate) struct Session {
    conn: Conn,
    prepared: HashMap<(Shape, usize), Statement>,
    answer_timeout: Duration,
    used: Instant,
    /// Bytes that a statement may have, with its values.
    pub(crate) packet_max: usize,
}

impl Session {
    /// Connects and sets up; with `migrate` it brings the tables up to date. Gives the store's name as well.
    pub(crate) async fn open(settings: &Settings, migrate: bool) -> Result<(Session, String), MysqlError> {
        // Statements are kept by us: the driver's own cache would close the largest ones just when they come in turn.
        let options = settings.options()?.stmt_cache_size(0);
        let answer = settings.answer_timeout;
        let (mut conn, packet_max) = timed(settings.connect_timeout, "connect", async {
            let mut conn = Conn::new(options).await?;
            let packet_max = set_up(&mut conn, answer).await?;
            Ok((conn, packet_max))
        })
        .await?;
        let name = if migrate {
            // No time-out: it may wait for another starter, and a large table may be altered.
            schema::migrate(&mut conn).await?
        } else {
            let name = timed(answer, "the store's name", schema::read_name(&mut conn)).await?;
            name.ok_or_else(|| MysqlError::Refused("the database holds no store any more".to_owned()))?
        };
        let session = Session {
            conn,
            prepared: HashMap::new(),
            answer_timeout: answer,
            used: Instant::now(),
            packet_max,
        };
        Ok((session, name))
    }

    /// Whether the connection still works, if it was idle.
    pub(crate) async fn lives(&mut self) -> bool {
        let fresh = self.used.elapsed() < IDLE;
        fresh
            || timed(self.answer_timeout, "ping", async { Ok(self.conn.ping().await?) })
                .await
                .is_ok()
    }

    /// Sends a statement without values.
    pub(crate) async fn run(&mut self, sql: &'static str) -> Result<(), MysqlError> {
        timed(self.answer_timeout, sql, async {
            Ok(self.conn.query_drop(sql).await?)
        })
        .await?;
        self.used = Instant::now();
        Ok(())
    }

    /// Reads the rows of a statement without values.
    pub(crate) async fn query(&mut self, sql: &'static str) -> Result<Vec<Row>, MysqlError> {
        timed(self.answer_timeout, sql, async {
            Ok(self.conn.query(sql).await?)
        })
        .await
    }

    /// Sends a prepared statement for `rows` rows of a shape.
    pub(crate) async fn execute(
        &mut self,
        shape: Shape,
        rows: usize,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, MysqlError> {
        let key = (shape, rows);
        if !self.prepared.contains_key(&key) {
            let prepare = async { Ok(self.conn.prep(shape.sql(rows)).await?) };
            let statement = timed(self.answer_timeout, "prepare", prepare).await?;
            self.prepared.insert(key, statement);
        }
        let statement = &self.prepared[&key];
        let values = Params::Positional(values);
        timed(self.answer_timeout, shape.name(), async {
            Ok(self.conn.exec(statement, values).await?)
        })
        .await
    }
}

/// Strict, so that nothing is cut to fit; read committed, so that no gaps between rows are locked.
pub(crate) fn setting_up(answer: Duration) -> [String; 2] {
    let lock_wait_s = (answer.as_secs() / 2).max(1);
    [
        format!(
            "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', innodb_lock_wait_timeout = {lock_wait_s}, autocommit = 1 \
             /*M!100300 , idle_write_transaction_timeout = {ABANDONED_S} */"
        ),
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".to_owned(),
    ]
}

async fn set_up(conn: &mut Conn, answer: Duration) -> Result<usize, MysqlError> {
    for sql in setting_up(answer) {
        conn.query_drop(sql).await?;
    }
    let packet_max: Option<usize> = conn.query_first("SELECT @@max_allowed_packet").await?;
    Ok(packet_max.unwrap_or(1 << 20))
}

/// Waits for an answer, and no longer.
pub(crate) async fn timed<T>(
    after: Duration,
    what: &'static str,
    answer: impl Future<Output = Result<T, MysqlError>>,
) -> Result<T, MysqlError> {
    match tokio::time::timeout(after, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(MysqlError::TimedOut { what, after }),
    }
}
