//! Integers with a prefix of N bits (RFC 7541 section 5.1).

use super::Undecodable;

/// Larger than any length or index that can be right: a block is bounded far below.
const MAX: usize = 1 << 24;

/// Takes an integer off the front of `bytes`; its first byte holds `prefix` bits of it.
pub(super) fn take(bytes: &mut &[u8], prefix: u32) -> Result<usize, Undecodable> {
    let (first, mut rest) = bytes.split_first().ok_or(Undecodable::Malformed)?;
    let mask = (1_usize << prefix) - 1;
    let mut value = usize::from(*first) & mask;
    if value == mask {
        let mut shift = 0;
        loop {
            let (byte, tail) = rest.split_first().ok_or(Undecodable::Malformed)?;
            rest = tail;
            // Four more bytes hold any integer up to MAX; a fifth would only be a longer way to write it.
            if shift > 21 {
                return Err(Undecodable::Malformed);
            }
            value += usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    *bytes = rest;
    if value > MAX {
        Err(Undecodable::Malformed)
    } else {
        Ok(value)
    }
}

/// Appends an integer; `pattern` is the first byte's bits above the prefix.
pub(super) fn put(out: &mut Vec<u8>, pattern: u8, prefix: u32, value: usize) {
    let mask = (1_usize << prefix) - 1;
    if value < mask {
        out.push(pattern | value as u8);
        return;
    }
    out.push(pattern | mask as u8);
    let mut rest = value - mask;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_7541_c_1() {
        let mut out = Vec::new();
        put(&mut out, 0, 5, 10);
        put(&mut out, 0, 5, 1337);
        put(&mut out, 0, 8, 42);
        assert_eq!(out, [0x0a, 0x1f, 0x9a, 0x0a, 0x2a]);
        let mut bytes = &out[..];
        assert_eq!(take(&mut bytes, 5), Ok(10));
        assert_eq!(take(&mut bytes, 5), Ok(1337));
        assert_eq!(take(&mut bytes, 8), Ok(42));
        assert!(bytes.is_empty());
    }

    #[test]
    fn what_is_put_is_taken() {
        for prefix in 4..8 {
            for value in (0..400).chain([16_383, 16_384, 1 << 20, MAX]) {
                let mut out = Vec::new();
                put(&mut out, 0x80, prefix, value);
                assert_eq!(take(&mut &out[..], prefix), Ok(value));
            }
        }
    }

    #[test]
    fn an_integer_that_is_cut_or_has_no_end_is_refused() {
        assert!(take(&mut &[][..], 7).is_err());
        assert!(take(&mut &[0x7f][..], 7).is_err());
        assert!(take(&mut &[0x7f, 0x80][..], 7).is_err());
        assert!(take(&mut &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01][..], 7).is_err());
        assert!(take(&mut &[0x7f, 0x80, 0x80, 0x80, 0x80, 0x00][..], 7).is_err());
    }
}
