//! The tables, brought up to date by versioned migrations.
//!
//! Not by refinery, the library for it: its MySQL feature turns on zlib in C for the whole workspace, it needs a newer Rust than this
//! workspace does, panics on rows of its table that it did not write, and has no lock, so that two starters race. What is needed is this file.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::MysqlError;

/// The migrations, oldest first. What was released is never edited: a change is a further file. MySQL commits each statement of these by
/// itself, so each must be able to run again after a start that died in the midst.
const MIGRATIONS: &[&str] = &[
    include_str!("schema/0001_orders.sql"),
    include_str!("schema/0002_shop.sql"),
    include_str!("schema/0003_fences.sql"),
];

/// The version that this program brings the tables to.
pub(crate) const VERSION: usize = MIGRATIONS.len();

/// How long one starter waits for another's migrations, in seconds.
const LOCK_WAIT_S: u32 = 60;

/// The name of the lock, which is the server's: one for each database, within its 64 characters.
const LOCK: &str = "concat('tidegate.', sha1(database()))";

/// Applies what is missing and gives the store's name, which is made with the first migration. One starter at a time.
pub(crate) async fn migrate(conn: &mut Conn) -> Result<String, MysqlError> {
    let locked: Option<Option<u8>> = conn
        .query_first(format!("SELECT get_lock({LOCK}, {LOCK_WAIT_S})"))
        .await?;
    if locked.flatten() != Some(1) {
        return Err(MysqlError::Refused(format!(
            "another process has been migrating the store's database for {LOCK_WAIT_S} s: start again when it is done"
        )));
    }
    // The lock ends with the connection as well, so an error need not give it back.
    let name = migrate_locked(conn).await?;
    conn.query_drop(format!("DO release_lock({LOCK})")).await?;
    Ok(name)
}

async fn migrate_locked(conn: &mut Conn) -> Result<String, MysqlError> {
    refuse_others(conn).await?;
    conn.query_drop(
        "CREATE TABLE IF NOT EXISTS tidegate_versions (version INT UNSIGNED NOT NULL PRIMARY KEY, applied_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP) ENGINE = InnoDB",
    )
    .await?;
    let done: Option<u32> = conn
        .query_first("SELECT coalesce(max(version), 0) FROM tidegate_versions")
        .await?;
    let done = done.unwrap_or(0) as usize;
    let Some(due) = MIGRATIONS.get(done..) else {
        return Err(MysqlError::Refused(format!(
            "the store's tables are of version {done}, and this program knows {}: use the newer program",
            MIGRATIONS.len()
        )));
    };
    for (version, sql) in (done + 1..).zip(due) {
        conn.query_drop(*sql).await?;
        conn.exec_drop(
            "INSERT INTO tidegate_versions (version) VALUES (?)",
            (version as u64,),
        )
        .await?;
    }
    name(conn).await
}

/// Names like `orders` are everybody's: in a database with tables and without our table of versions they are not ours.
async fn refuse_others(conn: &mut Conn) -> Result<(), MysqlError> {
    let found: Option<(u64, u64)> = conn
        .query_first(
            "SELECT count(*), coalesce(sum(table_name = 'tidegate_versions'), 0) FROM information_schema.tables WHERE table_schema = database()",
        )
        .await?;
    match found {
        Some((1.., 0)) => Err(MysqlError::Refused(
            "the database holds another program's tables: give the store a database of its own (CREATE DATABASE tidegate CHARACTER SET utf8mb4)"
                .to_owned(),
        )),
        _ => Ok(()),
    }
}

async fn name(conn: &mut Conn) -> Result<String, MysqlError> {
    if let Some(name) = read_name(conn).await? {
        return Ok(name);
    }
    let made = getrandom::u64()
        .map_err(|error| MysqlError::Refused(format!("no random bytes for the store's name: {error}")))?;
    let made = format!("mysql-{made:016x}");
    conn.exec_drop("INSERT INTO store (only_row, name) VALUES (1, ?)", (&made,))
        .await?;
    Ok(made)
}

/// The name of the store that a connection leads to.
pub(crate) async fn read_name(conn: &mut Conn) -> Result<Option<String>, MysqlError> {
    Ok(conn.query_first("SELECT name FROM store").await?)
}
