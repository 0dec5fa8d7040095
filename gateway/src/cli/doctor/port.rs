//! Whether an address can be listened on.

use std::net::SocketAddr;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use super::{Check, Holder, sockets};

/// `flag` is what chooses another address.
pub(super) fn port(name: &'static str, flag: &str, address: SocketAddr, holder: Holder) -> Check {
    if address.port() == 0 {
        return Check::ok(name, format!("{address}: the kernel chooses one"));
    }
    let there = sockets::listeners()
        .into_iter()
        .find(|there| sockets::collide(there.address, address));
    if let Some(there) = there {
        let owner = sockets::owner(there.inode);
        return judge_taken(name, flag, address, owner, holder);
    }
    match try_bind(address) {
        Ok(()) => Check::ok(name, format!("{address} is free")),
        Err(Errno::ACCESS) => Check::fail(
            name,
            address.to_string(),
            "a port below net.ipv4.ip_unprivileged_port_start is for root",
            "give CAP_NET_BIND_SERVICE (AmbientCapabilities in the unit), or choose a higher port",
        ),
        Err(Errno::ADDRNOTAVAIL) => Check::fail(
            name,
            address.to_string(),
            "no interface of this machine has that address",
            format!("choose one of `ip address` with {flag}, or 0.0.0.0"),
        ),
        Err(error) => Check::fail(
            name,
            address.to_string(),
            error.to_string(),
            format!("choose another with {flag}"),
        ),
    }
}

/// The admin address has no TLS and no password.
pub(super) fn admin_reach(address: SocketAddr) -> Check {
    let name = "admin reach";
    match address.ip().to_canonical().is_loopback() {
        true => Check::ok(name, "this machine alone"),
        false => Check::warn(
            name,
            address.to_string(),
            "whoever reaches it may drain the gateway and take profiles: it has no password",
            "--set server.admin=127.0.0.1:9901, or a network of operators behind a firewall",
        ),
    }
}

pub(super) fn judge_taken(
    name: &'static str,
    flag: &str,
    address: SocketAddr,
    owner: Option<(u32, String)>,
    holder: Holder,
) -> Check {
    match owner {
        Some((pid, _)) if holder.pid() == Some(pid) => Check::ok(
            name,
            format!("{address} is served by the tidegate that runs (pid {pid})"),
        ),
        Some((pid, program)) => Check::fail(
            name,
            address.to_string(),
            format!("{program} (pid {pid}) listens there"),
            format!("choose another with {flag}, or end it with `kill {pid}`"),
        ),
        None => Check::fail(
            name,
            address.to_string(),
            "a process of another user listens there",
            format!(
                "choose another with {flag}; `sudo ss -ltnp sport = :{}` names it",
                address.port()
            ),
        ),
    }
}

/// Binds and does not listen: nothing can connect, and what listens elsewhere is not disturbed.
fn try_bind(address: SocketAddr) -> Result<(), Errno> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)
}
