//! A disk that keeps only what was synced.
//!
//! Until a sync, each write may be lost, kept, torn at a sector, kept out of order or kept with flipped bits, and
//! each change of a name may be lost together with those after it. A killed process leaves its unsynced writes
//! in the page cache, where the next start reads them, and where a later loss of power still takes them away.

use std::collections::BTreeMap;
use std::io;

use tidegate_node::Files;

use crate::rng::Rng;

/// The unit that a device writes whole.
const SECTOR: usize = 512;

/// What an unsynced write does.
#[derive(Debug)]
enum Change {
    Bytes(Vec<u8>),
    Zero(usize),
    /// The file ends here.
    Cut,
}

/// A file's bytes: what a crash leaves, and what a reader sees.
#[derive(Debug, Default)]
struct Inode {
    durable: Vec<u8>,
    current: Vec<u8>,
    unsynced: Vec<(usize, Change)>,
}

/// A change of a directory that a crash may undo.
#[derive(Clone, Debug)]
enum NameChange {
    Link(String, usize),
    Unlink(String),
    Rename(String, String),
}

/// The simulated disk, which outlives every crash of the simulated machine.
#[derive(Debug, Default)]
pub struct Disk {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    unsynced_names: Vec<NameChange>,
    /// Operations until the machine stops in the middle of one; none when it does not.
    stop_after: Option<u32>,
    /// It stopped so.
    stopped: bool,
    /// Bytes that files may grow by before the disk is full.
    pub room_bytes: Option<u64>,
}

/// The error of an operation on a machine that has just stopped.
pub fn stopped() -> io::Error {
    io::Error::other("the simulated machine stopped")
}

impl Disk {
    /// Makes the disk stop the machine at the `operations`-th operation from now, or never.
    pub fn stop_after(&mut self, operations: Option<u32>) {
        self.stop_after = operations;
        self.stopped = false;
    }

    /// Whether the machine stopped in the middle of an operation since [`Disk::stop_after`].
    pub fn has_stopped(&self) -> bool {
        self.stopped
    }

    /// Loses power: of everything unsynced a random part survives.
    pub fn lose_power(&mut self, rng: &mut Rng) {
        self.stop_after = None;
        for inode in &mut self.inodes {
            let mut left: Vec<_> = inode.unsynced.drain(..).collect();
            while !left.is_empty() {
                let (offset, change) = left.swap_remove(rng.index(left.len()));
                survive(&mut inode.durable, offset, &change, rng);
            }
            inode.current.clone_from(&inode.durable);
        }
        let kept = rng.index(self.unsynced_names.len() + 1);
        for change in self.unsynced_names.drain(..).take(kept) {
            rename(&mut self.durable_names, &change);
        }
        self.names.clone_from(&self.durable_names);
        self.forget_unnamed();
    }

    /// Kills the process: what it wrote stays readable, and stays unsynced.
    pub fn kill(&mut self) {
        self.stop_after = None;
    }

    /// The bytes that would survive a loss of power now.
    pub fn durable(&self, path: &str) -> Option<&[u8]> {
        self.names
            .get(path)
            .map(|&inode| self.inodes[inode].durable.as_slice())
    }

    /// The paths of all files in a directory.
    pub fn paths_in(&self, dir: &str) -> impl Iterator<Item = &str> {
        let prefix = format!("{dir}/");
        let from = self.names.range(prefix.clone()..).map(|(path, _)| path.as_str());
        from.take_while(move |path| path.starts_with(&prefix))
    }

    /// Flips a bit of a file, cuts it, or puts the bytes of another in its place.
    pub fn spoil(&mut self, path: &str, other: &str, rng: &mut Rng) {
        let (Ok(inode), Ok(from)) = (self.inode(path), self.inode(other)) else {
            return;
        };
        let mut bytes = self.inodes[inode].current.clone();
        match rng.below(3) {
            0 if !bytes.is_empty() => {
                let at = rng.index(bytes.len());
                bytes[at] ^= 1 << rng.below(8);
            }
            1 => bytes.truncate(rng.index(bytes.len() + 1)),
            _ => bytes.clone_from(&self.inodes[from].current),
        }
        self.inodes[inode] = Inode {
            durable: bytes.clone(),
            current: bytes,
            unsynced: Vec::new(),
        };
    }

    fn step(&mut self) -> io::Result<()> {
        if let Some(left) = &mut self.stop_after {
            if *left == 0 {
                self.stopped = true;
                return Err(stopped());
            }
            *left -= 1;
        }
        Ok(())
    }

    fn inode(&self, path: &str) -> io::Result<usize> {
        self.names
            .get(path)
            .copied()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, path.to_owned()))
    }

    fn inode_or_new(&mut self, path: &str) -> usize {
        if let Some(&inode) = self.names.get(path) {
            return inode;
        }
        self.inodes.push(Inode::default());
        let inode = self.inodes.len() - 1;
        self.change_name(NameChange::Link(path.to_owned(), inode));
        inode
    }

    fn change_name(&mut self, change: NameChange) {
        rename(&mut self.names, &change);
        self.unsynced_names.push(change);
    }

    /// Frees the bytes of files that no name leads to, so that a long run stays small.
    fn forget_unnamed(&mut self) {
        let mut named = vec![false; self.inodes.len()];
        self.names
            .values()
            .chain(self.durable_names.values())
            .for_each(|&inode| named[inode] = true);
        for (inode, named) in self.inodes.iter_mut().zip(named) {
            if !named {
                *inode = Inode::default();
            }
        }
    }

    fn write(&mut self, path: &str, offset: u64, change: Change) -> io::Result<()> {
        let inode = self.inode_or_new(path);
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let grows = (offset + change.len()).saturating_sub(self.inodes[inode].current.len()) as u64;
        if let Some(room) = &mut self.room_bytes {
            *room = room.checked_sub(grows).ok_or(io::ErrorKind::StorageFull)?;
        }
        let inode = &mut self.inodes[inode];
        change.put(&mut inode.current, offset);
        inode.unsynced.push((offset, change));
        Ok(())
    }
}

impl Files for Disk {
    fn list(&mut self, dir: &str) -> io::Result<Vec<String>> {
        self.step()?;
        let prefix = if dir.is_empty() {
            String::new()
        } else {
            format!("{dir}/")
        };
        let mut names: Vec<String> = self
            .names
            .keys()
            .filter_map(|path| path.strip_prefix(&prefix))
            .map(|rest| rest.split('/').next().unwrap_or(rest).to_owned())
            .collect();
        names.dedup();
        Ok(names)
    }

    fn len(&mut self, path: &str) -> io::Result<u64> {
        self.step()?;
        Ok(self.inodes[self.inode(path)?].current.len() as u64)
    }

    fn read_at(&mut self, path: &str, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.step()?;
        let bytes = &self.inodes[self.inode(path)?].current;
        let from = bytes
            .len()
            .min(usize::try_from(offset).map_err(io::Error::other)?);
        let read = buf.len().min(bytes.len() - from);
        buf[..read].copy_from_slice(&bytes[from..from + read]);
        Ok(read)
    }

    fn write_at(&mut self, path: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.step()?;
        self.write(path, offset, Change::Bytes(bytes.to_vec()))
    }

    fn zero(&mut self, path: &str, offset: u64, len: u64) -> io::Result<()> {
        self.step()?;
        let zeros = usize::try_from(len.saturating_sub(offset)).map_err(io::Error::other)?;
        self.write(path, offset, Change::Zero(zeros))
    }

    fn cut(&mut self, path: &str, len: u64) -> io::Result<()> {
        self.step()?;
        let inode = self.inode(path)?;
        let at = usize::try_from(len).map_err(io::Error::other)?;
        let inode = &mut self.inodes[inode];
        Change::Cut.put(&mut inode.current, at);
        inode.unsynced.push((at, Change::Cut));
        Ok(())
    }

    fn sync(&mut self, path: &str) -> io::Result<()> {
        self.step()?;
        let inode = self.inode(path)?;
        let inode = &mut self.inodes[inode];
        for (offset, change) in inode.unsynced.drain(..) {
            change.put(&mut inode.durable, offset);
        }
        assert_eq!(inode.durable.len(), inode.current.len());
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.step()?;
        self.inode(from)?;
        self.change_name(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        self.step()?;
        if self.names.contains_key(path) {
            self.change_name(NameChange::Unlink(path.to_owned()));
        }
        Ok(())
    }

    fn create_dir(&mut self, _dir: &str) -> io::Result<()> {
        self.step()
    }

    fn sync_dir(&mut self, dir: &str) -> io::Result<()> {
        self.step()?;
        // A journal keeps the order of changes: what came before the directory's last change is durable with it.
        let last = self.unsynced_names.iter().rposition(|change| change.is_in(dir));
        let synced = last.map_or(0, |last| last + 1);
        for change in self.unsynced_names.drain(..synced) {
            rename(&mut self.durable_names, &change);
        }
        Ok(())
    }
}

impl Change {
    fn len(&self) -> usize {
        match self {
            Change::Bytes(bytes) => bytes.len(),
            Change::Zero(len) => *len,
            Change::Cut => 0,
        }
    }

    fn put(&self, file: &mut Vec<u8>, offset: usize) {
        if matches!(self, Change::Cut) {
            return file.truncate(offset);
        }
        let end = offset + self.len();
        if file.len() < end {
            file.resize(end, 0);
        }
        match self {
            Change::Bytes(bytes) => file[offset..end].copy_from_slice(bytes),
            Change::Zero(_) => file[offset..end].fill(0),
            Change::Cut => {}
        }
    }
}

impl NameChange {
    /// Whether it changes the directory.
    fn is_in(&self, dir: &str) -> bool {
        let of = |path: &str| path.rsplit_once('/').map_or("", |(dir, _)| dir) == dir;
        match self {
            NameChange::Link(path, _) | NameChange::Unlink(path) => of(path),
            NameChange::Rename(from, to) => of(from) || of(to),
        }
    }
}

fn rename(names: &mut BTreeMap<String, usize>, change: &NameChange) {
    match change {
        NameChange::Link(path, inode) => {
            names.insert(path.clone(), *inode);
        }
        NameChange::Unlink(path) => {
            names.remove(path);
        }
        NameChange::Rename(from, to) => {
            let inode = names.remove(from).expect("changes keep their order");
            names.insert(to.clone(), inode);
        }
    }
}

/// Puts what chance leaves of one unsynced write onto the device.
fn survive(durable: &mut Vec<u8>, offset: usize, change: &Change, rng: &mut Rng) {
    match rng.below(10) {
        0..4 => {}
        4..7 => change.put(durable, offset),
        7..9 => {
            let mut whole = durable.clone();
            change.put(&mut whole, offset);
            durable.resize(whole.len().max(durable.len()), 0);
            for from in (offset..offset + change.len()).step_by(SECTOR) {
                let to = (from + SECTOR).min(offset + change.len());
                if rng.percent(50) {
                    durable[from..to].copy_from_slice(&whole[from..to]);
                }
            }
        }
        _ => {
            change.put(durable, offset);
            for _ in 0..rng.between(1, 3) {
                if change.len() > 0 {
                    durable[offset + rng.index(change.len())] ^= 1 << rng.below(8);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
