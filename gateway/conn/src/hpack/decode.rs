//! Header blocks of requests (RFC 7541 sections 3 and 6).

use super::table::{Soundness, Table};
use super::{ENTRY_OVERHEAD, TABLE_BYTES, Undecodable, huffman, integer};

/// One field of a block. Lies in the block, in the table or in the decoder: use it before the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    /// Lower case; a pseudo header's begins with a colon.
    pub name: &'a [u8],
    pub value: &'a [u8],
    /// Name and value hold only what RFC 9113 section 8.2.1 allows; else the request is malformed.
    pub is_sound: bool,
}

/// One direction's table, and room for what is decoded.
#[derive(Debug)]
pub(crate) struct Decoder {
    table: Table,
    name: Vec<u8>,
    value: Vec<u8>,
}

/// Buffers larger than this are given back after a block, so that an idle connection keeps little. A token signed by RSA
/// (about 1,000 bytes, and half as much again for the room that decoding asks for) stays below.
const KEPT_BYTES: usize = 2048;

impl Decoder {
    pub fn new() -> Decoder {
        Decoder {
            table: Table::new(TABLE_BYTES),
            name: Vec::new(),
            value: Vec::new(),
        }
    }

    /// Calls `take` with every field of a whole block, in order, until they come to more than `list_bytes_max` as RFC 9113
    /// section 6.5.2 counts.
    pub fn decode(
        &mut self,
        mut block: &[u8],
        list_bytes_max: usize,
        mut take: impl FnMut(Field<'_>),
    ) -> Result<(), Undecodable> {
        let mut list_bytes = 0;
        let mut take = |field: Field<'_>| {
            list_bytes += field.name.len() + field.value.len() + ENTRY_OVERHEAD;
            take(field);
            if list_bytes > list_bytes_max {
                Err(Undecodable::TooMuch)
            } else {
                Ok(())
            }
        };
        let mut may_resize = true;
        while let Some(first) = block.first() {
            match first {
                0x80.. => {
                    let found = self.table.get(integer::take(&mut block, 7)?)?;
                    take(Field {
                        name: found.name,
                        value: found.value,
                        is_sound: found.soundness.name && found.soundness.value,
                    })?;
                }
                0x40.. => self.literal(&mut block, 6, true, &mut take)?,
                0x20.. => {
                    // Only at a block's beginning (section 4.2).
                    let size = integer::take(&mut block, 5)?;
                    if !may_resize || size > TABLE_BYTES {
                        return Err(Undecodable::Malformed);
                    }
                    self.table.resize(size);
                    continue;
                }
                _ => self.literal(&mut block, 4, false, &mut take)?,
            }
            may_resize = false;
        }
        self.name.shrink_to(KEPT_BYTES);
        self.value.shrink_to(KEPT_BYTES);
        Ok(())
    }

    fn literal(
        &mut self,
        block: &mut &[u8],
        prefix: u32,
        is_indexed: bool,
        take: &mut impl FnMut(Field<'_>) -> Result<(), Undecodable>,
    ) -> Result<(), Undecodable> {
        let index = integer::take(block, prefix)?;
        let (name, is_name_sound) = if index == 0 {
            let name = string(block, &mut self.name)?;
            (name, is_name(name))
        } else {
            // A copy, for the entry that it comes from may be evicted by what is inserted.
            let found = self.table.get(index)?;
            self.name.clear();
            self.name.extend_from_slice(found.name);
            (&self.name[..], found.soundness.name)
        };
        let value = string(block, &mut self.value)?;
        let soundness = Soundness {
            name: is_name_sound,
            value: is_value(value),
        };
        take(Field {
            name,
            value,
            is_sound: soundness.name && soundness.value,
        })?;
        if is_indexed {
            self.table.insert(name, value, soundness);
        }
        Ok(())
    }
}

/// A string literal (section 5.2): lies in the block, or is decoded into `decoded`.
fn string<'a, 'b: 'a>(block: &mut &'b [u8], decoded: &'a mut Vec<u8>) -> Result<&'a [u8], Undecodable> {
    let is_huffman = block.first().ok_or(Undecodable::Malformed)? & 0x80 != 0;
    let length = integer::take(block, 7)?;
    let (bytes, rest) = block.split_at_checked(length).ok_or(Undecodable::Malformed)?;
    *block = rest;
    if !is_huffman {
        return Ok(bytes);
    }
    decoded.clear();
    huffman::decode(bytes, decoded)?;
    Ok(decoded)
}

/// A token (RFC 9110 section 5.6.2) without upper case, perhaps after a pseudo header's colon.
fn is_name(name: &[u8]) -> bool {
    let token = name.strip_prefix(b":").unwrap_or(name);
    !token.is_empty() && token.iter().all(|byte| IS_NAME_BYTE[usize::from(*byte)])
}

static IS_NAME_BYTE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = b.is_ascii_lowercase()
            || b.is_ascii_digit()
            || matches!(b, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+')
            || matches!(b, b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~');
        byte += 1;
    }
    table
};

/// No control character but a tab inside, as HTTP/1.1's heads are read here, and no blank at either end.
fn is_value(value: &[u8]) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let is_control = |byte: &u8| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f;
    // Without an early end, so that the compiler looks at many bytes at once.
    let controls = value.iter().fold(false, |found, byte| found | is_control(byte));
    !controls && !is_blank(value.first()) && !is_blank(value.last())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<(String, String)>, Undecodable> {
        let mut all = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        decoder.decode(block, usize::MAX, |field| {
            all.push((text(field.name), text(field.value)))
        })?;
        Ok(all)
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    }

    const FIRST: [(&str, &str); 4] = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "www.example.com"),
    ];

    fn owned(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        fields
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn the_requests_of_rfc_7541_c_3_and_c_4() {
        for blocks in [
            [
                "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
                "8286 84be 5808 6e6f 2d63 6163 6865",
                "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
            ],
            [
                "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
                "8286 84be 5886 a8eb 1064 9cbf",
                "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
            ],
        ] {
            let mut decoder = Decoder::new();
            assert_eq!(decoded(&mut decoder, &hex(blocks[0])), Ok(owned(&FIRST)));
            let mut second = owned(&FIRST);
            second.push(("cache-control".into(), "no-cache".into()));
            assert_eq!(decoded(&mut decoder, &hex(blocks[1])), Ok(second));
            let third = owned(&[
                (":method", "GET"),
                (":scheme", "https"),
                (":path", "/index.html"),
                (":authority", "www.example.com"),
                ("custom-key", "custom-value"),
            ]);
            assert_eq!(decoded(&mut decoder, &hex(blocks[2])), Ok(third));
        }
    }

    #[test]
    fn a_full_table_forgets_its_oldest_entries() {
        let mut decoder = Decoder::new();
        // 100 entries of 32 + 1 + 90 bytes: 33 of them fit into 4,096.
        for n in 0..100_u8 {
            let mut block = vec![0x40, 1, b'a', 90];
            block.extend([b'0' + n % 10; 90]);
            decoded(&mut decoder, &block).unwrap();
        }
        let newest = decoded(&mut decoder, &[0x80 | 62]).unwrap();
        assert_eq!(newest, [("a".to_owned(), "9".repeat(90))]);
        let oldest = decoded(&mut decoder, &[0x80 | 94]).unwrap();
        assert_eq!(oldest, [("a".to_owned(), "7".repeat(90))]);
        assert!(decoded(&mut decoder, &[0x80 | 95]).is_err());
        // Sizes: 0 empties the table, and 4,096 is what we grant.
        assert!(decoded(&mut decoder, &[0x20]).unwrap().is_empty());
        assert!(decoded(&mut decoder, &[0x80 | 62]).is_err());
        assert!(decoded(&mut decoder, &hex("3fe11f")).is_ok());
        assert!(decoded(&mut decoder, &hex("3fe21f")).is_err());
        assert!(
            decoded(&mut decoder, &hex("82 20")).is_err(),
            "a size after a field"
        );
    }

    #[test]
    fn a_name_of_an_entry_that_its_own_insertion_evicts_is_kept() {
        let mut decoder = Decoder::new();
        let mut block = vec![0x40, 4, b'n', b'a', b'm', b'e', 10];
        block.extend([b'x'; 10]);
        decoded(&mut decoder, &block).unwrap();
        // With 4,050 bytes of value the new entry has room only when the old one is gone.
        let mut block = vec![0x40 | 62];
        integer::put(&mut block, 0x00, 7, 4_050);
        block.extend([b'y'; 4_050]);
        let fields = decoded(&mut decoder, &block).unwrap();
        assert_eq!((fields[0].0.as_str(), fields[0].1.len()), ("name", 4_050));
        assert_eq!(decoded(&mut decoder, &[0x80 | 62]).unwrap()[0].0, "name");
        assert!(decoded(&mut decoder, &[0x80 | 63]).is_err());
    }

    #[test]
    fn names_and_values_that_http_2_forbids_are_told_also_from_the_table() {
        for (name, value, sound) in [
            ("x", "a b", true),
            ("x", "", true),
            (":path", "/", true),
            ("X", "a", false),
            ("x y", "a", false),
            ("", "a", false),
            (":", "a", false),
            ("x:y", "a", false),
            ("x", "a\r\nb: c", false),
            ("x", "a\0", false),
            ("x", " a", false),
            ("x", "a\t", false),
        ] {
            let mut block = vec![0x40, name.len() as u8];
            block.extend(name.bytes());
            block.push(value.len() as u8);
            block.extend(value.bytes());
            block.push(0x80 | 62);
            let mut told = Vec::new();
            Decoder::new()
                .decode(&block, usize::MAX, |field| told.push(field.is_sound))
                .unwrap();
            assert_eq!(told, [sound, sound], "{name:?} {value:?}");
        }
    }

    #[test]
    fn a_block_that_is_cut_anywhere_is_an_error_or_a_shorter_list() {
        let block = hex("8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf");
        for end in 0..block.len() {
            let mut decoder = Decoder::new();
            let _ = decoded(
                &mut decoder,
                &hex("8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d"),
            );
            if let Ok(fields) = decoded(&mut decoder, &block[..end]) {
                assert!(fields.len() < 5);
            }
        }
        assert!(
            Decoder::new().decode(&[0x80], usize::MAX, |_| ()).is_err(),
            "there is no field 0"
        );
        assert!(
            Decoder::new()
                .decode(&[0x00, 0x05, b'a'], usize::MAX, |_| ())
                .is_err()
        );
    }
}
