//! A segment's header: its first block.

use crate::crc::crc32c;
use crate::limits::{BLOCK, SEGMENT_BYTES_MAX};
use crate::position::{LogId, Position, SegmentNumber, StartNumber};

const MAGIC: [u8; 8] = *b"TIDELOG\n";
pub(crate) const VERSION: u32 = 1;

/// What a segment's first block says. Written and synced before the segment is used; never rewritten while it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The log.
    pub log: LogId,
    /// The start that made the segment.
    pub start: StartNumber,
    /// The segment.
    pub segment: SegmentNumber,
    /// How far the log was durable when the segment was made.
    pub durable_upto: Position,
    /// The length of the whole segment in bytes.
    pub bytes: u32,
}

pub(crate) enum HeaderRead {
    Sound(SegmentHeader),
    UnknownVersion(u32),
    Damaged,
}

impl SegmentHeader {
    /// The header's block.
    pub fn encode(&self, block: &mut [u8; BLOCK]) {
        block.fill(0);
        block[..8].copy_from_slice(&MAGIC);
        block[8..12].copy_from_slice(&VERSION.to_le_bytes());
        block[16..24].copy_from_slice(&self.log.0.to_le_bytes());
        block[24..32].copy_from_slice(&self.start.0.to_le_bytes());
        block[32..36].copy_from_slice(&self.segment.0.to_le_bytes());
        block[36..40].copy_from_slice(&self.bytes.to_le_bytes());
        block[40..48].copy_from_slice(&self.durable_upto.to_u64().to_le_bytes());
        let crc = crc32c(&block[..60]);
        block[60..64].copy_from_slice(&crc.to_le_bytes());
    }

    /// The header in a block, if it is sound and of a known version.
    pub fn decode_sound(block: &[u8]) -> Option<SegmentHeader> {
        match SegmentHeader::decode(block) {
            HeaderRead::Sound(header) => Some(header),
            HeaderRead::UnknownVersion(_) | HeaderRead::Damaged => None,
        }
    }

    pub(crate) fn decode(block: &[u8]) -> HeaderRead {
        if block.len() < 64 || block[..8] != MAGIC || u32_at(block, 60) != crc32c(&block[..60]) {
            return HeaderRead::Damaged;
        }
        let version = u32_at(block, 8);
        if version != VERSION {
            return HeaderRead::UnknownVersion(version);
        }
        let header = SegmentHeader {
            log: LogId(u64_at(block, 16)),
            start: StartNumber(u64_at(block, 24)),
            segment: SegmentNumber(u32_at(block, 32)),
            durable_upto: Position::from_u64(u64_at(block, 40)),
            bytes: u32_at(block, 36),
        };
        if header.bytes > SEGMENT_BYTES_MAX {
            HeaderRead::Damaged
        } else {
            HeaderRead::Sound(header)
        }
    }
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}
