//! The data directory's files, for start, checkpoints and the supply of segments. Blocking: never on a shard
//! thread.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, FallocateFlags, OFlags, fadvise, fallocate};
use tidegate_log::{AlignedBuf, BLOCK};
use tidegate_node::Files;

/// Bytes of zeros written at a time: long enough for the device's speed, short enough that the log's own
/// writes come in between.
const ZERO_BYTES: usize = 256 * 1024;

/// Files below one directory.
#[derive(Debug)]
pub struct OsFiles {
    root: PathBuf,
    /// The file that was used last: recovery and checkpoints go through one in many steps.
    last: Option<(String, File)>,
    /// How files will be read.
    advice: Advice,
}

impl OsFiles {
    /// Files below `root`.
    pub fn new(root: &Path) -> OsFiles {
        OsFiles {
            root: root.to_owned(),
            last: None,
            advice: Advice::Normal,
        }
    }

    /// Files below `root`, the last of which others write meanwhile with O_DIRECT: nothing is read ahead. What the kernel has read ahead of where they
    /// write it must throw away again before each of their writes, and a page that it is still reading they wait for.
    pub fn behind_writers(root: &Path) -> OsFiles {
        OsFiles {
            advice: Advice::Random,
            ..OsFiles::new(root)
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        if path.is_empty() {
            self.root.clone()
        } else {
            self.root.join(path)
        }
    }

    fn open(&mut self, path: &str, create: bool) -> io::Result<&File> {
        if self.last.as_ref().is_none_or(|(open, _)| open != path) {
            let file = File::options()
                .read(true)
                .write(true)
                .create(create)
                .truncate(false)
                .open(self.at(path))
                .map_err(|error| named(error, path))?;
            // Advice: where it is not taken, files are read all the same.
            _ = fadvise(&file, 0, None, self.advice);
            self.last = Some((path.to_owned(), file));
        }
        let (_, file) = self.last.as_ref().ok_or(io::ErrorKind::NotFound)?;
        Ok(file)
    }
}

/// An error that says which file. Its kind is `ResourceBusy` when there was no file descriptor left: std has no
/// kind for that.
pub(crate) fn named(error: io::Error, path: &str) -> io::Error {
    let kind = match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => io::ErrorKind::ResourceBusy,
        _ => error.kind(),
    };
    io::Error::new(kind, format!("{path}: {error}"))
}

impl Files for OsFiles {
    fn list(&mut self, dir: &str) -> io::Result<Vec<String>> {
        let entries = match std::fs::read_dir(self.at(dir)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| named(error, dir))?,
        };
        // A name that is not UTF-8 is none of ours.
        entries
            .filter_map(|entry| {
                entry
                    .map(|entry| entry.file_name().into_string().ok())
                    .transpose()
            })
            .collect()
    }

    fn len(&mut self, path: &str) -> io::Result<u64> {
        std::fs::metadata(self.at(path))
            .map(|meta| meta.len())
            .map_err(|error| named(error, path))
    }

    fn read_at(&mut self, path: &str, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let file = self.open(path, false)?;
        let mut filled = 0;
        while filled < buf.len() {
            match file.read_at(&mut buf[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(named(error, path)),
            }
        }
        Ok(filled)
    }

    fn write_at(&mut self, path: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let file = self.open(path, true)?;
        file.write_all_at(bytes, offset)
            .map_err(|error| named(error, path))
    }

    fn zero(&mut self, path: &str, offset: u64, len: u64) -> io::Result<()> {
        self.last = None;
        let zeroed = zero(&self.at(path), offset, len);
        zeroed.map_err(|error| named(error, path))
    }

    fn cut(&mut self, path: &str, len: u64) -> io::Result<()> {
        let file = self.open(path, false)?;
        let cut = file.metadata().and_then(|meta| match meta.len() > len {
            true => file.set_len(len),
            false => Ok(()),
        });
        cut.map_err(|error| named(error, path))
    }

    fn sync(&mut self, path: &str) -> io::Result<()> {
        let synced = self.open(path, false)?.sync_all();
        synced.map_err(|error| named(error, path))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.last = None;
        std::fs::rename(self.at(from), self.at(to)).map_err(|error| named(error, from))
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        self.last = None;
        let path_at = self.at(path);
        let removed = match std::fs::symlink_metadata(&path_at) {
            Ok(meta) if meta.is_dir() => std::fs::remove_dir(&path_at),
            Ok(_) => std::fs::remove_file(&path_at),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(named(error, path)),
            _ => Ok(()),
        }
    }

    fn create_dir(&mut self, dir: &str) -> io::Result<()> {
        std::fs::create_dir_all(self.at(dir)).map_err(|error| named(error, dir))
    }

    fn sync_dir(&mut self, dir: &str) -> io::Result<()> {
        File::open(self.at(dir))
            .and_then(|dir| dir.sync_all())
            .map_err(|error| named(error, dir))
    }
}

/// Zeros that are really written: an extent that was only allocated would be converted, and so journaled, at
/// the first sync of each of its blocks.
fn zero(path: &Path, offset: u64, len: u64) -> io::Result<()> {
    let open = |flags| {
        File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags(flags)
            .open(path)
    };
    let aligned = offset.is_multiple_of(BLOCK as u64) && len.is_multiple_of(BLOCK as u64);
    let direct = if aligned {
        open(OFlags::DIRECT.bits() as i32).ok()
    } else {
        None
    };
    let file = match direct {
        Some(file) => file,
        None => open(0)?,
    };
    if len > offset {
        match fallocate(&file, FallocateFlags::empty(), offset, len - offset) {
            // Not every file system can; the writes below say if there is room.
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let zeros = AlignedBuf::zeroed(ZERO_BYTES);
    let mut at = offset;
    while at < len {
        let now = (len - at).min(ZERO_BYTES as u64) as usize;
        file.write_all_at(&zeros[..now], at)?;
        at += now as u64;
    }
    file.set_len(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_do_what_their_contract_says() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = OsFiles::new(dir.path());
        assert!(files.list("none").unwrap().is_empty());
        files.create_dir("a/b").unwrap();
        files.write_at("a/b/c", 3, b"xyz").unwrap();
        assert_eq!(files.read("a/b/c").unwrap(), b"\0\0\0xyz");
        files.zero("a/b/c", 4, 8192).unwrap();
        assert_eq!(files.len("a/b/c").unwrap(), 8192);
        assert_eq!(files.read("a/b/c").unwrap()[..6], *b"\0\0\0x\0\0");
        files.write_at("a/b/c", 4096, &[7; 4096]).unwrap();
        files.zero("a/b/c", 4096, 8192).unwrap();
        assert!(files.read("a/b/c").unwrap()[4096..].iter().all(|byte| *byte == 0));
        files.cut("a/b/c", 16_384).unwrap();
        assert_eq!(files.len("a/b/c").unwrap(), 8192, "a cut makes nothing longer");
        files.cut("a/b/c", 4096).unwrap();
        assert_eq!(files.len("a/b/c").unwrap(), 4096);
        files.sync("a/b/c").unwrap();
        files.rename("a/b/c", "a/d").unwrap();
        files.sync_dir("a").unwrap();
        files.remove("a/none").unwrap();
        files.remove("a/d").unwrap();
        files.remove("a/b").unwrap();
        assert!(files.list("a").unwrap().is_empty());
        assert!(files.sync("a/d").is_err());
        files.replace("", "M", b"one").unwrap();
        files.replace("", "M", b"two").unwrap();
        assert_eq!(files.read("M").unwrap(), b"two");
    }

    #[test]
    fn a_want_of_descriptors_has_a_kind_of_its_own() {
        for (code, kind) in [
            (libc::EMFILE, io::ErrorKind::ResourceBusy),
            (libc::ENFILE, io::ErrorKind::ResourceBusy),
            (libc::ENOSPC, io::ErrorKind::StorageFull),
        ] {
            assert_eq!(named(io::Error::from_raw_os_error(code), "a").kind(), kind);
        }
    }
}
