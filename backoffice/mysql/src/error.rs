//! What can go wrong with the database, and what it means for a batch.

use std::fmt;
use std::time::Duration;

use mysql_async::Error;

/// Why a batch was not taken, or a row not read.
#[derive(Debug)]
pub enum MysqlError {
    /// The word of the server, or of the connection to it.
    Mysql(Box<Error>),
    /// The server did not answer in time. Whether it did what it was asked is unknown.
    TimedOut {
        /// What it was asked.
        what: &'static str,
        /// How long it was waited for.
        after: Duration,
    },
    /// The settings cannot be used, the database is not the store's, or a row is not one that this program wrote: a line.
    Refused(String),
    /// The store's own runtime cannot be started.
    Runtime(std::io::Error),
}

impl fmt::Display for MysqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MysqlError::Mysql(error) => write!(f, "the database: {error}"),
            MysqlError::TimedOut { what, after } => write!(
                f,
                "the database did not answer within {} ms ({what}); whether it was done shows at the next try",
                after.as_millis()
            ),
            MysqlError::Refused(line) => f.write_str(line),
            MysqlError::Runtime(error) => write!(f, "the store's runtime cannot be started: {error}"),
        }
    }
}

impl std::error::Error for MysqlError {}

impl From<Error> for MysqlError {
    fn from(error: Error) -> MysqlError {
        MysqlError::Mysql(Box::new(error))
    }
}

impl MysqlError {
    /// The server's number for it.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self {
            MysqlError::Mysql(error) => match &**error {
                Error::Server(error) => Some(error.code),
                _ => None,
            },
            _ => None,
        }
    }

    /// Another transaction was in the way: a deadlock, a lock that was waited for too long, a row that was read before it changed, or a key that
    /// was free when it was looked for. The same transaction, begun again, finds what the other did.
    pub(crate) fn lost_a_race(&self) -> bool {
        matches!(self.code(), Some(1205 | 1213 | 1020 | 1062))
    }

    /// The rows that are there contradict what was to be written, and will for ever.
    pub(crate) fn contradicts(&self) -> bool {
        matches!(
            self.code(),
            // Not null, unique (two numbers), numeric range, text that is no text, truncation, length, foreign keys, checks (of both servers).
            Some(1048 | 1062 | 1169 | 1264 | 1366 | 1265 | 1406 | 1451 | 1452 | 3819 | 4025)
        )
    }

    /// The connection is still good after a ROLLBACK: a deadlock, or a lock that was waited for too long. After anything else a new one is
    /// made: a server that lost its place as the writer (1290, 1836, 1792) has to be looked up again, and one whose answer was lost may
    /// still be at it.
    pub(crate) fn spares_connection(&self) -> bool {
        matches!(self.code(), Some(1205 | 1213)) || self.contradicts()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mysql_async::ServerError;

    fn server(code: u16) -> MysqlError {
        Error::Server(ServerError {
            code,
            message: "as the server says".into(),
            state: "HY000".into(),
        })
        .into()
    }

    #[test]
    fn rows_that_contradict_are_told_from_a_server_that_cannot_do_it_now() {
        for code in [1048, 1062, 1264, 1366, 1406, 3819, 4025] {
            assert!(server(code).contradicts(), "{code}");
        }
        // Deadlock, lock wait, read-only by setting and by mode, shutdown, too many connections, killed, full disk.
        for code in [1213, 1205, 1290, 1836, 1053, 1040, 1317, 1021] {
            assert!(!server(code).contradicts(), "{code}");
        }
    }

    #[test]
    fn a_deadlock_spares_the_connection_and_a_fail_over_does_not() {
        assert!(server(1213).spares_connection() && server(1205).spares_connection());
        for code in [1290, 1836, 1792, 1053, 1047] {
            assert!(!server(code).spares_connection(), "{code}");
        }
        let lost = MysqlError::TimedOut {
            what: "COMMIT",
            after: Duration::from_secs(10),
        };
        assert!(!lost.spares_connection());
        assert!(lost.to_string().contains("COMMIT") && lost.to_string().contains("10000 ms"));
    }
}
