//! Fields by number: the static table (RFC 7541 appendix A), and the dynamic one of a decoder (section 2.3.2).

use super::{ENTRY_OVERHEAD, Undecodable};
use std::collections::VecDeque;

#[rustfmt::skip]
pub(super) const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// Bytes of the arena: live entries take at most half, so that moving them down is paid for by what was evicted.
const fn arena_bytes(table_bytes: usize) -> usize {
    2 * table_bytes
}

/// The entries that a peer has told us to remember, newest first by number.
#[derive(Debug)]
pub(super) struct Table {
    /// Names and values of the entries, oldest first; those before the oldest entry's are gone.
    arena: Vec<u8>,
    /// Oldest first.
    entries: VecDeque<Entry>,
    /// By the measure of RFC 7541 section 4.1.
    size: usize,
    size_max: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u32,
    name: u16,
    value: u16,
    soundness: Soundness,
}

impl Entry {
    fn size(self) -> usize {
        usize::from(self.name) + usize::from(self.value) + ENTRY_OVERHEAD
    }
}

/// Whether a name and a value are what HTTP/2 allows (RFC 9113 section 8.2.1): looked at once, when they arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Soundness {
    pub name: bool,
    pub value: bool,
}

/// A field of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    pub name: &'a [u8],
    pub value: &'a [u8],
    pub soundness: Soundness,
}

impl Table {
    pub fn new(size_max: usize) -> Table {
        Table {
            arena: Vec::new(),
            entries: VecDeque::new(),
            size: 0,
            size_max,
        }
    }

    /// The field of this number, from 1: static ones first.
    pub fn get(&self, index: usize) -> Result<Found<'_>, Undecodable> {
        if let Some((name, value)) = STATIC.get(index.wrapping_sub(1)) {
            return Ok(Found {
                name: name.as_bytes(),
                value: value.as_bytes(),
                soundness: Soundness {
                    name: true,
                    value: true,
                },
            });
        }
        let back = index
            .checked_sub(STATIC.len() + 1)
            .ok_or(Undecodable::Malformed)?;
        let place = self
            .entries
            .len()
            .checked_sub(back + 1)
            .ok_or(Undecodable::Malformed)?;
        let entry = self.entries[place];
        let (name, rest) = self.arena[entry.start as usize..].split_at(usize::from(entry.name));
        Ok(Found {
            name,
            value: &rest[..usize::from(entry.value)],
            soundness: entry.soundness,
        })
    }

    /// Remembers a field. One that is larger than the table empties it, and is no error (RFC 7541 section 4.4).
    pub fn insert(&mut self, name: &[u8], value: &[u8], soundness: Soundness) {
        let size = name.len() + value.len() + ENTRY_OVERHEAD;
        self.evict(self.size_max.saturating_sub(size));
        if size > self.size_max {
            return;
        }
        let length = name.len() + value.len();
        if self.arena.len() + length > arena_bytes(self.size_max) {
            self.move_down();
        }
        self.entries.push_back(Entry {
            // Both are under the table's size, which is 4 KiB.
            start: self.arena.len() as u32,
            name: name.len() as u16,
            value: value.len() as u16,
            soundness,
        });
        self.arena.extend_from_slice(name);
        self.arena.extend_from_slice(value);
        self.size += size;
    }

    /// The peer uses less, or again more, of the size that we granted.
    pub fn resize(&mut self, size_max: usize) {
        self.size_max = size_max;
        self.evict(size_max);
    }

    fn evict(&mut self, down_to: usize) {
        while self.size > down_to
            && let Some(oldest) = self.entries.pop_front()
        {
            self.size -= oldest.size();
        }
        if self.entries.is_empty() {
            self.arena.clear();
        }
    }

    fn move_down(&mut self) {
        let gone = self
            .entries
            .front()
            .map_or(self.arena.len() as u32, |oldest| oldest.start);
        self.arena.drain(..gone as usize);
        for entry in &mut self.entries {
            entry.start -= gone;
        }
    }
}
