//! Whose request it is, by address: which peers are proxies we trust, and what they say about the client.
//!
//! A forwarded address is believed only from a trusted peer, and `X-Forwarded-For` is read from the right: each
//! proxy appends the peer it saw, so the right end is what our own proxies wrote and the left end is whatever the client
//! liked to claim. The client is the first address from the right that is not a trusted proxy itself.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

#[cfg(test)]
mod tests;

/// Addresses looked at from the right, at most; a longer chain is nobody's honest set of proxies.
const HOPS_MAX: usize = 16;

/// A network in CIDR notation; a plain address is a network of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Canonical (no IPv4-mapped IPv6), host bits zero.
    base: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether `address` lies in it. An IPv4-mapped IPv6 address is its IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                mask32(address.to_bits(), self.prefix) == base.to_bits()
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                mask128(address.to_bits(), self.prefix) == base.to_bits()
            }
            _ => false,
        }
    }
}

fn mask32(bits: u32, prefix: u8) -> u32 {
    bits & u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

fn mask128(bits: u128, prefix: u8) -> u128 {
    bits & u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        let wrong =
            || format!("`{text}` is neither an address nor a network such as 10.0.0.0/8 or 2001:db8::/32");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let base: IpAddr = address.parse().map_err(|_| wrong())?;
        let width = if base.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(width);
        if prefix > width {
            return Err(wrong());
        }
        let masked = match base {
            IpAddr::V4(v4) => IpAddr::V4(mask32(v4.to_bits(), prefix).into()),
            IpAddr::V6(v6) => IpAddr::V6(mask128(v6.to_bits(), prefix).into()),
        };
        if masked != base {
            return Err(format!(
                "`{text}` has bits set beyond its /{prefix}: did you mean {masked}/{prefix}?"
            ));
        }
        Ok(Network { base, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

/// The proxies whose word about a client is taken. Few networks: a linear search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<Network>,
}

impl TrustedProxies {
    /// Trusts peers in any of `networks`; none: clients connect directly.
    pub fn new(networks: Vec<Network>) -> TrustedProxies {
        TrustedProxies { networks }
    }

    /// 127.0.0.0/8 and ::1: what a listener on loopback trusts unless told otherwise.
    pub fn loopback() -> TrustedProxies {
        let parse = |text: &str| text.parse().expect("a constant that the tests parse");
        TrustedProxies::new(vec![parse("127.0.0.0/8"), parse("::1")])
    }

    /// Whether `peer` is one of them.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(peer))
    }

    /// The networks, as configured.
    pub fn networks(&self) -> &[Network] {
        &self.networks
    }

    /// The client's address for a request from `peer` whose `X-Forwarded-For` fields are `forwarded`, in the order
    /// in which they came (RFC 9110, section 5.3: several fields are one list). From the right, the first address that no
    /// trusted proxy has; a hop that is no address ends the search at the last proxy that could be believed.
    pub fn client<'a, I>(&self, peer: IpAddr, forwarded: I) -> IpAddr
    where
        I: IntoIterator<Item = &'a [u8]>,
        I::IntoIter: DoubleEndedIterator,
    {
        let mut client = peer.to_canonical();
        let hops = forwarded
            .into_iter()
            .rev()
            .flat_map(|field| field.rsplit(|byte| *byte == b','));
        for hop in hops.take(HOPS_MAX) {
            if !self.trusts(client) {
                return client;
            }
            match parse_hop(hop.trim_ascii()) {
                Some(address) => client = address,
                None => return client,
            }
        }
        client
    }
}

/// One list element: an address, as proxies write it: bare, `[v6]`, with a port, `[v6]:port` or `v4:port`.
fn parse_hop(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?;
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner
            .parse::<std::net::Ipv6Addr>()
            .ok()
            .map(|v6| IpAddr::V6(v6).to_canonical());
    }
    text.parse::<std::net::SocketAddr>()
        .ok()
        .map(|socket| socket.ip().to_canonical())
}
