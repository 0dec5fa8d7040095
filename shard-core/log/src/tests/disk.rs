//! A disk in memory that forgets, tears and spoils what was not synced.

use crate::{BLOCK, NewSegment, RecoveryAction, SegmentFile, SegmentNumber, SegmentSource};
use std::collections::BTreeMap;
use std::convert::Infallible;

/// The unit that a disk may tear.
const SECTOR: usize = 512;

/// Splitmix64: the tests need many cheap draws that replay from a seed.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

#[derive(Clone, Default)]
pub struct Disk {
    pub files: BTreeMap<SegmentNumber, Vec<u8>>,
    /// Freed files, content and all.
    pub freed: Vec<Vec<u8>>,
}

impl SegmentSource for Disk {
    type Error = Infallible;

    fn segments(&mut self) -> Result<Vec<SegmentFile>, Infallible> {
        let file = |(&number, bytes): (&SegmentNumber, &Vec<u8>)| SegmentFile {
            number,
            bytes: bytes.len() as u64,
        };
        // Newest first: a directory has no order.
        Ok(self.files.iter().rev().map(file).collect())
    }

    fn read(&mut self, segment: SegmentNumber, offset: u64, out: &mut [u8]) -> Result<(), Infallible> {
        assert!((offset as usize).is_multiple_of(BLOCK) && out.len().is_multiple_of(BLOCK));
        assert!((out.as_ptr() as usize).is_multiple_of(BLOCK));
        out.fill(0);
        let file = &self.files[&segment];
        let from = file.len().min(offset as usize);
        let to = file.len().min(from + out.len());
        out[..to - from].copy_from_slice(&file[from..to]);
        Ok(())
    }
}

impl Disk {
    pub fn write(&mut self, segment: SegmentNumber, offset: u32, bytes: &[u8]) {
        let offset = offset as usize;
        self.files.get_mut(&segment).expect("the file is there")[offset..offset + bytes.len()]
            .copy_from_slice(bytes);
    }

    /// A write that a crash met: each sector is as before, as written, or spoiled.
    pub fn tear(&mut self, segment: SegmentNumber, offset: u32, bytes: &[u8], random: &mut Random) {
        let only_prefix = random.one_in(3);
        let prefix = random.below(bytes.len() / SECTOR + 1);
        let spoils = random.one_in(2);
        for (index, sector) in bytes.chunks(SECTOR).enumerate() {
            let at = offset + (index * SECTOR) as u32;
            let written = if only_prefix {
                index < prefix
            } else {
                random.one_in(2)
            };
            if written {
                self.write(segment, at, sector);
            } else if spoils && random.one_in(4) {
                self.write(segment, at, &vec![random.next() as u8; sector.len()]);
            }
        }
    }

    pub fn prepare(&mut self, new: &NewSegment) {
        let mut file = self.freed.pop().unwrap_or_default();
        file.resize(new.bytes as usize, 0);
        file[..BLOCK].copy_from_slice(&new.header[..]);
        self.files.insert(new.number, file);
    }

    /// A preparation that a crash met: the file has its name, and its header is torn.
    pub fn prepare_torn(&mut self, new: &NewSegment, random: &mut Random) {
        let mut file = self.freed.pop().unwrap_or_default();
        file.resize(
            if random.one_in(2) {
                new.bytes as usize
            } else {
                BLOCK
            },
            0,
        );
        self.files.insert(new.number, file);
        self.tear(new.number, 0, &new.header[..], random);
    }

    pub fn perform(&mut self, action: RecoveryAction, random: &mut Random) {
        match action {
            RecoveryAction::Sync { segment } => assert!(self.files.contains_key(&segment)),
            RecoveryAction::Free { segment } => self.free(segment),
            RecoveryAction::Cut { segment, from } => {
                let file = self.files.get_mut(&segment).expect("the file is there");
                assert!((from as usize).is_multiple_of(BLOCK) && from as usize <= file.len());
                // A file that is zeroed instead reads the same.
                if random.one_in(2) {
                    file.truncate(from as usize);
                } else {
                    file[from as usize..].fill(0);
                }
            }
        }
    }

    pub fn free(&mut self, segment: SegmentNumber) {
        let file = self.files.remove(&segment).expect("the file is there");
        self.freed.push(file);
    }

    pub fn flip(&mut self, segment: SegmentNumber, bit: usize) {
        self.files.get_mut(&segment).expect("the file is there")[bit / 8] ^= 1 << (bit % 8);
    }
}
