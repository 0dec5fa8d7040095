//! The disk under the data directory, and how long a sync really takes there.

use std::fs::{self, File};
use std::io::{self, IoSlice};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::io::{Errno, ReadWriteFlags, pwritev2};
use tidegate_log::{AlignedBuf, BLOCK};

use super::Check;
use super::mounts::{self, mount_of};
use crate::config::Config;

/// Writes that are timed: enough for a 99th percentile.
const WRITES: usize = 200;
/// Writes that are timed beside a gateway that serves: each delays one of its own.
const WRITES_BESIDE: usize = 20;
/// A slow disk is not written to for longer.
const TIME_MAX: Duration = Duration::from_secs(3);
/// Below this nothing that survives a power cut answers: NVMe with power-loss protection takes 10 to 30 us through the kernel, others more.
const VOLATILE_US: u64 = 20;
/// From here on the disk alone uses up a fifth of what an order may wait.
const SLOW_US: u64 = 10_000;
/// Orders that fit a block of the log at some 200 bytes each.
const ORDERS_PER_BLOCK: u64 = 20;

pub(super) fn file_system(data: &Path) -> Check {
    let name = "file system";
    let at = mounts::nearest(data);
    match mount_of(&at) {
        Some(mount) => {
            let found = format!("{} on {} ({})", mount.kind, mount.device, mount.point.display());
            judge_kind(&mount.kind, found)
        }
        None => Check::ok(name, "cannot be told here (/proc/self/mountinfo)"),
    }
}

pub(super) fn judge_kind(kind: &str, found: String) -> Check {
    let name = "file system";
    let wrong = match kind {
        "tmpfs" | "ramfs" => "it is memory: orders are gone with the machine's power",
        "overlay" => "it is a container's own layer: orders are gone with the container",
        "nfs" | "nfs4" | "cifs" | "9p" => {
            "it is another machine's disk: its syncs are as slow and as safe as the network"
        }
        _ if kind.starts_with("fuse") => "it is a program's: what its syncs mean is that program's affair",
        _ => return Check::ok(name, found),
    };
    Check::warn(
        name,
        found,
        wrong,
        "put server.data on a local disk (ext4 or xfs), in a container on a volume",
    )
}

pub(super) fn free_space(config: &Config, threads: usize) -> Check {
    let at = mounts::nearest(&config.server.data);
    let free = match rustix::fs::statvfs(&at) {
        Ok(stat) => stat.f_bavail.saturating_mul(stat.f_frsize),
        Err(error) => {
            return Check::warn(
                "free space",
                at.display().to_string(),
                error.to_string(),
                "look at `df`",
            );
        }
    };
    let log = bytes_below(&config.server.data.join("logs"), 2);
    let two_segments = 2 * config.shards.segment_bytes * threads as u64;
    judge_space(free, log, config.shards.backlog_bytes, two_segments)
}

/// `log`: what the log has taken already. Two segments a thread are what a start needs.
pub(super) fn judge_space(free: u64, log: u64, backlog: u64, two_segments: u64) -> Check {
    let name = "free space";
    let found = format!("{} MiB, and {} MiB of log", free >> 20, log >> 20);
    if free + log < two_segments {
        return Check::fail(
            name,
            found,
            format!(
                "a start needs {} MiB for the segments of its log",
                two_segments >> 20
            ),
            "free some, or put server.data on a larger disk",
        );
    }
    if free + log < backlog {
        return Check::warn(
            name,
            found,
            format!(
                "the log may grow to shards.backlog_bytes ({} MiB): the disk would be full before",
                backlog >> 20
            ),
            format!(
                "free some, or --set shards.backlog_bytes={}",
                ((free + log) / 2).max(two_segments)
            ),
        );
    }
    Check::ok(
        name,
        format!("{found}; shards.backlog_bytes is {} MiB", backlog >> 20),
    )
}

/// Bytes of the files below a directory, `depth` levels down.
fn bytes_below(directory: &Path, depth: u32) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else {
        return 0;
    };
    let each = entries.flatten().map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() && depth > 1 => bytes_below(&entry.path(), depth - 1),
        Ok(meta) if meta.is_file() => meta.len(),
        _ => 0,
    });
    each.sum()
}

/// O_DIRECT, and the sync time. `beside`: a gateway serves from this directory.
pub(super) fn sync_time(config: &Config, beside: bool) -> Vec<Check> {
    let at = mounts::nearest(&config.server.data);
    let writes = if beside { WRITES_BESIDE } else { WRITES };
    let shed = config.overload.shed_after;
    match measure(&at, writes) {
        Ok(measured) => vec![judge_direct(measured.direct), judge_sync(&measured.times, shed)],
        Err(error) => vec![Check::fail(
            "sync time",
            at.display().to_string(),
            error.to_string(),
            "the log could not be written either: free space, or name another directory with --data",
        )],
    }
}

pub(super) struct Measured {
    pub direct: bool,
    pub times: Vec<Duration>,
}

/// Times `writes` blocks written and synced as the log's are, over a file that was written in full before. The file has no name, so
/// that nothing is left behind however this ends.
pub(super) fn measure(directory: &Path, writes: usize) -> io::Result<Measured> {
    let (file, direct) = nameless(directory)?;
    file.write_all_at(&AlignedBuf::zeroed(writes * BLOCK), 0)?;
    file.sync_all()?;
    let block = AlignedBuf::zeroed(BLOCK);
    let (began, mut times) = (Instant::now(), Vec::with_capacity(writes));
    for n in 0..writes {
        let start = Instant::now();
        loop {
            match pwritev2(
                &file,
                &[IoSlice::new(&block)],
                (n * BLOCK) as u64,
                ReadWriteFlags::DSYNC,
            ) {
                Ok(BLOCK) => break,
                Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        times.push(start.elapsed());
        if began.elapsed() > TIME_MAX {
            break;
        }
    }
    Ok(Measured { direct, times })
}

fn nameless(directory: &Path) -> io::Result<(File, bool)> {
    match open(directory, OFlags::DIRECT) {
        Ok(file) => Ok((file, true)),
        // The file system has no O_DIRECT.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            Ok((open(directory, OFlags::empty())?, false))
        }
        Err(error) => Err(error),
    }
}

fn open(directory: &Path, flags: OFlags) -> io::Result<File> {
    let nameless = (OFlags::TMPFILE | flags).bits() as i32;
    let opened = File::options()
        .read(true)
        .write(true)
        .mode(0o600)
        .custom_flags(nameless)
        .open(directory);
    match opened.as_ref().map_err(|error| error.raw_os_error()) {
        // NFS and others have no files without a name.
        Err(Some(libc::EOPNOTSUPP | libc::EISDIR)) => unlinked(directory, flags),
        _ => opened,
    }
}

/// A file whose name is gone before anything is written to it.
pub(super) fn unlinked(directory: &Path, flags: OFlags) -> io::Result<File> {
    let path = directory.join(format!(".tidegate-doctor-{}", std::process::id()));
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(flags.bits() as i32)
        .open(&path);
    // Also when the flags were refused: some file systems make the file all the same.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => file,
    }
}

fn judge_direct(direct: bool) -> Check {
    match direct {
        true => Check::ok("O_DIRECT", "works"),
        false => Check::warn(
            "O_DIRECT",
            "the file system does not have it",
            "the log is written through the page cache, which costs CPU",
            "put server.data on ext4 or xfs",
        ),
    }
}

pub(super) fn judge_sync(times: &[Duration], shed_after: Duration) -> Check {
    let name = "sync time";
    let mut us: Vec<u64> = times.iter().map(|time| time.as_micros() as u64).collect();
    us.sort_unstable();
    let (Some(p50), Some(p99)) = (us.get(us.len() / 2), us.get(us.len() * 99 / 100)) else {
        return Check::warn(name, "not measured", "no write came back", "ask again");
    };
    let syncs = 1_000_000 / (*p50).max(1);
    let found = format!(
        "p50 {p50} us, p99 {p99} us over {} writes: {syncs} syncs/s, some {} orders/s a shard thread at {ORDERS_PER_BLOCK} a sync",
        us.len(),
        syncs * ORDERS_PER_BLOCK
    );
    if Duration::from_micros(*p50) >= shed_after {
        return Check::fail(
            name,
            found,
            format!(
                "an order waits {} ms at most, so most would be answered 503",
                shed_after.as_millis()
            ),
            "put server.data on a disk with power-loss protection, or raise overload.shed_after_ms",
        );
    }
    if *p50 < VOLATILE_US {
        return Check::warn(
            name,
            found,
            "suspiciously fast: does a volatile cache answer? A power cut would take acknowledged orders",
            "look at /sys/block/*/queue/write_cache, and at the hypervisor's cache mode (writethrough or none, not unsafe)",
        );
    }
    if *p99 > SLOW_US {
        return Check::warn(
            name,
            found,
            "every hundredth order waits this long for the disk alone",
            "put server.data on a disk with power-loss protection and no neighbours",
        );
    }
    Check::ok(name, found)
}
