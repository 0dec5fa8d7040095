//! An order as a browser behind a CDN sends it on HTTP/1.1.

/// What is ordered; the connection does not read it.
pub const BODY: &[u8] = &[b'x'; 200];

/// Head and body.
pub fn post() -> Vec<u8> {
    let mut bytes = format!(
        "POST /v1/orders HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nIdempotency-Key: k-1\r\n\
         Content-Type: application/json\r\nX-Forwarded-For: 10.0.0.1\r\nContent-Length: {}\r\n\r\n",
        "t".repeat(300),
        BODY.len()
    )
    .into_bytes();
    bytes.extend_from_slice(BODY);
    bytes
}
