//! The ledger of imports.

use mysql_async::{Row, Value};
use tidegate_rows::{
    Answer, DRIVER_LEASE_MS, Driver, FAILURES_SHOWN, FINISHED_MAX, Failure, ImportRow, ImportState, Imports,
    Part, Taken, UPLOADS_MAX,
};
use tidegate_shard_core::Millis;

use super::{Rows, Tries, told};
use crate::MysqlError;
use crate::columns::{Columns, text};
use crate::pooled::Pooled;

const FIND: &str = "SELECT state, total, done, failed, created_at, changed_at FROM imports WHERE id = ?";
const FAILURES: &str =
    "SELECT line, code, detail FROM import_failures WHERE import_id = ? ORDER BY line LIMIT ?";
const HOLD: &str = "SELECT state FROM imports WHERE id = ? FOR UPDATE";
const TOUCH: &str = "UPDATE imports SET changed_at = ? WHERE id = ?";
const BEGIN: &str = "INSERT INTO imports (id, state, total, done, failed, created_at, changed_at) VALUES (?, 'uploading', 0, 0, 0, ?, ?)";
const PUT_PART: &str = "INSERT INTO import_parts (import_id, part, first_line, body) VALUES (?, ?, ?, ?) \
    ON DUPLICATE KEY UPDATE first_line = VALUES(first_line), body = VALUES(body)";
const PART_AFTER: &str =
    "SELECT part, first_line, body FROM import_parts WHERE import_id = ? AND part > ? ORDER BY part LIMIT 1";
const BEYOND: &str =
    "SELECT id, changed_at FROM imports WHERE state = ? ORDER BY changed_at DESC LIMIT 1000 OFFSET ?";
/// Of an import that still stands where it was seen: who sends a part to it at this moment wants it.
const FORGET: &str = "DELETE FROM imports WHERE id = ? AND state = ? AND changed_at = ?";
const FORGET_FAILURES: &str = "DELETE FROM import_failures WHERE import_id = ?";
const START: &str =
    "UPDATE imports SET state = 'applying', total = ?, changed_at = ? WHERE id = ? AND state = 'uploading'";
const DROP_PARTS: &str = "DELETE FROM import_parts WHERE import_id = ? AND part > ?";
/// All of them, locked: of two that take one at once, the second finds what the first took.
const APPLYING: &str = "SELECT id, done, driver, driven_until > CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS UNSIGNED) FROM imports \
    WHERE state = 'applying' ORDER BY created_at, id FOR UPDATE";
const DRIVE: &str = "UPDATE imports SET driver = ?, driven_until = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS UNSIGNED) + ? WHERE id = ?";
const ADVANCE: &str = "UPDATE imports SET done = done + ?, failed = failed + ?, changed_at = ?, \
    driven_until = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS UNSIGNED) + ? WHERE id = ? AND state = 'applying' AND done = ? AND driver = ?";
const FAIL: &str = "INSERT INTO import_failures (import_id, line, code, detail) VALUES (?, ?, ?, ?) \
    ON DUPLICATE KEY UPDATE code = VALUES(code), detail = VALUES(detail)";
const FINISH: &str = "UPDATE imports SET state = 'done', changed_at = ? WHERE id = ? AND state = 'applying' AND done = ? AND driver = ?";

/// Begins a transaction until it has not lost a race.
macro_rules! until_settled {
    ($rows:expr, $conn:ident => $doing:expr) => {
        told(async move {
            let mut tries = Tries::new();
            loop {
                let mut held = $rows.begin().await?;
                let $conn = &mut held;
                let done = $doing.await;
                if let Some(done) = tries.settle(held, done).await? {
                    return Ok(done);
                }
            }
        })
    };
}

impl Imports for Rows {
    fn import(&self, id: String) -> Answer<'_, Option<(ImportRow, Vec<Failure>)>> {
        told(async move {
            let found = self.reader.rows(FIND, vec![text(&id)]).await?;
            let Some(row) = found.first().map(import_of).transpose()? else {
                return Ok(None);
            };
            let values = vec![text(&id), Value::UInt(FAILURES_SHOWN.into())];
            let failures = self.reader.rows(FAILURES, values).await?;
            let failures: Result<_, _> = failures.iter().map(failure_of).collect();
            Ok(Some((row, failures?)))
        })
    }

    fn put_part(&self, id: String, part: Part, now: Millis) -> Answer<'_, bool> {
        until_settled!(self, conn => put_part(conn, &id, &part, now))
    }

    fn part_after(&self, id: String, number: Option<u32>) -> Answer<'_, Option<Part>> {
        told(async move {
            let values = vec![text(&id), Value::UInt(number.unwrap_or(0).into())];
            let found = self.reader.rows(PART_AFTER, values).await?;
            found.first().map(part_of).transpose()
        })
    }

    fn start_import(&self, id: String, parts: u32, lines: u64, now: Millis) -> Answer<'_, bool> {
        until_settled!(self, conn => start(conn, &id, parts, lines, now))
    }

    fn take_import(&self, driver: Driver) -> Answer<'_, Option<Taken>> {
        until_settled!(self, conn => take(conn, driver))
    }

    fn advance_import(
        &self,
        driver: Driver,
        seen: Taken,
        lines: u64,
        failures: Vec<Failure>,
        now: Millis,
    ) -> Answer<'_, bool> {
        until_settled!(self, conn => advance(conn, driver, &seen, lines, &failures, now))
    }

    fn finish_import(&self, driver: Driver, seen: Taken, now: Millis) -> Answer<'_, bool> {
        until_settled!(self, conn => finish(conn, driver, &seen, now))
    }
}

/// The import's row is locked first, by the look at its state or by its making, so that no part comes to one that is started or forgotten
/// meanwhile.
async fn put_part(conn: &mut Pooled, id: &str, part: &Part, now: Millis) -> Result<bool, MysqlError> {
    let found = conn.rows(HOLD, vec![text(id)]).await?;
    match found.first() {
        Some(row) if Columns::of(row).next::<String>()? != "uploading" => return Ok(false),
        Some(_) => _ = conn.write(TOUCH, vec![Value::UInt(now.0), text(id)]).await?,
        None => {
            let values = vec![text(id), Value::UInt(now.0), Value::UInt(now.0)];
            forget_what_is_beyond(conn).await?;
            conn.write(BEGIN, values).await?;
        }
    }
    let values = vec![
        text(id),
        Value::UInt(part.number.into()),
        Value::UInt(part.first_line),
        text(&part.text),
    ];
    conn.write(PUT_PART, values).await?;
    Ok(true)
}

async fn forget_what_is_beyond(conn: &mut Pooled) -> Result<(), MysqlError> {
    for (state, kept) in [("uploading", UPLOADS_MAX - 1), ("done", FINISHED_MAX)] {
        let values = vec![text(state), Value::UInt(kept.into())];
        for row in &conn.rows(BEYOND, values).await? {
            let mut row = Columns::of(row);
            let (id, changed_at): (String, u64) = (row.next()?, row.next()?);
            let values = vec![text(&id), text(state), Value::UInt(changed_at)];
            if conn.write(FORGET, values).await? > 0 {
                conn.write(DROP_PARTS, vec![text(&id), Value::UInt(0)]).await?;
                conn.write(FORGET_FAILURES, vec![text(&id)]).await?;
            }
        }
    }
    Ok(())
}

async fn start(conn: &mut Pooled, id: &str, parts: u32, lines: u64, now: Millis) -> Result<bool, MysqlError> {
    let values = vec![Value::UInt(lines), Value::UInt(now.0), text(id)];
    let started = conn.write(START, values).await? > 0;
    if started {
        conn.write(DROP_PARTS, vec![text(id), Value::UInt(parts.into())])
            .await?;
    }
    Ok(started)
}

async fn take(conn: &mut Pooled, driver: Driver) -> Result<Option<Taken>, MysqlError> {
    let mut first = None;
    for row in &conn.rows(APPLYING, Vec::new()).await? {
        let mut row = Columns::of(row);
        let taken = Taken {
            id: row.next()?,
            done: row.next()?,
        };
        let (by, driven): (u64, bool) = (row.next()?, row.next()?);
        if driven && by != driver.0 {
            return Ok(None);
        }
        first.get_or_insert(taken);
    }
    if let Some(taken) = &first {
        let values = vec![
            Value::UInt(driver.0),
            Value::UInt(DRIVER_LEASE_MS),
            text(&taken.id),
        ];
        conn.write(DRIVE, values).await?;
    }
    Ok(first)
}

async fn advance(
    conn: &mut Pooled,
    driver: Driver,
    seen: &Taken,
    lines: u64,
    failures: &[Failure],
    now: Millis,
) -> Result<bool, MysqlError> {
    let values = vec![
        Value::UInt(lines),
        Value::UInt(failures.len() as u64),
        Value::UInt(now.0),
        Value::UInt(DRIVER_LEASE_MS),
        text(&seen.id),
        Value::UInt(seen.done),
        Value::UInt(driver.0),
    ];
    if conn.write(ADVANCE, values).await? == 0 {
        return Ok(false);
    }
    for failure in failures {
        let line = Value::UInt(failure.line);
        let values = vec![text(&seen.id), line, text(&failure.code), text(&failure.detail)];
        conn.write(FAIL, values).await?;
    }
    Ok(true)
}

async fn finish(conn: &mut Pooled, driver: Driver, seen: &Taken, now: Millis) -> Result<bool, MysqlError> {
    let values = vec![
        Value::UInt(now.0),
        text(&seen.id),
        Value::UInt(seen.done),
        Value::UInt(driver.0),
    ];
    let finished = conn.write(FINISH, values).await? > 0;
    if finished {
        conn.write(DROP_PARTS, vec![text(&seen.id), Value::UInt(0)])
            .await?;
    }
    Ok(finished)
}

fn import_of(row: &Row) -> Result<ImportRow, MysqlError> {
    let mut row = Columns::of(row);
    Ok(ImportRow {
        state: row.next_as(|word| Some(ImportState::parse(word)))?,
        lines: row.next()?,
        done: row.next()?,
        failed: row.next()?,
        created_at: Millis(row.next()?),
        changed_at: Millis(row.next()?),
    })
}

fn failure_of(row: &Row) -> Result<Failure, MysqlError> {
    let mut row = Columns::of(row);
    Ok(Failure {
        line: row.next()?,
        code: row.next()?,
        detail: row.next()?,
    })
}

fn part_of(row: &Row) -> Result<Part, MysqlError> {
    let mut row = Columns::of(row);
    Ok(Part {
        number: row.next()?,
        first_line: row.next()?,
        text: row.next()?,
    })
}
