//! Every reason for which a connection refuses by itself, and what the client is told.
//!
//! Nothing was reserved by any request refused here: it never reached a shard.

/// Why a connection refused a request, or itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Refusal {
    /// 400: the head is not a strict HTTP/1.1 head (RFC 9112).
    BadHead,
    /// 400: Content-Length or Transfer-Encoding is repeated, contradictory or not exactly what it must be.
    BadFraming,
    /// 400: a chunk's size, extension, end or trailer is malformed.
    BadChunk,
    /// 400: Host is missing, repeated or not a host.
    BadHost,
    /// 400: a field that must occur once occurs twice.
    RepeatedField,
    /// 408: the head took too long.
    HeadTimeout,
    /// 408: head and body together took too long.
    RequestTimeout,
    /// 413: the body is over the bound.
    BodyTooLarge,
    /// 414: the target is over the bound.
    TargetTooLong,
    /// 417: an expectation other than 100-continue.
    BadExpectation,
    /// 421: the served certificate does not cover the host that was asked for.
    Misdirected,
    /// 431: the head has too many bytes or fields.
    HeadTooLarge,
    /// 501: CONNECT.
    NotImplemented,
    /// 505: a version other than HTTP/1.0 and HTTP/1.1.
    BadVersion,
    /// Closed: the handshake failed.
    TlsError,
    /// Closed: the handshake was not finished in time.
    HandshakeTimeout,
    /// Closed: nobody asked anything for the idle time.
    IdleTimeout,
    /// Closed: the peer does not read what it asked for.
    WriteTimeout,
    /// GOAWAY: the peer broke HTTP/2 itself.
    H2Protocol,
    /// GOAWAY: streams reset too fast by the peer.
    H2RapidReset,
    /// GOAWAY: the peer provokes resets from us.
    H2ProvokedReset,
    /// GOAWAY: PING, SETTINGS, empty DATA or WINDOW_UPDATE frames without end.
    H2Flood,
    /// GOAWAY: the acknowledgement of the drain's PING did not come.
    H2DrainTimeout,
}

impl Refusal {
    /// How many reasons there are.
    pub const COUNT: usize = Refusal::ALL.len();

    /// Every reason, in order of its number.
    pub const ALL: [Refusal; 23] = [
        Refusal::BadHead,
        Refusal::BadFraming,
        Refusal::BadChunk,
        Refusal::BadHost,
        Refusal::RepeatedField,
        Refusal::HeadTimeout,
        Refusal::RequestTimeout,
        Refusal::BodyTooLarge,
        Refusal::TargetTooLong,
        Refusal::BadExpectation,
        Refusal::Misdirected,
        Refusal::HeadTooLarge,
        Refusal::NotImplemented,
        Refusal::BadVersion,
        Refusal::TlsError,
        Refusal::HandshakeTimeout,
        Refusal::IdleTimeout,
        Refusal::WriteTimeout,
        Refusal::H2Protocol,
        Refusal::H2RapidReset,
        Refusal::H2ProvokedReset,
        Refusal::H2Flood,
        Refusal::H2DrainTimeout,
    ];

    /// The stable machine word, as metrics and problem documents carry it.
    pub const fn code(self) -> &'static str {
        self.parts().1
    }

    /// The status it is answered with; `None` when the connection is closed without an answer.
    pub const fn status(self) -> Option<u16> {
        match self.parts().0 {
            0 => None,
            status => Some(status),
        }
    }

    /// One sentence for the person who reads the answer.
    pub const fn detail(self) -> &'static str {
        self.parts().2
    }

    const fn parts(self) -> (u16, &'static str, &'static str) {
        match self {
            Refusal::BadHead => (400, "bad_head", "The request head is not valid HTTP."),
            Refusal::BadFraming => (
                400,
                "bad_framing",
                "Content-Length or Transfer-Encoding is not valid.",
            ),
            Refusal::BadChunk => (400, "bad_chunk", "The chunked body is not valid."),
            Refusal::BadHost => (400, "bad_host", "Exactly one valid Host is needed."),
            Refusal::RepeatedField => (
                400,
                "repeated_field",
                "A field that must occur once occurs twice.",
            ),
            Refusal::HeadTimeout => (408, "head_timeout", "The request head did not arrive in time."),
            Refusal::RequestTimeout => (408, "request_timeout", "The request did not arrive in time."),
            Refusal::BodyTooLarge => (
                413,
                "body_too_large",
                "The body is larger than this server accepts.",
            ),
            Refusal::TargetTooLong => (
                414,
                "target_too_long",
                "The target is longer than this server accepts.",
            ),
            Refusal::BadExpectation => (417, "bad_expectation", "Only 100-continue can be expected."),
            Refusal::Misdirected => (
                421,
                "misdirected_request",
                "The certificate of this connection does not cover that host.",
            ),
            Refusal::HeadTooLarge => (431, "head_too_large", "The head has too many bytes or fields."),
            Refusal::NotImplemented => (501, "not_implemented", "This method is not implemented."),
            Refusal::BadVersion => (
                505,
                "bad_version",
                "Only HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here.",
            ),
            Refusal::TlsError => (0, "tls_error", ""),
            Refusal::HandshakeTimeout => (0, "handshake_timeout", ""),
            Refusal::IdleTimeout => (0, "idle_timeout", ""),
            Refusal::WriteTimeout => (0, "write_timeout", ""),
            Refusal::H2Protocol => (0, "h2_protocol", ""),
            Refusal::H2RapidReset => (0, "h2_rapid_reset", ""),
            Refusal::H2ProvokedReset => (0, "h2_provoked_reset", ""),
            Refusal::H2Flood => (0, "h2_flood", ""),
            Refusal::H2DrainTimeout => (0, "h2_drain_timeout", ""),
        }
    }
}
