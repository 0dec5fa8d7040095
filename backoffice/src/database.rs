//! One SQLite file: a thread that writes, in groups, and connections that read.
//!
//! SQLite has one writer at a time, and a commit (`synchronous=FULL`) costs a sync of the disk. So all writes go through one thread, which
//! runs what has gathered in one transaction, each job in a savepoint of its own: a job that fails takes nothing along.

use std::fmt;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Savepoint, TransactionBehavior};

/// Jobs that wait for the writer at most; who comes then waits.
const QUEUE_MAX: usize = 1024;
/// Jobs in one transaction at most, so that the first of them does not wait for long.
const GROUP_MAX: usize = 256;
/// The writer's page cache: indexes by user and by SKU are written all over, and should not be read for it.
const CACHE_KIB: i64 = 65_536;
/// Pages of the write-ahead log (64 MiB) after which they go into the file: a page that was changed a hundred times goes once. SQLite's own
/// 4 MiB wrote the file again several times a second under load, beside the shards' log.
const CHECKPOINT_PAGES: i64 = 16_384;
/// Connections that stay open for reading.
const READERS_MAX: usize = 4;
/// How long another process's lock (a backup, the `sqlite3` shell) is waited for.
const BUSY: Duration = Duration::from_secs(10);

/// Why a job was not done, or its result not had.
#[derive(Debug)]
pub enum DatabaseError {
    /// SQLite's word.
    Sqlite(rusqlite::Error),
    /// The writer has ended: its thread is gone, or the process is on its way out.
    Closed,
    /// Another process has it: the lock file.
    Locked(PathBuf),
    /// Its lock file cannot be had, and why.
    NoLock(PathBuf, std::io::Error),
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DatabaseError::Sqlite(error) => write!(f, "the database: {error}"),
            DatabaseError::Closed => f.write_str("the database is closed"),
            DatabaseError::Locked(path) => write!(
                f,
                "another process writes this database ({} is locked); stop it first (`fuser {}` names it), or use a file of its own for each",
                path.display(),
                path.display()
            ),
            DatabaseError::NoLock(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for DatabaseError {}

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> DatabaseError {
        DatabaseError::Sqlite(error)
    }
}

/// Held by the one process that may write a database; it ends with the process, however that ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, never read")] File);

impl Lock {
    /// Takes the lock of the database in a file, which need not be there yet.
    ///
    /// SQLite's own locks let several processes write in turn. A store follows one log, so two gateways that were given the same file, in whatever
    /// data directories, would each find what the other wrote.
    ///
    /// # Errors
    /// [`DatabaseError::Locked`], or the lock file cannot be made.
    pub fn take(database: &Path) -> Result<Lock, DatabaseError> {
        let mut path = database.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        // Not the database itself: closing any descriptor of that would end SQLite's locks of it.
        let opened = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let locked = opened
            .map_err(TryLockError::Error)
            .and_then(|file| file.try_lock().map(|()| file));
        match locked {
            Ok(file) => Ok(Lock(file)),
            Err(TryLockError::WouldBlock) => Err(DatabaseError::Locked(path)),
            Err(TryLockError::Error(error)) => Err(DatabaseError::NoLock(path, error)),
        }
    }
}

/// Runs in the transaction, then is told whether that was committed; without one it is told that it was not.
type Job = Box<dyn FnOnce(Option<&mut Savepoint<'_>>) -> Told + Send>;
type Told = Box<dyn FnOnce(bool) + Send>;

/// The one writer of a database, and its readers.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    jobs: Option<SyncSender<Job>>,
    writer: Option<JoinHandle<()>>,
    readers: Mutex<Vec<Connection>>,
    /// The last that is dropped, when nothing of this process writes any more.
    _lock: Lock,
}

impl Database {
    /// Opens or makes the file, brings its tables up to date by `migrate`, and starts the writer.
    ///
    /// # Errors
    /// The file cannot be opened, is no database, cannot be migrated, or another process has it.
    pub fn open(
        path: &Path,
        migrate: impl FnOnce(&mut Connection) -> rusqlite::Result<()>,
    ) -> Result<Database, DatabaseError> {
        let lock = Lock::take(path)?;
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        migrate(&mut connection)?;
        let (jobs, queue) = sync_channel(QUEUE_MAX);
        let writer = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || write_all(&mut connection, &queue))
            .map_err(|_| DatabaseError::Closed)?;
        Ok(Database {
            path: path.to_owned(),
            jobs: Some(jobs),
            writer: Some(writer),
            readers: Mutex::new(Vec::new()),
            _lock: lock,
        })
    }

    /// Runs `job` on the writer's thread; its value comes back once it is durable. Blocks.
    ///
    /// # Errors
    /// The job's own, with nothing of it written; or the commit's, with nothing of the whole group written.
    pub fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Savepoint<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let (tell, told) = sync_channel(1);
        self.send(Box::new(move |savepoint| {
            outcome(savepoint, job, move |result| _ = tell.send(result))
        }))?;
        told.recv().map_err(|_| DatabaseError::Closed)?
    }

    /// As [`write`](Self::write), for a task.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn write_async<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Savepoint<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let (tell, told) = tokio::sync::oneshot::channel();
        let mut job: Job =
            Box::new(move |savepoint| outcome(savepoint, job, move |result| _ = tell.send(result)));
        let jobs = self.jobs.as_ref().ok_or(DatabaseError::Closed)?;
        // The queue is seldom full; a task may not block on it.
        loop {
            match jobs.try_send(job) {
                Ok(()) => break,
                Err(std::sync::mpsc::TrySendError::Full(back)) => job = back,
                Err(std::sync::mpsc::TrySendError::Disconnected(_)) => return Err(DatabaseError::Closed),
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        told.await.map_err(|_| DatabaseError::Closed)?
    }

    /// Runs `query` on a connection that only reads. Blocks; a task wraps it in `spawn_blocking`.
    ///
    /// # Errors
    /// The query's own.
    pub fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, DatabaseError> {
        let pooled = self.pool().pop();
        let connection = match pooled {
            Some(connection) => connection,
            None => {
                let connection = Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
                connection.busy_timeout(BUSY)?;
                connection
            }
        };
        let result = query(&connection);
        let mut readers = self.pool();
        if readers.len() < READERS_MAX {
            readers.push(connection);
        }
        Ok(result?)
    }

    /// As [`read`](Self::read), for a task: the query runs where blocking is allowed.
    ///
    /// # Errors
    /// The query's own.
    pub async fn read_async<T: Send + 'static>(
        self: &Arc<Self>,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let database = self.clone();
        tokio::task::spawn_blocking(move || database.read(query))
            .await
            .map_err(|_| DatabaseError::Closed)?
    }

    fn pool(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.readers
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn send(&self, job: Job) -> Result<(), DatabaseError> {
        let jobs = self.jobs.as_ref().ok_or(DatabaseError::Closed)?;
        jobs.send(job).map_err(|_| DatabaseError::Closed)
    }
}

impl Drop for Database {
    /// What was sent before is written; then the writer ends.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(writer) = self.writer.take() {
            // A panic of a job has been reported by the thread's own message.
            _ = writer.join();
        }
    }
}

fn outcome<T: Send + 'static>(
    savepoint: Option<&mut Savepoint<'_>>,
    job: impl FnOnce(&mut Savepoint<'_>) -> rusqlite::Result<T>,
    tell: impl FnOnce(Result<T, DatabaseError>) + Send + 'static,
) -> Told {
    let result = savepoint.map_or_else(
        || Err(not_committed()),
        |savepoint| {
            let result = job(savepoint);
            if result.is_err() {
                // The error is told; that the savepoint cannot be undone shows at the commit.
                _ = savepoint.rollback();
            }
            result
        },
    );
    Box::new(move |committed| {
        tell(match result {
            Ok(_) if !committed => Err(not_committed().into()),
            other => other.map_err(DatabaseError::from),
        });
    })
}

fn not_committed() -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
    rusqlite::Error::SqliteFailure(code, Some("the transaction was not committed".to_owned()))
}

fn write_all(connection: &mut Connection, queue: &Receiver<Job>) {
    while let Ok(first) = queue.recv() {
        let mut told = Vec::new();
        let committed = group(connection, first, queue, &mut told);
        if let Err(error) = &committed {
            tracing::error!(%error, "a transaction of the store was not committed");
        }
        told.into_iter().for_each(|tell| tell(committed.is_ok()));
    }
}

/// One transaction: `first` and what has gathered behind it.
fn group(
    connection: &mut Connection,
    first: Job,
    queue: &Receiver<Job>,
    told: &mut Vec<Told>,
) -> rusqlite::Result<()> {
    let mut transaction = match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
        Ok(transaction) => transaction,
        Err(error) => {
            told.push(first(None));
            return Err(error);
        }
    };
    let mut next = Some(first);
    while let Some(job) = next {
        let mut savepoint = match transaction.savepoint() {
            Ok(savepoint) => savepoint,
            Err(error) => {
                told.push(job(None));
                return Err(error);
            }
        };
        told.push(job(Some(&mut savepoint)));
        savepoint.commit()?;
        next = if told.len() < GROUP_MAX {
            queue.try_recv().ok()
        } else {
            None
        };
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &tempfile::TempDir) -> Database {
        Database::open(&dir.path().join("shop.db"), |connection| {
            connection.execute_batch("CREATE TABLE IF NOT EXISTS n (n INTEGER PRIMARY KEY) STRICT")
        })
        .unwrap()
    }

    fn count(database: &Database) -> i64 {
        database
            .read(|connection| connection.query_row("SELECT count(*) FROM n", [], |row| row.get(0)))
            .unwrap()
    }

    #[test]
    fn what_was_written_is_read_also_by_the_next_process() {
        let dir = tempfile::tempdir().unwrap();
        let database = open(&dir);
        for n in 0..10 {
            database
                .write(move |tx| tx.execute("INSERT INTO n VALUES (?1)", [n]))
                .unwrap();
        }
        assert_eq!(count(&database), 10);
        drop(database);
        assert_eq!(count(&open(&dir)), 10);
    }

    #[test]
    fn a_job_that_finds_the_file_locked_is_told_so_and_the_next_one_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let database = open(&dir);
        database.write(|tx| tx.busy_timeout(Duration::ZERO)).unwrap();
        let other = Connection::open(dir.path().join("shop.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let failed = database.write(|tx| tx.execute("INSERT INTO n VALUES (1)", []));
        assert!(matches!(failed, Err(DatabaseError::Sqlite(_))), "{failed:?}");
        other.execute_batch("ROLLBACK").unwrap();
        database
            .write(|tx| tx.execute("INSERT INTO n VALUES (2)", []))
            .unwrap();
        assert_eq!(count(&database), 1);
    }

    #[test]
    fn a_database_is_open_in_one_place_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let database = open(&dir);
        let second = Database::open(&dir.path().join("shop.db"), |_| Ok(()));
        assert!(
            matches!(&second, Err(DatabaseError::Locked(path)) if path.ends_with("shop.db.lock")),
            "{second:?}"
        );
        drop(database);
        open(&dir);
    }

    #[test]
    fn a_job_that_fails_takes_neither_its_own_rows_nor_those_of_others_along() {
        let dir = tempfile::tempdir().unwrap();
        let database = open(&dir);
        database
            .write(|tx| tx.execute("INSERT INTO n VALUES (1)", []))
            .unwrap();
        let failed = database.write(|tx| {
            tx.execute("INSERT INTO n VALUES (2)", [])?;
            tx.execute("INSERT INTO n VALUES (1)", [])
        });
        assert!(matches!(failed, Err(DatabaseError::Sqlite(_))), "{failed:?}");
        database
            .write(|tx| tx.execute("INSERT INTO n VALUES (3)", []))
            .unwrap();
        assert_eq!(count(&database), 2);
    }
}
