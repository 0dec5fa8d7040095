use super::*;
use crate::testing::{Fault, Memory, mark, record};

/// A bus that counts what was published.
#[derive(Default)]
struct Counting(usize);

impl Bus for Counting {
    type Error = Infallible;

    fn publish(&mut self, batch: &[Record]) -> Result<(), StoreError<Infallible>> {
        self.0 += batch.len();
        Ok(())
    }
}

fn large(op: u64, bytes: usize) -> Record {
    Record {
        payload: vec![0; bytes].into(),
        ..record(1, op)
    }
}

#[test]
fn a_batch_takes_two_thousand_and_forty_eight_records_and_no_more() {
    let mut follower = Follower::new();
    for op in 1..=2048 {
        assert!(follower.take(|| record(1, op)), "record {op}");
    }
    assert!(!follower.take(|| unreachable!("a full batch copies nothing")));
    assert_eq!(follower.len(), 2048);
}

#[test]
fn a_batch_takes_no_more_once_its_entries_have_a_mebibyte_and_always_takes_one() {
    let mut follower = Follower::new();
    assert!(follower.take(|| large(1, BATCH_BYTES_MAX - 1)));
    assert!(follower.take(|| large(2, 5000)), "a byte was left");
    assert!(!follower.take(|| large(3, 1)));
    let mut follower = Follower::new();
    assert!(follower.take(|| large(1, 2 * BATCH_BYTES_MAX)));
    assert!(!follower.take(|| large(2, 0)));
}

#[test]
fn a_batch_that_the_store_did_not_take_stays_as_it_is_and_gives_its_marks_when_it_does() {
    let (mut follower, mut bus) = (Follower::new(), Counting::default());
    let mut store = Memory {
        faults: vec![Fault::Fails, Fault::LosesAnswer],
        ..Memory::default()
    };
    for (shard, op) in [(1, 1), (2, 1), (1, 2)] {
        assert!(follower.take(|| record(shard, op)));
    }
    for _ in 0..2 {
        assert!(matches!(
            follower.bring_on(&mut bus, &mut store),
            Err(Stuck::Store(_))
        ));
        assert_eq!(follower.len(), 3);
        assert!(!follower.take(|| record(1, 3)), "what is published is closed");
    }
    let marks = follower.bring_on(&mut bus, &mut store).unwrap();
    assert_eq!(marks, [mark(1, 2), mark(2, 1)]);
    assert!(follower.is_empty() && follower.take(|| record(1, 3)));
    assert_eq!(bus.0, 3, "published once");
    assert_eq!(store.batches, [3, 3, 3]);
    assert_eq!(
        (&store.written[&1][..], &store.written[&2][..]),
        (&[1, 2][..], &[1][..])
    );
}

#[test]
fn what_is_under_way_of_a_shard_that_stops_is_given_up_and_makes_room() {
    let mut follower = Follower::new();
    assert!(follower.take(|| large(1, BATCH_BYTES_MAX)));
    assert!(!follower.take(|| record(2, 1)));
    follower.drop_shard(1);
    for op in 1..=3 {
        assert!(follower.take(|| record(2, op)));
    }
    follower.drop_shard(1);
    let mut store = Memory::default();
    let marks = follower.bring_on(&mut NoBus, &mut store).unwrap();
    assert_eq!(marks, [mark(2, 3)]);
}
