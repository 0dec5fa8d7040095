//! Where the database is, and how long it is waited for.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use mysql_async::{Opts, OptsBuilder};

use crate::MysqlError;

/// How the store reaches its database.
#[derive(Clone)]
pub struct Settings {
    /// `mysql://user:password@host:port/database`. `?require_ssl=true` asks for TLS; the certificate is held
    /// against the public roots that this program was built with, and against [`ca`](Self::ca).
    pub url: String,
    /// Roots for TLS, a PEM file: managed databases have an authority of their own.
    pub ca: Option<PathBuf>,
    /// Address, handshake and log-in, until the session is set up.
    pub connect_timeout: Duration,
    /// One statement. A lock is waited for half of it.
    pub answer_timeout: Duration,
    /// One whole batch, from its first statement to the answer of its COMMIT.
    pub batch_timeout: Duration,
    /// The longest wait before a batch is tried again.
    pub back_off_max: Duration,
    /// Connections that read at the same time.
    pub readers_max: usize,
    /// Connections by which the shop writes at the same time; the one that follows the log is another.
    pub writers_max: usize,
}

impl Settings {
    /// The defaults: 5 s to connect, 10 s a statement, 30 s a batch, 1 s of back-off at most, 4 readers and 4 writers.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Settings {
        Settings {
            url: url.into(),
            ca: None,
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(10),
            batch_timeout: Duration::from_secs(30),
            back_off_max: Duration::from_secs(1),
            readers_max: 4,
            writers_max: 4,
        }
    }

    /// For the driver.
    pub(crate) fn options(&self) -> Result<OptsBuilder, MysqlError> {
        let opts = Opts::from_url(&self.url).map_err(|error| refused(&error.to_string()))?;
        if opts.db_name().is_none_or(str::is_empty) {
            return Err(refused("it names no database"));
        }
        let tls = match (opts.ssl_opts(), &self.ca) {
            (Some(tls), Some(ca)) => Some(tls.clone().with_root_certs(vec![ca.clone().into()])),
            (None, Some(_)) => return Err(refused("there are roots for TLS, and it does not ask for TLS")),
            (tls, None) => tls.cloned(),
        };
        // Off: from a loopback address the driver would go on by a socket file that it is told of, past whatever stands between.
        Ok(OptsBuilder::from_opts(opts)
            .ssl_opts(tls)
            .prefer_socket(false)
            .tcp_keepalive(Some(Duration::from_secs(15))))
    }
}

fn refused(why: &str) -> MysqlError {
    MysqlError::Refused(format!(
        "the store's URL cannot be used: {why}; right is mysql://user:password@host:3306/database, with ?require_ssl=true for TLS"
    ))
}

impl fmt::Debug for Settings {
    /// Without the URL, which holds a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("ca", &self.ca)
            .field("connect_timeout", &self.connect_timeout)
            .field("answer_timeout", &self.answer_timeout)
            .field("batch_timeout", &self.batch_timeout)
            .field("back_off_max", &self.back_off_max)
            .field("readers_max", &self.readers_max)
            .field("writers_max", &self.writers_max)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_cannot_be_used_says_what_would_be_right_and_no_password_is_printed() {
        for url in [
            "mysql://u:secret@h:3306",
            "mysql://u:secret@h:3306/",
            "postgres://u:secret@h/d",
            "h:3306",
        ] {
            let line = Settings::new(url).options().unwrap_err().to_string();
            assert!(
                line.contains("mysql://user:password@host:3306/database"),
                "{line}"
            );
            assert!(!line.contains("secret"), "{line}");
        }
        let settings = Settings::new("mysql://u:secret@h:3306/d");
        assert!(settings.options().is_ok());
        assert!(!format!("{settings:?}").contains("secret"));
    }

    #[test]
    fn roots_without_tls_are_refused_since_the_connection_would_be_in_the_clear() {
        let mut settings = Settings::new("mysql://u@h/d");
        settings.ca = Some("/etc/ca.pem".into());
        assert!(settings.options().is_err());
        settings.url.push_str("?require_ssl=true");
        assert!(settings.options().is_ok());
    }
}
