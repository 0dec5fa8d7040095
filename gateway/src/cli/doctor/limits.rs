//! Limits of the process.

use rustix::process::{Resource, getrlimit};

use super::Check;
use crate::config::checked::Writer;
use crate::net;

/// What glommio locks a thread.
const GLOMMIO_BYTES: u64 = 512 << 10;

pub(super) fn locked_memory(writer: Writer, threads: usize) -> Check {
    judge_locked_memory(getrlimit(Resource::Memlock).current, writer, threads)
}

/// `limit` is `None` where there is none. Rings of net threads are not counted here: kernels since 5.12 charge them to the cgroup, and the
/// check of io_uring makes one.
pub(super) fn judge_locked_memory(limit: Option<u64>, writer: Writer, threads: usize) -> Check {
    let name = "locked memory";
    let Some(limit) = limit else {
        return Check::ok(name, "unlimited");
    };
    let found = format!("{} KiB", limit >> 10);
    let needed = GLOMMIO_BYTES * threads as u64;
    if writer == Writer::Glommio && limit < needed {
        return Check::warn(
            name,
            found,
            format!(
                "shards.writer = \"glommio\" locks {} KiB; the log would be written with pwritev2 instead",
                needed >> 10
            ),
            "raise LimitMEMLOCK (systemd) or ulimit -l, or choose --set shards.writer=auto",
        );
    }
    Check::ok(name, found)
}

pub(super) fn open_files(connections_max: usize) -> Check {
    // A start raises the soft limit to the hard one.
    judge_open_files(getrlimit(Resource::Nofile).maximum, connections_max)
}

pub(super) fn judge_open_files(limit: Option<u64>, connections_max: usize) -> Check {
    let name = "open files";
    let needed = net::descriptors_needed(connections_max);
    match limit {
        None => Check::ok(name, "unlimited"),
        Some(limit) if limit < needed => Check::warn(
            name,
            limit.to_string(),
            format!(
                "the limit of open files is below server.connections_max ({connections_max}) and what is open beside them"
            ),
            format!("raise LimitNOFILE (systemd) or ulimit -n to {needed}"),
        ),
        Some(limit) => Check::ok(
            name,
            format!("{limit}, {needed} needed for server.connections_max"),
        ),
    }
}
