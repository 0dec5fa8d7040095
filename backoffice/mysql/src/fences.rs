//! Fences: a job that has one runner at a time writes by a token, and a token lower than the highest seen is refused, however sure its
//! holder is of its lease.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Transaction};

use crate::MysqlError;

/// The highest token of `job` that was seen; 0 if there was none.
pub async fn highest(conn: &mut Conn, job: &str) -> Result<u64, MysqlError> {
    let seen: Option<u64> = conn
        .exec_first("SELECT token FROM fences WHERE job = ?", (job,))
        .await?;
    Ok(seen.unwrap_or(0))
}

/// Makes `token` the highest of `job`, if it is higher than all before. False: it is not, and nothing may be done by it. A holder claims its
/// token once, before its first write: of two that were given the same one (the giver lost its count) only one can.
///
/// Commits by itself; an error leaves open whether it was done, so that token is given up.
pub async fn claim(conn: &mut Conn, job: &str, token: u64) -> Result<bool, MysqlError> {
    conn.exec_drop("INSERT IGNORE INTO fences (job, token) VALUES (?, 0)", (job,))
        .await?;
    conn.exec_drop(
        "UPDATE fences SET token = ? WHERE job = ? AND token < ?",
        (token, job, token),
    )
    .await?;
    Ok(conn.affected_rows() == 1)
}

/// Refuses a token of `job` that is lower than the highest seen. Within the transaction whose writes it guards, and before them: the row stays
/// locked until that ends, so nobody else can claim a token between this look and the commit.
pub async fn check(tx: &mut Transaction<'_>, job: &str, token: u64) -> Result<(), MysqlError> {
    let seen: Option<u64> = tx
        .exec_first("SELECT token FROM fences WHERE job = ? FOR UPDATE", (job,))
        .await?;
    match seen {
        Some(seen) if seen == token => Ok(()),
        Some(seen) if seen > token => Err(MysqlError::Refused(format!(
            "the job {job:?} was taken over: its token is {seen} by now, and not {token}; roll back and take its lease again"
        ))),
        _ => Err(MysqlError::Refused(format!(
            "the token {token} of the job {job:?} was not claimed: claim it before the first write"
        ))),
    }
}
