//! Reading a log from where a checkpoint's cover ends.

use super::crash::LOG;
use super::disk::Disk;
use super::faults::{at, log};
use crate::{
    BLOCK, Chains, Fault, Planted, Position, Record, Recovered, RecoveryOptions, Retention, SegmentNumber,
    ShardMark, WalkError, Walked, recover, walk_from,
};
use std::convert::Infallible;

/// What the first two segments of seven batches hold: six batches.
const COVERED: Position = Position {
    segment: SegmentNumber(2),
    offset: 4 * BLOCK as u32,
};

/// The marks of both shards at a position, from a walk over all before it.
fn marks_at(disk: &mut Disk, covered: Position) -> Vec<ShardMark> {
    let mut chains = Chains::strict([]);
    let visit = |record: Record<'_>| match Position::new(record.segment, record.offset) < covered {
        true => Ok(()),
        false => Err(()),
    };
    let mut before = Chains::strict([]);
    match crate::walk(disk, LOG, &mut chains, Planted::None, |record| {
        visit(record)?;
        before.follow(&record).expect("the chains were followed");
        Ok(())
    }) {
        Ok(_) | Err(WalkError::Stopped(())) => before.marks().collect(),
        Err(other) => panic!("{other:?}"),
    }
}

fn read(disk: &mut Disk, covered: Position, chains: &mut Chains) -> Result<(Recovered, u64), Fault> {
    let mut records = 0;
    let visit = |_: Record<'_>| {
        records += 1;
        Ok::<(), Infallible>(())
    };
    let options = RecoveryOptions {
        covered,
        ..RecoveryOptions::default()
    };
    match recover(disk, LOG, chains, options, visit) {
        Ok(recovered) => Ok((recovered, records)),
        Err(WalkError::Fault(fault)) => Err(fault),
        Err(_) => unreachable!(),
    }
}

#[test]
fn a_start_from_a_checkpoint_reads_only_what_follows_and_ends_where_the_whole_log_ends() {
    let mut disk = log(7);
    let mut whole_chains = Chains::strict([]);
    let (whole, _) = read(&mut disk, Position::START, &mut whole_chains).unwrap();
    let mut chains = Chains::strict(marks_at(&mut disk, COVERED));
    let (recovered, records) = read(&mut disk, COVERED, &mut chains).unwrap();
    assert_eq!(records, 3);
    assert_eq!(recovered.end(), whole.end());
    assert_eq!(recovered.next_segment, whole.next_segment);
    let skipped: Vec<_> = recovered
        .walked
        .skipped
        .iter()
        .map(|file| file.number.0)
        .collect();
    assert_eq!(skipped, [1, 2]);
    assert!(chains.marks().eq(whole_chains.marks()));
}

#[test]
fn a_mark_of_another_history_stops_a_start_that_reads_only_what_follows_it() {
    let mut disk = log(7);
    let mut marks = marks_at(&mut disk, COVERED);
    marks[0].chain ^= 1;
    let wrong_hash = read(&mut disk, COVERED, &mut Chains::strict(marks.clone()));
    assert!(
        matches!(wrong_hash, Err(Fault::ChainBroken { shard: 0, .. })),
        "{wrong_hash:?}"
    );
    marks[0].op -= 1;
    let gap = read(&mut disk, COVERED, &mut Chains::strict(marks));
    assert!(matches!(gap, Err(Fault::OpGap { shard: 0, .. })), "{gap:?}");
}

#[test]
fn a_log_that_ends_where_a_checkpoint_ends_has_lost_its_end() {
    let mut disk = log(7);
    let marks = marks_at(&mut disk, COVERED);
    disk.files.remove(&SegmentNumber(3));
    let lost = read(&mut disk, COVERED, &mut Chains::strict(marks));
    let fault = lost.expect_err("segment 3 is lost");
    assert_eq!(
        fault,
        Fault::EndsAtCheckpoint {
            log: LOG,
            at: COVERED
        }
    );
    assert!(
        fault.to_string().contains("0000000002.seg, offset 16384"),
        "{fault}"
    );
}

#[test]
fn damage_behind_the_cover_is_found_and_damage_before_it_is_not_looked_at() {
    let sound = log(7);
    let marks = marks_at(&mut sound.clone(), COVERED);
    let mut before = sound.clone();
    before.flip(SegmentNumber(1), 5000 * 8);
    assert!(read(&mut before, COVERED, &mut Chains::strict(marks.clone())).is_ok());
    let mut behind = sound.clone();
    behind.flip(SegmentNumber(3), 5000 * 8);
    let fault = read(&mut behind, COVERED, &mut Chains::strict(marks)).expect_err("it was acknowledged");
    assert!(matches!(fault, Fault::LostAcknowledged { .. }), "{fault}");
}

#[test]
fn a_walk_goes_on_within_a_segment_and_finds_nothing_where_nothing_follows() {
    let mut disk = log(7);
    let from = at(2, 2 * BLOCK as u32);
    let mut walked_from = |from: Position| -> Walked {
        let mut chains = Chains::lenient();
        let visit = |_: Record<'_>| Ok::<(), Infallible>(());
        walk_from(&mut disk, LOG, from, &mut chains, Planted::None, visit).unwrap()
    };
    let walked = walked_from(from);
    assert_eq!(walked.records, 9, "two batches of segment 2 and one of segment 3");
    let end = walked.end;
    let again = walked_from(end);
    assert_eq!((again.records, again.end), (0, end));
}

#[test]
fn skipped_segments_go_once_the_marks_that_bound_them_are_passed() {
    let mut disk = log(7);
    let marks = marks_at(&mut disk, COVERED);
    let (recovered, _) = read(&mut disk, COVERED, &mut Chains::strict(marks.clone())).unwrap();
    let mut retention = Retention::new(&recovered.walked.segments, Planted::None)
        .with_skipped(&recovered.walked.skipped, &marks);
    let files: u64 = recovered.walked.skipped.iter().map(|file| file.bytes).sum();
    assert_eq!(retention.bytes(), files + u64::from(recovered.end().offset));
    assert_eq!(retention.closed_unskipped(), 0);
    assert_eq!(retention.pop_free(|shard| marks[usize::from(shard)].op - 1), None);
    let freed: Vec<_> =
        std::iter::from_fn(|| retention.pop_free(|shard| marks[usize::from(shard)].op)).collect();
    assert_eq!(freed, [SegmentNumber(1), SegmentNumber(2)]);
    assert_eq!(retention.bytes(), u64::from(recovered.end().offset));
}
