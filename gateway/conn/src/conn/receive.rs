//! Bytes from the wire, and finding out what is spoken.

use super::{Conn, Spoken};
use crate::Refusal;
use crate::counters::bump;
use crate::h1::H1;
use crate::h2::H2;
use crate::tls::{Received, Tls, TlsError};

/// How a client of HTTP/2 begins (RFC 9113 section 3.4). Not an HTTP/1.1 request that anyone would send.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

impl Conn {
    pub(super) fn receive_open(&mut self, bytes: &[u8]) {
        let now = self.now;
        let tls = self.tls.as_mut();
        let received = match &mut self.spoken {
            Spoken::Unknown { bytes: plain, .. } => take_plaintext(tls, bytes, plain),
            Spoken::H1(h1) => take_plaintext(tls, bytes, h1.input(now)),
            Spoken::H2(h2) => take_plaintext(tls, bytes, h2.input(now)),
        };
        if matches!(self.spoken, Spoken::Unknown { .. }) {
            self.detect();
        }
        match received {
            Ok(received) => self.eof_if(received.eof),
            Err(_) => {
                self.config.counters.refuse(Refusal::TlsError);
                self.begin_closing();
            }
        }
    }

    /// Finds out what is spoken: by ALPN, or in cleartext by the first bytes.
    fn detect(&mut self) {
        let Spoken::Unknown { bytes, first_at } = &mut self.spoken else {
            return;
        };
        let is_h2 = if let Some(tls) = &self.tls {
            if tls.is_handshaking() {
                return;
            }
            let counters = &self.config.counters;
            if tls.is_resumed() {
                let admits = self.config.admits_again.as_ref();
                if admits.is_some_and(|admits| !admits(tls.client_chain())) {
                    counters.refuse(Refusal::TlsError);
                    self.begin_closing();
                    return;
                }
                bump(&counters.handshakes_resumed);
            }
            bump(&counters.handshakes);
            tls.is_h2()
        } else {
            if bytes.is_empty() {
                return;
            }
            first_at.get_or_insert(self.now);
            if bytes.len() < PREFACE.len() && PREFACE.starts_with(bytes) {
                return;
            }
            bytes.starts_with(PREFACE)
        };
        let bytes = std::mem::take(bytes);
        self.spoken = if is_h2 {
            Spoken::H2(Box::new(H2::new(bytes, &self.config.limits, self.now)))
        } else {
            Spoken::H1(H1::new(bytes, self.now))
        };
        if self.draining {
            self.drain_protocol();
        }
    }

    pub(super) fn drain_protocol(&mut self) {
        match &mut self.spoken {
            Spoken::Unknown { .. } => {}
            Spoken::H1(h1) => h1.drain(),
            Spoken::H2(h2) => h2.drain(self.now),
        }
    }
}

/// Appends to `plain` what the bytes from the wire hold.
fn take_plaintext(tls: Option<&mut Tls>, bytes: &[u8], plain: &mut Vec<u8>) -> Result<Received, TlsError> {
    match tls {
        Some(tls) => tls.receive(bytes, plain),
        None => {
            plain.extend_from_slice(bytes);
            Ok(Received::default())
        }
    }
}
