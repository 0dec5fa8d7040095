//! What a connection is told when it begins.

use crate::{ClientChain, Counters, Limits, Nanos, TlsConfig};
use std::rc::Rc;

/// Tells whether the certificate served for `sni` (as the client sent it, if it did) covers `host` (no port, as the
/// client wrote it). `false` is answered 421.
pub type Covers = dyn Fn(Option<&str>, &str) -> bool;

/// Gives the TLS settings of the next connection: a reload may change them.
pub type MakesTls = dyn Fn() -> TlsConfig;

/// Tells whether the client of a resumed session would be let in by a full handshake now: resuming by itself verifies nothing.
/// `false` ends the connection as a failed handshake does.
pub type AdmitsAgain = dyn Fn(ClientChain<'_>) -> bool;

/// Settings shared by the connections of one thread. A reload makes a new one; old connections keep theirs.
pub struct ConnConfig {
    /// `None`: cleartext; HTTP/2 is then known by its preface.
    pub tls: Option<Box<MakesTls>>,
    /// Asked when a session was resumed. `None`: clients are not asked for certificates.
    pub admits_again: Option<Box<AdmitsAgain>>,
    /// Asked when a host is first used on a connection, on TLS only. `None`: every host is covered.
    pub covers: Option<Box<Covers>>,
    /// Sizes.
    pub limits: Limits,
    /// Time-outs.
    pub deadlines: Deadlines,
    /// Where refusals are counted. Shared, so that a reload does not reset the counts.
    pub counters: Rc<Counters>,
}

impl ConnConfig {
    /// The defaults, over TLS.
    pub fn with_tls(tls: TlsConfig) -> ConnConfig {
        ConnConfig {
            tls: Some(Box::new(move || tls.clone())),
            ..ConnConfig::cleartext()
        }
    }

    /// The defaults, without TLS.
    pub fn cleartext() -> ConnConfig {
        ConnConfig {
            tls: None,
            admits_again: None,
            covers: None,
            limits: Limits::default(),
            deadlines: Deadlines::default(),
            counters: Rc::default(),
        }
    }
}

/// How long each phase may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// From accept to the end of the TLS handshake. 5 s.
    pub handshake: Nanos,
    /// From a head's first byte to its last. 5 s, then 408.
    pub head: Nanos,
    /// From a head's first byte to the body's last. 10 s, then 408.
    pub request: Nanos,
    /// Without any request. 75 s, as nginx.
    pub idle: Nanos,
    /// Age at which a connection is asked to close. 1 h.
    pub age: Nanos,
    /// Output that cannot be sent at all. 10 s.
    pub write: Nanos,
    /// From the drain's first GOAWAY to the PING's acknowledgement. 1 s: several round trips.
    pub drain: Nanos,
    /// After our last byte, waiting for the peer's end so that it can still read our answer (RFC 9112 section 9.6). 2 s.
    pub linger: Nanos,
}

impl Default for Deadlines {
    fn default() -> Deadlines {
        Deadlines {
            handshake: Nanos::from_secs(5),
            head: Nanos::from_secs(5),
            request: Nanos::from_secs(10),
            idle: Nanos::from_secs(75),
            age: Nanos::from_secs(3600),
            write: Nanos::from_secs(10),
            drain: Nanos::from_secs(1),
            linger: Nanos::from_secs(2),
        }
    }
}
