//! The segment ahead: asked for, prepared by the host, then opened.

use crate::limits::BLOCK;
use crate::position::SegmentNumber;

/// A segment to prepare, off the hot path: take a freed file of this log or make one of `bytes` written zeros (a freed
/// one need not be zeroed, only be as long), give it the name of `number`, write `header` at offset 0, sync file and
/// directory; then call [`crate::Appender::segment_ready`]. It is asked for one segment ahead.
#[derive(Clone, Debug)]
pub struct NewSegment {
    /// Its number, and so its file's name.
    pub number: SegmentNumber,
    /// Its length.
    pub bytes: u32,
    /// Its first block.
    pub header: Box<[u8; BLOCK]>,
}

pub(super) struct NextSegment {
    number: SegmentNumber,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Wanted,
    Asked,
    Ready,
}

impl NextSegment {
    pub(super) fn new(number: SegmentNumber) -> NextSegment {
        assert!(number > SegmentNumber::NONE);
        NextSegment {
            number,
            state: State::Wanted,
        }
    }

    pub(super) fn ask(&mut self) -> Option<SegmentNumber> {
        if self.state != State::Wanted {
            return None;
        }
        self.state = State::Asked;
        Some(self.number)
    }

    pub(super) fn ready(&mut self, number: SegmentNumber) {
        assert!(
            self.state == State::Asked && self.number == number,
            "segment {number} was not asked for"
        );
        self.state = State::Ready;
    }

    pub(super) fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    pub(super) fn take(&mut self) -> Option<SegmentNumber> {
        if self.state != State::Ready {
            return None;
        }
        let number = self.number;
        *self = NextSegment::new(number.next());
        Some(number)
    }
}
