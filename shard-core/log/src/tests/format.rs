//! FORMAT.md, read literally: a verifier of a few lines that shares no code with the log, over a log's bytes.

use super::disk::Disk;
use crate::{Appender, AppenderConfig, Chains, LogId, StartNumber};

/// CRC by the bit, reflected: `polynomial` as its reversed form.
fn crc(polynomial: u64, ones: u64, bytes: &[u8]) -> u64 {
    let mut state = ones;
    for byte in bytes {
        state ^= u64::from(*byte);
        for _ in 0..8 {
            state = if state & 1 == 1 {
                state >> 1 ^ polynomial
            } else {
                state >> 1
            };
        }
    }
    state ^ ones
}

fn crc32c(bytes: &[u8]) -> u64 {
    crc(0x82f6_3b78, 0xffff_ffff, bytes)
}

fn crc64(bytes: &[u8]) -> u64 {
    crc(0x9a6c_9329_ac4b_c9b5, u64::MAX, bytes)
}

fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    bytes[at..at + len]
        .iter()
        .rev()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[test]
fn the_bytes_are_as_the_format_says() {
    let mut disk = Disk::default();
    let config = AppenderConfig::new(LogId(0xabcd), StartNumber(6));
    let mut appender = Appender::new(config, &Chains::strict([]));
    let new = appender.need_segment().unwrap();
    disk.prepare(&new);
    appender.segment_ready(new.number);
    for (shard, op, payload) in [(3, 1, &b"first"[..]), (1000, 1, b""), (3, 2, b"second, longer")] {
        appender.append(shard, op, 1_763_000_000_000 + op, payload);
    }
    let batch = appender.seal().unwrap();
    disk.write(batch.segment, batch.offset, &batch.bytes);
    let file = &disk.files[&new.number];

    assert_eq!(&file[..8], b"TIDELOG\n");
    assert_eq!(
        (number(file, 8, 4), number(file, 16, 8), number(file, 24, 8)),
        (1, 0xabcd, 6)
    );
    assert_eq!(
        (number(file, 32, 4), number(file, 36, 4), number(file, 40, 8)),
        (1, 64 << 20, 0)
    );
    assert_eq!(number(file, 60, 4), crc32c(&file[..60]));

    let bound = |offset: usize, bytes: &[u8]| {
        let mut all = [&file[16..32], &file[32..36], &(offset as u32).to_le_bytes()[..]].concat();
        all.extend(bytes);
        crc32c(&all)
    };
    assert_eq!(&file[4096..4100], b"TGB1");
    assert_eq!(number(file, 4100, 4), bound(4096, &file[4104..4136]));
    assert_eq!(
        (
            number(file, 4104, 8),
            number(file, 4112, 4),
            number(file, 4116, 4)
        ),
        (6, 1, 3)
    );
    assert_eq!(
        (number(file, 4120, 4), number(file, 4128, 8)),
        (40 + 48 + 40 + 56, 0)
    );

    let mut at = 4136;
    let mut chains = std::collections::BTreeMap::new();
    for (shard, op, payload) in [(3, 1, &b"first"[..]), (1000, 1, b""), (3, 2, b"second, longer")] {
        let len = number(file, at + 4, 4) as usize;
        let end = at + (36 + len).next_multiple_of(8);
        assert_eq!(number(file, at, 4), bound(at, &file[at + 4..end]));
        assert_eq!(
            (number(file, at + 8, 8), number(file, at + 16, 8)),
            (op, 1_763_000_000_000 + op)
        );
        let previous = number(file, at + 24, 8);
        assert_eq!(
            (previous, number(file, at + 32, 4)),
            (*chains.get(&shard).unwrap_or(&0), shard)
        );
        assert_eq!(&file[at + 36..at + 36 + len], payload);
        let chain = crc64(&file[at + 8..at + 36 + len]);
        assert_eq!(
            crate::chain_hash(previous, shard as u16, op, 1_763_000_000_000 + op, payload),
            chain
        );
        chains.insert(shard, chain);
        at = end;
    }
    assert_eq!(appender.chain(3), chains[&3]);
    assert!(file[at..].iter().all(|&byte| byte == 0));
}
