//! CRC-32C bound to a place, so that bytes are valid only where and when they were written.

use crate::position::{LogId, SegmentNumber, StartNumber};
use crc_fast::{CrcAlgorithm, Digest};

/// The CRC register after log id, start number and segment number: what every CRC of a segment begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seed(u32);

impl Seed {
    /// The seed of one segment.
    pub(crate) fn new(log: LogId, start: StartNumber, segment: SegmentNumber) -> Seed {
        let mut identity = [0; 20];
        identity[..8].copy_from_slice(&log.0.to_le_bytes());
        identity[8..16].copy_from_slice(&start.0.to_le_bytes());
        identity[16..].copy_from_slice(&segment.0.to_le_bytes());
        let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
        digest.update(&identity);
        Seed(digest.get_state() as u32)
    }

    /// CRC-32C of identity, offset, and `bytes`.
    pub(crate) fn crc(self, offset: u32, bytes: &[u8]) -> u32 {
        let state = step_4_bytes(self.0 ^ offset);
        let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc32Iscsi, u64::from(state));
        digest.update(bytes);
        digest.finalize() as u32
    }
}

/// CRC-32C of `bytes` alone.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// Moves the register over four bytes that were already mixed into it. Four look-ups: a call of the vectorised CRC
/// for the offset alone cost more than the record's.
fn step_4_bytes(state: u32) -> u32 {
    let [a, b, c, d] = state.to_le_bytes();
    TABLES[3][usize::from(a)]
        ^ TABLES[2][usize::from(b)]
        ^ TABLES[1][usize::from(c)]
        ^ TABLES[0][usize::from(d)]
}

/// `TABLES[k][b]`: the register after byte `b` and `k` zero bytes.
static TABLES: [[u32; 256]; 4] = tables();

const fn tables() -> [[u32; 256]; 4] {
    let mut tables = [[0; 256]; 4];
    let mut byte = 0;
    while byte < 256 {
        let mut state = byte as u32;
        let mut step = 0;
        while step < 32 {
            state = if state & 1 == 1 {
                state >> 1 ^ 0x82f6_3b78
            } else {
                state >> 1
            };
            step += 1;
            if step % 8 == 0 {
                tables[step / 8 - 1][byte] = state;
            }
        }
        byte += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_crc_is_that_of_the_concatenation() {
        let seed = Seed::new(LogId(0x0102_0304_0506_0708), StartNumber(9), SegmentNumber(77));
        let payload: Vec<u8> = (0..=255u8).collect();
        for (offset, len) in [
            (0u32, 0usize),
            (4096, 1),
            (0xffff_f000, 17),
            (8, 200),
            (65_536, 256),
        ] {
            let mut whole = Vec::new();
            whole.extend(0x0102_0304_0506_0708u64.to_le_bytes());
            whole.extend(9u64.to_le_bytes());
            whole.extend(77u32.to_le_bytes());
            whole.extend(offset.to_le_bytes());
            whole.extend(&payload[..len]);
            assert_eq!(seed.crc(offset, &payload[..len]), crc32c(&whole));
        }
    }
}
