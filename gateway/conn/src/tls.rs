//! The only file that names rustls.

use crate::output::Output;
use rustls::{HandshakeKind, ServerConnection};
use std::io::{self, BufRead, Write};
use std::sync::Arc;

/// Certificates, versions and ticket keys, shared by the threads.
pub type TlsConfig = Arc<rustls::ServerConfig>;

/// What a resumed session remembers of the client's certificates (leaf first, DER), if it brought any.
pub type ClientChain<'a> = Option<&'a [rustls::pki_types::CertificateDer<'static>]>;

/// Sets what every listener of ours wants: ALPN `h2` then `http/1.1`, no 0-RTT, records as large as they come.
/// Certificates, client authentication and the ticketer are the caller's.
pub fn set_tls_defaults(config: &mut rustls::ServerConfig) {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.max_early_data_size = 0;
    config.max_fragment_size = None;
}

/// The handshake or a record was not TLS as we accept it. An alert may wait in the output.
#[derive(Debug)]
pub(crate) struct TlsError;

/// One connection's TLS.
pub(crate) struct Tls(ServerConnection);

/// What `receive` learned besides plaintext.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// The peer said close_notify: what follows is not ours.
    pub eof: bool,
}

impl Tls {
    pub fn new(config: TlsConfig) -> Result<Tls, TlsError> {
        let mut conn = ServerConnection::new(config).map_err(|_| TlsError)?;
        // The bound is ours (`Limits::output_bytes` and transmit's cap): with one here `write` would be partial.
        conn.set_buffer_limit(None);
        Ok(Tls(conn))
    }

    /// Takes bytes from the wire and appends the plaintext they hold.
    pub fn receive(&mut self, mut wire: &[u8], plain: &mut Vec<u8>) -> Result<Received, TlsError> {
        let mut received = Received::default();
        while !wire.is_empty() {
            // 4 KiB a call; errors once 16 KiB of plaintext are unread, so that each call is followed by a drain.
            match self.0.read_tls(&mut wire) {
                // After close_notify rustls takes nothing more.
                Ok(0) => break,
                Ok(_) => {}
                // A message that no buffer of ours may hold.
                Err(_) => return Err(TlsError),
            }
            let state = self.0.process_new_packets().map_err(|_| TlsError)?;
            if state.plaintext_bytes_to_read() > 0 {
                self.drain_plaintext(plain);
            }
            if state.peer_has_closed() {
                received.eof = true;
                break;
            }
        }
        Ok(received)
    }

    fn drain_plaintext(&mut self, plain: &mut Vec<u8>) {
        let mut reader = self.0.reader();
        while let Ok(chunk) = reader.fill_buf() {
            let length = chunk.len();
            if length == 0 {
                break;
            }
            plain.extend_from_slice(chunk);
            reader.consume(length);
        }
    }

    /// Moves plaintext into records and records into `out`, until `out` holds `cap` bytes.
    pub fn transmit(&mut self, plain: &mut Output, out: &mut Vec<u8>, cap: usize) {
        loop {
            while self.0.wants_write() && out.len() < cap {
                let mut sink = Capped { out, cap };
                if !matches!(self.0.write_tls(&mut sink), Ok(1..)) {
                    break;
                }
            }
            // Records are only made when they can leave: one batch of at most a cap waits in rustls.
            let room = cap.saturating_sub(out.len());
            let pending = plain.pending();
            let count = pending.len().min(room);
            if count == 0 || self.0.wants_write() || self.0.is_handshaking() {
                return;
            }
            let written = self.0.writer().write(&pending[..count]).unwrap_or(0);
            if written == 0 {
                return;
            }
            plain.consume(written);
        }
    }

    pub fn wants_write(&self) -> bool {
        self.0.wants_write()
    }

    pub fn is_handshaking(&self) -> bool {
        self.0.is_handshaking()
    }

    /// Whether the handshake was resumed by a ticket.
    pub fn is_resumed(&self) -> bool {
        self.0.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The client's certificates, also those of the session that was resumed.
    pub fn client_chain(&self) -> ClientChain<'_> {
        self.0.peer_certificates()
    }

    /// Whether ALPN chose HTTP/2. No ALPN means HTTP/1.1.
    pub fn is_h2(&self) -> bool {
        self.0.alpn_protocol() == Some(b"h2")
    }

    pub fn sni(&self) -> Option<&str> {
        self.0.server_name()
    }

    pub fn send_close_notify(&mut self) {
        self.0.send_close_notify();
    }
}

/// Appends to a buffer until it holds `cap` bytes.
struct Capped<'a> {
    out: &'a mut Vec<u8>,
    cap: usize,
}

impl Write for Capped<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.cap.saturating_sub(self.out.len()));
        self.out.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        let mut total = 0;
        for slice in slices {
            let count = self.write(slice)?;
            total += count;
            if count < slice.len() {
                break;
            }
        }
        Ok(total)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
