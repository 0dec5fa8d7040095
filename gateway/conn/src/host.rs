//! Hosts, as `Host` and `:authority` carry them.

use crate::context::Context;

/// The host of `host[:port]` (RFC 9110 section 7.2), or `None` when it is not one. A strict subset of RFC 3986: no
/// user information, no percent encoding, no sub-delimiters; what is left cannot mean two things to two readers.
pub(crate) fn host_of(authority: &[u8]) -> Option<&str> {
    let (host, rest) = if authority.first() == Some(&b'[') {
        let end = authority.iter().position(|byte| *byte == b']')?;
        let inner = &authority[1..end];
        if inner.is_empty()
            || !inner
                .iter()
                .all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'))
        {
            return None;
        }
        authority.split_at(end + 1)
    } else {
        let end = authority
            .iter()
            .position(|byte| *byte == b':')
            .unwrap_or(authority.len());
        let (host, rest) = authority.split_at(end);
        if host.is_empty()
            || !host
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'))
        {
            return None;
        }
        (host, rest)
    };
    let port_is_fine = match rest {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if port_is_fine {
        std::str::from_utf8(host).ok()
    } else {
        None
    }
}

/// The host that the connection's requests name, once the certificate was found to cover it: reading a certificate
/// costs microseconds, and a connection nearly always names one host.
#[derive(Debug, Default)]
pub(crate) struct CoveredHost(Vec<u8>);

impl CoveredHost {
    /// Whether the certificate covers `host`; it is asked only when the host is another than before.
    pub fn admits(&mut self, host: &str, context: &Context<'_>) -> bool {
        if self.0 == host.as_bytes() {
            return true;
        }
        let covers = context.covers(host);
        if covers {
            self.0.clear();
            self.0.extend_from_slice(host.as_bytes());
        }
        covers
    }
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
        for (authority, host) in [
            ("example.org", Some("example.org")),
            ("example.org:8443", Some("example.org")),
            ("127.0.0.1:1", Some("127.0.0.1")),
            ("[::1]:8443", Some("[::1]")),
            ("[::1]", Some("[::1]")),
            ("a:", Some("a")),
            ("", None),
            (":80", None),
            ("a b", None),
            ("a@b", None),
            ("a/b", None),
            ("a:b", None),
            ("a:80:80", None),
            ("a:123456", None),
            ("[::1", None),
            ("[]", None),
            ("[x]", None),
            ("[::1]x", None),
            ("a,b", None),
        ] {
            assert_eq!(host_of(authority.as_bytes()), host, "{authority}");
        }
    }
}
