//! An answer on its way from the backoffice: its pieces, until it is whole.

use bytes::{Bytes, BytesMut};
use tidegate_lane::AnswerHead;

use crate::limits::LANE_ANSWER_BYTES_MAX;

/// An answer of which the backoffice has given the head. The client is told when it is whole: it has a length then, and one that breaks
/// before is an error with a code and not a torn answer.
pub(super) struct Collected {
    head: Box<AnswerHead>,
    pieces: Vec<Bytes>,
    bytes: usize,
}

/// What to do after a piece.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// More is to come.
    Wait,
    /// Nothing comes after it.
    Whole,
    /// It is larger than an answer may be.
    TooLarge,
}

impl Collected {
    pub(super) fn new(head: Box<AnswerHead>) -> Collected {
        Collected {
            head,
            pieces: Vec::new(),
            bytes: 0,
        }
    }

    /// Takes the next piece; `ends`: the last.
    pub(super) fn push(&mut self, data: Bytes, ends: bool) -> Next {
        self.bytes += data.len();
        if self.bytes > LANE_ANSWER_BYTES_MAX {
            return Next::TooLarge;
        }
        if !data.is_empty() {
            self.pieces.push(data);
        }
        if ends { Next::Whole } else { Next::Wait }
    }

    /// Head and body.
    pub(super) fn whole(self) -> (Box<AnswerHead>, Bytes) {
        let mut pieces = self.pieces;
        if pieces.len() <= 1 {
            return (self.head, pieces.pop().unwrap_or_default());
        }
        let mut whole = BytesMut::with_capacity(self.bytes);
        pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
        (self.head, whole.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, StatusCode};

    fn collected() -> Collected {
        Collected::new(Box::new(AnswerHead {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            length: None,
        }))
    }

    #[test]
    fn an_answer_is_told_when_its_last_piece_is_there() {
        let mut answer = collected();
        assert_eq!(answer.push(Bytes::from_static(b"a,b\n"), false), Next::Wait);
        assert_eq!(answer.push(Bytes::from_static(b"c,d\n"), false), Next::Wait);
        assert_eq!(answer.push(Bytes::new(), true), Next::Whole);
        assert_eq!(&answer.whole().1[..], b"a,b\nc,d\n");
    }

    #[test]
    fn an_answer_beyond_the_bound_is_not_kept() {
        let mut answer = collected();
        let most = Bytes::from(vec![0; LANE_ANSWER_BYTES_MAX]);
        assert_eq!(answer.push(most, false), Next::Wait);
        assert_eq!(answer.push(Bytes::from_static(b"x"), true), Next::TooLarge);
    }
}
