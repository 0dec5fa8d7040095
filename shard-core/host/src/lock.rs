//! One process a data directory.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::start_error::StartError;

/// Holds `LOCK` in the data directory until it is dropped, or the process ends in any way.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held, never read")] File);

impl Lock {
    pub(crate) fn take(data_dir: &Path) -> Result<Lock, StartError> {
        let path = data_dir.join("LOCK");
        let io = |doing: &str, error| StartError::Io {
            doing: format!("{doing} {}", path.display()),
            error,
        };
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| io("opening", error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Lock(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(StartError::Locked { path }),
            Err(error) => Err(io("locking", io::Error::from(error))),
        }
    }
}
