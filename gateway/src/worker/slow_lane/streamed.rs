//! An answer that comes in pieces, on its way to a client.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use tidegate_lane::{AnswerHead, WINDOW_BYTES};

/// An answer of which the backoffice has given the head. The client is told when it is whole or fills a window, whichever comes
/// first: a short one then has a length, and one that breaks before is an error with a code and not a torn answer.
pub(super) struct Streamed {
    /// `None`: the client was told.
    head: Option<Box<AnswerHead>>,
    /// What the client has not taken yet: at most a window.
    pub(super) pieces: VecDeque<Bytes>,
    /// Nothing comes after them.
    pub(super) ends: bool,
}

/// What the client is to be told.
pub(super) enum Begin {
    /// All of it.
    Whole(Box<AnswerHead>, Bytes),
    /// That it begins; pieces follow.
    Head(Box<AnswerHead>),
}

impl Streamed {
    pub(super) fn new(head: Box<AnswerHead>) -> Streamed {
        Streamed {
            head: Some(head),
            pieces: VecDeque::new(),
            ends: false,
        }
    }

    /// Takes the next piece; `ends`: the last.
    pub(super) fn push(&mut self, data: Bytes, ends: bool) {
        if !data.is_empty() {
            self.pieces.push_back(data);
        }
        self.ends |= ends;
    }

    /// Whether the client was told of it.
    pub(super) fn has_begun(&self) -> bool {
        self.head.is_none()
    }

    /// What the client is to be told now, once: then it has begun.
    pub(super) fn begin(&mut self) -> Option<Begin> {
        let length: usize = self.pieces.iter().map(Bytes::len).sum();
        if self.ends {
            let head = self.head.take()?;
            return Some(Begin::Whole(head, self.join(length)));
        }
        if length >= WINDOW_BYTES {
            return self.head.take().map(Begin::Head);
        }
        None
    }

    /// All pieces as one. Most answers are one piece.
    fn join(&mut self, length: usize) -> Bytes {
        if self.pieces.len() <= 1 {
            return self.pieces.pop_front().unwrap_or_default();
        }
        let mut whole = BytesMut::with_capacity(length);
        self.pieces
            .drain(..)
            .for_each(|piece| whole.extend_from_slice(&piece));
        whole.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, StatusCode};

    fn streamed() -> Streamed {
        Streamed::new(Box::new(AnswerHead {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            length: None,
        }))
    }

    #[test]
    fn an_answer_that_ends_within_a_window_is_told_whole_and_once() {
        let mut answer = streamed();
        answer.push(Bytes::from_static(b"a,b\n"), false);
        assert!(answer.begin().is_none() && !answer.has_begun());
        answer.push(Bytes::from_static(b"c,d\n"), false);
        answer.push(Bytes::new(), true);
        let Some(Begin::Whole(_, body)) = answer.begin() else {
            panic!("it is whole")
        };
        assert_eq!(&body[..], b"a,b\nc,d\n");
        assert!(answer.begin().is_none() && answer.has_begun());
    }

    #[test]
    fn an_answer_that_fills_a_window_begins_and_keeps_its_pieces() {
        let mut answer = streamed();
        answer.push(vec![b'x'; WINDOW_BYTES - 1].into(), false);
        assert!(answer.begin().is_none());
        answer.push(Bytes::from_static(b"x"), false);
        assert!(matches!(answer.begin(), Some(Begin::Head(_))));
        answer.push(Bytes::new(), true);
        assert!(answer.begin().is_none() && answer.has_begun());
        assert_eq!((answer.pieces.len(), answer.ends), (2, true));
    }
}
