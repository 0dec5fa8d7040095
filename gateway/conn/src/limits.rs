//! Every bound of a connection, each with its reason, and what a connection may cost at most.
//!
//! HTTP/1.1, worst case: input `head_bytes + body_bytes + INPUT_SLACK` + one read of the shell, output
//! `output_bytes + pipelined * answer` (an answer of this API is under 2 KiB). With the defaults and reads of 16 KiB:
//! 16 + 64 + 16 + 16 + 64 + 32 = 208 KiB. Idle it keeps `IDLE_BUFFER_BYTES` twice, plus rustls' own state.

/// Sizes, all configurable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a head, request line and empty line included. 16 KiB, what nginx and Envoy grant in practice.
    pub head_bytes: usize,
    /// Fields of a head. 100, as Envoy.
    pub head_fields: usize,
    /// Bytes of a target. 8 KiB (RFC 9110 section 4.1 asks for at least 8000).
    pub target_bytes: usize,
    /// Bytes of a decoded body. 64 KiB: an order of 16 lines needs under 2.
    pub body_bytes: usize,
    /// Requests that may wait for their answers on one HTTP/1.1 connection before reading stops.
    pub pipelined: usize,
    /// Requests after which a connection is asked to close, so that load spreads again over the threads.
    pub requests: u64,
    /// Unsent plaintext bytes beyond which no further request is begun and nothing is read.
    pub output_bytes: usize,
    /// Concurrent streams of an HTTP/2 connection (RFC 9113 section 6.5.2 recommends at least 100).
    pub h2_streams: u32,
    /// Flow-control window of a stream, bytes: one whole body.
    pub h2_stream_window: u32,
    /// Flow-control window of a connection, bytes.
    pub h2_connection_window: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            head_bytes: 16 * 1024,
            head_fields: HEAD_FIELDS_MAX,
            target_bytes: 8 * 1024,
            body_bytes: 64 * 1024,
            pipelined: 16,
            requests: 10_000,
            output_bytes: 64 * 1024,
            h2_streams: 100,
            h2_stream_window: 64 * 1024,
            h2_connection_window: 1024 * 1024,
        }
    }
}

/// The parser's field table is on the stack and of this size; `head_fields` may only be smaller.
pub(crate) const HEAD_FIELDS_MAX: usize = 100;

/// Buffers larger than this are given back when the connection falls idle: two of them and rustls' state must stay
/// under 24 KiB for an idle TLS connection.
pub(crate) const IDLE_BUFFER_BYTES: usize = 4 * 1024;

/// Bytes of chunk extensions in one body. Nobody sends any; a client that does may not make us read for ever.
pub(crate) const CHUNK_EXTENSION_BYTES: usize = 4 * 1024;

/// Bytes of decoded-away chunk headers that may lie in the input before the rest is moved down over them.
pub(crate) const CHUNK_GAP_BYTES: usize = 4 * 1024;

/// Input thrown away after our last byte, waiting for the peer's end; then the connection is cut.
pub(crate) const LINGER_BYTES: usize = 256 * 1024;

/// Received bytes that nobody has looked at beyond which nothing more is read: the gateway takes requests later when its turn is
/// used up. More than the largest frame or head, so that what is begun can be finished.
pub(crate) const UNREAD_BYTES: usize = 64 * 1024;

/// Answer buffers kept for answers that overtook others on a pipelined connection.
pub(crate) const SPARE_ANSWERS: usize = 4;

/// Resets that a peer may provoke from us on one connection before it is told ENHANCE_YOUR_CALM.
pub(crate) const H2_PROVOKED_RESETS: u32 = 500;

/// Streams remembered after we reset them, so that frames which were on their way are no error: more than are open at once by
/// default.
pub(crate) const H2_RESET_STREAMS: usize = 128;

/// CONTINUATION frames of one header block. A head of 16 KiB fits into two frames; a client may cut it smaller.
pub(crate) const H2_CONTINUATIONS: u32 = 64;

/// Requests whose buffers are kept for the next ones. Only those that wait for a body need one at the same time.
pub(crate) const H2_SPARE_REQUESTS: usize = 4;
