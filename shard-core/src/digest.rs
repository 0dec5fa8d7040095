//! The fixed hash behind [`crate::Shard::digest`].
//!
//! Rows are hashed one by one and summed, so that the sum is kept up to date by taking the old row's hash away and
//! adding the new one's, and no order of rows shows. It finds accidents (a divergent replay), not adversaries, and is
//! part of the log's format: it never changes.

/// Hashes one row: a 64x64 multiply per word, folded.
#[derive(Clone, Copy)]
pub(crate) struct RowHash(u64);

impl RowHash {
    /// Begins a row of the table `tag`.
    pub(crate) fn new(tag: u64) -> RowHash {
        RowHash(tag.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    #[must_use]
    pub(crate) fn word(self, word: u64) -> RowHash {
        let product = u128::from(self.0 ^ word ^ 0x2d35_8dcc_aa6c_78a5) * 0x8bb8_4b93_962e_acc9;
        RowHash((product as u64 ^ (product >> 64) as u64).wrapping_add(0x4b33_a62e_d433_d4a3))
    }

    #[must_use]
    pub(crate) fn two(self, a: u32, b: u32) -> RowHash {
        self.word(u64::from(a) << 32 | u64::from(b))
    }

    #[must_use]
    pub(crate) fn sixteen(self, bytes: &[u8; 16]) -> RowHash {
        let word = u128::from_le_bytes(*bytes);
        self.word(word as u64).word((word >> 64) as u64)
    }

    #[must_use]
    pub(crate) fn bytes(self, bytes: &[u8]) -> RowHash {
        let start = self.word(bytes.len() as u64);
        bytes.chunks(8).fold(start, |hash, chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            hash.word(u64::from_le_bytes(word))
        })
    }

    pub(crate) fn finish(self) -> u64 {
        self.word(0).0
    }
}

/// A wrapping sum of row hashes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct RowSum(pub(crate) u64);

impl RowSum {
    pub(crate) fn add(&mut self, row: u64) {
        self.0 = self.0.wrapping_add(row);
    }

    pub(crate) fn sub(&mut self, row: u64) {
        self.0 = self.0.wrapping_sub(row);
    }
}
