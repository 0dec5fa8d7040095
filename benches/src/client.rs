//! A plain blocking TLS client: readiness, setting up SKUs, and idle connections. Load comes from the load generator.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// How long any of its steps may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which HTTP is agreed on by ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http {
    /// HTTP/1.1.
    One,
    /// HTTP/2.
    Two,
}

/// Makes connections to one server.
#[derive(Clone, Debug)]
pub struct Client {
    address: SocketAddr,
    config: Arc<ClientConfig>,
}

/// A connection whose handshake is done.
pub type Connection = StreamOwned<ClientConnection, TcpStream>;

/// An answer's status and body.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body as text.
    pub body: String,
}

impl Client {
    /// A client that trusts `cert` (PEM).
    ///
    /// # Errors
    /// The certificate cannot be read.
    pub fn new(address: SocketAddr, cert: &Path, http: Http) -> Result<Client, String> {
        let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", cert.display());
        let der = CertificateDer::from_pem_file(cert).map_err(|e| wrong(&e))?;
        let mut roots = RootCertStore::empty();
        roots.add(der).map_err(|e| wrong(&e))?;
        let mut config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        // Idle connections are each to cost a whole handshake's state.
        config.resumption = rustls::client::Resumption::disabled();
        config.alpn_protocols = vec![match http {
            Http::One => b"http/1.1".to_vec(),
            Http::Two => b"h2".to_vec(),
        }];
        Ok(Client {
            address,
            config: Arc::new(config),
        })
    }

    /// Connects and finishes the handshake.
    ///
    /// # Errors
    /// A sentence.
    pub fn connect(&self) -> Result<Connection, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", self.address);
        let mut tcp = TcpStream::connect_timeout(&self.address, PATIENCE).map_err(|e| failed(&e))?;
        tcp.set_read_timeout(Some(PATIENCE)).map_err(|e| failed(&e))?;
        tcp.set_write_timeout(Some(PATIENCE)).map_err(|e| failed(&e))?;
        let name = ServerName::from(self.address.ip());
        let mut tls = ClientConnection::new(Arc::clone(&self.config), name).map_err(|e| failed(&e))?;
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp).map_err(|e| failed(&e))?;
        }
        Ok(StreamOwned::new(tls, tcp))
    }

    /// One request over a connection of its own. `extra` are further header lines, each ending in CRLF.
    ///
    /// # Errors
    /// A sentence: no connection, or no answer that is HTTP.
    pub fn request(&self, method: &str, path: &str, extra: &str, body: &str) -> Result<Answer, String> {
        let mut connection = self.connect()?;
        let text = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n{extra}\r\n{body}",
            self.address,
            body.len(),
        );
        connection.write_all(text.as_bytes()).map_err(|e| e.to_string())?;
        let mut answer = Vec::new();
        if let Err(error) = connection.read_to_end(&mut answer)
            // Not every server says goodbye before it closes.
            && (answer.is_empty() || error.kind() != std::io::ErrorKind::UnexpectedEof)
        {
            return Err(format!("{method} {path}: {error}"));
        }
        let text = String::from_utf8_lossy(&answer);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split_whitespace().nth(1).and_then(|word| word.parse().ok());
        let status = status.ok_or_else(|| format!("{method} {path}: the answer is not HTTP: {head}"))?;
        Ok(Answer {
            status,
            body: body.to_string(),
        })
    }
}

/// Asks once on a connection that stays open, and reads the whole answer: what is idle afterwards has been used.
///
/// # Errors
/// A sentence.
pub fn ask_and_keep(
    connection: &mut Connection,
    http: Http,
    authority: &str,
    path: &str,
) -> Result<(), String> {
    let request = match http {
        Http::One => format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\n\r\n").into_bytes(),
        Http::Two => h2_request(authority, path),
    };
    connection.write_all(&request).map_err(|e| e.to_string())?;
    let mut seen = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let count = connection.read(&mut piece).map_err(|e| e.to_string())?;
        if count == 0 {
            return Err("the server closed the connection".into());
        }
        seen.extend_from_slice(&piece[..count]);
        let is_whole = match http {
            Http::One => h1_is_whole(&seen),
            Http::Two => h2_is_whole(&seen),
        };
        if is_whole && http == Http::Two {
            // The server's SETTINGS have certainly arrived: acknowledge them (RFC 9113, section 6.5.3).
            return connection
                .write_all(&[0, 0, 0, 4, 1, 0, 0, 0, 0])
                .map_err(|e| e.to_string());
        }
        if is_whole {
            return Ok(());
        }
    }
}

fn h1_is_whole(seen: &[u8]) -> bool {
    let text = String::from_utf8_lossy(seen);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("content-length:")?
            .trim()
            .parse()
            .ok()
    });
    body.len() >= length.unwrap_or(0)
}

/// Whether stream 1 ended (RFC 9113, section 6: END_STREAM is bit 0 of HEADERS and DATA).
fn h2_is_whole(mut seen: &[u8]) -> bool {
    while let Some((head, rest)) = seen.split_at_checked(9) {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        if head[3] <= 1 && head[4] & 1 == 1 && head[8] == 1 {
            return rest.len() >= length;
        }
        seen = rest.get(length..).unwrap_or_default();
    }
    false
}

/// Preface, empty SETTINGS, and a GET on stream 1 whose fields are literals without indexing (RFC 7541, section 6.2.2).
fn h2_request(authority: &str, path: &str) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", authority),
        (":path", path),
    ] {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127, "the length fits the prefix");
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let mut frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
        bytes.extend_from_slice(&[kind, flags]);
        bytes.extend_from_slice(&stream.to_be_bytes());
        bytes.extend_from_slice(payload);
    };
    frame(4, 0, 0, &[]);
    // END_STREAM and END_HEADERS.
    frame(1, 5, 1, &block);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_length_is_there() {
        assert!(!h1_is_whole(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"));
        assert!(h1_is_whole(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"));
        let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        let data = [0, 0, 2, 0, 1, 0, 0, 0, 1, b'o', b'k'];
        assert!(!h2_is_whole(&settings));
        assert!(!h2_is_whole(&[&settings[..], &data[..10]].concat()));
        assert!(h2_is_whole(&[&settings[..], &data[..]].concat()));
    }
}
