//! The PROXY protocol, versions 1 and 2 (HAProxy's `proxy-protocol.txt`, revision of 2020/03/05): a header before the first byte
//! of TLS, in which a proxy that passes bytes on says for whom it does.
//!
//! Whether a peer is to be believed is not known here: read it from trusted peers only, and then always.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of a version 1 header at most, its CR LF included (section 2.1).
pub const V1_BYTES_MAX: usize = 107;
/// Bytes of a version 2 header at most, extensions included. The format allows 64 KiB, nobody fills it: nginx grants as much as this.
pub const V2_BYTES_MAX: usize = 4096;

/// How a version 2 header begins (section 2.2).
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of a version 2 header before the addresses.
const FIXED: usize = 16;

/// What begins the connection is not a PROXY header. The peer is trusted, so it is set up wrongly: close the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadProxyHeader;

/// A whole header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    /// Its bytes: what follows is the client's.
    pub length: usize,
    /// The client's address (no IPv4-mapped IPv6). `None`: the proxy speaks for itself (LOCAL, as health checks do) or does not
    /// know (UNKNOWN, UNSPEC, a UNIX socket): the socket's peer is the client.
    pub client: Option<IpAddr>,
}

/// Reads the header that `bytes` begin with; `Ok(None)`: it goes on after them.
///
/// # Errors
/// No continuation makes these bytes a header.
pub fn parse_proxy_header(bytes: &[u8]) -> Result<Option<ProxyHeader>, BadProxyHeader> {
    match bytes.first() {
        None => Ok(None),
        Some(b'P') => parse_v1(bytes),
        Some(_) => parse_v2(bytes),
    }
}

fn parse_v1(bytes: &[u8]) -> Result<Option<ProxyHeader>, BadProxyHeader> {
    const BEGIN: &[u8] = b"PROXY ";
    let begun = bytes.len().min(BEGIN.len());
    if bytes[..begun] != BEGIN[..begun] {
        return Err(BadProxyHeader);
    }
    let bounded = &bytes[..bytes.len().min(V1_BYTES_MAX)];
    let Some(end) = bounded.iter().position(|byte| *byte == b'\n') else {
        let over = bytes.len() >= V1_BYTES_MAX;
        return if over { Err(BadProxyHeader) } else { Ok(None) };
    };
    let line = bounded[BEGIN.len()..end]
        .strip_suffix(b"\r")
        .ok_or(BadProxyHeader)?;
    Ok(Some(ProxyHeader {
        length: end + 1,
        client: v1_client(line)?,
    }))
}

/// What follows "PROXY ": a protocol, two addresses and two ports, a space between any two of them.
fn v1_client(line: &[u8]) -> Result<Option<IpAddr>, BadProxyHeader> {
    let line = str::from_utf8(line).map_err(|_| BadProxyHeader)?;
    if line.contains('\r') {
        return Err(BadProxyHeader);
    }
    // What a sender says about an unknown protocol is to be ignored.
    if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        return Ok(None);
    }
    let mut words = line.split(' ');
    let mut word = || words.next().ok_or(BadProxyHeader);
    let (protocol, source, destination) = (word()?, word()?, word()?);
    let ports = [word()?, word()?];
    if words.next().is_some() || !ports.iter().all(|port| is_port(port)) {
        return Err(BadProxyHeader);
    }
    let client = match protocol {
        "TCP4" => address::<Ipv4Addr>(source, destination)?.into(),
        "TCP6" => address::<Ipv6Addr>(source, destination)?.into(),
        _ => return Err(BadProxyHeader),
    };
    Ok(Some(IpAddr::to_canonical(&client)))
}

/// The first of two addresses of one family.
fn address<A: std::str::FromStr>(source: &str, destination: &str) -> Result<A, BadProxyHeader> {
    let source = source.parse().map_err(|_| BadProxyHeader)?;
    let _: A = destination.parse().map_err(|_| BadProxyHeader)?;
    Ok(source)
}

/// Decimal, no sign, no zero in front.
fn is_port(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain && text.parse::<u16>().is_ok()
}

fn parse_v2(bytes: &[u8]) -> Result<Option<ProxyHeader>, BadProxyHeader> {
    let begun = bytes.len().min(SIGNATURE.len());
    if bytes[..begun] != SIGNATURE[..begun] {
        return Err(BadProxyHeader);
    }
    let Some(fixed) = bytes.first_chunk::<FIXED>() else {
        return Ok(None);
    };
    let length = FIXED + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    let shape = shape(fixed[12], fixed[13])?;
    if length > V2_BYTES_MAX || length - FIXED < shape.address_bytes() {
        return Err(BadProxyHeader);
    }
    let Some(rest) = bytes.get(FIXED..length) else {
        return Ok(None);
    };
    // Source, destination, two ports, then extensions, which are skipped.
    let client = match shape {
        Shape::V4 => rest.first_chunk::<4>().map(|octets| IpAddr::from(*octets)),
        Shape::V6 => rest.first_chunk::<16>().map(|octets| IpAddr::from(*octets)),
        Shape::Unknown | Shape::Unix => None,
    };
    Ok(Some(ProxyHeader {
        length,
        client: client.map(|client| client.to_canonical()),
    }))
}

/// What the addresses of a version 2 header look like.
#[derive(Clone, Copy)]
enum Shape {
    Unknown,
    V4,
    V6,
    Unix,
}

impl Shape {
    fn address_bytes(self) -> usize {
        match self {
            Shape::Unknown => 0,
            Shape::V4 => 12,
            Shape::V6 => 36,
            Shape::Unix => 216,
        }
    }
}

/// From version and command, and family and transport. Datagrams cannot come by a stream; other values are for receivers to refuse.
fn shape(version_command: u8, family_transport: u8) -> Result<Shape, BadProxyHeader> {
    match (version_command, family_transport) {
        // LOCAL: the family is to be ignored.
        (0x20, _) | (0x21, 0x00) => Ok(Shape::Unknown),
        (0x21, 0x11) => Ok(Shape::V4),
        (0x21, 0x21) => Ok(Shape::V6),
        (0x21, 0x31) => Ok(Shape::Unix),
        _ => Err(BadProxyHeader),
    }
}

/// Collects a header that comes in pieces. Holds at most [`V2_BYTES_MAX`] bytes.
#[derive(Debug, Default)]
pub struct ProxyReader {
    bytes: Vec<u8>,
}

impl ProxyReader {
    /// Takes the next piece. Once the header is whole: it, and the piece's bytes that follow it.
    ///
    /// # Errors
    /// It is no header.
    pub fn receive<'a>(
        &mut self,
        piece: &'a [u8],
    ) -> Result<Option<(ProxyHeader, &'a [u8])>, BadProxyHeader> {
        let before = self.bytes.len();
        // The longest header fits, so that what is left over is never needed to find its end.
        let taken = piece.len().min(V2_BYTES_MAX - before);
        self.bytes.extend_from_slice(&piece[..taken]);
        let header = parse_proxy_header(&self.bytes)?;
        Ok(header.map(|header| (header, &piece[header.length - before..])))
    }
}
