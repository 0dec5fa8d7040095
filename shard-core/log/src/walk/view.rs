//! A window over one segment that moves forward in large reads.

use crate::aligned::AlignedBuf;
use crate::fault::WalkError;
use crate::limits::{BATCH_BYTES_MAX, BLOCK, READ_BYTES, SEGMENT_BYTES_MAX};
use crate::position::{Position, SegmentNumber};
use crate::source::{SegmentFile, SegmentSource};

pub(super) struct SegmentView<'s, S> {
    source: &'s mut S,
    segment: SegmentNumber,
    /// Bytes of the segment: what lies behind is not read.
    limit: u32,
    window: AlignedBuf,
    /// The segment's offset of the window's first byte: a block's beginning.
    base: u32,
}

impl<'s, S: SegmentSource> SegmentView<'s, S> {
    pub(super) fn new(source: &'s mut S) -> SegmentView<'s, S> {
        SegmentView {
            source,
            segment: SegmentNumber::NONE,
            limit: 0,
            window: AlignedBuf::with_capacity(0),
            base: 0,
        }
    }

    /// Turns to another segment.
    pub(super) fn open(&mut self, file: SegmentFile) {
        let blocks = file
            .bytes
            .min(u64::from(SEGMENT_BYTES_MAX))
            .next_multiple_of(BLOCK as u64);
        (self.segment, self.limit, self.base) = (file.number, blocks as u32, 0);
        let window = (blocks as usize).min(READ_BYTES + BATCH_BYTES_MAX + BLOCK);
        if self.window.capacity() < window {
            self.window = AlignedBuf::with_capacity(window);
        }
        self.window.clear();
    }

    /// The segment is this long, even if its file is longer.
    pub(super) fn limit(&mut self, bytes: u32) {
        self.limit = self.limit.min(bytes / BLOCK as u32 * BLOCK as u32);
    }

    /// `len` bytes at `at`, or `None` when the segment ends before them. At most a batch's length, and never before
    /// what a call already moved past by more than the window holds.
    pub(super) fn bytes<V>(&mut self, at: u32, len: usize) -> Result<Option<&[u8]>, WalkError<S::Error, V>> {
        let end = u64::from(at) + len as u64;
        if end > u64::from(self.limit) {
            return Ok(None);
        }
        if at < self.base || end > self.window_end() {
            self.move_to(at, end as u32)?;
        }
        let from = (at - self.base) as usize;
        Ok(Some(&self.window[from..from + len]))
    }

    fn window_end(&self) -> u64 {
        u64::from(self.base) + self.window.len() as u64
    }

    /// Keeps what the window has from `at` on, and reads on until `end`.
    fn move_to<V>(&mut self, at: u32, end: u32) -> Result<(), WalkError<S::Error, V>> {
        let base = at / BLOCK as u32 * BLOCK as u32;
        let kept = if base >= self.base {
            self.window_end().saturating_sub(u64::from(base)) as usize
        } else {
            0
        };
        let from = self.window.len() - kept;
        self.window.copy_within(from.., 0);
        self.window.resize(kept);
        self.base = base;
        while self.window_end() < u64::from(end) {
            let offset = self.window_end();
            let len = (u64::from(self.limit) - offset).min(READ_BYTES as u64) as usize;
            let filled = self.window.len();
            self.window.resize(filled + len);
            let read = self.source.read(self.segment, offset, &mut self.window[filled..]);
            let at = Position::new(self.segment, offset as u32);
            read.map_err(|error| WalkError::Read { at, error })?;
        }
        Ok(())
    }
}
