//! Who listens where, from `/proc/net/tcp` and `/proc/net/tcp6` (proc_net_tcp.txt in the kernel's documentation).

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listener {
    pub address: SocketAddr,
    pub inode: u64,
}

/// All of this network namespace.
pub(super) fn listeners() -> Vec<Listener> {
    let files = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
    files
        .iter()
        .flat_map(|text| text.lines().filter_map(parse))
        .collect()
}

/// `0: 0100007F:1F90 00000000:0000 0A … uid timeout inode …`, where 0A is LISTEN.
pub(super) fn parse(line: &str) -> Option<Listener> {
    let mut fields = line.split_whitespace().skip(1);
    let (local, _, state) = (fields.next()?, fields.next()?, fields.next()?);
    if state != "0A" {
        return None;
    }
    let (ip, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(Listener {
        address: SocketAddr::new(parse_ip(ip)?, port),
        inode: fields.nth(5)?.parse().ok()?,
    })
}

/// The kernel prints words of 32 bits as this machine's integers, whose bytes in memory are the address.
fn parse_ip(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let mut bytes = [0; 16];
            for (n, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(8 * n)?);
            }
            Some(IpAddr::V6(Ipv6Addr::from(bytes)))
        }
        _ => None,
    }
}

/// Whether a listener there leaves no room for one at `wanted`.
pub(super) fn collide(there: SocketAddr, wanted: SocketAddr) -> bool {
    let (one, two) = (there.ip().to_canonical(), wanted.ip().to_canonical());
    // A listener on :: takes IPv4 as well, unless it asked not to.
    let any = |ip: IpAddr, other: IpAddr| ip.is_unspecified() && (ip.is_ipv6() || other.is_ipv4());
    there.port() == wanted.port() && (one == two || any(one, two) || any(two, one))
}

/// Process and program that hold a socket. `None`: another user's, or of another container.
pub(super) fn owner(inode: u64) -> Option<(u32, String)> {
    let name = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let holds = |pid: u32| {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
        let mut links = files.flatten().filter_map(|file| fs::read_link(file.path()).ok());
        links.any(|link| link.as_os_str() == name.as_str()).then_some(())
    };
    let pid = pids.find(|pid| holds(*pid).is_some())?;
    let program = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some((pid, program.trim().to_owned()))
}
