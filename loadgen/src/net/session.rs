//! Bytes to and from the wire: TLS by rustls, or cleartext. The only file that names rustls.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Whose certificate is believed.
#[derive(Clone, Debug)]
pub enum Trust {
    /// The certificates in this PEM file.
    File(std::path::PathBuf),
    /// Anyone's: for tests on loopback.
    Anyone,
}

/// Makes the TLS side of new connections; tickets are kept, so reconnects resume.
#[derive(Clone)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl TlsClient {
    /// A client for `host` that offers exactly `alpn`.
    pub fn new(host: &str, trust: &Trust, alpn: &[u8]) -> Result<TlsClient, String> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|e| format!("TLS: {e}"))?;
        let mut config = match trust {
            Trust::File(path) => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Pinned::open(path, provider)?))
                .with_no_client_auth(),
            Trust::Anyone => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
                .with_no_client_auth(),
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        let name = ServerName::try_from(host.to_string()).map_err(|e| format!("host {host}: {e}"))?;
        Ok(TlsClient {
            config: Arc::new(config),
            name,
        })
    }
}

/// Believes the certificates of a file: exactly one of them, or one that they signed. (A self-signed server certificate that calls
/// itself an authority, as openssl makes them, is no end entity to webpki; being named by the operator is enough.)
#[derive(Debug)]
struct Pinned {
    certificates: Vec<CertificateDer<'static>>,
    chain: Arc<WebPkiServerVerifier>,
}

impl Pinned {
    fn open(path: &Path, provider: Arc<CryptoProvider>) -> Result<Pinned, String> {
        let blame = |e: &dyn std::fmt::Display| {
            format!(
                "--cacert {}: {e}; name DATA/cert.pem of the gateway, or its authority's",
                path.display()
            )
        };
        let mut roots = RootCertStore::empty();
        let mut certificates = Vec::new();
        for cert in CertificateDer::pem_file_iter(path).map_err(|e| blame(&e))? {
            let cert = cert.map_err(|e| blame(&e))?;
            roots.add(cert.clone()).map_err(|e| blame(&e))?;
            certificates.push(cert);
        }
        let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|e| blame(&e))?;
        Ok(Pinned { certificates, chain })
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self
            .certificates
            .iter()
            .any(|c| c.as_ref() == end_entity.as_ref())
        {
            return Ok(ServerCertVerified::assertion());
        }
        self.chain
            .verify_server_cert(end_entity, intermediates, server_name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// Accepts every certificate (`--insecure`); signatures of the handshake are still checked.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// One connection's bytes.
pub enum Session {
    /// TLS.
    Tls(Box<ClientConnection>),
    /// Cleartext: what was written and not yet sent.
    Plain(Vec<u8>),
}

impl Session {
    /// A new session; cleartext without a client.
    pub fn new(tls: Option<&TlsClient>) -> Result<Session, String> {
        let Some(tls) = tls else {
            return Ok(Session::Plain(Vec::new()));
        };
        let mut session =
            ClientConnection::new(tls.config.clone(), tls.name.clone()).map_err(|e| format!("TLS: {e}"))?;
        // One request per connection is outstanding (or a bounded number), so the buffer is bounded by that.
        session.set_buffer_limit(None);
        Ok(Session::Tls(Box::new(session)))
    }

    /// Whether requests may be written.
    pub fn is_ready(&self) -> bool {
        match self {
            Session::Tls(tls) => !tls.is_handshaking(),
            Session::Plain(_) => true,
        }
    }

    /// The protocol agreed on by ALPN.
    pub fn alpn(&self) -> Option<&[u8]> {
        match self {
            Session::Tls(tls) => tls.alpn_protocol(),
            Session::Plain(_) => None,
        }
    }

    /// Queues plaintext.
    pub fn write(&mut self, plain: &[u8]) {
        match self {
            // A write into the session's own buffer, which has no limit, cannot fail.
            Session::Tls(tls) => drop(tls.writer().write_all(plain)),
            Session::Plain(out) => out.extend_from_slice(plain),
        }
    }

    /// Queues the end of what this side sends.
    pub fn close(&mut self) {
        if let Session::Tls(tls) = self {
            tls.send_close_notify();
        }
    }

    /// Whether bytes for the wire wait.
    pub fn has_output(&self) -> bool {
        match self {
            Session::Tls(tls) => tls.wants_write(),
            Session::Plain(out) => !out.is_empty(),
        }
    }

    /// Moves bytes for the wire to `out`.
    pub fn transmit(&mut self, out: &mut Vec<u8>) {
        match self {
            Session::Tls(tls) => {
                while tls.wants_write() {
                    if tls.write_tls(out).is_err() {
                        break;
                    }
                }
            }
            Session::Plain(queued) => out.append(queued),
        }
    }

    /// Takes bytes from the wire and appends what they say to `plain`. `Ok(false)` when the peer said it is done.
    pub fn receive(&mut self, mut wire: &[u8], plain: &mut Vec<u8>) -> Result<bool, String> {
        let tls = match self {
            Session::Tls(tls) => tls,
            Session::Plain(_) => {
                plain.extend_from_slice(wire);
                return Ok(true);
            }
        };
        let mut open = true;
        while !wire.is_empty() {
            tls.read_tls(&mut wire).map_err(|e| format!("TLS: {e}"))?;
            let state = tls.process_new_packets().map_err(|e| format!("TLS: {e}"))?;
            open &= !state.peer_has_closed();
            let ready = state.plaintext_bytes_to_read();
            if ready > 0 {
                let at = plain.len();
                plain.resize(at + ready, 0);
                tls.reader()
                    .read_exact(&mut plain[at..])
                    .map_err(|e| format!("TLS: {e}"))?;
            }
        }
        Ok(open)
    }
}
