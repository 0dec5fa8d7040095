use tidegate_follow::Parted;

use super::*;
use crate::testing::{committed, on_a_broker, record, records, whole};

mod deaths;

#[test]
fn what_is_published_is_there_once_and_in_order_over_several_groups_and_starts() {
    let Some(settings) = on_a_broker("what is published", 10) else {
        return;
    };
    let shards: Vec<u16> = (0..10).collect();
    let mut bus = KafkaBus::open(settings.clone(), 0..10).unwrap();
    bus.publish(&records(&shards, 1..=5)).unwrap();
    bus.publish(&records(&shards, 3..=9)).unwrap();
    drop(bus);
    let mut bus = KafkaBus::open(settings.clone(), 0..10).unwrap();
    assert!(
        bus.marks()
            .eq(shards.iter().map(|shard| record(*shard, 9).mark()))
    );
    bus.publish(&records(&shards, 1..=12)).unwrap();
    assert_eq!(committed(&settings), whole(10, 12));
}

#[test]
fn a_gap_and_another_history_are_refused_before_anything_is_written() {
    let Some(settings) = on_a_broker("a gap", 2) else {
        return;
    };
    let mut bus = KafkaBus::open(settings.clone(), [0, 1]).unwrap();
    bus.publish(&records(&[0, 1], 1..=3)).unwrap();
    let gap = bus.publish(&[record(0, 4), record(1, 5)]);
    assert!(
        matches!(gap, Err(StoreError::Parted(Parted::Gap { op: 5, .. }))),
        "{gap:?}"
    );
    let other = |op| Record {
        chain: 77,
        ..record(1, op)
    };
    let known = bus.publish(&[record(0, 4), other(3)]);
    assert!(
        matches!(
            known,
            Err(StoreError::Parted(Parted::OtherContent { chain: 77, .. }))
        ),
        "{known:?}"
    );
    let before = Record {
        previous: 77,
        ..record(1, 4)
    };
    let next = bus.publish(&[record(0, 4), before]);
    assert!(
        matches!(next, Err(StoreError::Parted(Parted::OtherContent { .. }))),
        "{next:?}"
    );
    assert_eq!(committed(&settings), whole(2, 3));
    bus.publish(&records(&[0, 1], 4..=4)).unwrap();
    assert_eq!(committed(&settings), whole(2, 4));
}
