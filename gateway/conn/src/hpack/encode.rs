//! Header blocks of answers (RFC 7541 section 6), without Huffman codes: our values are short, and a byte on the wire costs
//! less than the time to save it.

use super::table::STATIC;
use super::{ENTRY_OVERHEAD, TABLE_BYTES, integer};
use std::collections::VecDeque;

/// Names of answers that are remembered. Ours are about a dozen.
const NAMES_MAX: usize = 24;
/// Values that are worth an entry of the peer's table because many answers in a row carry them.
const REPEATED: [&str; 6] = ["cache-control", "content-type", "date", "server", "vary", "allow"];

/// What the peer's table holds, as far as we use it.
#[derive(Debug)]
pub(crate) struct Encoder {
    names: Vec<Name>,
    /// Sizes of the peer's entries, oldest first.
    sizes: VecDeque<u16>,
    size: usize,
    size_max: usize,
    /// Entries ever made.
    inserted: u64,
    /// The smallest and the last size that the peer has asked for since the last block: to be acknowledged.
    resized: Option<(usize, usize)>,
}

#[derive(Debug)]
struct Name {
    name: Box<str>,
    /// The static table's entry with this name, or 0.
    index: u8,
    is_repeated: bool,
    /// The value of the entry made last.
    value: Vec<u8>,
    /// That entry's place among all ever made, from 1; 0: none.
    entry: u64,
}

impl Encoder {
    pub fn new() -> Encoder {
        Encoder {
            names: Vec::new(),
            sizes: VecDeque::new(),
            size: 0,
            size_max: TABLE_BYTES,
            inserted: 0,
            resized: None,
        }
    }

    /// The peer's SETTINGS_HEADER_TABLE_SIZE: we use as much of it as by default, and no more.
    pub fn resize(&mut self, granted: usize) {
        let size_max = granted.min(TABLE_BYTES);
        if size_max != self.size_max || self.resized.is_some() {
            let least = self.resized.map_or(size_max, |(least, _)| least.min(size_max));
            self.resized = Some((least, size_max));
        }
        self.size_max = size_max;
        self.evict(size_max);
    }

    /// Begins a block with its status.
    pub fn status(&mut self, out: &mut Vec<u8>, status: u16) {
        if let Some((least, last)) = self.resized.take() {
            if least < last {
                integer::put(out, 0x20, 5, least);
            }
            integer::put(out, 0x20, 5, last);
        }
        let index = match status {
            200 => 8,
            204 => 9,
            206 => 10,
            304 => 11,
            400 => 12,
            404 => 13,
            500 => 14,
            _ => {
                // A literal that is not remembered, by the name of entry 8.
                out.push(0x08);
                string(out, itoa::Buffer::new().format(status).as_bytes());
                return;
            }
        };
        out.push(0x80 | index);
    }

    /// Appends one field. Names are in lower case.
    pub fn field(&mut self, out: &mut Vec<u8>, name: &str, value: &[u8]) {
        let Some(at) = self.known(name) else {
            out.push(0x00);
            string(out, name.as_bytes());
            string(out, value);
            return;
        };
        let oldest = self.inserted - self.sizes.len() as u64;
        let known = &self.names[at];
        // Entries are numbered from the newest, after the static ones.
        let number =
            (known.entry > oldest).then(|| STATIC.len() + (self.inserted - known.entry) as usize + 1);
        match number {
            Some(number) if known.value == value => return integer::put(out, 0x80, 7, number),
            // The entry is there for its name alone.
            Some(number) if !known.is_repeated => integer::put(out, 0x00, 4, number),
            None if known.index != 0 && !known.is_repeated => {
                integer::put(out, 0x00, 4, usize::from(known.index));
            }
            _ => {
                match number.or((known.index != 0).then_some(usize::from(known.index))) {
                    Some(number) => integer::put(out, 0x40, 6, number),
                    None => {
                        out.push(0x40);
                        string(out, name.as_bytes());
                    }
                }
                self.remember(at, value);
            }
        }
        string(out, value);
    }

    fn known(&mut self, name: &str) -> Option<usize> {
        if let Some(at) = self.names.iter().position(|known| *known.name == *name) {
            return Some(at);
        }
        if self.names.len() == NAMES_MAX {
            return None;
        }
        debug_assert!(!name.bytes().any(|byte| byte.is_ascii_uppercase()), "{name}");
        let index = STATIC.iter().position(|(known, _)| *known == name);
        self.names.push(Name {
            name: name.into(),
            index: index.map_or(0, |index| index as u8 + 1),
            is_repeated: REPEATED.contains(&name),
            value: Vec::new(),
            entry: 0,
        });
        Some(self.names.len() - 1)
    }

    /// The peer makes an entry of this field, as we just told it to.
    fn remember(&mut self, at: usize, value: &[u8]) {
        let known = &mut self.names[at];
        let size = known.name.len() + value.len() + ENTRY_OVERHEAD;
        known.value.clear();
        known.entry = 0;
        if size <= self.size_max {
            known.value.extend_from_slice(value);
            known.entry = self.inserted + 1;
        }
        self.evict(self.size_max.saturating_sub(size));
        if size <= self.size_max {
            self.inserted += 1;
            self.size += size;
            self.sizes.push_back(size as u16);
        }
    }

    fn evict(&mut self, down_to: usize) {
        while self.size > down_to
            && let Some(oldest) = self.sizes.pop_front()
        {
            self.size -= usize::from(oldest);
        }
    }
}

fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    integer::put(out, 0x00, 7, bytes.len());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hpack::Decoder;

    fn block(encoder: &mut Encoder, status: u16, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        encoder.status(&mut out, status);
        for (name, value) in fields {
            encoder.field(&mut out, name, value.as_bytes());
        }
        out
    }

    fn decoded(decoder: &mut Decoder, block: &[u8]) -> Vec<(String, String)> {
        let mut all = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        decoder
            .decode(block, usize::MAX, |field| {
                all.push((text(field.name), text(field.value)))
            })
            .unwrap();
        all
    }

    #[test]
    fn what_is_encoded_is_decoded_through_evictions_and_new_sizes() {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        for n in 0..2_000_usize {
            if n % 97 == 13 {
                encoder.resize([0, 100, 4_096, 65_536, 1_000][n % 5]);
                encoder.resize([4_096, 300, 50][n % 3]);
            }
            let date = format!("Mon, 23 Nov 2026 16:{:02}:{:02} GMT", n / 60 % 60, n % 60);
            let number = n.to_string();
            let long = "v".repeat(n % 5_000);
            let mut fields = vec![
                ("content-type", ["application/json", "text/plain"][n / 7 % 2]),
                ("date", &date),
                ("x-request-id", &number),
                ("location", "/v1/orders/1"),
                ("content-length", &number),
            ];
            if n % 11 == 0 {
                fields.push(("vary", &long));
            }
            let names: Vec<String> = (0..n % 30).map(|k| format!("name-{k}")).collect();
            fields.extend(names.iter().map(|name| (name.as_str(), "value")));
            let status = [200, 201, 204, 206, 304, 400, 404, 409, 500, 503][n % 10];
            let block = block(&mut encoder, status, &fields);
            let status = status.to_string();
            fields.insert(0, (":status", &status));
            let expected: Vec<_> = fields
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect();
            assert_eq!(decoded(&mut decoder, &block), expected, "{n}");
        }
    }

    #[test]
    fn a_value_that_comes_again_costs_a_byte_and_another_replaces_it() {
        let mut encoder = Encoder::new();
        let first = block(&mut encoder, 200, &[("content-type", "application/json")]);
        let again = block(&mut encoder, 200, &[("content-type", "application/json")]);
        assert!(first.len() > 18 && again.len() == 2, "{first:?} {again:?}");
        let name = block(&mut encoder, 200, &[("x-request-id", "1")]);
        let by_number = block(&mut encoder, 200, &[("x-request-id", "2")]);
        assert!(name.len() > 12 && by_number.len() == 5, "{by_number:?}");
    }
}
