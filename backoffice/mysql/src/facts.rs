//! What the server says of itself and of the database, for who is to judge it before a start.

use std::collections::BTreeSet;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use crate::schema::{self, read_name};
use crate::session::timed;
use crate::{MysqlError, Settings};

/// What was found; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// As the server calls it: `8.0.39`, `10.11.6-MariaDB`.
    pub version: String,
    /// `innodb_flush_log_at_trx_commit`: 1 is a sync a commit.
    pub flush: Option<u64>,
    /// Whether it has a binary log.
    pub binary_log: bool,
    /// `sync_binlog`: 1 is a sync a commit.
    pub sync_binlog: Option<u64>,
    /// `binlog_format`.
    pub binlog_format: Option<String>,
    /// Whether it takes writes of ordinary users.
    pub read_only: bool,
    /// `max_allowed_packet`, bytes.
    pub packet_max: Option<u64>,
    /// Whether this connection is over TLS.
    pub tls: bool,
    /// Whose the tables are.
    pub tables: Tables,
    /// What the user may do in the database, as far as it is told: in capitals, as MySQL has it.
    pub rights: BTreeSet<String>,
}

/// Whose the tables of the database are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tables {
    /// There are none: a start makes them.
    None,
    /// Another program's.
    Foreign,
    /// The store's.
    Ours {
        /// The version that they are of.
        version: u64,
        /// The version that this program brings them to.
        known: u64,
        /// The store's name.
        name: Option<String>,
    },
}

/// Connects and asks.
///
/// # Errors
/// The server cannot be reached, does not let us in, or the settings cannot be used.
pub async fn facts(settings: &Settings) -> Result<Facts, MysqlError> {
    let options = settings.options()?;
    let mut conn = timed(settings.connect_timeout, "connect", async {
        Ok(Conn::new(options).await?)
    })
    .await?;
    timed(settings.answer_timeout, "facts", ask(&mut conn)).await
}

async fn ask(conn: &mut Conn) -> Result<Facts, MysqlError> {
    let variable = async |conn: &mut Conn, name: &str| -> Result<Option<String>, MysqlError> {
        let row: Option<Row> = conn.query_first(format!("SHOW VARIABLES LIKE '{name}'")).await?;
        Ok(row.and_then(|row| row.get::<String, usize>(1)))
    };
    let is_on = |value: Option<String>| value.is_some_and(|value| value == "ON" || value == "1");
    let number = |value: Option<String>| value.and_then(|value| value.parse().ok());
    let cipher: Option<Row> = conn.query_first("SHOW STATUS LIKE 'Ssl_cipher'").await?;
    Ok(Facts {
        version: variable(conn, "version").await?.unwrap_or_default(),
        flush: number(variable(conn, "innodb_flush_log_at_trx_commit").await?),
        binary_log: is_on(variable(conn, "log_bin").await?),
        sync_binlog: number(variable(conn, "sync_binlog").await?),
        binlog_format: variable(conn, "binlog_format").await?,
        read_only: is_on(variable(conn, "read_only").await?),
        packet_max: number(variable(conn, "max_allowed_packet").await?),
        tls: cipher
            .and_then(|row| row.get::<String, usize>(1))
            .is_some_and(|cipher| !cipher.is_empty()),
        tables: tables(conn).await?,
        rights: rights(conn).await?,
    })
}

async fn tables(conn: &mut Conn) -> Result<Tables, MysqlError> {
    let found: Option<(u64, u64)> = conn
        .query_first(
            "SELECT count(*), coalesce(sum(table_name = 'tidegate_versions'), 0) FROM information_schema.tables WHERE table_schema = database()",
        )
        .await?;
    match found {
        None | Some((0, _)) => return Ok(Tables::None),
        Some((_, 0)) => return Ok(Tables::Foreign),
        Some(_) => {}
    }
    let version: Option<u64> = conn
        .query_first("SELECT coalesce(max(version), 0) FROM tidegate_versions")
        .await?;
    let version = version.unwrap_or(0);
    Ok(Tables::Ours {
        version,
        known: schema::VERSION as u64,
        name: match version {
            0 => None,
            _ => read_name(conn).await?,
        },
    })
}

/// Of the whole server and of databases whose pattern ours fits. What comes by a role is not seen.
async fn rights(conn: &mut Conn) -> Result<BTreeSet<String>, MysqlError> {
    let rights: Vec<String> = conn
        .query(
            "SELECT privilege_type FROM information_schema.user_privileges \
             UNION SELECT privilege_type FROM information_schema.schema_privileges WHERE database() LIKE table_schema",
        )
        .await?;
    Ok(rights.into_iter().collect())
}
