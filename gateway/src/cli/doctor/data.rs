//! The data directory: whose it is, who uses it, what it says of itself.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, FlockOperation, accessat, flock};
use tidegate_log::Manifest;

use super::{Check, mounts};
use crate::config::Config;
use crate::{backoffice, shards};

const DIRECTORY: &str = "data directory";

pub(super) fn directory(data: &Path) -> Check {
    let at = mounts::nearest(data);
    let is_there = data.is_dir();
    if !is_there && data.exists() {
        return Check::fail(
            DIRECTORY,
            data.display().to_string(),
            "is no directory",
            "name another with --data",
        );
    }
    let may = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    let me = rustix::process::geteuid().as_raw();
    if let Err(error) = accessat(CWD, &at, may, AtFlags::EACCESS) {
        let owner = fs::metadata(&at).map_or(0, |meta| meta.uid());
        return Check::fail(
            DIRECTORY,
            format!("{} of uid {owner}", at.display()),
            format!("uid {me} cannot write there ({error})"),
            format!(
                "chown -R {me} {}, start as its owner, or name another with --data",
                data.display()
            ),
        );
    }
    if !is_there {
        return Check::ok(
            DIRECTORY,
            format!(
                "{} is not there yet; a start makes it in {}",
                data.display(),
                at.display()
            ),
        );
    }
    match fs::metadata(data) {
        Ok(meta) => judge_rights(
            &data.display().to_string(),
            meta.uid(),
            meta.permissions().mode(),
            me,
        ),
        Err(error) => Check::fail(
            DIRECTORY,
            data.display().to_string(),
            error.to_string(),
            "name another with --data",
        ),
    }
}

pub(super) fn judge_rights(data: &str, owner: u32, mode: u32, me: u32) -> Check {
    let found = format!("{data}, writable, of uid {owner}, mode {:04o}", mode & 0o7777);
    if owner != me {
        return Check::warn(
            DIRECTORY,
            found,
            format!("it is asked as uid {me}: a start as that user leaves files that its owner cannot write"),
            "ask, and start, as its owner (sudo -u)",
        );
    }
    match mode & 0o077 {
        0 => Check::ok(DIRECTORY, found),
        _ => Check::warn(
            DIRECTORY,
            found,
            "others can look into it",
            format!("chmod 700 {data}"),
        ),
    }
}

/// Who uses the data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Holder {
    /// Nobody.
    Nobody,
    /// A process, which is named if it can be seen from here.
    Process(Option<u32>),
}

impl Holder {
    /// Looks first at what the kernel lists, so that the lock is not touched: a start at this moment would find it taken.
    pub fn of(data: &Path) -> Holder {
        let Ok(file) = File::open(data.join("LOCK")) else {
            return Holder::Nobody;
        };
        let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
        let inode = file.metadata().map_or(0, |meta| meta.ino());
        if let Some(pid) = locks.lines().find_map(|line| flock_of(line, inode)) {
            return Holder::Process(Some(pid));
        }
        // A process of another container is not listed.
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Err(rustix::io::Errno::WOULDBLOCK) => Holder::Process(None),
            _ => Holder::Nobody,
        }
    }

    pub fn pid(self) -> Option<u32> {
        match self {
            Holder::Process(pid) => pid,
            Holder::Nobody => None,
        }
    }

    pub fn is_held(self) -> bool {
        self != Holder::Nobody
    }
}

/// `1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF` (proc_locks(5)). Devices are not compared: layered file systems show two
/// numbers for one.
pub(super) fn flock_of(line: &str, inode: u64) -> Option<u32> {
    let mut fields = line.split_whitespace().skip(1);
    let (kind, _, access) = (fields.next()?, fields.next()?, fields.next()?);
    let (pid, place) = (fields.next()?, fields.next()?);
    let is_it = kind == "FLOCK" && access == "WRITE" && place.rsplit(':').next()?.parse() == Ok(inode);
    is_it.then(|| pid.parse().ok()).flatten()
}

pub(super) fn lock(data: &Path, holder: Holder) -> Check {
    let name = "lock";
    let started_again = "this start would be refused; stop it first to start it here again";
    match holder {
        Holder::Nobody => Check::ok(name, "nobody uses the data directory"),
        Holder::Process(Some(pid)) => Check::ok(
            name,
            format!("held by the tidegate that runs (pid {pid}); {started_again}"),
        ),
        Holder::Process(None) => Check::ok(
            name,
            format!(
                "{} is held by a process that cannot be seen from here; {started_again}",
                data.join("LOCK").display()
            ),
        ),
    }
}

pub(super) fn manifest(config: &Config, threads: usize) -> Check {
    let name = "format";
    let data = &config.server.data;
    let path = data.join("MANIFEST");
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return judge_absent(data),
        Err(error) => {
            return Check::fail(
                name,
                path.display().to_string(),
                error.to_string(),
                "ask as the owner of the data directory",
            );
        }
    };
    match Manifest::decode(&bytes) {
        Ok(manifest) => match backoffice::store(config) {
            Ok(store) => judge_manifest(&manifest, &store, threads),
            Err(error) => Check::fail(
                name,
                path.display().to_string(),
                error,
                "put its store's file back, or name it with backoffice.store",
            ),
        },
        Err(error) => Check::fail(
            name,
            path.display().to_string(),
            error.to_string(),
            "restore the directory from a copy, or start on a new one with --data",
        ),
    }
}

fn judge_absent(data: &Path) -> Check {
    match data.join("logs").is_dir() {
        false => Check::ok("format", "a new data directory"),
        true => Check::fail(
            "format",
            data.display().to_string(),
            "there are logs, but the file MANIFEST is missing",
            "restore it from a copy of the directory, or start on a new one with --data",
        ),
    }
}

pub(super) fn judge_manifest(manifest: &Manifest, store: &str, threads: usize) -> Check {
    let name = "format";
    let found = format!(
        "format 2, {} shards, store {:?}, {} starts",
        manifest.shards, manifest.store, manifest.start.0
    );
    // A directory that fed none takes the store that comes.
    if manifest.store != store && manifest.store != shards::NO_STORE {
        let wrong = format!(
            "the data directory feeds the store {:?}, not {store:?}",
            manifest.store
        );
        return Check::fail(
            name,
            found,
            wrong,
            "name the file of its own store with backoffice.store, start with backoffice.mode=embedded, or name another directory with --data",
        );
    }
    if threads > usize::from(manifest.shards) {
        let wrong = format!("{threads} shard threads for {} shards", manifest.shards);
        return Check::fail(
            name,
            found,
            wrong,
            format!("--set shards.threads={}", manifest.shards),
        );
    }
    Check::ok(name, found)
}
