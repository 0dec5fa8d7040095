//! What a connection tells the gateway.

use crate::{ExchangeId, Head, Nanos};

/// Something happened on the connection. Borrows from it: use it before the next call.
// A request is the common case, and is read where it is returned.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A whole request, body collected.
    Request(Request<'a>),
    /// The client gave this exchange up (HTTP/2 reset). An answer to it is ignored. Not a cancel of the order.
    Cancelled(ExchangeId),
}

/// A request whose head is valid and whose body has arrived whole.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Name it in `respond`.
    pub exchange: ExchangeId,
    /// Method, target and fields.
    pub head: Head<'a>,
    /// The decoded body, at most [`Limits::body_bytes`](crate::Limits::body_bytes) bytes.
    pub body: &'a [u8],
    /// When the first byte of the head arrived.
    pub first_byte_at: Nanos,
    /// When the last byte arrived: load is shed by the time since then. What a client or its network took before is not ours.
    pub whole_at: Nanos,
}
