//! Start and stop of the shard threads.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use tidegate_shard_core::ShardId;

use crate::config::HostConfig;
use crate::port::NetPort;
use crate::stats::ThreadStats;

/// How a start comes along; for a line on the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// One line for the operator.
    Line(String),
    /// Log read so far.
    Recovered {
        /// Records.
        records: u64,
        /// Bytes.
        bytes: u64,
    },
}

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
    /// What is on disk cannot be trusted; the file and offset are in the text.
    Damaged(String),
    /// The wall clock is more than 24 h ahead of the log.
    ClockJump(String),
    /// The operating system said no.
    Io {
        /// What was tried, with the path.
        doing: String,
        /// What it said.
        error: std::io::Error,
    },
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
            StartError::Config(text) | StartError::Damaged(text) | StartError::ClockJump(text) => {
                f.write_str(text)
            }
            StartError::Io { doing, error } => write!(f, "{doing}: {error}"),
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

/// Why the host no longer serves: a failed write or sync. It is never retried; the process has to end.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The shard thread.
    pub thread: usize,
    /// One line for the operator.
    pub text: String,
}

const SERVING: u8 = 0;
const STOPPING: u8 = 1;
const FAILED: u8 = 2;

/// What host, ports and shard threads share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: AtomicU8,
    failure: Mutex<Option<Failure>>,
    /// Shard -> shard thread.
    threads: Vec<u16>,
    pub(crate) credits: usize,
    pub(crate) stats: Vec<Arc<ThreadStats>>,
}

impl Shared {
    #[inline]
    pub(crate) fn thread_of(&self, shard: ShardId) -> usize {
        usize::from(self.threads[usize::from(shard.0)])
    }

    pub(crate) fn shards(&self) -> u16 {
        self.threads.len() as u16
    }

    #[inline]
    pub(crate) fn is_serving(&self) -> bool {
        self.state.load(Ordering::Relaxed) == SERVING
    }
}

/// The running shard threads.
#[derive(Debug)]
pub struct Host {
    shared: Arc<Shared>,
}

impl Host {
    /// Locks the data directory, recovers it, and starts the shard threads. Returns one port for each of
    /// `nets` net threads. Blocks until the shards serve; `progress` is called on the way.
    pub fn start(
        config: HostConfig,
        nets: usize,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(Host, Vec<NetPort>), StartError> {
        let _ = (config, nets, progress);
        Err(StartError::Config("not there yet".to_owned()))
    }

    /// Stops: what was accepted is answered (within 10 s), the logs are synced, the threads end. The ports
    /// must still be drained meanwhile by their owners, or be dropped.
    pub fn stop(self) -> Result<(), Failure> {
        match self.failure() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// The figures of each shard thread.
    pub fn stats(&self) -> Vec<Arc<ThreadStats>> {
        self.shared.stats.clone()
    }

    /// Set once the log cannot go on: no more is acknowledged, and the process should exit non-zero.
    pub fn failure(&self) -> Option<Failure> {
        if self.shared.state.load(Ordering::Acquire) != FAILED {
            return None;
        }
        self.shared.failure.lock().ok()?.clone()
    }

    /// Number of shards of the data directory.
    pub fn shards(&self) -> u16 {
        self.shared.shards()
    }

    /// The payments side reported its confirmations delivered: holds may expire again.
    pub fn allow_expiry(&self) {
        let _ = STOPPING;
    }
}
