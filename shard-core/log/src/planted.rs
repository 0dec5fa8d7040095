//! Faults planted on purpose, so that the simulation can prove that it finds them.

/// Which fault is planted. Without the feature `planted-bugs` there is only [`Planted::None`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Planted {
    /// The log as it should be.
    #[default]
    None,
    /// Neither CRC nor header bind a record to its log, start and segment: a recycled segment's old records count.
    #[cfg(feature = "planted-bugs")]
    StaleRecordAccepted,
    /// A batch begins right after the one before, and rewrites the partly filled block that holds durable records.
    #[cfg(feature = "planted-bugs")]
    DurableBlockRewritten,
    /// A segment is freed at the largest mark of its shards instead of at every one of them.
    #[cfg(feature = "planted-bugs")]
    SegmentFreedTooEarly,
}

impl Planted {
    #[cfg(feature = "planted-bugs")]
    pub(crate) fn stale_record_accepted(self) -> bool {
        self == Planted::StaleRecordAccepted
    }

    #[cfg(not(feature = "planted-bugs"))]
    pub(crate) fn stale_record_accepted(self) -> bool {
        false
    }

    #[cfg(feature = "planted-bugs")]
    pub(crate) fn durable_block_rewritten(self) -> bool {
        self == Planted::DurableBlockRewritten
    }

    #[cfg(not(feature = "planted-bugs"))]
    pub(crate) fn durable_block_rewritten(self) -> bool {
        false
    }

    #[cfg(feature = "planted-bugs")]
    pub(crate) fn segment_freed_too_early(self) -> bool {
        self == Planted::SegmentFreedTooEarly
    }

    #[cfg(not(feature = "planted-bugs"))]
    pub(crate) fn segment_freed_too_early(self) -> bool {
        false
    }
}
