//! Bytes that begin at a block's boundary in memory, as O_DIRECT demands.

use crate::limits::BLOCK;
use std::ops::{Deref, DerefMut};

/// Owned bytes, the first of which lies at a multiple of [`BLOCK`]. No unsafe: one block too many is allocated and the
/// view begins where the alignment does; the allocation is never moved while the view stands.
#[derive(Debug)]
pub struct AlignedBuf {
    raw: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBuf {
    /// Room for `capacity` bytes (rounded up to blocks), length 0.
    pub fn with_capacity(capacity: usize) -> AlignedBuf {
        let capacity = capacity.next_multiple_of(BLOCK);
        let raw = vec![0; capacity + BLOCK];
        let start = raw.as_ptr().align_offset(BLOCK);
        assert!(start <= BLOCK, "a byte pointer can be aligned");
        AlignedBuf { raw, start, len: 0 }
    }

    /// `len` zero bytes.
    pub fn zeroed(len: usize) -> AlignedBuf {
        let mut buf = AlignedBuf::with_capacity(len);
        buf.len = len;
        buf
    }

    /// Bytes that fit without growing.
    pub fn capacity(&self) -> usize {
        self.raw.len() - BLOCK
    }

    /// Forgets the content; keeps the room.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds bytes, growing (and so moving) when they do not fit.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        let at = self.start + self.len;
        self.raw[at..at + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Adds zeros, or cuts, to exactly `len` bytes.
    pub fn resize(&mut self, len: usize) {
        if len > self.len {
            self.reserve(len - self.len);
            let (from, to) = (self.start + self.len, self.start + len);
            self.raw[from..to].fill(0);
        }
        self.len = len;
    }

    fn reserve(&mut self, more: usize) {
        let need = self.len + more;
        if need <= self.capacity() {
            return;
        }
        let mut larger = AlignedBuf::with_capacity(need.max(self.capacity() * 2));
        larger.extend(self);
        *self = larger;
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.raw[self.start..self.start + self.len]
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.raw[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stay_aligned_when_they_grow() {
        let mut buf = AlignedBuf::with_capacity(1);
        for i in 0..10_000u32 {
            buf.extend(&i.to_le_bytes());
            assert_eq!(buf.as_ptr() as usize % BLOCK, 0);
        }
        assert_eq!(buf.len(), 40_000);
        assert_eq!(buf[39_996..], 9_999u32.to_le_bytes());
        buf.resize(4);
        buf.resize(8);
        assert_eq!(buf[..], [0; 8]);
    }
}
