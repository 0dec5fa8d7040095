//! Why a host did not start.

use std::fmt;
use std::path::PathBuf;

use tidegate_log::{AheadOfLog, ManifestError};
use tidegate_node::{NO_STORE, OpenError};

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
                    "another tidegate uses this data directory ({} is locked); stop it first (`fuser {}` names it), or choose another with --data",
                    path.display(),
                    path.display()
                )
            }
            StartError::Config(text) => f.write_str(text),
            StartError::Open { data_dir, error } => {
                write!(
                    f,
                    "data directory {}: {error}{}",
                    data_dir.display(),
                    remedy(error)
                )
            }
            StartError::ClockJump(ahead) => {
                write!(
                    f,
                    "{ahead}; set the clock right, or start with --allow-clock-jump if it is"
                )
            }
            StartError::Io { doing, error } => write!(
                f,
                "{doing}: {error}; make it writable for this user, or choose another directory with --data"
            ),
            StartError::Failed(failure) => f.write_str(&failure.text),
        }
    }
}

/// What to do about a data directory that cannot be served; empty where the error says it itself.
fn remedy(error: &OpenError) -> &'static str {
    match error {
        OpenError::Io(_) => {
            "; free space and descriptors, and the rights of this user, are what a start needs (`tidegate doctor`)"
        }
        OpenError::Log(_)
        | OpenError::Snapshot { .. }
        | OpenError::Digest { .. }
        | OpenError::BehindCheckpoint { .. }
        | OpenError::UnknownShard { .. }
        | OpenError::Checkpoint { .. } => {
            "; keep the directory as it is, start on a copy from before, and send what `tidegate diagnose` writes"
        }
        OpenError::NoManifest => "; restore it from a copy of the directory, or choose a new one with --data",
        OpenError::Manifest(ManifestError::OtherVersion(_)) => "",
        OpenError::Manifest(_) => "; restore it from a copy of the directory",
        OpenError::Entry { .. } | OpenError::OtherHash { .. } => {
            "; start the version of tidegate that wrote it"
        }
        OpenError::MarkNotReached { .. } | OpenError::OtherHistory { .. } => {
            "; start with the directory that feeds this store, or with a store of its own"
        }
        OpenError::OtherStore { wanted, .. } if wanted == NO_STORE => {
            "; start with backoffice.mode=embedded, or choose another directory with --data"
        }
        OpenError::OtherStore { .. } => {
            "; name that store's file with backoffice.store, or choose another directory with --data"
        }
        OpenError::TooManyLayouts { .. } => "",
        OpenError::Threads { .. } => "; set shards.threads",
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

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_log::{Fault, LogId, Position, SegmentNumber, ShardMark};

    #[test]
    fn whatever_is_wrong_with_a_data_directory_ends_in_what_to_do() {
        let mark = ShardMark {
            shard: 1,
            op: 2,
            chain: 3,
        };
        let lost = Fault::EndsAtCheckpoint {
            log: LogId(1),
            at: Position::new(SegmentNumber(1), 4096),
        };
        for (error, remedy) in [
            (
                OpenError::Io(std::io::Error::from_raw_os_error(libc::ENOSPC)),
                "(`tidegate doctor`)",
            ),
            (OpenError::Log(lost), "send what `tidegate diagnose` writes"),
            (
                OpenError::Manifest(ManifestError::OtherVersion(1)),
                "use the version of tidegate that made it, or a new directory",
            ),
            (
                OpenError::Manifest(ManifestError::Damaged),
                "restore it from a copy of the directory",
            ),
            (OpenError::NoManifest, "choose a new one with --data"),
            (
                OpenError::Entry { place: "a".into() },
                "start the version of tidegate that wrote it",
            ),
            (
                OpenError::OtherHistory { mark, chain: 4 },
                "start with the directory that feeds this store, or with a store of its own",
            ),
            (
                OpenError::OtherStore {
                    found: "a".into(),
                    wanted: "b".into(),
                },
                "name that store's file with backoffice.store, or choose another directory with --data",
            ),
            (
                OpenError::OtherStore {
                    found: "a".into(),
                    wanted: NO_STORE.into(),
                },
                "start with backoffice.mode=embedded, or choose another directory with --data",
            ),
            (
                OpenError::TooManyLayouts { threads: 3 },
                "start with 3 threads, as the last time",
            ),
            (
                OpenError::Threads {
                    threads: 9,
                    shards: 4,
                },
                "set shards.threads",
            ),
        ] {
            let text = StartError::Open {
                data_dir: "/d".into(),
                error,
            }
            .to_string();
            assert!(text.starts_with("data directory /d: "), "{text}");
            assert!(text.ends_with(remedy), "{text}");
        }
    }
}
