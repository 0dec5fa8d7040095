//! One request and its answer, as both sides name it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use tokio::sync::mpsc;

use crate::body::Part;
use crate::{Caller, Place, RequestId};

/// Names an exchange of one port; never used twice on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl Key {
    /// A small number that no other exchange of this port has while this one is under way: a place in a table.
    pub fn index(self) -> usize {
        self.index as usize
    }
}

/// The head of a request that the edge has verified.
#[derive(Debug)]
pub struct Head {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub target: Uri,
    /// Those headers that are for the backoffice. The token is not among them: who asks is in `caller`.
    pub headers: HeaderMap,
    /// Who asks; `None` on a public route without a token.
    pub caller: Option<Caller>,
    /// Which request this is.
    pub request_id: RequestId,
}

/// The body of a request.
#[derive(Debug)]
pub enum RequestBody {
    /// It is here, or there is none.
    Whole(Bytes),
    /// It comes in parts by [`LanePort::send`](crate::LanePort::send). Its length, if it was said.
    Parts(Option<u64>),
}

/// An exchange on its way to the service.
pub(crate) struct Opening {
    /// Index of the port.
    pub net: usize,
    pub key: Key,
    pub head: Head,
    pub body: OpeningBody,
    /// Bytes of the answer that may be sent beyond the first window; closed when nobody waits for the answer any more.
    pub grants: mpsc::Receiver<usize>,
    pub place: Arc<Place>,
}

pub(crate) enum OpeningBody {
    Whole(Bytes),
    Parts {
        length: Option<u64>,
        parts: mpsc::Receiver<Part>,
    },
}
