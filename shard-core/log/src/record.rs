//! One record's bytes.

use crate::segment::{u16_at, u32_at, u64_at};

/// Bytes before the payload.
pub(crate) const HEADER: usize = 36;
/// Where the chain hash begins: it covers op, time, previous chain, shard and payload.
const CHAINED_FROM: usize = 8;

/// Bytes of a record with this payload: whole 8-byte words.
pub(crate) fn size(payload: usize) -> usize {
    (HEADER + payload).next_multiple_of(8)
}

pub(crate) fn chain_of_parts(previous: u64, shard: u16, op: u64, time: u64, payload: &[u8]) -> u64 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme);
    digest.update(&op.to_le_bytes());
    digest.update(&time.to_le_bytes());
    digest.update(&previous.to_le_bytes());
    digest.update(&u32::from(shard).to_le_bytes());
    digest.update(payload);
    digest.finalize()
}

/// The chain hash of a whole record.
pub(crate) fn chain(record: &[u8]) -> u64 {
    let end = HEADER + u32_at(record, 4) as usize;
    crc_fast::crc64_nvme(&record[CHAINED_FROM..end])
}

/// The fields before the payload. `record` holds at least the header.
#[derive(Clone, Copy)]
pub(crate) struct Fields {
    pub payload: usize,
    pub op: u64,
    pub time: u64,
    pub previous: u64,
    pub shard: u16,
}

impl Fields {
    pub(crate) fn read(record: &[u8]) -> Fields {
        Fields {
            payload: u32_at(record, 4) as usize,
            op: u64_at(record, 8),
            time: u64_at(record, 16),
            previous: u64_at(record, 24),
            shard: u16_at(record, 32),
        }
    }

    /// Writes the header with CRC 0: the CRC is bound to a place that is known only when the batch is sealed.
    pub(crate) fn header(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[4..8].copy_from_slice(&(self.payload as u32).to_le_bytes());
        bytes[8..16].copy_from_slice(&self.op.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.time.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.previous.to_le_bytes());
        bytes[32..34].copy_from_slice(&self.shard.to_le_bytes());
        bytes
    }
}
