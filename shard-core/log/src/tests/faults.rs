//! Each fault of the table, made by hand.

use super::crash::LOG;
use super::disk::Disk;
use crate::{
    Appender, AppenderConfig, BLOCK, Chains, Fault, LogId, Position, Record, Recovered, RecoveryAction,
    RecoveryOptions, Retention, SegmentHeader, SegmentNumber, ShardMark, ShardOp, StartNumber, WalkError,
    recover, verify,
};
use std::convert::Infallible;

const SEGMENT: u32 = 16384;

/// Writes `batches` of three records (of shards 0, 1 and 0) of 1000 bytes each: one block a batch, three batches a
/// segment; then a mark.
pub(super) fn write(disk: &mut Disk, config: AppenderConfig, chains: &Chains, batches: u64) {
    let mut appender = Appender::new(
        AppenderConfig {
            segment_bytes: SEGMENT,
            ..config
        },
        chains,
    );
    let (first, second) = (chains.mark(0).op, chains.mark(1).op);
    for i in 1..=batches {
        for (shard, op) in [(0, first + 2 * i - 1), (1, second + i), (0, first + 2 * i)] {
            appender.append(shard, op, 1_000 + i, &[i as u8; 1000]);
        }
        put(disk, &mut appender, Appender::seal);
    }
    put(disk, &mut appender, Appender::seal_mark);
}

fn put(disk: &mut Disk, appender: &mut Appender, seal: fn(&mut Appender) -> Option<crate::Batch>) {
    let batch = match seal(appender) {
        Some(batch) => batch,
        None => {
            let new = appender.need_segment().expect("it only waits for a segment");
            disk.prepare(&new);
            appender.segment_ready(new.number);
            seal(appender).expect("a segment is ready")
        }
    };
    disk.write(batch.segment, batch.offset, &batch.bytes);
    appender.synced(batch);
}

pub(super) fn log(batches: u64) -> Disk {
    let mut disk = Disk::default();
    write(
        &mut disk,
        AppenderConfig::new(LOG, StartNumber(1)),
        &Chains::strict([]),
        batches,
    );
    disk
}

fn read(disk: &mut Disk, chains: &mut Chains) -> Result<(Recovered, u64), Fault> {
    let mut records = 0;
    let visit = |_: Record<'_>| {
        records += 1;
        Ok::<(), Infallible>(())
    };
    match recover(disk, LOG, chains, RecoveryOptions::default(), visit) {
        Ok(recovered) => Ok((recovered, records)),
        Err(WalkError::Fault(fault)) => Err(fault),
        Err(WalkError::Read { .. } | WalkError::Stopped(_)) => unreachable!(),
    }
}

fn fault(disk: &mut Disk) -> Fault {
    read(disk, &mut Chains::strict([])).expect_err("a fault")
}

pub(super) fn at(segment: u32, offset: u32) -> Position {
    Position::new(SegmentNumber(segment), offset)
}

#[test]
fn a_sound_log_is_read_whole() {
    let mut disk = log(7);
    let (recovered, records) = read(&mut disk, &mut Chains::strict([])).unwrap();
    assert_eq!(records, 21);
    assert_eq!(recovered.end(), at(3, 3 * BLOCK as u32));
    assert_eq!(
        recovered.walked.durable_upto,
        at(3, 2 * BLOCK as u32),
        "the mark vouches for all before it"
    );
    assert_eq!(recovered.next_segment, SegmentNumber(4));
    assert_eq!(recovered.walked.last_time, 1_007);
    assert!(!recovered.walked.torn);
    let ops = [ShardOp { shard: 0, op: 14 }, ShardOp { shard: 1, op: 7 }];
    assert_eq!(recovered.walked.segments[2].ops, ops);
    let sync = |n| RecoveryAction::Sync {
        segment: SegmentNumber(n),
    };
    let cut = RecoveryAction::Cut {
        segment: SegmentNumber(3),
        from: 3 * BLOCK as u32,
    };
    assert_eq!(recovered.actions, [sync(1), sync(2), cut, sync(3)]);
    assert_eq!(
        verify(&mut disk, LOG, &mut Chains::lenient()).unwrap(),
        recovered.walked
    );
}

#[test]
fn every_flipped_byte_of_acknowledged_records_is_reported_with_its_file_and_offset() {
    let sound = log(7);
    for (segment, batches) in [(1u32, 3u32), (2, 3), (3, 1)] {
        for offset in BLOCK as u32..(1 + batches) * BLOCK as u32 {
            // A batch is 40 + 3 * 1040 bytes; the padding behind it says nothing.
            let within = offset as usize % BLOCK;
            let mut disk = sound.clone();
            disk.flip(SegmentNumber(segment), offset as usize * 8 + within % 8);
            if within >= 40 + 3 * 1040 {
                assert_eq!(read(&mut disk, &mut Chains::strict([])).unwrap().1, 21);
                continue;
            }
            let Fault::LostAcknowledged { at: found, .. } = fault(&mut disk) else {
                panic!("lost")
            };
            assert_eq!(found.segment, SegmentNumber(segment));
            let block = offset / BLOCK as u32 * BLOCK as u32;
            assert!(
                found.offset <= offset && found.offset >= block,
                "{offset}: {found:?}"
            );
        }
    }
}

#[test]
fn a_flipped_byte_of_a_used_header_is_reported() {
    for byte in 0..64 {
        let mut disk = log(7);
        disk.flip(SegmentNumber(2), byte * 8);
        assert_eq!(
            fault(&mut disk),
            Fault::DamagedHeader {
                log: LOG,
                segment: SegmentNumber(2)
            }
        );
    }
}

#[test]
fn a_missing_segment_between_two_is_reported() {
    let mut disk = log(7);
    disk.free(SegmentNumber(2));
    let (segment, named_by) = (SegmentNumber(2), SegmentNumber(3));
    assert_eq!(
        fault(&mut disk),
        Fault::MissingSegment {
            log: LOG,
            segment,
            named_by
        }
    );
}

#[test]
fn an_emptied_segment_between_two_is_reported() {
    for whole in [false, true] {
        let mut disk = log(7);
        let from = if whole { 0 } else { BLOCK };
        disk.files.get_mut(&SegmentNumber(2)).unwrap()[from..].fill(0);
        let Fault::LostAcknowledged { at: found, .. } = fault(&mut disk) else {
            panic!("lost")
        };
        assert_eq!(found, at(2, BLOCK as u32));
    }
}

#[test]
fn an_emptied_oldest_segment_is_reported() {
    let mut disk = log(7);
    disk.files.get_mut(&SegmentNumber(1)).unwrap().fill(0);
    assert!(matches!(fault(&mut disk), Fault::LostAcknowledged { .. }));
}

#[test]
fn a_file_of_another_log_or_under_an_earlier_number_is_foreign() {
    let mut disk = log(7);
    let file = disk.files.remove(&SegmentNumber(3)).unwrap();
    disk.files.insert(SegmentNumber(2), file);
    assert!(matches!(
        fault(&mut disk),
        Fault::ForeignSegment {
            segment: SegmentNumber(2),
            ..
        }
    ));
    let other = verify(&mut log(1), LogId(5), &mut Chains::lenient());
    assert!(matches!(
        other,
        Err(WalkError::Fault(Fault::ForeignSegment { found: LOG, .. }))
    ));
}

#[test]
fn a_later_format_is_named_not_guessed() {
    let mut disk = log(1);
    let file = disk.files.get_mut(&SegmentNumber(1)).unwrap();
    file[8] = 2;
    let crc = crate::crc::crc32c(&file[..60]);
    file[60..64].copy_from_slice(&crc.to_le_bytes());
    assert!(matches!(
        fault(&mut disk),
        Fault::UnknownVersion { version: 2, .. }
    ));
}

#[test]
fn a_checkpoint_must_meet_the_log() {
    let mut disk = log(7);
    let mut chains = Chains::strict([]);
    read(&mut disk, &mut chains).unwrap();
    let (last, other) = (chains.mark(0), chains.mark(1));
    // The oldest segments, with ops 1..=6 of shard 0 and 1..=3 of shard 1, are freed.
    disk.free(SegmentNumber(1));
    let gap = |shard, expected, found| Fault::OpGap {
        log: LOG,
        at: at(2, 4096 + 40),
        shard,
        expected,
        found,
    };
    assert_eq!(fault(&mut disk), gap(0, 1, 7));
    assert!(read(&mut disk, &mut Chains::lenient()).is_ok());
    assert!(read(&mut disk, &mut Chains::strict([last, other])).is_ok());
    let short = ShardMark {
        shard: 0,
        op: 5,
        chain: 1,
    };
    assert_eq!(
        read(&mut disk, &mut Chains::strict([short, other])).unwrap_err(),
        gap(0, 6, 7)
    );
    let forked = ShardMark {
        chain: last.chain ^ 1,
        ..last
    };
    let broken = read(&mut disk, &mut Chains::strict([forked, other])).unwrap_err();
    assert!(
        matches!(broken, Fault::ChainBroken { shard: 0, op: 14, .. }),
        "{broken}"
    );
    let before = ShardMark {
        shard: 0,
        op: 6,
        chain: 1,
    };
    let broken = read(&mut disk, &mut Chains::strict([before, other])).unwrap_err();
    assert!(
        matches!(broken, Fault::ChainBroken { shard: 0, op: 7, .. }),
        "{broken}"
    );
    let beyond = ShardMark { op: 20, ..last };
    let mut chains = Chains::strict([beyond, other]);
    assert!(read(&mut disk, &mut chains).is_ok());
    assert_eq!(
        chains
            .behind()
            .map(|mark| (mark.shard, mark.op))
            .collect::<Vec<_>>(),
        [(0, 14)]
    );
}

#[test]
fn a_new_start_vouches_for_the_last_batch_of_the_one_before() {
    let mut disk = log(7);
    // Without the mark, damage to batch 7 looks like a write cut short.
    disk.files.get_mut(&SegmentNumber(3)).unwrap()[2 * BLOCK..].fill(0);
    let mut cut = disk.clone();
    cut.flip(SegmentNumber(3), (BLOCK + 100) * 8);
    assert_eq!(read(&mut cut, &mut Chains::strict([])).unwrap().1, 18);
    let mut chains = Chains::strict([]);
    let (recovered, _) = read(&mut disk, &mut chains).unwrap();
    write(
        &mut disk,
        recovered.appender_config(LOG, StartNumber(2)),
        &chains,
        1,
    );
    assert_eq!(read(&mut disk, &mut Chains::strict([])).unwrap().1, 24);
    disk.flip(SegmentNumber(3), (BLOCK + 100) * 8);
    let Fault::LostAcknowledged { at: found, .. } = fault(&mut disk) else {
        panic!("lost")
    };
    assert_eq!(found.segment, SegmentNumber(3));
}

#[test]
fn what_a_crash_cut_short_is_cut_off_although_an_unused_segment_follows() {
    let mut disk = log(1);
    let end = 3 * BLOCK;
    disk.files.get_mut(&SegmentNumber(1)).unwrap()[end..end + 100].fill(7);
    let config = AppenderConfig {
        next_segment: SegmentNumber(2),
        segment_bytes: SEGMENT,
        ..AppenderConfig::new(LOG, StartNumber(1))
    };
    let new = Appender::new(config, &Chains::strict([])).need_segment().unwrap();
    disk.prepare(&new);
    let (recovered, _) = read(&mut disk, &mut Chains::strict([])).unwrap();
    let (segment, from) = (SegmentNumber(1), end as u32);
    let free = RecoveryAction::Free {
        segment: SegmentNumber(2),
    };
    let actions = [
        RecoveryAction::Cut { segment, from },
        RecoveryAction::Sync { segment },
        free,
    ];
    assert_eq!(recovered.actions, actions);
    assert_eq!(recovered.next_segment, SegmentNumber(3));
}

#[test]
fn a_visitor_can_stop_the_walk() {
    let visit = |record: Record<'_>| if record.op == 3 { Err("enough") } else { Ok(()) };
    let mut chains = Chains::strict([]);
    let stopped = recover(&mut log(7), LOG, &mut chains, RecoveryOptions::default(), visit);
    assert!(matches!(stopped, Err(WalkError::Stopped("enough"))));
}

#[test]
fn a_lot_larger_than_a_segment_is_split_and_kept_in_order() {
    let mut disk = Disk::default();
    let config = AppenderConfig {
        segment_bytes: SEGMENT,
        ..AppenderConfig::new(LOG, StartNumber(1))
    };
    let mut appender = Appender::new(config, &Chains::strict([]));
    for op in 1..=100 {
        appender.append(9, op, 0, &[7; 900]);
    }
    let mut last = 0;
    while appender.pending_records() > 0 {
        put(&mut disk, &mut appender, Appender::seal);
        assert!(appender.durable().0 > last);
        last = appender.durable().0;
    }
    assert_eq!(last, 100);
    let (_, records) = read(&mut disk, &mut Chains::strict([])).unwrap();
    assert_eq!(records, 100);
}

#[test]
fn a_segment_is_freed_once_every_shard_in_it_is_marked_and_never_the_newest() {
    let mut retention = Retention::default();
    let op = |shard, op| ShardOp { shard, op };
    retention.note(SegmentNumber(1), 8192, &[op(3, 5), op(1, 2)]);
    retention.note(SegmentNumber(1), 12288, &[op(3, 6)]);
    retention.note(SegmentNumber(2), 8192, &[op(1, 3)]);
    retention.note(SegmentNumber(4), 8192, &[op(1, 4)]);
    assert_eq!(retention.bytes(), 12288 + 8192 + 8192);
    assert_eq!(
        retention.closed().collect::<Vec<_>>(),
        [SegmentNumber(1), SegmentNumber(2)]
    );
    assert_eq!(retention.pop_free(|shard| if shard == 1 { 9 } else { 5 }), None);
    assert_eq!(retention.pop_free(|_| 6), Some(SegmentNumber(1)));
    assert_eq!(retention.pop_free(|_| 2), None);
    assert_eq!(retention.pop_free(|_| 9), Some(SegmentNumber(2)));
    assert_eq!(retention.pop_free(|_| 9), None);
}

#[test]
fn a_header_is_made_ahead_of_its_segment_once() {
    let config = AppenderConfig {
        segment_bytes: SEGMENT,
        ..AppenderConfig::new(LOG, StartNumber(3))
    };
    let mut appender = Appender::new(config, &Chains::strict([]));
    assert!(appender.seal().is_none());
    appender.append(0, 1, 0, b"x");
    assert!(appender.seal().is_none());
    assert!(appender.waits_for_segment());
    let new = appender.need_segment().unwrap();
    assert!(appender.need_segment().is_none());
    let header = SegmentHeader::decode_sound(&new.header[..]).unwrap();
    assert_eq!(
        (header.log, header.start, header.segment),
        (LOG, StartNumber(3), SegmentNumber(1))
    );
    appender.segment_ready(new.number);
    let batch = appender.seal().unwrap();
    assert_eq!(
        (batch.segment, batch.offset, batch.bytes.len()),
        (SegmentNumber(1), 4096, 4096)
    );
    assert_eq!(appender.need_segment().unwrap().number, SegmentNumber(2));
    appender.append(0, 2, 0, b"y");
    assert!(appender.seal().is_none(), "one batch is out");
    appender.synced(batch);
    assert!(appender.seal().is_some());
}
