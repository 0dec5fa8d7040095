//! The embedded store: one SQLite file.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags, Savepoint, TransactionBehavior};
use tidegate_rows::{Answer, RowsError};

use crate::database::{Database, DatabaseError};

/// The migrations, oldest first; `PRAGMA user_version` counts those that were applied. What was released is never edited: a change is a
/// further file.
const MIGRATIONS: &[&str] = &[
    include_str!("sqlite/0001_orders.sql"),
    include_str!("sqlite/0002_shop.sql"),
    include_str!("sqlite/0003_imports.sql"),
];

/// `PRAGMA application_id` of a store: "Tide", so that no other program's database is taken for one.
const APPLICATION_ID: i32 = 0x5469_6465;

/// An open store.
#[derive(Clone, Debug)]
pub struct Sqlite {
    database: Arc<Database>,
    name: Arc<str>,
}

impl Sqlite {
    /// Opens or makes the store in the file, brings its tables up to date, and starts its writer.
    ///
    /// # Errors
    /// The file cannot be opened, is another program's database, or is of a newer version of this one.
    pub fn open(path: &Path) -> Result<Sqlite, DatabaseError> {
        let database = Database::open(path, migrate)?;
        let name: String =
            database.read(|tx| tx.query_row("SELECT name FROM store", [], |row| row.get(0)))?;
        Ok(Sqlite {
            database: Arc::new(database),
            name: name.into(),
        })
    }

    /// The name of the store in a file, which is not changed.
    ///
    /// # Errors
    /// The file cannot be read, or is no store.
    pub fn name_of(path: &Path) -> Result<String, DatabaseError> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok(connection.query_row("SELECT name FROM store", [], |row| row.get(0))?)
    }

    /// The name that was made with the file; the data directory's manifest keeps it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file's writer and readers.
    pub fn database(&self) -> &Arc<Database> {
        &self.database
    }

    /// What the shop reads.
    pub(super) fn reading<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Answer<'_, T> {
        Box::pin(async move { self.database.read_async(query).await.map_err(RowsError::new) })
    }

    /// What the shop writes: in a savepoint of its own.
    pub(super) fn writing<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Answer<'_, T> {
        Box::pin(async move {
            let job = move |savepoint: &mut Savepoint<'_>| job(savepoint);
            self.database.write_async(job).await.map_err(RowsError::new)
        })
    }
}

fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i32 = transaction.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION_ID && (tables > 0 || done > 0) {
        return Err(refused("the file is another program's database"));
    }
    let Some(due) = MIGRATIONS.get(done as usize..) else {
        let newer = format!(
            "its tables are of version {done}, and this program knows {}: use the newer program",
            MIGRATIONS.len()
        );
        return Err(refused(&newer));
    };
    for sql in due {
        transaction.execute_batch(sql)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as u32)?;
    transaction.commit()
}

fn refused(text: &str) -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_SCHEMA);
    rusqlite::Error::SqliteFailure(code, Some(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_keeps_the_name_that_was_made_with_it_and_two_stores_have_two() {
        let dir = tempfile::tempdir().unwrap();
        let name = |file| Sqlite::open(&dir.path().join(file)).unwrap().name().to_owned();
        let first = name("a.db");
        assert!(first.starts_with("sqlite-") && first.len() == 23, "{first}");
        assert_eq!(name("a.db"), first);
        assert_ne!(name("b.db"), first);
    }

    #[test]
    fn a_file_of_a_newer_version_and_one_of_another_program_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (newer, other) = (dir.path().join("newer.db"), dir.path().join("other.db"));
        drop(Sqlite::open(&newer).unwrap());
        let connection = Connection::open(&newer).unwrap();
        connection.pragma_update(None, "user_version", 999).unwrap();
        let error = Sqlite::open(&newer).unwrap_err().to_string();
        assert!(error.contains("999") && error.contains("newer"), "{error}");
        Connection::open(&other)
            .unwrap()
            .execute_batch("CREATE TABLE t (n)")
            .unwrap();
        let error = Sqlite::open(&other).unwrap_err().to_string();
        assert!(error.contains("another program"), "{error}");
    }
}
