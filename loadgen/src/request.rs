//! One request as the wire needs it, and one answer as it came.

use crate::users::UserId;

/// Ties an answer back to what was sent; chosen by the [`Source`].
pub type Flight = u32;

/// The methods the API uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Method {
    /// Reads.
    #[default]
    Get,
    /// Orders, cancels, confirmations.
    Post,
    /// Setting fields of a SKU.
    Put,
}

impl Method {
    /// The method's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
        }
    }
}

/// A request to be sent; its buffers are reused for the next one.
#[derive(Debug, Default)]
pub struct Request {
    /// Comes back with the answer.
    pub flight: Flight,
    /// Method.
    pub method: Method,
    /// Path and query.
    pub path: Vec<u8>,
    /// Whose token and address.
    pub user: UserId,
    /// `Idempotency-Key`; empty for none.
    pub key: Vec<u8>,
    /// JSON; empty for none.
    pub body: Vec<u8>,
}

impl Request {
    /// Makes it an empty GET again, keeping the buffers.
    pub fn clear(&mut self) {
        self.method = Method::Get;
        self.path.clear();
        self.key.clear();
        self.body.clear();
    }
}

/// A complete answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// HTTP status.
    pub status: u16,
    /// The whole body.
    pub body: &'a [u8],
    /// Connection it came over: stock reads are only ordered within one.
    pub connection: u32,
}

/// How a pool's connections are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Wanted.
    pub wanted: usize,
    /// Connected, the handshake behind them.
    pub ready: usize,
    /// Requests that wait for an answer.
    pub in_flight: usize,
    /// Made since the start.
    pub made: u64,
    /// Attempts that failed since the start.
    pub failed: u64,
}

/// What to do with a free worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The request was filled in: send it.
    Send,
    /// Nothing before this time.
    WaitUntil(u64),
    /// Nothing until an answer came, or nothing ever again.
    Wait,
}

/// Decides what is sent and hears what came of it. The pool moves requests and knows nothing of their meaning.
pub trait Source: 'static {
    /// Fills in the next request, if one is due.
    fn next(&mut self, now: u64, request: &mut Request) -> Next;
    /// An answer came.
    fn answered(&mut self, now: u64, flight: Flight, answer: Answer<'_>);
    /// The connection went away, or the time-out passed: the outcome is unknown.
    fn lost(&mut self, now: u64, flight: Flight);
    /// Whether nothing more will be sent. The pool closes once nothing is in flight either.
    fn is_finished(&self, now: u64) -> bool;
    /// Called about ten times a second.
    fn tick(&mut self, _now: u64, _connections: Connections) {}
}
