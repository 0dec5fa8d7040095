//! The manifest: which logs a data directory has, and which shard writes to which.

use crate::position::{LogId, SegmentNumber, StartNumber};
use std::fmt;

mod text;

/// A data directory's manifest. Written to a temporary file, synced, renamed over the old one, directory synced; at
/// each start (with `start` one higher) before a log is written, and when the layout changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Number of shards, fixed for good.
    pub shards: u16,
    /// The name of the hash from SKU to shard, fixed for good.
    pub hash: String,
    /// The store that this directory feeds; another is refused.
    pub store: String,
    /// The number of the latest start.
    pub start: StartNumber,
    /// Every segment's number of every log was below this when the manifest was written.
    pub next_segment: SegmentNumber,
    /// Layouts, oldest first; the last one is written to, the others are kept until they are applied.
    pub layouts: Vec<Layout>,
}

/// One layout of threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Rising from 1.
    pub generation: u64,
    /// A log per shard thread, in the order of threads.
    pub logs: Vec<LogShards>,
}

/// A log and the shards that write to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogShards {
    /// The log.
    pub log: LogId,
    /// Its shards, ascending.
    pub shards: Vec<u16>,
}

/// Why a manifest cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestError {
    /// The CRC does not match: the file is damaged.
    Damaged,
    /// The data directory's format is another than this program's.
    OtherVersion(u32),
    /// The CRC matches, but this line (from 1) is not one this program knows.
    Line(usize),
    /// The content contradicts itself.
    Inconsistent(&'static str),
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ManifestError::Damaged => write!(f, "the manifest is damaged (its CRC does not match)"),
            ManifestError::OtherVersion(version) => write!(
                f,
                "the data directory has format {version}, which this program does not read: it reads format 2; \
                 use the version of tidegate that made it, or a new directory"
            ),
            ManifestError::Line(line) => write!(f, "the manifest's line {line} is unknown"),
            ManifestError::Inconsistent(what) => write!(f, "the manifest contradicts itself: {what}"),
        }
    }
}

impl std::error::Error for ManifestError {}

impl Layout {
    /// Spreads `shards` shards over the logs in turn: shard s goes to log s mod logs.
    ///
    /// # Panics
    /// Without logs.
    pub fn spread(generation: u64, logs: &[LogId], shards: u16) -> Layout {
        assert!(!logs.is_empty());
        let of = |index: usize| {
            (0..shards)
                .filter(|&s| usize::from(s) % logs.len() == index)
                .collect()
        };
        let logs = logs
            .iter()
            .enumerate()
            .map(|(index, &log)| LogShards {
                log,
                shards: of(index),
            })
            .collect();
        Layout { generation, logs }
    }

    /// The index of the thread, and so of the log, that has the shard.
    pub fn thread_of(&self, shard: u16) -> Option<usize> {
        self.logs
            .iter()
            .position(|log| log.shards.binary_search(&shard).is_ok())
    }
}

impl Manifest {
    /// The layout that is written to.
    ///
    /// # Panics
    /// If there is none: [`Manifest::decode`] never returns such a manifest.
    pub fn current(&self) -> &Layout {
        self.layouts.last().expect("a manifest has a layout")
    }

    /// The file's bytes: lines of text, the last one their CRC.
    pub fn encode(&self) -> Vec<u8> {
        text::encode(self)
    }

    /// Reads the file's bytes.
    pub fn decode(bytes: &[u8]) -> Result<Manifest, ManifestError> {
        let manifest = text::decode(bytes)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Whether the manifest makes sense: bounds, and each shard in exactly one log of each layout.
    pub fn check(&self) -> Result<(), ManifestError> {
        text::check(self)
    }
}

#[cfg(test)]
mod tests;
