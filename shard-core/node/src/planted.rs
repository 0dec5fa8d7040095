//! Faults planted on purpose, so that the simulation can prove that it finds them.

/// Which fault is planted. Without the feature `planted-bugs` there is only [`Planted::None`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Planted {
    /// The node as it should be.
    #[default]
    None,
    /// Answers leave when they are decided, not when their op is durable.
    #[cfg(feature = "planted-bugs")]
    ReplyBeforeSync,
    /// Messages to other shards leave when they are decided, not when their op is durable.
    #[cfg(feature = "planted-bugs")]
    MessageBeforeSync,
    /// Answers leave when their op is durable here, not when the bus has it.
    #[cfg(feature = "planted-bugs")]
    AnswerBeforePublished,
    /// Messages to other shards leave when their op is durable here, not when the bus has it.
    #[cfg(feature = "planted-bugs")]
    MessageBeforePublished,
    /// Segments are freed when the store has applied them, whether a checkpoint holds them or not.
    #[cfg(feature = "planted-bugs")]
    SegmentFreedTooEarly,
    /// Segments are freed when the newest checkpoint holds them, whether the one before it does or not.
    #[cfg(feature = "planted-bugs")]
    FreedByNewestCheckpoint,
}
