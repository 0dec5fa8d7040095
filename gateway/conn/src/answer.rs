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
