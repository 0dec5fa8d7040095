//! A batch's header, and the check of a whole batch.

use crate::crc::Seed;
use crate::limits::{BATCH_BYTES_MAX, PAYLOAD_BYTES_MAX, SHARDS_MAX};
use crate::position::{LogId, Position, SegmentNumber, StartNumber};
use crate::record;
use crate::segment::{u16_at, u32_at, u64_at};

/// Bytes of a batch's header.
pub(crate) const HEADER: usize = 40;
const MAGIC: u32 = u32::from_le_bytes(*b"TGB1");

/// What a batch says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub start: StartNumber,
    pub segment: SegmentNumber,
    pub records: u32,
    /// Header and records, without the padding.
    pub bytes: u32,
    pub durable_upto: Position,
}

/// What a batch must be bound to, to count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub log: LogId,
    /// None while the segment's own header is unreadable: then the batch's word is taken, and its CRC decides.
    pub start: Option<StartNumber>,
    pub segment: SegmentNumber,
    /// Planted: bind to nothing.
    pub unbound: bool,
}

impl Identity {
    pub(crate) fn seed(&self, start: StartNumber) -> Seed {
        if self.unbound {
            return Seed::new(LogId(0), StartNumber(0), SegmentNumber::NONE);
        }
        Seed::new(self.log, start, self.segment)
    }
}

impl BatchHeader {
    pub(crate) fn write(&self, seed: Seed, offset: u32, out: &mut [u8]) {
        out[..4].copy_from_slice(&MAGIC.to_le_bytes());
        out[8..16].copy_from_slice(&self.start.0.to_le_bytes());
        out[16..20].copy_from_slice(&self.segment.0.to_le_bytes());
        out[20..24].copy_from_slice(&self.records.to_le_bytes());
        out[24..28].copy_from_slice(&self.bytes.to_le_bytes());
        out[28..32].fill(0);
        out[32..40].copy_from_slice(&self.durable_upto.to_u64().to_le_bytes());
        let crc = seed.crc(offset, &out[8..HEADER]);
        out[4..8].copy_from_slice(&crc.to_le_bytes());
    }

    /// The header at the front of `bytes`, if a sound one of this identity and offset is there.
    pub(crate) fn read(bytes: &[u8], identity: &Identity, offset: u32) -> Option<BatchHeader> {
        if bytes.len() < HEADER || u32_at(bytes, 0) != MAGIC {
            return None;
        }
        let header = BatchHeader {
            start: StartNumber(u64_at(bytes, 8)),
            segment: SegmentNumber(u32_at(bytes, 16)),
            records: u32_at(bytes, 20),
            bytes: u32_at(bytes, 24),
            durable_upto: Position::from_u64(u64_at(bytes, 32)),
        };
        let bound = header.segment == identity.segment && identity.start.is_none_or(|s| s == header.start);
        if !bound && !identity.unbound {
            return None;
        }
        let size = header.bytes as usize;
        let sized = (HEADER..=BATCH_BYTES_MAX).contains(&size) && size.is_multiple_of(8);
        let crc = identity.seed(header.start).crc(offset, &bytes[8..HEADER]);
        (sized && crc == u32_at(bytes, 4)).then_some(header)
    }
}

/// The size of the record at `at` of `batch`, if its CRC is that of `offset`, the record's place in the segment.
fn record_size(batch: &[u8], at: usize, seed: Seed, offset: u32) -> Option<usize> {
    let record = &batch[at..];
    if record.len() < record::HEADER {
        return None;
    }
    let payload = u32_at(record, 4) as usize;
    if payload > PAYLOAD_BYTES_MAX {
        return None;
    }
    let size = record::size(payload);
    let sound = size <= record.len()
        && u32_at(record, 0) == seed.crc(offset, &record[4..size])
        && u16_at(record, 32) < SHARDS_MAX;
    sound.then_some(size)
}

/// Checks every record of a batch whose header is sound. `batch` is header and records, `offset` its place. The error is
/// the offset within the segment of the first bad byte's record.
pub(crate) fn check(batch: &[u8], records: u32, seed: Seed, offset: u32) -> Result<(), u32> {
    let mut at = HEADER;
    for _ in 0..records {
        let place = offset + at as u32;
        at += record_size(batch, at, seed, place).ok_or(place)?;
    }
    if at == batch.len() {
        Ok(())
    } else {
        Err(offset + at as u32)
    }
}
