//! The store: a blocking face over one connection, which is made anew after what breaks it.

use std::time::Duration;

use tidegate_follow::{Mark, Record, Store, StoreError};
use tokio::runtime::{Builder, Runtime};

use crate::batch::{Halt, bring_in, mark_of};
use crate::session::{Session, timed};
use crate::statement::ROWS_MAX;
use crate::{MysqlError, Settings};

/// The first back-off is up to this long; each further one up to twice the one before.
const BACK_OFF: Duration = Duration::from_millis(20);

/// An open store. Its calls block, and may not be made on a thread of another runtime.
#[derive(Debug)]
pub struct Mysql {
    // Before the runtime: a connection that is dropped outside of it is closed at once, whatever the server is at.
    session: Option<Session>,
    runtime: Runtime,
    settings: Settings,
    name: String,
    failures: u32,
}

impl Mysql {
    /// Connects, brings the database's tables up to date, and starts the store's runtime: the calling thread's, without a thread of its own.
    ///
    /// # Errors
    /// The database cannot be reached, is another program's, or is of a newer version of this one.
    pub fn open(settings: Settings) -> Result<Mysql, MysqlError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(MysqlError::Runtime)?;
        let (session, name) = runtime.block_on(Session::open(&settings, true))?;
        Ok(Mysql {
            session: Some(session),
            runtime,
            settings,
            name,
            failures: 0,
        })
    }

    /// The name that was made with the tables; the data directory's manifest keeps it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A session that works. After failures it first waits, a random part of a time that grows with them, so that many that were stopped by
    /// the same fault do not come back at the same moment.
    fn take_session(&mut self) -> Result<Session, MysqlError> {
        if self.failures > 0 {
            std::thread::sleep(back_off(self.failures, self.settings.back_off_max));
        }
        if let Some(mut session) = self.session.take()
            && self.runtime.block_on(session.lives())
        {
            return Ok(session);
        }
        let (session, name) = self.runtime.block_on(Session::open(&self.settings, false))?;
        if name != self.name {
            return Err(MysqlError::Refused(format!(
                "the address leads to the store {name} now, and the log feeds {}: rows would go into another shop's",
                self.name
            )));
        }
        Ok(session)
    }

    /// One transaction. Its session is kept if it can go on; otherwise it is dropped here, outside of the runtime, which closes it at once
    /// whatever the server is at.
    fn once(&mut self, batch: &[Record], rows_max: usize) -> Result<(), Halt> {
        let mut session = self.take_session()?;
        let limit = self.settings.batch_timeout;
        let (done, spared) = self.runtime.block_on(async {
            let whole = async { Ok(bring_in(&mut session, batch, rows_max).await) };
            let done = timed(limit, "the whole batch", whole)
                .await
                .unwrap_or_else(|error| Err(error.into()));
            let spared = match &done {
                Ok(()) => return (done, true),
                Err(Halt::Told(StoreError::Failed(error))) => error.spares_connection(),
                Err(_) => true,
            };
            let spared = spared && session.run("ROLLBACK").await.is_ok();
            (done, spared)
        });
        if spared {
            self.session = Some(session);
        }
        done
    }

    fn note<T, E>(&mut self, done: Result<T, E>, failed: impl FnOnce(&E) -> bool) -> Result<T, E> {
        self.failures = match &done {
            Err(error) if failed(error) => self.failures.saturating_add(1),
            _ => 0,
        };
        done
    }
}

impl Store for Mysql {
    type Error = MysqlError;

    fn marks(&mut self) -> Result<Vec<Mark>, MysqlError> {
        let marks = self.take_session().and_then(|mut session| {
            // A row is made before a shard's first batch, so that it can be locked; what has no op was never followed.
            let sql =
                "SELECT shard, applied_op, applied_chain FROM marks WHERE applied_op > 0 ORDER BY shard";
            let rows = self.runtime.block_on(session.query(sql))?;
            self.session = Some(session);
            rows.iter().map(mark_of).collect()
        });
        self.note(marks, |_| true)
    }

    fn apply(&mut self, batch: &[Record]) -> Result<(), StoreError<MysqlError>> {
        let mut done = self.once(batch, ROWS_MAX);
        if matches!(done, Err(Halt::OneOfSeveral(_))) {
            done = self.once(batch, 1);
        }
        let done = done.map_err(|halt| match halt {
            Halt::Told(error) => error,
            Halt::OneOfSeveral(error) => StoreError::Failed(error),
        });
        self.note(done, |error| error.shard().is_none())
    }
}

/// A random time below 20 ms, 40 ms, 80 ms and so on, and below `max`.
fn back_off(failures: u32, max: Duration) -> Duration {
    let up_to = BACK_OFF.saturating_mul(1 << (failures - 1).min(16)).min(max);
    // Without random bytes the whole time is waited.
    let part = getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX));
    up_to.mul_f64(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_back_off_is_random_and_has_a_bound_however_often_it_failed() {
        let max = Duration::from_millis(300);
        let waits: Vec<Duration> = (1..200).map(|failures| back_off(failures, max)).collect();
        assert!(waits.iter().all(|wait| *wait <= max));
        assert!(waits[0] <= BACK_OFF);
        let mut different = waits[10..].to_vec();
        different.sort();
        different.dedup();
        assert!(different.len() > 100, "{different:?}");
    }
}
