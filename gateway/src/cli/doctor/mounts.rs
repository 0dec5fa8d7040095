//! Which file system a directory lies on, from `/proc/self/mountinfo` (proc_pid_mountinfo(5)).

use std::path::{Path, PathBuf};

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Mount {
    /// Where it is mounted.
    pub point: PathBuf,
    /// Its type, as `ext4`.
    pub kind: String,
    /// The device.
    pub device: String,
    /// The mount's options.
    pub options: String,
}

/// The mount that `path`, which exists, lies on.
pub(in crate::cli) fn mount_of(path: &Path) -> Option<Mount> {
    let path = path.canonicalize().ok()?;
    find(&std::fs::read_to_string("/proc/self/mountinfo").ok()?, &path)
}

/// The longest mount point above `path`; of several on one point the last, which hides the others.
pub(super) fn find(mountinfo: &str, path: &Path) -> Option<Mount> {
    let above = mountinfo
        .lines()
        .filter_map(parse)
        .filter(|mount| path.starts_with(&mount.point));
    above.max_by_key(|mount| mount.point.as_os_str().len())
}

/// `36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn parse(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(4);
    let (point, options) = (left.next()?, left.next()?);
    let mut right = right.split(' ');
    Some(Mount {
        // Blanks are written as octal escapes.
        point: PathBuf::from(point.replace("\\040", " ")),
        kind: right.next()?.to_owned(),
        device: right.next()?.to_owned(),
        options: options.to_owned(),
    })
}

/// `path`, or the nearest directory above it that exists: where it would be made.
pub(super) fn nearest(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let there = absolute.ancestors().find(|above| above.is_dir());
    there.map_or_else(|| PathBuf::from("/"), Path::to_path_buf)
}
