//! The kernel, and whether io_uring works here: asked by making a ring, as a start does.

use super::Check;
use crate::config::checked::Io;
use crate::net::Shell;

/// DEFER_TASKRUN, which the net thread's loop is built on.
const KERNEL_MIN: (u32, u32) = (6, 1);

pub(super) fn kernel() -> Check {
    let uname = rustix::system::uname();
    judge_kernel(&uname.release().to_string_lossy())
}

pub(super) fn judge_kernel(release: &str) -> Check {
    let found = format!("Linux {release}");
    match version(release) {
        Some(version) if version < KERNEL_MIN => Check::warn(
            "kernel",
            found,
            format!(
                "older than {}.{}: net threads run on epoll, which costs more CPU",
                KERNEL_MIN.0, KERNEL_MIN.1
            ),
            "install a newer kernel",
        ),
        _ => Check::ok("kernel", found),
    }
}

/// `6.1.0-13-amd64` → (6, 1).
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

pub(super) fn io_uring(io: Io) -> Check {
    let name = "io_uring";
    match Shell::choose(io) {
        Ok((Shell::Monoio(driver), None)) => Check::ok(
            name,
            format!("not asked for: server.io chooses monoio, {driver:?}"),
        ),
        Ok((_, None)) => Check::ok(
            name,
            "works (a ring with DEFER_TASKRUN and buffer rings was made)",
        ),
        Ok((_, Some(why))) => Check::warn(name, circumstances(), why, "or say so with --set server.io=epoll"),
        Err(why) => Check::fail(
            name,
            circumstances(),
            why,
            "or let it choose with --set server.io=auto",
        ),
    }
}

/// What usually decides it: the sysctl and the seccomp mode of this process.
fn circumstances() -> String {
    let disabled = match std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled") {
        Ok(value) => format!("kernel.io_uring_disabled={}", value.trim()),
        Err(_) => "no kernel.io_uring_disabled".to_owned(),
    };
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let seccomp = status.lines().find_map(|line| line.strip_prefix("Seccomp:"));
    let seccomp = match seccomp.map(str::trim) {
        Some("2") => "a seccomp filter is on",
        Some("0") => "no seccomp filter",
        _ => "seccomp unknown",
    };
    format!("{disabled}, {seccomp}")
}
