use tidegate_follow::Parted;

use super::*;
use crate::testing::{assert_committed, make_topic_with, on_a_broker, put, record, records, whole};

mod deaths;

#[test]
fn what_is_published_is_there_once_and_in_order_over_several_groups_and_starts() {
    let Some(settings) = on_a_broker("what is published", 10) else {
        return;
    };
    let shards: Vec<u16> = (0..10).collect();
    // A batch is larger than the queue.
    let settings = Settings {
        queue_messages: 16,
        ..settings
    };
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
    assert_committed(&settings, &whole(10, 12), "what was published");
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
    assert_committed(&settings, &whole(2, 3), "what was published");
    bus.publish(&records(&[0, 1], 4..=4)).unwrap();
    assert_committed(&settings, &whole(2, 4), "what was published");
}

#[test]
fn an_entry_that_the_topic_does_not_take_is_named_with_what_the_topic_takes() {
    let Some(settings) = on_a_broker("a large entry", 1) else {
        return;
    };
    make_topic_with(&settings, "max.message.bytes", "100");
    let mut bus = KafkaBus::open(settings.clone(), [0]).unwrap();
    for _ in 0..2 {
        match bus.publish(&[record(0, 1)]) {
            Err(StoreError::Failed(fault)) => assert_eq!(
                fault,
                Fault::TooLarge {
                    key: "0:1".into(),
                    limit: 100
                }
            ),
            other => panic!("{other:?}"),
        }
    }
    assert_committed(&settings, &whole(1, 0), "what was published");
}

#[test]
fn a_partition_that_ends_with_what_cannot_be_read_stops_its_shard_and_no_other() {
    let Some(settings) = on_a_broker("an unreadable end", 2) else {
        return;
    };
    let mut bus = KafkaBus::open(settings.clone(), [0, 1]).unwrap();
    bus.publish(&records(&[0, 1], 1..=2)).unwrap();
    put(&settings, 1, &[0x08, 2]);
    let mut bus = KafkaBus::open(settings.clone(), [0, 1]).unwrap();
    match bus.publish(&records(&[0, 1], 3..=3)) {
        Err(StoreError::Unreadable { mark, why }) => {
            assert_eq!(mark.shard, 1);
            assert!(why.contains("version 2") && why.contains("partition 1"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    bus.publish(&records(&[0], 3..=3)).unwrap();
    assert!(bus.marks().eq([record(0, 3).mark()]));
}

#[test]
fn shards_of_nobody_are_refused() {
    let Some(settings) = on_a_broker("shards of nobody", 2) else {
        return;
    };
    assert!(matches!(
        KafkaBus::open(settings.clone(), [2]),
        Err(Fault::Settings(_))
    ));
    let mut bus = KafkaBus::open(settings, [0]).unwrap();
    let outcome = bus.publish(&[record(0, 1), record(1, 1)]);
    assert!(
        matches!(outcome, Err(StoreError::Failed(Fault::NotOurs { shard: 1 }))),
        "{outcome:?}"
    );
    assert!(bus.marks().all(|mark| mark.op == 0));
}
