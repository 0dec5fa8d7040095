//! The string code of RFC 7541 appendix B. The code is canonical (codes of one length are consecutive, in the order of
//! their symbols), so the lengths alone give it.

use super::Undecodable;

/// Bits of each symbol's code.
#[rustfmt::skip]
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

/// Codes are at most this long; the code of this length and all ones is EOS, which must not occur.
const LENGTH_MAX: usize = 30;

/// Codes up to this length are found by one look; all of visible ASCII but fifteen signs has them.
const SHORT: usize = 8;

struct Code {
    /// By the next eight bits: symbol and length, or length 0 where the code is longer.
    short: [(u8, u8); 1 << SHORT],
    /// By length: the first code of that length, and the place of its symbol in `symbols`.
    first: [(u32, u16); LENGTH_MAX + 2],
    /// Symbols in the order of their codes.
    symbols: [u8; 256],
}

static CODE: Code = build();

const fn build() -> Code {
    let mut code = Code {
        short: [(0, 0); 1 << SHORT],
        first: [(0, 0); LENGTH_MAX + 2],
        symbols: [0; 256],
    };
    let (mut next, mut count, mut length) = (0_u32, 0_usize, 1);
    while length <= LENGTH_MAX {
        code.first[length] = (next, count as u16);
        let mut symbol = 0;
        while symbol < 256 {
            if LENGTHS[symbol] as usize == length {
                code.symbols[count] = symbol as u8;
                if length <= SHORT {
                    let from = (next as usize) << (SHORT - length);
                    let mut at = from;
                    while at < from + (1 << (SHORT - length)) {
                        code.short[at] = (symbol as u8, length as u8);
                        at += 1;
                    }
                }
                count += 1;
                next += 1;
            }
            symbol += 1;
        }
        next <<= 1;
        length += 1;
    }
    code.first[LENGTH_MAX + 1] = (next, count as u16);
    code
}

/// Appends what `bytes` encode. The padding must be under eight bits, all ones (RFC 7541 section 5.2).
pub(super) fn decode(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Undecodable> {
    let start = out.len();
    // The shortest code has five bits.
    out.resize(start + bytes.len() * 8 / 5 + 1, 0);
    let count = decode_into(bytes, &mut out[start..])?;
    out.truncate(start + count);
    Ok(())
}

/// Returns how many symbols there were.
fn decode_into(bytes: &[u8], out: &mut [u8]) -> Result<usize, Undecodable> {
    let mut rest = bytes;
    // The next bits, from the top; below `held` of them there may be bits of `rest`, or zeros.
    let (mut bits, mut held) = (0_u64, 0_usize);
    let mut at = 0;
    while let Some(word) = rest.first_chunk::<8>() {
        bits |= u64::from_be_bytes(*word) >> held;
        let whole = (63 - held) / 8;
        rest = &rest[whole..];
        held += 8 * whole;
        // 56 bits or more: a long code, or seven short ones, before more are needed.
        if let Some((symbol, length)) = long_if(bits)? {
            out[at] = symbol;
            at += 1;
            bits <<= length;
            held -= length;
        }
        while held >= SHORT {
            let (symbol, length) = CODE.short[(bits >> (64 - SHORT)) as usize];
            if length == 0 {
                break;
            }
            out[at] = symbol;
            at += 1;
            bits <<= length;
            held -= usize::from(length);
        }
        // What `held` does not count comes again with the next word.
        bits &= !(u64::MAX >> held);
    }
    tail(rest, (bits, held), out, at)
}

/// The last bytes, one at a time.
fn tail(
    mut rest: &[u8],
    (mut bits, mut held): (u64, usize),
    out: &mut [u8],
    mut at: usize,
) -> Result<usize, Undecodable> {
    loop {
        while held <= 56
            && let Some((byte, more)) = rest.split_first()
        {
            bits |= u64::from(*byte) << (56 - held);
            held += 8;
            rest = more;
        }
        let (symbol, length) = match CODE.short[(bits >> (64 - SHORT)) as usize] {
            (_, 0) => match long(bits) {
                Some(found) => found,
                None => break,
            },
            (symbol, length) => (symbol, usize::from(length)),
        };
        if length > held {
            break;
        }
        out[at] = symbol;
        at += 1;
        bits <<= length;
        held -= length;
    }
    padding(bits, held).map(|()| at)
}

/// The next symbol, if its code is a long one. `bits` are at least as many as any code has.
fn long_if(bits: u64) -> Result<Option<(u8, usize)>, Undecodable> {
    if CODE.short[(bits >> (64 - SHORT)) as usize].1 != 0 {
        return Ok(None);
    }
    long(bits).ok_or(Undecodable::Malformed).map(Some)
}

/// A code of more than eight bits; `None` for EOS and its beginnings.
fn long(bits: u64) -> Option<(u8, usize)> {
    for length in SHORT + 1..=LENGTH_MAX {
        let code = (bits >> (64 - length)) as u32;
        let (first, at) = CODE.first[length];
        let count = u32::from(CODE.first[length + 1].1 - at);
        if code.wrapping_sub(first) < count {
            return Some((CODE.symbols[usize::from(at) + (code - first) as usize], length));
        }
    }
    None
}

fn padding(bits: u64, held: usize) -> Result<(), Undecodable> {
    // Shifting by 64 is what an empty rest would ask for.
    let is_ones = held == 0 || bits >> (64 - held) == (1 << held) - 1;
    if held < 8 && is_ones {
        Ok(())
    } else {
        Err(Undecodable::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(symbol: u8) -> (u32, usize) {
        let at = CODE.symbols.iter().position(|s| *s == symbol).unwrap() as u16;
        let length = usize::from(LENGTHS[usize::from(symbol)]);
        let (first, begin) = CODE.first[length];
        (first + u32::from(at - begin), length)
    }

    fn encode(text: &[u8]) -> Vec<u8> {
        let (mut out, mut bits, mut held) = (Vec::new(), 0_u64, 0);
        for symbol in text {
            let (code, length) = code_of(*symbol);
            bits = bits << length | u64::from(code);
            held += length;
            while held >= 8 {
                held -= 8;
                out.push((bits >> held) as u8);
            }
        }
        if held > 0 {
            out.push((bits << (8 - held)) as u8 | (0xff >> held));
        }
        out
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        for (symbol, code, length) in [
            (b'0', 0x0, 5),
            (b't', 0x9, 5),
            (b' ', 0x14, 6),
            (b'X', 0xfc, 8),
            (b'!', 0x3f8, 10),
            (b'\\', 0x7fff0, 19),
            (0, 0x1ff8, 13),
            (255, 0x3ff_ffee, 26),
            (249, 0xfff_fffe, 28),
            (22, 0x3fff_fffe, 30),
        ] {
            assert_eq!(code_of(symbol), (code, length), "{symbol}");
        }
    }

    #[test]
    fn the_example_of_rfc_7541_c_4_1() {
        let bytes = [
            0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff,
        ];
        let mut out = Vec::new();
        decode(&bytes, &mut out).unwrap();
        assert_eq!(out, b"www.example.com");
    }

    #[test]
    fn every_symbol_beside_every_other_is_decoded() {
        for a in 0..=255_u8 {
            for b in 0..=255_u8 {
                let text = [a, b, a, b'0', b];
                let mut out = Vec::new();
                decode(&encode(&text), &mut out).unwrap();
                assert_eq!(out, text);
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn text_of_any_length_comes_back(text in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
            let mut out = b"kept".to_vec();
            decode(&encode(&text), &mut out).unwrap();
            assert_eq!(&out[4..], &text[..]);
            let words: Vec<u8> = text.iter().map(|byte| b"abXY0129-_.~ "[usize::from(byte % 13)]).collect();
            out.clear();
            decode(&encode(&words), &mut out).unwrap();
            assert_eq!(out, words);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
            let _ = decode(&bytes, &mut Vec::new());
        }
    }

    #[test]
    fn eos_long_padding_and_padding_of_zeros_are_refused() {
        let refused = |bytes: &[u8]| decode(bytes, &mut Vec::new()).is_err();
        assert!(refused(&[0xff, 0xff, 0xff, 0xff]), "EOS");
        assert!(refused(&[0xff]), "eight bits of padding");
        assert!(refused(&[encode(b"0")[0], 0xff]), "eleven bits of padding");
        assert!(refused(&[0x00]), "padding of zeros");
        assert!(!refused(&[0x07]), "'0', then three ones");
        assert!(!refused(&[]));
    }
}
