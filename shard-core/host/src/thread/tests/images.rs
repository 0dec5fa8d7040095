//! A disk that forgets what was not synced.

use std::collections::HashMap;
use std::path::Path;

use tidegate_log::BLOCK;
use tidegate_shard_core::OrderId;

/// One thing that reached the disk, or an answer that reached a client.
#[derive(Debug, Clone)]
pub(super) enum Event {
    Write {
        path: String,
        offset: u64,
        bytes: Vec<u8>,
    },
    /// A file was cut at a length; blocks behind it that were not synced are gone too.
    Cut {
        path: String,
        len: u64,
    },
    Sync {
        path: String,
    },
    Rename {
        from: String,
        to: String,
    },
    Remove {
        path: String,
    },
    CreateDir {
        dir: String,
    },
    SyncDir,
    Acknowledged {
        order: OrderId,
        number: u64,
    },
}

/// xorshift: the images of a seed are the same everywhere.
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Rng {
        Rng(seed | 1)
    }
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n.max(1)
    }
}

#[derive(Debug, Default)]
struct Inode {
    durable: Vec<u8>,
    /// Blocks that were written since the last sync. One without bytes: the file was cut there.
    pending: Vec<(u64, Vec<u8>)>,
}

#[derive(Debug, Clone)]
enum Name {
    Link { path: String, inode: usize },
    Unlink { path: String },
    Dir { dir: String },
}

/// Files as a crash may leave them: bytes are kept by their file's sync, names by a directory's.
#[derive(Debug, Default)]
pub(super) struct Disk {
    inodes: Vec<Inode>,
    names: HashMap<String, usize>,
    /// Every change of names; the first `names_durable` are on the device.
    journal: Vec<Name>,
    names_durable: usize,
}

impl Disk {
    pub(super) fn apply(&mut self, event: &Event) {
        match event {
            Event::Write { path, offset, bytes } => {
                let inode = self.inode(path);
                let blocks = bytes.chunks(BLOCK).enumerate();
                let blocks = blocks.map(|(i, block)| (offset + (i * BLOCK) as u64, block.to_vec()));
                self.inodes[inode].pending.extend(blocks);
            }
            Event::Cut { path, len } => {
                let inode = self.inode(path);
                self.inodes[inode].pending.push((*len, Vec::new()));
            }
            Event::Sync { path } => {
                let inode = self.inode(path);
                let inode = &mut self.inodes[inode];
                for (offset, bytes) in std::mem::take(&mut inode.pending) {
                    put(&mut inode.durable, offset, &bytes);
                }
            }
            Event::Rename { from, to } => {
                if let Some(inode) = self.names.remove(from) {
                    self.names.insert(to.clone(), inode);
                    // One step: rename is atomic.
                    self.journal.push(Name::Unlink { path: from.clone() });
                    self.journal.push(Name::Link {
                        path: to.clone(),
                        inode,
                    });
                }
            }
            Event::Remove { path } => {
                if self.names.remove(path).is_some() {
                    self.journal.push(Name::Unlink { path: path.clone() });
                }
            }
            Event::CreateDir { dir } => self.journal.push(Name::Dir { dir: dir.clone() }),
            Event::SyncDir => self.names_durable = self.journal.len(),
            Event::Acknowledged { .. } => {}
        }
    }

    fn inode(&mut self, path: &str) -> usize {
        if let Some(inode) = self.names.get(path) {
            return *inode;
        }
        self.inodes.push(Inode::default());
        let inode = self.inodes.len() - 1;
        self.names.insert(path.to_owned(), inode);
        self.journal.push(Name::Link {
            path: path.to_owned(),
            inode,
        });
        inode
    }

    /// Writes what a crash now may leave: of unsynced names a beginning, of unsynced blocks any subset.
    pub(super) fn crash_image(&self, rng: &mut Rng, into: &Path) {
        let unsynced = (self.journal.len() - self.names_durable) as u64;
        let mut kept = self.names_durable + rng.below(unsynced + 1) as usize;
        // Not between the two halves of a rename.
        if matches!(
            (self.journal.get(kept.wrapping_sub(1)), self.journal.get(kept)),
            (Some(Name::Unlink { .. }), Some(Name::Link { .. }))
        ) {
            kept += 1;
        }
        let mut names = HashMap::new();
        for name in &self.journal[..kept] {
            match name {
                Name::Link { path, inode } => _ = names.insert(path, *inode),
                Name::Unlink { path } => _ = names.remove(path),
                Name::Dir { dir } => std::fs::create_dir_all(into.join(dir)).unwrap(),
            }
        }
        for (path, inode) in names {
            let path = into.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, self.survivor(rng, inode)).unwrap();
        }
    }

    fn survivor(&self, rng: &mut Rng, inode: usize) -> Vec<u8> {
        let inode = &self.inodes[inode];
        let mut bytes = inode.durable.clone();
        // All, none, or each by chance.
        let odds = [0, 2, 4][rng.below(3) as usize];
        for (offset, block) in &inode.pending {
            if rng.below(4) < odds {
                put(&mut bytes, *offset, block);
            }
        }
        bytes
    }
}

fn put(file: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    if bytes.is_empty() {
        return file.truncate(offset as usize);
    }
    let end = offset as usize + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset as usize..end].copy_from_slice(bytes);
}
