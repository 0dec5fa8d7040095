//! Why a host did not start.

use std::fmt;
use std::path::PathBuf;

use tidegate_log::AheadOfLog;
use tidegate_node::OpenError;

/// Why a host did not start. The text is for the operator and names the file and the remedy.
#[derive(Debug)]
pub enum StartError {
    /// Another process uses the data directory.
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The configuration does not fit itself or the data directory.
    Config(String),
    /// What is on disk cannot be served, or could not be read or written.
    Open {
        /// The data directory.
        data_dir: PathBuf,
        /// What is wrong, with file and offset.
        error: OpenError,
    },
    /// The wall clock is more than 24 h ahead of the log.
    ClockJump(AheadOfLog),
    /// The operating system said no.
    Io {
        /// What was tried, with the path.
        doing: String,
        /// What it said.
        error: std::io::Error,
    },
    /// The log could not be written at the start.
    Failed(crate::host::Failure),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Locked { path } => {
                write!(
                    f,
                    "another tidegate uses this data directory ({} is locked)",
                    path.display()
                )
            }
            StartError::Config(text) => f.write_str(text),
            StartError::Open { data_dir, error } => {
                write!(f, "data directory {}: {error}", data_dir.display())
            }
            StartError::ClockJump(ahead) => {
                write!(
                    f,
                    "{ahead}; set the clock right, or start with --allow-clock-jump if it is"
                )
            }
            StartError::Io { doing, error } => write!(f, "{doing}: {error}"),
            StartError::Failed(failure) => f.write_str(&failure.text),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}
