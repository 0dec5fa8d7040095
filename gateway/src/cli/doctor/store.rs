//! The store's file: whether it can be there, and whose disk its commits go to.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::{Check, mounts};
use crate::config::Config;
use crate::config::checked::BackofficeMode;

const NAME: &str = "store";
/// Room below which a day of a shop may fill the disk: some million orders with their lines and history.
const FREE_MIN: u64 = 1 << 30;

/// Nothing without a store.
pub(super) fn store(config: &Config) -> Option<Check> {
    if config.backoffice == BackofficeMode::None {
        return None;
    }
    let (data, path) = (&config.server.data, &config.store);
    let folder = folder_of(path);
    if !folder.is_dir() && folder == folder_of(&data.join("any")) {
        return Some(Check::ok(
            NAME,
            format!("{}, made by the first start", path.display()),
        ));
    }
    Some(examine(data, path, folder).unwrap_or_else(|check| check))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn examine(data: &Path, path: &Path, folder: &Path) -> Result<Check, Check> {
    let fail = |wrong: String, remedy: String| Check::fail(NAME, path.display().to_string(), wrong, remedy);
    let meta = fs::metadata(folder)
        .ok()
        .filter(fs::Metadata::is_dir)
        .ok_or_else(|| {
            fail(
                format!("{} is no folder that is there", folder.display()),
                "make it, mount its disk, or name another file with backoffice.store".into(),
            )
        })?;
    let may = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    let me = rustix::process::geteuid().as_raw();
    // SQLite makes its own log beside the file.
    accessat(CWD, folder, may, AtFlags::EACCESS).map_err(|error| {
        fail(
            format!("uid {me} cannot write to {} ({error})", folder.display()),
            format!(
                "chown {me} {}, or name another file with backoffice.store",
                folder.display()
            ),
        )
    })?;
    let free = rustix::fs::statvfs(folder)
        .map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize))
        .map_err(|error| fail(error.to_string(), "look at `df`".into()))?;
    let bytes = fs::metadata(path).map_or(0, |meta| meta.len());
    let own_disk = fs::metadata(mounts::nearest(data)).is_ok_and(|data| data.dev() != meta.dev());
    Ok(judge(&path.display().to_string(), bytes, free, own_disk))
}

pub(super) fn judge(path: &str, bytes: u64, free: u64, own_disk: bool) -> Check {
    let disk = if own_disk {
        "a disk of its own"
    } else {
        "the log's disk"
    };
    let found = format!(
        "{path}, {} MiB, on {disk} with {} MiB free",
        bytes >> 20,
        free >> 20
    );
    if free < FREE_MIN {
        return Check::warn(
            NAME,
            found,
            "a full disk stops the store, and then the log grows to shards.backlog_bytes",
            "free some, or move the store (`tidegate store migrate DATA --to FILE`)",
        );
    }
    Check::ok(NAME, found)
}
