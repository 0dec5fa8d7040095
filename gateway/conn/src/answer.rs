//! What the gateway answers.

/// A whole answer. `Content-Length` and `Connection` are written by the connection and must not be in `headers`;
/// everything else (`date`, `content-type`, `x-request-id`…) is the caller's.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// 200..=599. Interim answers (100) are the connection's own.
    pub status: u16,
    /// Names in lower case (HTTP/2 demands it), values without CR, LF or NUL: they are our own words, so a
    /// violation is a bug and an assertion, not an error.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The body, dropped (its length kept) when the request was HEAD; must be empty for 204 and 304.
    pub body: &'a [u8],
}

/// The head of an answer whose body is given in pieces. What writes `Content-Length`, `Transfer-Encoding` and `Connection` is
/// the connection, so they must not be in `headers`.
#[derive(Clone, Copy, Debug)]
pub struct AnswerHead<'a> {
    /// 200..=599. Interim answers (100) are the connection's own.
    pub status: u16,
    /// As those of an [`Answer`].
    pub headers: &'a [(&'a str, &'a [u8])],
    /// Bytes of the body, if they are known. Otherwise HTTP/1.1 sends chunks, and HTTP/1.0 closes the connection behind the body
    /// (RFC 9112 sections 6.3 and 7.1). Not told for 204 and 304.
    pub length: Option<u64>,
}
