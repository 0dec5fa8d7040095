//! Faults planted on purpose, so that the simulation can prove that it finds them.

/// Which fault is planted. Without the feature `planted-bugs` there is only [`Planted::None`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Planted {
    /// Follower and store as they should be.
    #[default]
    None,
    /// The log is told of a batch before the store has committed it.
    #[cfg(feature = "planted-bugs")]
    MarksBeforeCommit,
    /// A store writes what it knows again: a commit whose answer was lost is applied twice.
    #[cfg(feature = "planted-bugs")]
    KnownWrittenAgain,
    /// A follower gives a batch up that the store did not take.
    #[cfg(feature = "planted-bugs")]
    BatchGivenUp,
    /// A follower gives a batch up, and the store does not mind that records are missing.
    #[cfg(feature = "planted-bugs")]
    GapSkipped,
}

impl Planted {
    /// The log is told before the commit.
    pub(crate) fn tells_early(self) -> bool {
        #[cfg(feature = "planted-bugs")]
        return self == Planted::MarksBeforeCommit;
        #[cfg(not(feature = "planted-bugs"))]
        false
    }

    /// What the store knows is written again.
    pub(crate) fn writes_known(self) -> bool {
        #[cfg(feature = "planted-bugs")]
        return self == Planted::KnownWrittenAgain;
        #[cfg(not(feature = "planted-bugs"))]
        false
    }

    /// A batch that failed is given up.
    pub(crate) fn gives_up(self) -> bool {
        #[cfg(feature = "planted-bugs")]
        return matches!(self, Planted::BatchGivenUp | Planted::GapSkipped);
        #[cfg(not(feature = "planted-bugs"))]
        false
    }

    /// Missing records are no reason to stop.
    pub(crate) fn skips_gaps(self) -> bool {
        #[cfg(feature = "planted-bugs")]
        return self == Planted::GapSkipped;
        #[cfg(not(feature = "planted-bugs"))]
        false
    }
}
