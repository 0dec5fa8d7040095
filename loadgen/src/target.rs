//! Where the load goes.

use std::net::{SocketAddr, ToSocketAddrs};

/// A parsed `--target`.
#[derive(Clone, Debug)]
pub struct Target {
    /// Resolved address; the first one that the resolver gave.
    pub addr: SocketAddr,
    /// Host and port as they belong in `Host` and `:authority`.
    pub authority: String,
    /// Host alone, for SNI.
    pub host: String,
    /// `https` or cleartext.
    pub tls: bool,
    /// The URL's path, `/` when it has none.
    pub path: String,
}

/// What a target looks like.
const WANTED: &str = "want a URL such as https://127.0.0.1:8443";

impl Target {
    /// Parses `http[s]://host[:port][/path]` and resolves the host.
    pub fn parse(url: &str) -> Result<Target, String> {
        let uri: http::Uri = url
            .parse()
            .map_err(|e| format!("--target {url}: {e}; {WANTED}"))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(format!("--target {url}: {WANTED}")),
        };
        let host = uri
            .host()
            .ok_or_else(|| format!("--target {url}: no host; {WANTED}"))?;
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_string();
        let addr = (bare.as_str(), port)
            .to_socket_addrs()
            .map_err(|e| format!("--target {url}: {e}; spell its host otherwise, or give its address"))?
            .next()
            .ok_or_else(|| format!("--target {url}: the host has no address; give one"))?;
        let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
        Ok(Target {
            addr,
            authority,
            host: bare,
            tls,
            path: uri.path().to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_names_scheme_host_port_and_path() {
        let t = Target::parse("https://127.0.0.1:8443").unwrap();
        assert!(t.tls);
        assert_eq!(
            (t.addr.port(), t.authority.as_str(), t.path.as_str()),
            (8443, "127.0.0.1:8443", "/")
        );
        let t = Target::parse("http://[::1]:80/x").unwrap();
        assert!(!t.tls && t.addr.is_ipv6());
        assert_eq!(t.path, "/x");
        assert!(Target::parse("ftp://127.0.0.1/").is_err());
        assert!(Target::parse("127.0.0.1:80").is_err());
    }
}
