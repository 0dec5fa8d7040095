use super::*;
use crate::testing::{Fault, Log, Memory, mark, record};
use crate::{Bounds, Parted, Planted, Record};

/// A follower of small batches, and a log with the records of two shards by turns.
fn two_shards(ops: u64) -> (Follower, Log) {
    let bounds = Bounds {
        records: 4,
        bytes: 1 << 20,
    };
    let records = (1..=ops).flat_map(|op| [record(1, op), record(2, op)]);
    let log = Log {
        records: records.collect(),
        ..Log::default()
    };
    (Follower::with(bounds, Planted::None), log)
}

/// Turns until all was read and is in the store.
fn drain(follower: &mut Follower, log: &mut Log, store: &mut Memory) {
    for _ in 0..20 {
        let turn = follower.turn(log, store, |_| true);
        if turn.refused.is_none() && turn.log == Ok(Fed::All) {
            return;
        }
    }
    panic!("{log:?} is not read to its end: {store:?}");
}

#[test]
fn a_turn_brings_all_that_is_there_in_batches_and_tells_the_log_of_each_shard_once() {
    let ((mut follower, mut log), mut store) = (two_shards(5), Memory::default());
    let mut took = Vec::new();
    let turn = follower.turn(&mut log, &mut store, |records| {
        took.push(records);
        true
    });
    assert_eq!(turn.log, Ok(Fed::All));
    assert!(turn.refused.is_none());
    assert_eq!(took, [4, 4, 2]);
    assert_eq!(log.told, [mark(1, 5), mark(2, 5)]);
}

#[test]
fn the_log_is_told_of_what_the_store_committed_and_of_nothing_that_it_did_not() {
    let ((mut follower, mut log), mut store) = (two_shards(5), Memory::default());
    store.faults = vec![Fault::Fails, Fault::Fails];
    for _ in 0..2 {
        let turn = follower.turn(&mut log, &mut store, |_| true);
        assert!(matches!(turn.refused, Some(StoreError::Failed(_))));
        assert!(log.told.is_empty() && store.written.is_empty());
    }
    drain(&mut follower, &mut log, &mut store);
    assert_eq!(store.written[&1], [1, 2, 3, 4, 5]);
    assert_eq!(log.told, [mark(1, 5), mark(2, 5)]);
}

#[test]
fn a_batch_whose_commit_was_not_answered_is_written_once_and_told_when_it_is() {
    let ((mut follower, mut log), mut store) = (two_shards(3), Memory::default());
    store.faults = vec![Fault::LosesAnswer];
    assert!(follower.turn(&mut log, &mut store, |_| true).refused.is_some());
    assert_eq!(store.marks[&1], mark(1, 2));
    assert!(log.told.is_empty());
    drain(&mut follower, &mut log, &mut store);
    assert_eq!(store.written[&1], [1, 2, 3]);
    assert_eq!(log.told, [mark(1, 3), mark(2, 3)]);
}

#[test]
fn a_follower_made_anew_goes_on_from_the_stores_marks() {
    let ((mut follower, mut log), mut store) = (two_shards(3), Memory::default());
    store.faults = vec![Fault::LosesAnswer];
    follower.turn(&mut log, &mut store, |_| true);
    let mut follower = Follower::new();
    log.given = 0;
    drain(&mut follower, &mut log, &mut store);
    assert_eq!(store.written[&2], [1, 2, 3]);
}

/// Whatever is wrong with a record of shard 1, that shard stops before it, and shard 2 is followed to its end.
fn stops_alone(wrong: usize, spoil: impl FnOnce(&mut Record)) -> StoreError<&'static str> {
    let ((mut follower, mut log), mut store) = (two_shards(5), Memory::default());
    spoil(&mut log.records[wrong]);
    let turn = follower.turn(&mut log, &mut store, |_| true);
    let refused = turn.refused.expect("the store refuses it");
    assert_eq!((refused.shard(), &log.stopped[..]), (Some(1), &[1][..]));
    drain(&mut follower, &mut log, &mut store);
    assert_eq!(store.written[&2], [1, 2, 3, 4, 5]);
    assert_eq!(store.marks[&2], mark(2, 5));
    assert_eq!(log.told.last(), Some(&mark(2, 5)));
    // The batch of the wrong record was given up as a whole.
    assert_eq!(store.written[&1], [1, 2]);
    assert!(log.told.iter().all(|mark| mark.shard == 2 || mark.op == 2));
    assert_eq!(log.stopped, [1], "and no other");
    refused
}

#[test]
fn a_shard_whose_history_is_another_stops_alone() {
    let refused = stops_alone(6, |record| record.previous ^= 1);
    assert!(matches!(
        refused,
        StoreError::Parted(Parted::OtherContent { op: 4, .. })
    ));
}

#[test]
fn a_shard_with_a_gap_stops_alone() {
    let refused = stops_alone(6, |record| record.op = 40);
    assert!(matches!(refused, StoreError::Parted(Parted::Gap { op: 40, .. })));
}

#[test]
fn an_entry_that_cannot_be_read_stops_its_shard_alone() {
    let refused = stops_alone(6, |record| record.payload = [9, 9, 9].into());
    assert!(matches!(refused, StoreError::Unreadable { mark: at, .. } if at == mark(1, 4)));
}

#[test]
fn a_turn_that_is_told_to_end_reads_no_further_and_the_next_one_goes_on() {
    let ((mut follower, mut log), mut store) = (two_shards(5), Memory::default());
    let turn = follower.turn(&mut log, &mut store, |_| false);
    assert_eq!(turn.log, Ok(Fed::More));
    assert_eq!((log.given, &store.batches[..]), (4, &[4][..]));
    assert_eq!(log.told, [mark(1, 2), mark(2, 2)]);
    drain(&mut follower, &mut log, &mut store);
    assert_eq!(store.written[&1], [1, 2, 3, 4, 5]);
}
