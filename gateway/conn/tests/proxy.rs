//! PROXY headers: what is one, what is not, and that pieces make no difference.

mod common;

use common::tls::{TlsClient, client, keys, server};
use common::{ok, requests};
use proptest::prelude::*;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use tidegate_conn::{BadProxyHeader, Conn, ConnConfig, Nanos, ProxyReader, V2_BYTES_MAX, parse_proxy_header};

/// A version 2 header with whatever in it.
fn v2(version_command: u8, family_transport: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    bytes.extend([version_command, family_transport]);
    bytes.extend((rest.len() as u16).to_be_bytes());
    bytes.extend(rest);
    bytes
}

const V4: [u8; 12] = [203, 0, 113, 9, 192, 0, 2, 1, 0x30, 0x39, 0x01, 0xbb];

fn v6() -> Vec<u8> {
    let address = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap().octets();
    [
        &address("2001:db8::9")[..],
        &address("2001:db8::1"),
        &[0x30, 0x39, 0x01, 0xbb],
    ]
    .concat()
}

/// The client of a whole header that is followed by other bytes.
fn client_of(header: &[u8]) -> Result<Option<IpAddr>, BadProxyHeader> {
    let bytes = [header, b"\x16\x03\x01"].concat();
    let found = parse_proxy_header(&bytes)?.expect("whole");
    assert_eq!(found.length, header.len());
    Ok(found.client)
}

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

#[test]
fn a_header_of_either_version_names_the_client() {
    for (header, client) in [
        (
            &b"PROXY TCP4 203.0.113.9 192.0.2.1 12345 443\r\n"[..],
            ip("203.0.113.9"),
        ),
        (
            b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
            ip("255.255.255.255"),
        ),
        (b"PROXY TCP6 2001:db8::9 2001:db8::1 0 443\r\n", ip("2001:db8::9")),
        (b"PROXY TCP6 ::ffff:203.0.113.9 ::1 1 443\r\n", ip("203.0.113.9")),
        (b"PROXY UNKNOWN\r\n", None),
        (
            b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
            None,
        ),
    ] {
        assert_eq!(client_of(header), Ok(client), "{}", header.escape_ascii());
    }
    let with_extension = [&V4[..], &[0x04, 0, 3, 1, 2, 3]].concat();
    for (header, client) in [
        (v2(0x21, 0x11, &V4), ip("203.0.113.9")),
        (v2(0x21, 0x11, &with_extension), ip("203.0.113.9")),
        (v2(0x21, 0x21, &v6()), ip("2001:db8::9")),
        (v2(0x21, 0x31, &[0; 216]), None),
        (v2(0x21, 0x00, &[]), None),
        (v2(0x21, 0x00, &[9; 40]), None),
        (v2(0x20, 0x00, &[]), None),
        (v2(0x20, 0x11, &V4), None),
        (v2(0x20, 0xff, &[1]), None),
        (
            v2(0x21, 0x11, &[&V4[..], &[0; V2_BYTES_MAX - 28]].concat()),
            ip("203.0.113.9"),
        ),
    ] {
        assert_eq!(client_of(&header), Ok(client), "{}", header.escape_ascii());
    }
}

#[test]
fn what_is_not_exactly_a_header_is_refused() {
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
    assert_eq!(long.len(), 108);
    for bad in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"\x16\x03\x01\x02\x00",
        b"proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n",
        b"PROXY\r\n",
        b"PROXY \r\n",
        b"PROXY TCP4\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n",
        b"PROXY TCP4  1.2.3.4 1.2.3.4 1 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\r\n",
        b"PROXY TCP4 1.2.3.4\t1.2.3.4 1 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4  1\r\n",
        b"PROXY TCP4 1.2.3 1.2.3.4 1 1\r\n",
        b"PROXY TCP4 01.2.3.4 1.2.3.4 1 1\r\n",
        b"PROXY TCP4 1.2.3.4 localhost 1 1\r\n",
        b"PROXY TCP4 ::1 ::1 1 1\r\n",
        b"PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n",
        b"PROXY TCP6 [::1] ::1 1 1\r\n",
        b"PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n",
        b"PROXY TCP 1.2.3.4 1.2.3.4 1 1\r\n",
        b"PROXY UNKNOWNS\r\n",
        b"PROXY UNKNOWN \r x\r\n",
        b"PROXY UNKNOWN \xff\r\n",
        long.as_bytes(),
        &v2(0x11, 0x11, &V4),
        &v2(0x22, 0x11, &V4),
        &v2(0x21, 0x12, &V4),
        &v2(0x21, 0x22, &v6()),
        &v2(0x21, 0x41, &v6()),
        &v2(0x21, 0x01, &[]),
        &v2(0x21, 0x11, &V4[..11]),
        &v2(0x21, 0x21, &v6()[..35]),
        &v2(0x21, 0x31, &[0; 215]),
        &v2(0x21, 0x11, &[0; V2_BYTES_MAX - 15]),
        b"\r\n\r\n\0\r\nQUIT\r",
        b"\r\n\r\nX",
    ] {
        let bytes = [
            bad,
            b" and more of it, so that nothing can be said to be missing \r\n",
        ]
        .concat();
        assert_eq!(
            parse_proxy_header(&bytes),
            Err(BadProxyHeader),
            "{}",
            bad.escape_ascii()
        );
    }
}

#[test]
fn the_longest_line_that_is_allowed_is_taken() {
    let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(91));
    assert_eq!(longest.len(), 107);
    assert_eq!(client_of(longest.as_bytes()), Ok(None));
    // And one that never ends is refused when it is as long as that, not later.
    let endless = "PROXY UNKNOWN ".to_owned() + &"x".repeat(200);
    assert_eq!(parse_proxy_header(&endless.as_bytes()[..106]), Ok(None));
    assert_eq!(
        parse_proxy_header(&endless.as_bytes()[..107]),
        Err(BadProxyHeader)
    );
}

/// The client, and all that followed the header.
type Read = Option<(Option<IpAddr>, Vec<u8>)>;

/// Feeds pieces until something is decided, and collects the rest.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<Read, BadProxyHeader> {
    let mut reader = ProxyReader::default();
    let mut found = None;
    for piece in pieces {
        match &mut found {
            None => {
                found = reader
                    .receive(piece)?
                    .map(|(header, rest)| (header.client, rest.to_vec()))
            }
            Some((_, rest)) => rest.extend_from_slice(piece),
        }
    }
    Ok(found)
}

fn pieces<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

fn header() -> impl Strategy<Value = Vec<u8>> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..300);
    prop_oneof![
        any::<([u8; 4], u16, u16)>().prop_map(|(address, one, two)| {
            let address = IpAddr::from(address);
            format!("PROXY TCP4 {address} 192.0.2.1 {one} {two}\r\n").into_bytes()
        }),
        any::<([u8; 16], u16, u16)>().prop_map(|(address, one, two)| {
            let address = IpAddr::from(address);
            format!("PROXY TCP6 {address} ::1 {one} {two}\r\n").into_bytes()
        }),
        "PROXY UNKNOWN [ -~]{0,110}\r\n".prop_map(String::into_bytes),
        "PROXY [ -~]{0,60}\r?\n".prop_map(String::into_bytes),
        (
            0x1f_u8..0x23,
            prop::sample::select(vec![0, 0x01, 0x11, 0x12, 0x21, 0x31, 0x40]),
            bytes()
        )
            .prop_map(|(command, family, rest)| v2(command, family, &rest)),
        bytes(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_of_header_and_data_gives_the_same(
        header in header(),
        data in prop::collection::vec(any::<u8>(), 0..6000),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let bytes = [&header[..], &data].concat();
        let whole = read(std::iter::once(&bytes[..]));
        prop_assert_eq!(&read(pieces(&bytes, &cuts).into_iter()), &whole);
        prop_assert_eq!(&read(bytes.chunks(1)), &whole);
        if let Ok(Some((_, rest))) = whole {
            prop_assert!(bytes.ends_with(&rest));
        }
    }

    /// TLS begins with the byte after the header, wherever the network cut the two.
    #[test]
    fn any_split_of_header_and_handshake_gives_the_same_connection(
        first in prop::sample::select(vec![
            b"PROXY TCP4 203.0.113.9 192.0.2.1 12345 443\r\n".to_vec(),
            v2(0x21, 0x11, &V4),
            v2(0x20, 0x00, &[]),
        ]),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let keys = keys();
        let mut conn = Conn::new(Rc::new(ConnConfig::with_tls(Arc::new(server(&keys)))), Nanos(0));
        let mut client = TlsClient::new(client(&keys, &[b"http/1.1"]));
        let bytes = [first, client.take_wire()].concat();
        let mut reader = Some(ProxyReader::default());
        for piece in pieces(&bytes, &cuts) {
            let mut rest = piece;
            if let Some(waiting) = &mut reader {
                let Some((_, after)) = waiting.receive(piece).unwrap() else { continue };
                rest = after;
                reader = None;
            }
            conn.receive(Nanos(1), rest);
        }
        client.write(b"GET /v1/stock/A HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let mut to_client = Vec::new();
        conn.transmit(&mut to_client, usize::MAX);
        client.give(&to_client);
        client.shuttle(&mut conn, Nanos(1));
        let seen = requests(&mut conn);
        prop_assert_eq!(seen.len(), 1);
        ok(&mut conn, Nanos(2), seen[0].exchange, b"here");
        prop_assert!(client.shuttle(&mut conn, Nanos(2)).ends_with(b"here"));
    }
}
