//! What the backoffice's side tells a net thread.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::Key;

/// Something happened to an exchange.
#[derive(Debug)]
pub enum Event {
    /// The answer begins, with as much of its body as was there at once.
    Answer {
        /// Which exchange.
        key: Key,
        /// Status and headers.
        head: Box<AnswerHead>,
        /// The beginning of the body.
        data: Bytes,
        /// `data` is the whole body.
        ends: bool,
    },
    /// More of the answer's body.
    Chunk {
        /// Which exchange.
        key: Key,
        /// At most [`WINDOW_BYTES`](crate::WINDOW_BYTES) are between the two sides.
        data: Bytes,
        /// Nothing comes after it.
        ends: bool,
    },
    /// The service has read so much of the request's body: the client may send that much more.
    Taken {
        /// Which exchange.
        key: Key,
        /// How much.
        bytes: usize,
    },
    /// There is no answer, or no rest of it: the service failed, or it is gone.
    Broke {
        /// Which exchange.
        key: Key,
    },
}

/// The head of an answer.
#[derive(Debug)]
pub struct AnswerHead {
    /// The status.
    pub status: StatusCode,
    /// As the service gave them: the edge chooses what it passes on.
    pub headers: HeaderMap,
    /// Bytes of the body, where the service knows.
    pub length: Option<u64>,
}

impl Event {
    pub(crate) fn key(&self) -> Key {
        match self {
            Event::Answer { key, .. }
            | Event::Chunk { key, .. }
            | Event::Taken { key, .. }
            | Event::Broke { key } => *key,
        }
    }
}
