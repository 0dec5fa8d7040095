//! Settings of the network.

use std::fs;

use super::Check;
use crate::limits::LISTEN_BACKLOG;

fn sysctl(name: &str) -> Option<u64> {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

pub(super) fn somaxconn() -> Check {
    judge_somaxconn(sysctl("net.core.somaxconn"))
}

pub(super) fn judge_somaxconn(value: Option<u64>) -> Check {
    let name = "accept queue";
    match value {
        None => Check::ok(name, "net.core.somaxconn cannot be read here"),
        Some(value) if value < LISTEN_BACKLOG as u64 => Check::warn(
            name,
            format!("net.core.somaxconn={value}"),
            format!(
                "cuts the accept queue of each listener below {LISTEN_BACKLOG}: a burst of connections is turned away"
            ),
            format!("sysctl -w net.core.somaxconn={LISTEN_BACKLOG}"),
        ),
        Some(value) => Check::ok(name, format!("net.core.somaxconn={value}")),
    }
}

pub(super) fn migrate(nets: usize) -> Check {
    judge_migrate(sysctl("net.ipv4.tcp_migrate_req"), nets)
}

/// Only with several listeners on the port is there one that a waiting connection can go to.
pub(super) fn judge_migrate(value: Option<u64>, nets: usize) -> Check {
    let name = "tcp_migrate_req";
    match value {
        Some(0) if nets > 1 => Check::warn(
            name,
            "net.ipv4.tcp_migrate_req=0",
            "connections that wait in the accept queue of a net thread that closes are reset (in a restart beside another process on the port)",
            "sysctl -w net.ipv4.tcp_migrate_req=1",
        ),
        Some(value) => Check::ok(
            name,
            format!("net.ipv4.tcp_migrate_req={value}, {nets} net threads"),
        ),
        None => Check::ok(name, "cannot be read here (Linux 5.14 or newer has it)"),
    }
}
