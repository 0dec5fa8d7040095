//! The file operations that start, checkpointing and segment supply need.
//!
//! They are blocking and slow, so they never run on a shard thread's hot path: the host implements them over the
//! operating system, the simulation over a disk that loses what was not synced. The orchestration above them is
//! the same code in both.

use std::io;

/// Blocking access to the files below one data directory. Paths are relative, separated by `/`.
///
/// Durability is explicit: bytes survive a crash after [`Files::sync`], names after [`Files::sync_dir`].
pub trait Files {
    /// The names (not paths) of the files and directories in `dir`; an empty list when `dir` does not exist.
    fn list(&mut self, dir: &str) -> io::Result<Vec<String>>;
    /// The length of a file in bytes.
    fn len(&mut self, path: &str) -> io::Result<u64>;
    /// Reads up to `buf.len()` bytes from `offset`; fewer only at the end of the file.
    fn read_at(&mut self, path: &str, offset: u64, buf: &mut [u8]) -> io::Result<usize>;
    /// Writes all of `bytes` at `offset`, creating the file or making it longer as needed.
    fn write_at(&mut self, path: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes sure that the file exists, is `len` bytes long with its blocks allocated, and is zero from `offset` on.
    fn zero(&mut self, path: &str, offset: u64, len: u64) -> io::Result<()>;
    /// Makes a file that is longer than `len` bytes as long as that; what lay behind is gone and its room free.
    fn cut(&mut self, path: &str, len: u64) -> io::Result<()>;
    /// Returns once the file's bytes and length are on the device. A failure is never retried.
    fn sync(&mut self, path: &str) -> io::Result<()>;
    /// Puts `from` in the place of `to`, atomically.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file or an empty directory. One that is not there is no error.
    fn remove(&mut self, path: &str) -> io::Result<()>;
    /// Makes a directory and its parents; one that exists is no error.
    fn create_dir(&mut self, dir: &str) -> io::Result<()>;
    /// Returns once the names in `dir` are on the device.
    fn sync_dir(&mut self, dir: &str) -> io::Result<()>;

    /// Reads a whole file.
    fn read(&mut self, path: &str) -> io::Result<Vec<u8>> {
        let len = usize::try_from(self.len(path)?).map_err(io::Error::other)?;
        let mut bytes = vec![0; len];
        let mut filled = 0;
        while filled < len {
            let read = self.read_at(path, filled as u64, &mut bytes[filled..])?;
            if read == 0 {
                bytes.truncate(filled);
                break;
            }
            filled += read;
        }
        Ok(bytes)
    }

    /// Writes a small file so that a crash leaves the old content or the new one, never a part.
    fn replace(&mut self, dir: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = join(dir, name);
        let fresh = format!("{path}.new");
        self.remove(&fresh)?;
        self.write_at(&fresh, 0, bytes)?;
        self.sync(&fresh)?;
        self.rename(&fresh, &path)?;
        self.sync_dir(dir)
    }
}

/// `dir/name`, or `name` for the root.
pub fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() {
        name.to_owned()
    } else {
        format!("{dir}/{name}")
    }
}
