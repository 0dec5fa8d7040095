//! The faults that are planted on purpose.

use std::fmt;
use std::str::FromStr;

use tidegate_node::OpenConfig;

/// A fault that the simulation must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// An answer leaves before its op is synced.
    ReplyBeforeSync,
    /// A message to another shard leaves before its op is synced.
    MessageBeforeSync,
    /// An answer leaves before its op is on the bus, where it should wait for that.
    AnswerBeforePublished,
    /// A message to another shard leaves before its op is on the bus, where it should wait for that.
    MessageBeforePublished,
    /// A payment that comes after the order expired is taken as if the stock were still held.
    ConfirmAfterExpiry,
    /// After a restart ids follow the clock, whatever was issued before.
    IdReuseAfterClockStep,
    /// A question is answered "released", and the attempt lives on.
    AbortAnswerDoesNotBind,
    /// The home shard forgets an order before all participants acknowledged its end.
    HomeForgetsEarly,
    /// A release that overtakes its hold leaves no tombstone.
    TombstoneDropped,
    /// A shard forgets an ended order before the store has its end.
    ForgottenBeforeStored,
    /// Recovery takes the records that a recycled segment had before.
    StaleRecordAccepted,
    /// A batch rewrites the block that the batch before it ended in.
    DurableBlockRewritten,
    /// A segment is freed although the next start, or the store, needs it.
    SegmentFreedTooEarly,
    /// A segment is freed as soon as the newest checkpoint holds it; were that one damaged, nothing would.
    FreedByNewestCheckpoint,
    /// The log is told of a batch before the store has committed it.
    MarksBeforeCommit,
    /// A commit whose answer was lost is applied twice: the store writes what it knows again.
    KnownWrittenAgain,
    /// The follower gives a batch up that the store did not take.
    BatchGivenUp,
    /// The follower gives a batch up, and the store goes on behind the gap.
    GapSkipped,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 18] = [
        Bug::ReplyBeforeSync,
        Bug::MessageBeforeSync,
        Bug::AnswerBeforePublished,
        Bug::MessageBeforePublished,
        Bug::ConfirmAfterExpiry,
        Bug::IdReuseAfterClockStep,
        Bug::AbortAnswerDoesNotBind,
        Bug::HomeForgetsEarly,
        Bug::TombstoneDropped,
        Bug::ForgottenBeforeStored,
        Bug::StaleRecordAccepted,
        Bug::DurableBlockRewritten,
        Bug::SegmentFreedTooEarly,
        Bug::FreedByNewestCheckpoint,
        Bug::MarksBeforeCommit,
        Bug::KnownWrittenAgain,
        Bug::BatchGivenUp,
        Bug::GapSkipped,
    ];

    /// Puts the fault where it belongs. Without the feature `planted-bugs` there are no faults to plant.
    #[cfg(not(feature = "planted-bugs"))]
    pub(crate) fn plant(self, _config: &mut OpenConfig) {
        panic!("built without the feature planted-bugs");
    }

    /// Puts the fault where it belongs.
    #[cfg(feature = "planted-bugs")]
    pub(crate) fn plant(self, config: &mut OpenConfig) {
        use tidegate_shard_core::PlantedBug as Core;
        let core = match self {
            Bug::ConfirmAfterExpiry => Some(Core::ConfirmAfterExpiry),
            Bug::IdReuseAfterClockStep => Some(Core::IdReuseAfterClockStep),
            Bug::AbortAnswerDoesNotBind => Some(Core::AbortAnswerDoesNotBind),
            Bug::HomeForgetsEarly => Some(Core::HomeForgetsEarly),
            Bug::TombstoneDropped => Some(Core::TombstoneDropped),
            Bug::ForgottenBeforeStored => Some(Core::ForgottenBeforeStored),
            _ => None,
        };
        config.shard.planted = core;
        match self {
            Bug::ReplyBeforeSync => config.node.planted = tidegate_node::Planted::ReplyBeforeSync,
            Bug::MessageBeforeSync => config.node.planted = tidegate_node::Planted::MessageBeforeSync,
            Bug::AnswerBeforePublished => {
                config.node.planted = tidegate_node::Planted::AnswerBeforePublished;
            }
            Bug::MessageBeforePublished => {
                config.node.planted = tidegate_node::Planted::MessageBeforePublished;
            }
            Bug::SegmentFreedTooEarly => config.node.planted = tidegate_node::Planted::SegmentFreedTooEarly,
            Bug::FreedByNewestCheckpoint => {
                config.node.planted = tidegate_node::Planted::FreedByNewestCheckpoint;
            }
            Bug::StaleRecordAccepted => config.log_planted = tidegate_log::Planted::StaleRecordAccepted,
            Bug::DurableBlockRewritten => config.log_planted = tidegate_log::Planted::DurableBlockRewritten,
            _ => {}
        }
    }

    /// The fault as one of what follows the log, if it is one. Without the feature `planted-bugs` there are none.
    #[cfg(not(feature = "planted-bugs"))]
    pub(crate) fn follow(self) -> tidegate_follow::Planted {
        panic!("built without the feature planted-bugs");
    }

    /// The fault as one of what follows the log, if it is one.
    #[cfg(feature = "planted-bugs")]
    pub(crate) fn follow(self) -> tidegate_follow::Planted {
        use tidegate_follow::Planted;
        match self {
            Bug::MarksBeforeCommit => Planted::MarksBeforeCommit,
            Bug::KnownWrittenAgain => Planted::KnownWrittenAgain,
            Bug::BatchGivenUp => Planted::BatchGivenUp,
            Bug::GapSkipped => Planted::GapSkipped,
            _ => Planted::None,
        }
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl FromStr for Bug {
    type Err = String;

    fn from_str(text: &str) -> Result<Bug, String> {
        let known = Bug::ALL.into_iter().find(|bug| bug.to_string() == text);
        known.ok_or_else(|| format!("no such fault: {text}; there are {:?}", Bug::ALL))
    }
}
