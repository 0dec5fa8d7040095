//! Checkpoint files: each shard's snapshot with the op, chain hash and digest it stands at.
//!
//! Written and read a shard at a time, so that memory holds one snapshot, never all.

use crate::crc::crc32c;
use crate::limits::{SHARDS_MAX, SNAPSHOT_BYTES_MAX};
use crate::position::{LogId, Position, ShardMark};
use crate::segment::{u16_at, u32_at, u64_at};
use std::fmt;
use std::io::{self, Read, Write};

const MAGIC: [u8; 8] = *b"TIDECKPT";
const VERSION: u32 = 2;
const HEAD: usize = 48;
const SECTION: u32 = u32::from_le_bytes(*b"SHRD");
const END: u32 = u32::from_le_bytes(*b"END\n");

/// What a checkpoint is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointHead {
    /// The start that made it.
    pub start: u64,
    /// The data directory's shard count.
    pub shards: u16,
    /// The log that its shards write to.
    pub log: LogId,
    /// It holds everything of the log up to here, the end of a closed segment's last batch: a start need not read it.
    /// Position 0: the log was empty, or is to be read from its beginning.
    pub covered: Position,
}

/// What precedes a shard's snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// The shard, its last op in the snapshot, and that op's chain hash.
    pub mark: ShardMark,
    /// The shard's digest at that op.
    pub digest: u64,
    /// The snapshot's length.
    pub bytes: u64,
}

/// Why a checkpoint cannot be read.
#[derive(Debug)]
pub enum CheckpointError {
    /// A CRC, a length or the order of sections is wrong at this byte; or the file ends too early.
    Damaged {
        /// Bytes from the file's start.
        offset: u64,
    },
    /// A format that this program does not know.
    UnknownVersion(u32),
    /// The reader failed.
    Read(io::Error),
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CheckpointError::Damaged { offset } => write!(f, "the checkpoint is damaged at offset {offset}"),
            CheckpointError::UnknownVersion(version) => write!(f, "checkpoint format {version} is unknown"),
            CheckpointError::Read(error) => write!(f, "reading the checkpoint: {error}"),
        }
    }
}

impl std::error::Error for CheckpointError {}

/// Writes a checkpoint to anything that takes bytes. The caller writes to a temporary file, syncs, renames, and syncs
/// the directory; a checkpoint counts only then.
pub struct CheckpointWriter<W> {
    out: W,
    /// The last shard written; sections ascend.
    last: Option<u16>,
    sections: u32,
    /// CRC over the CRCs of all sections, so that the end vouches for all of them.
    all: Vec<u8>,
}

impl<W: Write> CheckpointWriter<W> {
    /// Writes the file's head.
    pub fn begin(mut out: W, about: CheckpointHead) -> io::Result<CheckpointWriter<W>> {
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(&MAGIC);
        head[8..12].copy_from_slice(&VERSION.to_le_bytes());
        head[12..14].copy_from_slice(&about.shards.to_le_bytes());
        head[16..24].copy_from_slice(&about.start.to_le_bytes());
        head[24..32].copy_from_slice(&about.log.0.to_le_bytes());
        head[32..40].copy_from_slice(&about.covered.to_u64().to_le_bytes());
        let crc = crc32c(&head[..HEAD - 4]);
        head[HEAD - 4..].copy_from_slice(&crc.to_le_bytes());
        out.write_all(&head)?;
        Ok(CheckpointWriter {
            out,
            last: None,
            sections: 0,
            all: crc.to_le_bytes().to_vec(),
        })
    }

    /// Adds a shard.
    ///
    /// # Panics
    /// If shards do not ascend or the snapshot is beyond its bound.
    pub fn shard(&mut self, mark: ShardMark, digest: u64, snapshot: &[u8]) -> io::Result<()> {
        assert!(self.last.is_none_or(|last| last < mark.shard), "shards ascend");
        assert!(mark.shard < SHARDS_MAX && snapshot.len() as u64 <= SNAPSHOT_BYTES_MAX);
        self.last = Some(mark.shard);
        self.sections += 1;
        let mut head = [0; 48];
        head[..4].copy_from_slice(&SECTION.to_le_bytes());
        head[4..6].copy_from_slice(&mark.shard.to_le_bytes());
        head[8..16].copy_from_slice(&mark.op.to_le_bytes());
        head[16..24].copy_from_slice(&mark.chain.to_le_bytes());
        head[24..32].copy_from_slice(&digest.to_le_bytes());
        head[32..40].copy_from_slice(&(snapshot.len() as u64).to_le_bytes());
        head[40..44].copy_from_slice(&crc32c(snapshot).to_le_bytes());
        let crc = crc32c(&head[..44]);
        head[44..].copy_from_slice(&crc.to_le_bytes());
        self.all.extend(crc.to_le_bytes());
        self.out.write_all(&head)?;
        self.out.write_all(snapshot)
    }

    /// Writes the file's end and gives the writer back, to be flushed and synced.
    pub fn finish(mut self) -> io::Result<W> {
        let mut end = [0; 16];
        end[..4].copy_from_slice(&END.to_le_bytes());
        end[4..8].copy_from_slice(&self.sections.to_le_bytes());
        end[8..12].copy_from_slice(&crc32c(&self.all).to_le_bytes());
        let crc = crc32c(&end[..12]);
        end[12..].copy_from_slice(&crc.to_le_bytes());
        self.out.write_all(&end)?;
        Ok(self.out)
    }
}

/// Reads a checkpoint. The file is whole only once [`CheckpointReader::next`] returned `None`: check it with a first
/// pass that throws the snapshots away, or discard what was restored when an error comes.
pub struct CheckpointReader<R> {
    from: R,
    offset: u64,
    last: Option<u16>,
    sections: u32,
    all: Vec<u8>,
    head: CheckpointHead,
}

impl<R: Read> CheckpointReader<R> {
    /// Reads the head.
    pub fn begin(from: R) -> Result<CheckpointReader<R>, CheckpointError> {
        let (last, sections, all) = (None, 0, Vec::new());
        let mut reader = CheckpointReader {
            from,
            offset: 0,
            last,
            sections,
            all,
            head: CheckpointHead {
                start: 0,
                shards: 0,
                log: LogId(0),
                covered: Position::START,
            },
        };
        let head: [u8; HEAD] = reader.bytes()?;
        let crc = u32_at(&head, HEAD - 4);
        // A head of version 1 was shorter.
        if head[..8] == MAGIC && u32_at(&head, 8) == 1 && u32_at(&head, 28) == crc32c(&head[..28]) {
            return Err(CheckpointError::UnknownVersion(1));
        }
        if head[..8] != MAGIC || crc != crc32c(&head[..HEAD - 4]) {
            return Err(CheckpointError::Damaged { offset: 0 });
        }
        if u32_at(&head, 8) != VERSION {
            return Err(CheckpointError::UnknownVersion(u32_at(&head, 8)));
        }
        reader.head = CheckpointHead {
            start: u64_at(&head, 16),
            shards: u16_at(&head, 12),
            log: LogId(u64_at(&head, 24)),
            covered: Position::from_u64(u64_at(&head, 32)),
        };
        reader.all.extend(crc.to_le_bytes());
        Ok(reader)
    }

    /// What it is of.
    pub fn head(&self) -> CheckpointHead {
        self.head
    }

    /// The next shard: its section, and its snapshot into `snapshot` (cleared first). `None` at the sound end.
    pub fn next(&mut self, snapshot: &mut Vec<u8>) -> Result<Option<Section>, CheckpointError> {
        snapshot.clear();
        let at = self.offset;
        let damaged = CheckpointError::Damaged { offset: at };
        let first: [u8; 16] = self.bytes()?;
        if u32_at(&first, 0) == END {
            return if self.is_end(&first) {
                Ok(None)
            } else {
                Err(damaged)
            };
        }
        let rest: [u8; 32] = self.bytes()?;
        let mut head = [0; 48];
        head[..16].copy_from_slice(&first);
        head[16..].copy_from_slice(&rest);
        let section = section(&head).ok_or(CheckpointError::Damaged { offset: at })?;
        if self.last.is_some_and(|last| last >= section.mark.shard) {
            return Err(damaged);
        }
        self.last = Some(section.mark.shard);
        self.sections += 1;
        self.all.extend(&head[44..]);
        let read = (&mut self.from)
            .take(section.bytes)
            .read_to_end(snapshot)
            .map_err(CheckpointError::Read)?;
        self.offset += read as u64;
        if read as u64 != section.bytes || crc32c(snapshot) != u32_at(&head, 40) {
            return Err(CheckpointError::Damaged { offset: at + 48 });
        }
        Ok(Some(section))
    }

    fn is_end(&self, end: &[u8; 16]) -> bool {
        u32_at(end, 12) == crc32c(&end[..12])
            && u32_at(end, 4) == self.sections
            && u32_at(end, 8) == crc32c(&self.all)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], CheckpointError> {
        let mut bytes = [0; N];
        let offset = self.offset;
        self.from
            .read_exact(&mut bytes)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => CheckpointError::Damaged { offset },
                _ => CheckpointError::Read(error),
            })?;
        self.offset += N as u64;
        Ok(bytes)
    }
}

fn section(head: &[u8; 48]) -> Option<Section> {
    let sound = u32_at(head, 0) == SECTION && u32_at(head, 44) == crc32c(&head[..44]);
    let (shard, bytes) = (u16_at(head, 4), u64_at(head, 32));
    if !sound || shard >= SHARDS_MAX || bytes > SNAPSHOT_BYTES_MAX {
        return None;
    }
    let mark = ShardMark {
        shard,
        op: u64_at(head, 8),
        chain: u64_at(head, 16),
    };
    Some(Section {
        mark,
        digest: u64_at(head, 24),
        bytes,
    })
}

#[cfg(test)]
mod tests;
