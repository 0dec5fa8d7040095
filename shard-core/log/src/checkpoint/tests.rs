use super::*;

const HEAD_7: CheckpointHead = CheckpointHead {
    start: 7,
    shards: 64,
    log: LogId(11),
    covered: Position {
        segment: crate::SegmentNumber(5),
        offset: 8192,
    },
};

fn checkpoint() -> Vec<u8> {
    let mut writer = CheckpointWriter::begin(Vec::new(), HEAD_7).unwrap();
    for shard in [0u16, 3, 63] {
        let mark = ShardMark {
            shard,
            op: u64::from(shard) * 10,
            chain: 99,
        };
        writer
            .shard(mark, 5, &vec![shard as u8; usize::from(shard) * 7])
            .unwrap();
    }
    writer.finish().unwrap()
}

fn read(bytes: &[u8]) -> Result<Vec<(Section, Vec<u8>)>, CheckpointError> {
    let mut reader = CheckpointReader::begin(bytes)?;
    let (mut sections, mut snapshot) = (Vec::new(), Vec::new());
    while let Some(section) = reader.next(&mut snapshot)? {
        sections.push((section, snapshot.clone()));
    }
    Ok(sections)
}

#[test]
fn a_checkpoint_is_read_as_it_was_written() {
    let bytes = checkpoint();
    let sections = read(&bytes).unwrap();
    assert_eq!(
        sections.iter().map(|(s, _)| s.mark.shard).collect::<Vec<_>>(),
        [0, 3, 63]
    );
    assert_eq!(
        sections[1].0.mark,
        ShardMark {
            shard: 3,
            op: 30,
            chain: 99
        }
    );
    assert_eq!(sections[2].1, vec![63; 441]);
    let reader = CheckpointReader::begin(&bytes[..]).unwrap();
    assert_eq!(reader.head(), HEAD_7);
}

#[test]
fn a_checkpoint_with_any_bit_flipped_or_cut_anywhere_is_damaged() {
    let bytes = checkpoint();
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1 << (at % 8);
        assert!(read(&bad).is_err(), "a flip at {at}");
        assert!(read(&bytes[..at]).is_err(), "a cut at {at}");
    }
}

#[test]
fn a_checkpoint_with_a_shard_left_out_or_repeated_is_damaged() {
    let bytes = checkpoint();
    let (head, second) = (48, 48 + 48 + 48 + 21);
    let mut without = bytes[..head].to_vec();
    without.extend(&bytes[head + 48..]);
    assert!(read(&without).is_err());
    let mut twice = bytes[..second].to_vec();
    twice.extend(&bytes[head..]);
    assert!(read(&twice).is_err());
}
