//! What moves the log's blocks to the device: one small trait, two writers.
//!
//! A write blocks its shard thread until it is on the device. That is on purpose: the next batch fills in
//! the rings meanwhile, nobody rings a thread that waits for its disk, and a commit is one syscall and one
//! sleep. `host/examples/writers.rs` compares the writers; [`select`] takes its result.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use tidegate_log::{AlignedBuf, SegmentNumber};

use crate::config::WriterChoice;

pub mod direct;
pub mod glommio;

/// Writes blocks of one log's segments. Lives on the log's shard thread.
pub trait DiskWriter {
    /// Writes whole blocks at `offset` of a segment that was prepared, and returns once they are on the
    /// device. After an error the log must not be written again.
    fn write(&mut self, segment: SegmentNumber, offset: u32, bytes: &AlignedBuf) -> io::Result<()>;

    /// The segment that comes next, opened for writing. A writer may do without it.
    fn supply(&mut self, _segment: SegmentNumber, _file: File) {}

    /// For the line at the start.
    fn name(&self) -> &'static str;
}

/// Which writer a choice comes to on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selected {
    /// [`direct::DirectWriter`]
    Direct,
    /// [`glommio::GlommioWriter`]
    Glommio,
}

/// Probes the machine once, before any shard thread starts. The second value is a line for the operator when
/// the choice cannot be had.
pub fn select(choice: WriterChoice) -> (Selected, Option<String>) {
    match choice {
        // Thread CPU a commit, the quietest of five runs of examples/writers.rs on a machine that was busy with
        // other work: pwritev2 45 us, glommio 75 us (its executor polls, so it is not the slower one to return).
        // In the busier runs neither was ahead for certain. On a core that net threads share, CPU is what counts.
        WriterChoice::Auto | WriterChoice::Direct => (Selected::Direct, None),
        WriterChoice::Glommio => match glommio::probe() {
            Ok(()) => (Selected::Glommio, None),
            Err(why) => (
                Selected::Direct,
                Some(format!("{why}; writing the log with pwritev2 instead")),
            ),
        },
    }
}

/// Opens a writer for the log in `dir`, on the thread that will use it.
pub fn open(selected: Selected, dir: &Path) -> io::Result<Box<dyn DiskWriter>> {
    match selected {
        Selected::Direct => Ok(Box::new(direct::DirectWriter::new(dir))),
        Selected::Glommio => Ok(Box::new(glommio::GlommioWriter::new(dir)?)),
    }
}

fn segment_path(dir: &Path, segment: SegmentNumber) -> PathBuf {
    dir.join(segment.file_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_writers_put_the_same_blocks_in_the_same_place() {
        let mut images = Vec::new();
        for selected in [Selected::Direct, Selected::Glommio] {
            if selected == Selected::Glommio && glommio::probe().is_err() {
                continue;
            }
            let dir = tempfile::tempdir().unwrap();
            for segment in [1, 2] {
                let path = segment_path(dir.path(), SegmentNumber(segment));
                std::fs::write(path, vec![0; 64 * 1024]).unwrap();
            }
            let mut writer = open(selected, dir.path()).unwrap();
            for (segment, offset, byte, len) in [(1, 4096, 7, 4096), (1, 8192, 8, 12288), (2, 4096, 9, 4096)]
            {
                let mut bytes = AlignedBuf::zeroed(len);
                bytes.fill(byte);
                writer.write(SegmentNumber(segment), offset, &bytes).unwrap();
            }
            drop(writer);
            let read = |n| std::fs::read(segment_path(dir.path(), SegmentNumber(n))).unwrap();
            images.push((read(1), read(2)));
        }
        let (one, two) = &images[0];
        assert_eq!(
            (one[4095], one[4096], one[8191], one[8192], one[20479], one[20480]),
            (0, 7, 7, 8, 8, 0)
        );
        assert_eq!((two[4095], two[4096], two[8192]), (0, 9, 0));
        assert!(images.iter().all(|image| *image == images[0]));
    }

    #[test]
    fn a_segment_that_was_not_prepared_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = open(Selected::Direct, dir.path()).unwrap();
        assert!(
            writer
                .write(SegmentNumber(1), 4096, &AlignedBuf::zeroed(4096))
                .is_err()
        );
    }
}
