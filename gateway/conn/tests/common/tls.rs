//! A TLS client in memory.

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::io::{Read, Write};
use std::sync::Arc;
use tidegate_conn::{Conn, Nanos};

pub struct Keys {
    pub certificate: CertificateDer<'static>,
    pub key: Vec<u8>,
}

pub fn keys() -> Keys {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    Keys {
        certificate: made.cert.der().clone(),
        key: made.signing_key.serialize_der(),
    }
}

pub fn server(keys: &Keys) -> rustls::ServerConfig {
    let key = PrivateKeyDer::try_from(keys.key.clone()).unwrap();
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![keys.certificate.clone()], key)
        .unwrap();
    tidegate_conn::set_tls_defaults(&mut config);
    config
}

pub fn client(keys: &Keys, alpn: &[&[u8]]) -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(keys.certificate.clone()).unwrap();
    let mut config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

pub struct TlsClient(pub rustls::ClientConnection);

impl TlsClient {
    pub fn new(config: Arc<rustls::ClientConfig>) -> TlsClient {
        TlsClient(rustls::ClientConnection::new(config, ServerName::try_from("localhost").unwrap()).unwrap())
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.0.writer().write_all(bytes).unwrap();
    }

    /// What the client wants on the wire.
    pub fn take_wire(&mut self) -> Vec<u8> {
        let mut wire = Vec::new();
        while self.0.wants_write() {
            self.0.write_tls(&mut wire).unwrap();
        }
        wire
    }

    /// Takes bytes from the wire, and returns the plaintext.
    pub fn give(&mut self, mut wire: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        while !wire.is_empty() {
            self.0.read_tls(&mut wire).unwrap();
            let state = self.0.process_new_packets().unwrap();
            let mut piece = vec![0; state.plaintext_bytes_to_read()];
            self.0.reader().read_exact(&mut piece).unwrap();
            plain.extend(piece);
            if state.peer_has_closed() {
                break;
            }
        }
        plain
    }

    /// Passes bytes both ways until nothing moves. Returns the plaintext for the client.
    pub fn shuttle(&mut self, conn: &mut Conn, now: Nanos) -> Vec<u8> {
        let mut plain = Vec::new();
        loop {
            let to_server = self.take_wire();
            if !to_server.is_empty() {
                conn.receive(now, &to_server);
            }
            let mut to_client = Vec::new();
            conn.transmit(&mut to_client, usize::MAX);
            plain.extend(self.give(&to_client));
            if to_server.is_empty() && to_client.is_empty() {
                return plain;
            }
        }
    }
}
