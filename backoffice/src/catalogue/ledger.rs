//! The rows of imports.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use tidegate_shard_core::Millis;

/// Imports that are being uploaded, at most: beyond it, the one that has waited longest for its next part goes.
const UPLOADS_MAX: u32 = 16;
/// Finished imports that are remembered.
const FINISHED_MAX: u32 = 100;
/// Failures that are shown; all of them are kept and counted.
const FAILURES_SHOWN: u32 = 100;

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ImportState {
    /// Its parts come in.
    Uploading,
    /// Its lines are being applied.
    Applying,
    /// Every line has its outcome.
    Done,
}

impl ImportState {
    fn parse(text: &str) -> ImportState {
        match text {
            "uploading" => ImportState::Uploading,
            "applying" => ImportState::Applying,
            _ => ImportState::Done,
        }
    }
}

/// An import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportRow {
    /// How far it is.
    pub state: ImportState,
    /// Lines that set something; 0 until it was checked.
    pub lines: u64,
    /// The first so many have their outcome.
    pub done: u64,
    /// Of these, so many were refused.
    pub failed: u64,
    /// When its first part came.
    pub created_at: Millis,
    /// When it last went on.
    pub changed_at: Millis,
}

/// A line that a shard refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Which, of the file.
    pub line: u64,
    /// The word of `docs/CODES.md`.
    pub code: String,
    /// What was wrong and what would be right.
    pub detail: String,
}

/// A part as it was sent.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) number: u32,
    pub(super) first_line: u64,
    pub(super) text: String,
}

/// One import.
pub(super) fn find(connection: &Connection, id: &str) -> rusqlite::Result<Option<ImportRow>> {
    connection
        .prepare_cached(
            "SELECT state, lines, done, failed, created_at, changed_at FROM imports WHERE id = ?1",
        )?
        .query_row([id], read)
        .optional()
}

fn read(row: &Row<'_>) -> rusqlite::Result<ImportRow> {
    let number = |column| -> rusqlite::Result<u64> { Ok(row.get::<_, i64>(column)?.cast_unsigned()) };
    let state: String = row.get(0)?;
    Ok(ImportRow {
        state: ImportState::parse(&state),
        lines: number(1)?,
        done: number(2)?,
        failed: number(3)?,
        created_at: Millis(number(4)?),
        changed_at: Millis(number(5)?),
    })
}

/// The first failures by line.
pub(super) fn failures(connection: &Connection, id: &str) -> rusqlite::Result<Vec<Failure>> {
    let mut statement = connection.prepare_cached(
        "SELECT line, code, detail FROM import_failures WHERE import_id = ?1 ORDER BY line LIMIT ?2",
    )?;
    let rows = statement.query_map(params![id, FAILURES_SHOWN], |row| {
        Ok(Failure {
            line: row.get::<_, i64>(0)?.cast_unsigned(),
            code: row.get(1)?,
            detail: row.get(2)?,
        })
    })?;
    rows.collect()
}

/// Keeps a part, unless its import is past that: whether it was kept. A part that is sent again takes the place of the first.
pub(super) fn put_part(
    connection: &Connection,
    id: &str,
    part: &Part,
    now: Millis,
) -> rusqlite::Result<bool> {
    match find(connection, id)? {
        Some(row) if row.state != ImportState::Uploading => return Ok(false),
        Some(_) => touch(connection, id, now)?,
        None => begin(connection, id, now)?,
    }
    connection
        .prepare_cached("INSERT OR REPLACE INTO import_parts VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![id, part.number, part.first_line.cast_signed(), part.text])?;
    Ok(true)
}

fn touch(connection: &Connection, id: &str, now: Millis) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE imports SET changed_at = ?2 WHERE id = ?1")?
        .execute(params![id, now.0.cast_signed()])
        .map(drop)
}

fn begin(connection: &Connection, id: &str, now: Millis) -> rusqlite::Result<()> {
    for (state, kept) in [("uploading", UPLOADS_MAX - 1), ("done", FINISHED_MAX)] {
        let old: Vec<String> = connection
            .prepare_cached(
                "SELECT id FROM imports WHERE state = ?1 ORDER BY changed_at DESC LIMIT -1 OFFSET ?2",
            )?
            .query_map(params![state, kept], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for id in old {
            forget(connection, &id)?;
        }
    }
    connection
        .prepare_cached("INSERT INTO imports VALUES (?1, 'uploading', 0, 0, 0, ?2, ?2)")?
        .execute(params![id, now.0.cast_signed()])
        .map(drop)
}

fn forget(connection: &Connection, id: &str) -> rusqlite::Result<()> {
    for sql in [
        "DELETE FROM import_parts WHERE import_id = ?1",
        "DELETE FROM import_failures WHERE import_id = ?1",
        "DELETE FROM imports WHERE id = ?1",
    ] {
        connection.prepare_cached(sql)?.execute([id])?;
    }
    Ok(())
}

/// The part after the one with a number, or the first.
pub(super) fn part_after(
    connection: &Connection,
    id: &str,
    number: Option<u32>,
) -> rusqlite::Result<Option<Part>> {
    connection
        .prepare_cached(
            "SELECT part, first_line, text FROM import_parts WHERE import_id = ?1 AND part > ?2 ORDER BY part LIMIT 1",
        )?
        .query_row(params![id, number.unwrap_or(0)], |row| {
            Ok(Part {
                number: row.get(0)?,
                first_line: row.get::<_, i64>(1)?.cast_unsigned(),
                text: row.get(2)?,
            })
        })
        .optional()
}

/// Lets the `parts` that were checked be applied: whether the import was still being uploaded. Parts behind them are of a longer file before it, and go.
pub(super) fn start(
    connection: &Connection,
    id: &str,
    parts: u32,
    lines: u64,
    now: Millis,
) -> rusqlite::Result<bool> {
    let changed = connection
        .prepare_cached(
            "UPDATE imports SET state = 'applying', lines = ?2, changed_at = ?3 WHERE id = ?1 AND state = 'uploading'",
        )?
        .execute(params![id, lines.cast_signed(), now.0.cast_signed()])?;
    if changed == 1 {
        connection
            .prepare_cached("DELETE FROM import_parts WHERE import_id = ?1 AND part > ?2")?
            .execute(params![id, parts])?;
    }
    Ok(changed == 1)
}

/// The import that is to be applied next: the one that has waited longest.
pub(super) fn next(connection: &Connection) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached("SELECT id FROM imports WHERE state = 'applying' ORDER BY created_at, id LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()
}

/// So many further lines have their outcome, and some were refused.
pub(super) fn advance(
    connection: &Connection,
    id: &str,
    lines: u64,
    failures: &[Failure],
    now: Millis,
) -> rusqlite::Result<()> {
    for failure in failures {
        connection
            .prepare_cached("INSERT OR REPLACE INTO import_failures VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![
                id,
                failure.line.cast_signed(),
                failure.code,
                failure.detail
            ])?;
    }
    connection
        .prepare_cached(
            "UPDATE imports SET done = done + ?2, failed = failed + ?3, changed_at = ?4 WHERE id = ?1",
        )?
        .execute(params![
            id,
            lines.cast_signed(),
            failures.len() as i64,
            now.0.cast_signed()
        ])
        .map(drop)
}

/// Every line has its outcome: the parts go.
pub(super) fn finish(connection: &Connection, id: &str, now: Millis) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE imports SET state = 'done', changed_at = ?2 WHERE id = ?1")?
        .execute(params![id, now.0.cast_signed()])?;
    connection
        .prepare_cached("DELETE FROM import_parts WHERE import_id = ?1")?
        .execute([id])
        .map(drop)
}
