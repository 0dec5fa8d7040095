//! All that the shop asks: reads, and writes of what does not follow the log.

mod books;
mod charges;
mod imports;
mod lists;

use std::time::Duration;

use mysql_async::{Pool, Value};
use tidegate_rows::{Answer, RowsError};

use crate::pooled::{Pooled, pool};
use crate::session::{Session, setting_up};
use crate::{MysqlError, Reader, Settings};

/// How often a transaction that lost a race is begun again: each time another one has won it, so this is how many may be in the way.
const TRIES_MAX: u32 = 16;
/// The first pause between two tries is up to this long; each further one up to twice the one before, and none above [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// What the shop asks of its database, by connections that any number of tasks share. Other processes may have theirs at the same time.
#[derive(Clone, Debug)]
pub struct Rows {
    reader: Reader,
    writers: Pool,
    settings: Settings,
}

impl Rows {
    /// Connects, and brings the database's tables up to date.
    ///
    /// # Errors
    /// The database cannot be reached, is another program's, or is of a newer version of this one.
    pub async fn open(settings: Settings) -> Result<Rows, MysqlError> {
        drop(Session::open(&settings, true).await?);
        let options = settings
            .options()?
            // A condition on a row's old state is judged by whether it found the row, changed or not.
            .client_found_rows(true)
            .setup(setting_up(settings.answer_timeout).to_vec());
        Ok(Rows {
            reader: Reader::new(settings.clone())?,
            writers: pool(options, settings.writers_max),
            settings,
        })
    }

    /// The reads alone.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    async fn begin(&self) -> Result<Pooled, MysqlError> {
        let mut conn = Pooled::take(&self.writers, &self.settings).await?;
        conn.begin().await?;
        Ok(conn)
    }

    /// One statement, which is a transaction by itself; gives the rows that it found.
    async fn write(&self, sql: &str, values: Vec<Value>) -> Result<u64, MysqlError> {
        let mut tries = Tries::new();
        loop {
            let mut conn = Pooled::take(&self.writers, &self.settings).await?;
            let done = conn.write(sql, values.clone()).await;
            if let Some(done) = tries.over(done).await? {
                return Ok(done);
            }
        }
    }
}

/// How often a transaction was begun.
#[derive(Debug)]
struct Tries(u32);

impl Tries {
    fn new() -> Tries {
        Tries(0)
    }

    /// Ends a transaction: what was done is durable, or undone. None if it lost a race, and is to be begun again.
    async fn settle<T>(
        &mut self,
        mut conn: Pooled,
        done: Result<T, MysqlError>,
    ) -> Result<Option<T>, MysqlError> {
        let done = match done {
            Ok(done) => conn.end(true).await.map(|()| done),
            Err(error) => {
                // Where that cannot be said either, the connection is closed, and the server undoes it.
                _ = conn.end(false).await;
                Err(error)
            }
        };
        drop(conn);
        self.over(done).await
    }

    async fn over<T>(&mut self, done: Result<T, MysqlError>) -> Result<Option<T>, MysqlError> {
        match done {
            Err(error) if error.lost_a_race() && self.0 < TRIES_MAX => {
                self.0 += 1;
                let up_to = PAUSE.saturating_mul(1 << self.0.min(16)).min(PAUSE_MAX);
                // Without random bytes the whole time is waited.
                let part = getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX));
                tokio::time::sleep(up_to.mul_f64(part)).await;
                Ok(None)
            }
            done => done.map(Some),
        }
    }
}

/// As the shop is told.
fn told<'a, T: 'a>(doing: impl Future<Output = Result<T, MysqlError>> + Send + 'a) -> Answer<'a, T> {
    Box::pin(async move { doing.await.map_err(RowsError::new) })
}
