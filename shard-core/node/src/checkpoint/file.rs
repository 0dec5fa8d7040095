//! Checkpoint files: the newest of a log's shards, and the one before it.
//!
//! Two are kept, and segments go only when the older one holds them too: a checkpoint that the disk spoiled costs a
//! longer start, never an order.

use std::cell::RefCell;
use std::io::{self, BufReader, BufWriter, Read, Write};

use tidegate_log::{
    CheckpointError, CheckpointHead, CheckpointReader, CheckpointWriter, LogId, Position, ShardMark,
};

use super::DIR;
use crate::files::{Files, join};
use crate::open::OpenError;

/// Bytes of a read or write of a checkpoint file.
const BUFFER_BYTES: usize = 64 * 1024;

/// The path of the newest checkpoint of the shards that write to `log`.
pub fn path(log: LogId) -> String {
    join(DIR, &newest_name(log))
}

/// The path of the checkpoint before the newest.
pub fn previous_path(log: LogId) -> String {
    join(DIR, &previous_name(log))
}

fn newest_name(log: LogId) -> String {
    format!("{log}.ckpt")
}

fn previous_name(log: LogId) -> String {
    format!("{log}.previous")
}

/// A checkpoint that was read to its sound end.
pub(crate) struct Sound<T> {
    pub(crate) head: CheckpointHead,
    /// What the visitor made of each shard.
    pub(crate) shards: Vec<T>,
}

/// A checkpoint that cannot be used.
#[derive(Debug)]
pub(crate) struct Unusable {
    pub(crate) path: String,
    pub(crate) error: OpenError,
}

/// The newest sound checkpoint of a log's shards, a shard at a time. One that is damaged, is another log's, or holds a
/// snapshot that is not what it says, counts as none and is added to `unusable`.
pub(crate) fn newest<F: Files, T>(
    files: &mut F,
    log: LogId,
    unusable: &mut Vec<Unusable>,
    mut visit: impl FnMut(ShardMark, u64, &[u8]) -> Result<T, OpenError>,
) -> Result<Option<Sound<T>>, OpenError> {
    let there = files.list(DIR)?;
    for name in [newest_name(log), previous_name(log)] {
        if !there.contains(&name) {
            continue;
        }
        let path = join(DIR, &name);
        match read(files, &path, log, &mut visit) {
            Ok(sound) => return Ok(Some(sound)),
            // The disk may read it another time, so nothing is known to be damaged.
            Err(OpenError::Checkpoint {
                error: CheckpointError::Read(error),
                ..
            }) => return Err(OpenError::Io(error)),
            Err(error @ (OpenError::Checkpoint { .. } | OpenError::Snapshot { .. })) => {
                unusable.push(Unusable { path, error });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn read<F: Files, T>(
    files: &mut F,
    path: &str,
    log: LogId,
    visit: &mut impl FnMut(ShardMark, u64, &[u8]) -> Result<T, OpenError>,
) -> Result<Sound<T>, OpenError> {
    let damaged = |error| OpenError::Checkpoint {
        path: path.to_owned(),
        error,
    };
    let files = RefCell::new(files);
    let file = FileReader {
        files: &files,
        path: path.to_owned(),
        at: 0,
    };
    let from = BufReader::with_capacity(BUFFER_BYTES, file);
    let mut reader = CheckpointReader::begin(from).map_err(damaged)?;
    let head = reader.head();
    if head.log != log {
        return Err(damaged(CheckpointError::Damaged { offset: 24 }));
    }
    let (mut snapshot, mut shards) = (Vec::new(), Vec::new());
    while let Some(section) = reader.next(&mut snapshot).map_err(damaged)? {
        shards.push(visit(section.mark, section.digest, &snapshot)?);
    }
    Ok(Sound { head, shards })
}

/// Reads one checkpoint file to its end, only to see whether it is sound.
///
/// # Errors
/// What is wrong with it. One that is not there is sound.
pub fn check<F: Files>(files: &mut F, path: &str, log: LogId) -> Result<(), OpenError> {
    let name = path.rsplit('/').next().unwrap_or(path);
    if !files.list(DIR)?.iter().any(|known| known == name) {
        return Ok(());
    }
    read(files, path, log, &mut |_, _, _| Ok(())).map(|_| ())
}

/// A checkpoint file that is being written; it counts once it is installed.
pub(super) struct Fresh<'a, 'b, F: Files> {
    writer: CheckpointWriter<BufWriter<FileWriter<'a, 'b, F>>>,
}

impl<'a, 'b, F: Files> Fresh<'a, 'b, F> {
    pub(super) fn begin(
        files: &'a RefCell<&'b mut F>,
        log: LogId,
        term: u64,
        shards: u16,
        covered: Position,
    ) -> io::Result<Fresh<'a, 'b, F>> {
        let path = fresh_path(log);
        files.borrow_mut().remove(&path)?;
        let out = BufWriter::with_capacity(BUFFER_BYTES, FileWriter { files, path, at: 0 });
        let head = CheckpointHead {
            start: term,
            shards,
            log,
            covered,
        };
        let writer = CheckpointWriter::begin(out, head)?;
        Ok(Fresh { writer })
    }

    pub(super) fn shard(&mut self, mark: ShardMark, digest: u64, snapshot: &[u8]) -> io::Result<()> {
        self.writer.shard(mark, digest, snapshot)
    }

    pub(super) fn finish(self) -> io::Result<()> {
        let out = self.writer.finish()?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(())
    }
}

fn fresh_path(log: LogId) -> String {
    format!("{}.new", path(log))
}

/// The finished file becomes the newest checkpoint, and the newest the one before it. A crash in between leaves the
/// latter only.
pub(super) fn install<F: Files>(files: &mut F, log: LogId) -> io::Result<()> {
    files.sync(&fresh_path(log))?;
    if files.list(DIR)?.contains(&newest_name(log)) {
        files.rename(&path(log), &previous_path(log))?;
    }
    files.rename(&fresh_path(log), &path(log))?;
    files.sync_dir(DIR)
}

/// The finished file becomes the checkpoint before the newest, which must not be there.
pub(super) fn install_previous<F: Files>(files: &mut F, log: LogId) -> io::Result<()> {
    files.sync(&fresh_path(log))?;
    files.remove(&path(log))?;
    files.rename(&fresh_path(log), &previous_path(log))?;
    files.sync_dir(DIR)
}

/// Removes the checkpoints of logs that are not in use, and what a crash left of unfinished ones.
pub(crate) fn remove_others<F: Files>(files: &mut F, logs: &[LogId]) -> io::Result<()> {
    let names = |log: &LogId| [newest_name(*log), previous_name(*log)];
    let keep: Vec<String> = logs.iter().flat_map(names).collect();
    for name in files.list(DIR)? {
        if !keep.contains(&name) {
            files.remove(&join(DIR, &name))?;
        }
    }
    files.sync_dir(DIR)
}

/// Makes sure that what is read of a log's checkpoints is on the device: a kill may have come before their directory's
/// sync.
pub(crate) fn sync<F: Files>(files: &mut F, log: LogId) -> io::Result<()> {
    let there = files.list(DIR)?;
    for name in [newest_name(log), previous_name(log)] {
        if there.contains(&name) {
            files.sync(&join(DIR, &name))?;
        }
    }
    files.sync_dir(DIR)
}

struct FileWriter<'a, 'b, F> {
    files: &'a RefCell<&'b mut F>,
    path: String,
    at: u64,
}

impl<F: Files> Write for FileWriter<'_, '_, F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.files.borrow_mut().write_at(&self.path, self.at, bytes)?;
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct FileReader<'a, 'b, F> {
    files: &'a RefCell<&'b mut F>,
    path: String,
    at: u64,
}

impl<F: Files> Read for FileReader<'_, '_, F> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.files.borrow_mut().read_at(&self.path, self.at, out)?;
        self.at += read as u64;
        Ok(read)
    }
}
