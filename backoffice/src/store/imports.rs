//! The rows of imports. The file has one process, so whoever applies is the only one: drivers are not told apart.

use rusqlite::{Connection, OptionalExtension, Row, params};
use tidegate_rows::{
    Answer, Driver, FAILURES_SHOWN, FINISHED_MAX, Failure, ImportRow, ImportState, Imports, Part, Taken,
    UPLOADS_MAX,
};
use tidegate_shard_core::Millis;

use super::Sqlite;
use super::cells::number;

impl Imports for Sqlite {
    fn import(&self, id: String) -> Answer<'_, Option<(ImportRow, Vec<Failure>)>> {
        self.reading(move |connection| {
            let Some(row) = find(connection, &id)? else {
                return Ok(None);
            };
            Ok(Some((row, failures(connection, &id)?)))
        })
    }

    fn put_part(&self, id: String, part: Part, now: Millis) -> Answer<'_, bool> {
        self.writing(move |connection| put_part(connection, &id, &part, now))
    }

    fn part_after(&self, id: String, number: Option<u32>) -> Answer<'_, Option<Part>> {
        self.reading(move |connection| part_after(connection, &id, number))
    }

    fn start_import(&self, id: String, parts: u32, lines: u64, now: Millis) -> Answer<'_, bool> {
        self.writing(move |connection| start(connection, &id, parts, lines, now))
    }

    fn take_import(&self, _: Driver) -> Answer<'_, Option<Taken>> {
        self.reading(next)
    }

    fn advance_import(
        &self,
        _: Driver,
        seen: Taken,
        lines: u64,
        failures: Vec<Failure>,
        now: Millis,
    ) -> Answer<'_, bool> {
        self.writing(move |connection| advance(connection, &seen, lines, &failures, now))
    }

    fn finish_import(&self, _: Driver, seen: Taken, now: Millis) -> Answer<'_, bool> {
        self.writing(move |connection| finish(connection, &seen, now))
    }
}

/// One import.
fn find(connection: &Connection, id: &str) -> rusqlite::Result<Option<ImportRow>> {
    connection
        .prepare_cached(
            "SELECT state, lines, done, failed, created_at, changed_at FROM imports WHERE id = ?1",
        )?
        .query_row([id], read)
        .optional()
}

fn read(row: &Row<'_>) -> rusqlite::Result<ImportRow> {
    let state: String = row.get(0)?;
    Ok(ImportRow {
        state: ImportState::parse(&state),
        lines: number(row, 1)?,
        done: number(row, 2)?,
        failed: number(row, 3)?,
        created_at: Millis(number(row, 4)?),
        changed_at: Millis(number(row, 5)?),
    })
}

/// The first failures by line.
fn failures(connection: &Connection, id: &str) -> rusqlite::Result<Vec<Failure>> {
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
fn put_part(connection: &Connection, id: &str, part: &Part, now: Millis) -> rusqlite::Result<bool> {
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
fn part_after(connection: &Connection, id: &str, number: Option<u32>) -> rusqlite::Result<Option<Part>> {
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
fn start(connection: &Connection, id: &str, parts: u32, lines: u64, now: Millis) -> rusqlite::Result<bool> {
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
fn next(connection: &Connection) -> rusqlite::Result<Option<Taken>> {
    connection
        .prepare_cached(
            "SELECT id, done FROM imports WHERE state = 'applying' ORDER BY created_at, id LIMIT 1",
        )?
        .query_row([], |row| {
            Ok(Taken {
                id: row.get(0)?,
                done: number(row, 1)?,
            })
        })
        .optional()
}

fn advance(
    connection: &Connection,
    seen: &Taken,
    lines: u64,
    failures: &[Failure],
    now: Millis,
) -> rusqlite::Result<bool> {
    let changed = connection
        .prepare_cached(
            "UPDATE imports SET done = done + ?3, failed = failed + ?4, changed_at = ?5
             WHERE id = ?1 AND state = 'applying' AND done = ?2",
        )?
        .execute(params![
            seen.id,
            seen.done.cast_signed(),
            lines.cast_signed(),
            failures.len() as i64,
            now.0.cast_signed()
        ])?;
    if changed == 0 {
        return Ok(false);
    }
    for failure in failures {
        connection
            .prepare_cached("INSERT OR REPLACE INTO import_failures VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![
                seen.id,
                failure.line.cast_signed(),
                failure.code,
                failure.detail
            ])?;
    }
    Ok(true)
}

fn finish(connection: &Connection, seen: &Taken, now: Millis) -> rusqlite::Result<bool> {
    let changed = connection
        .prepare_cached(
            "UPDATE imports SET state = 'done', changed_at = ?3 WHERE id = ?1 AND state = 'applying' AND done = ?2",
        )?
        .execute(params![seen.id, seen.done.cast_signed(), now.0.cast_signed()])?;
    if changed == 1 {
        connection
            .prepare_cached("DELETE FROM import_parts WHERE import_id = ?1")?
            .execute([&seen.id])?;
    }
    Ok(changed == 1)
}
