//! A whole store copied into another file, and the copy held against it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use tidegate_follow::Mark;

use super::apply::read_marks;
use crate::database::{DatabaseError, Lock};

/// Pages (of 4 KiB) between two words about how far it is: some milliseconds of a slow disk.
const PAGES_A_STEP: i32 = 256;
/// How long another program that writes the store is waited for, before it is tried again.
const PAUSE: Duration = Duration::from_millis(50);

/// What a store has, as far as two are compared by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Rows of each table.
    pub rows: BTreeMap<String, i64>,
    /// How far each shard was followed.
    pub marks: Vec<Mark>,
}

/// Why there is no copy.
#[derive(Debug)]
pub enum CopyError {
    /// SQLite's word.
    Database(DatabaseError),
    /// The copy was read again and is not sound; SQLite's first words.
    Damaged(String),
    /// The copy has other rows or marks than its source.
    Differs {
        /// What the source has.
        source: Contents,
        /// What the copy has.
        copy: Contents,
    },
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CopyError::Database(error) => error.fmt(f),
            CopyError::Damaged(words) => write!(f, "the copy is damaged: {words}"),
            CopyError::Differs { source, copy } => write!(
                f,
                "the copy has other rows than its source ({:?} against {:?}), or other marks",
                copy.rows, source.rows
            ),
        }
    }
}

impl std::error::Error for CopyError {}

impl From<DatabaseError> for CopyError {
    fn from(error: DatabaseError) -> CopyError {
        CopyError::Database(error)
    }
}

impl From<rusqlite::Error> for CopyError {
    fn from(error: rusqlite::Error) -> CopyError {
        CopyError::Database(error.into())
    }
}

/// A name that no store has: what a new file would be given, by the same recipe.
///
/// # Errors
/// The system gives no random bytes.
pub fn fresh_name() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)?;
    Ok(format!("sqlite-{:016x}", u64::from_be_bytes(bytes)))
}

/// Copies the store in `from`, which is locked meanwhile, into `to`, which must not be there. `progress` is told the pages that were copied, and
/// of how many. What is written is not synced yet.
///
/// # Errors
/// One of the files cannot be used, or another process writes the source.
pub fn copy(from: &Path, to: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), CopyError> {
    let _lock = Lock::take(from)?;
    let source = read_only(from)?;
    let mut copy = Connection::open(to)?;
    // The file is worth nothing before all of it is there, and is synced then: a journal would only guard its emptiness.
    copy.pragma_update(None, "journal_mode", "off")?;
    copy.pragma_update(None, "synchronous", "off")?;
    let backup = Backup::new(&source, &mut copy)?;
    loop {
        let step = backup.step(PAGES_A_STEP)?;
        let at = backup.progress();
        let all = u64::try_from(at.pagecount).unwrap_or(0);
        progress(all.saturating_sub(u64::try_from(at.remaining).unwrap_or(0)), all);
        match step {
            StepResult::Done => return Ok(()),
            StepResult::Busy | StepResult::Locked => std::thread::sleep(PAUSE),
            _ => {}
        }
    }
}

/// Reads the copy through and compares it with its source, then gives it its name. Its one file is the whole store then, without a log of SQLite's
/// beside it.
///
/// # Errors
/// The copy is damaged or differs, or one of the files cannot be used.
pub fn check_and_name(source: &Path, copy: &Path, name: &str) -> Result<Contents, CopyError> {
    let connection = Connection::open(copy)?;
    connection.pragma_update(None, "journal_mode", "delete")?;
    let words: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if words != "ok" {
        return Err(CopyError::Damaged(words));
    }
    let (source, copy) = (contents(&read_only(source)?)?, contents(&connection)?);
    if source != copy {
        return Err(CopyError::Differs { source, copy });
    }
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute("UPDATE store SET name = ?1", [name])?;
    Ok(copy)
}

/// What the store in a file has.
///
/// # Errors
/// It cannot be read.
pub fn contents_of(path: &Path) -> Result<Contents, CopyError> {
    Ok(contents(&read_only(path)?)?)
}

fn read_only(path: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

fn contents(connection: &Connection) -> rusqlite::Result<Contents> {
    let mut tables = connection.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )?;
    let tables: Vec<String> = tables
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let count = |table: String| {
        let sql = format!("SELECT count(*) FROM \"{}\"", table.replace('"', "\"\""));
        let rows = connection.query_row(&sql, [], |row| row.get(0))?;
        Ok((table, rows))
    };
    let mut marks = read_marks(connection)?;
    marks.sort_unstable_by_key(|mark| mark.shard);
    Ok(Contents {
        rows: tables.into_iter().map(count).collect::<rusqlite::Result<_>>()?,
        marks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Sqlite;

    /// A store with `skus` rows, and a mark.
    fn store(path: &Path, skus: u32) {
        let store = Sqlite::open(path).unwrap();
        store
            .database()
            .write(move |tx| {
                for n in 0..skus {
                    tx.execute(
                        "INSERT INTO skus VALUES (?1, 'a name that takes some room', 1, 'CNY', 1, NULL, 'sku', NULL, NULL, 1, 0, 1)",
                        [format!("SKU-{n}")],
                    )?;
                }
                tx.execute("INSERT INTO marks VALUES (3, 7, -5, 7, -5)", [])
            })
            .unwrap();
    }

    #[test]
    fn a_copy_has_every_row_and_mark_and_a_name_of_its_own_and_its_source_stays_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("a.db"), dir.path().join("b.db"));
        store(&from, 40_000);
        let (name, before) = (Sqlite::name_of(&from).unwrap(), contents_of(&from).unwrap());
        let mut seen = Vec::new();
        copy(&from, &to, &mut |done, all| seen.push((done, all))).unwrap();
        assert!(seen.len() > 1 && seen.is_sorted(), "{seen:?}");
        assert!(seen.last().is_some_and(|(done, all)| done == all), "{seen:?}");
        let fresh = fresh_name().unwrap();
        assert_eq!(check_and_name(&from, &to, &fresh).unwrap(), before);
        assert_eq!((before.rows["skus"], before.marks.len()), (40_000, 1));
        assert_eq!(Sqlite::open(&to).unwrap().name(), fresh);
        assert_eq!(
            (Sqlite::name_of(&from).unwrap(), contents_of(&from).unwrap()),
            (name.clone(), before)
        );
        assert!(
            fresh != name && fresh.len() == name.len() && fresh.starts_with("sqlite-"),
            "{fresh} {name}"
        );
    }

    #[test]
    fn a_copy_that_lacks_a_row_or_is_damaged_gets_no_name() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("a.db"), dir.path().join("b.db"));
        store(&from, 2000);
        copy(&from, &to, &mut |_, _| {}).unwrap();
        let name = Sqlite::name_of(&from).unwrap();
        Connection::open(&to)
            .unwrap()
            .execute("DELETE FROM skus WHERE sku = 'SKU-7'", [])
            .unwrap();
        let differs = check_and_name(&from, &to, "sqlite-1").unwrap_err();
        assert!(matches!(differs, CopyError::Differs { .. }), "{differs}");
        let mut bytes = std::fs::read(&to).unwrap();
        let end = bytes.len();
        bytes[end / 2..end / 2 + 3000].fill(0xAA);
        std::fs::write(&to, bytes).unwrap();
        check_and_name(&from, &to, "sqlite-1").unwrap_err();
        assert_eq!(Sqlite::name_of(&to).unwrap(), name);
    }
}
