use std::collections::BTreeMap;

use tidegate_follow::{Bus as _, Follower, Planted, Store, StoreError, Turn, take_in};

use super::*;
use crate::KafkaBus;
use crate::testing::{Open, on_a_broker, put, record, records, settle};

/// Keeps the ops of what it was given.
#[derive(Debug, Default)]
struct Memory {
    marks: BTreeMap<u16, Mark>,
    ops: BTreeMap<u16, Vec<u64>>,
}

impl Memory {
    /// A store that was fed up to these ops.
    fn at(places: &[(u16, u64)]) -> Memory {
        let mut memory = Memory::default();
        for (shard, op) in places.iter().filter(|(_, op)| *op > 0) {
            memory.marks.insert(*shard, record(*shard, *op).mark());
            memory.ops.insert(*shard, (1..=*op).collect());
        }
        memory
    }
}

impl Store for Memory {
    type Error = &'static str;

    fn marks(&mut self) -> Result<Vec<Mark>, &'static str> {
        Ok(self.marks.values().copied().collect())
    }

    fn apply(&mut self, batch: &[Record]) -> Result<(), StoreError<&'static str>> {
        let mut new = Vec::new();
        let nothing = |shard| Mark {
            shard,
            ..Mark::default()
        };
        let have = |shard| Ok(self.marks.get(&shard).copied().unwrap_or(nothing(shard)));
        let marks = take_in(batch, Planted::None, have, |record, _| {
            new.push((record.shard, record.op));
            Ok(())
        })?;
        for (shard, op) in new {
            self.ops.entry(shard).or_default().push(op);
        }
        self.marks
            .extend(marks.into_iter().map(|mark| (mark.shard, mark)));
        Ok(())
    }
}

/// Turns until everything committed was handed out. Gives the lines that came on the way.
fn feed(source: &mut KafkaSource, memory: &mut Memory) -> Vec<String> {
    let (mut follower, mut lines) = (Follower::new(), Vec::new());
    for _ in 0..1000 {
        let Turn { log, refused } = follower.turn(source, memory, |_| true);
        assert!(refused.is_none(), "{refused:?}");
        match log {
            Ok(Fed::All) => return lines,
            Ok(Fed::More | Fed::Full) => {}
            Err(line) => lines.push(line),
        }
    }
    panic!("it does not end: {lines:?}");
}

#[test]
fn the_source_feeds_a_store_to_the_same_marks_from_any_position() {
    let Some(settings) = on_a_broker("any position", 3) else {
        return;
    };
    let mut bus = KafkaBus::open(settings.clone(), 0..3).unwrap();
    // Markers lie between: offsets are not ops.
    for ops in [1..=1, 2..=40, 41..=43, 44..=300] {
        bus.publish(&records(&[0, 1, 2], ops)).unwrap();
    }
    settle(&settings);
    let whole = |memory: &Memory, last| {
        (0..3).all(|shard| memory.ops[&shard].iter().copied().eq(1..=last))
            && (0..3).all(|shard| memory.marks[&shard] == record(shard, last).mark())
    };
    for op in [0, 1, 2, 40, 41, 150, 299, 300] {
        let mut memory = Memory::at(&[(0, op), (1, 300 - op), (2, 7)]);
        let marks = memory.marks().unwrap();
        let few = Settings {
            unmarked_max: 7 + op as usize,
            ..settings.clone()
        };
        let mut source = KafkaSource::open(few, 0..3, &marks).unwrap();
        assert_eq!(feed(&mut source, &mut memory), [""; 0], "from {op}");
        assert!(whole(&memory, 300), "from {op}: {memory:?}");
    }
    // What is published later comes to the same source.
    let mut memory = Memory::at(&[(0, 299)]);
    let marks = memory.marks().unwrap();
    let mut source = KafkaSource::open(settings.clone(), 0..3, &marks).unwrap();
    feed(&mut source, &mut memory);
    bus.publish(&records(&[0, 1, 2], 301..=310)).unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while !whole(&memory, 310) && Instant::now() < until {
        assert_eq!(feed(&mut source, &mut memory), [""; 0]);
    }
    assert!(whole(&memory, 310), "{memory:?}");
}

#[test]
fn a_mark_in_a_transaction_that_is_not_decided_yet_is_waited_for() {
    let Some(settings) = on_a_broker("an open transaction", 2) else {
        return;
    };
    let mut bus = KafkaBus::open(settings.clone(), 0..2).unwrap();
    bus.publish(&records(&[0, 1], 1..=3)).unwrap();
    settle(&settings);
    for (commits, op) in [(true, 4), (false, 5)] {
        let open = Open::begin(&settings, &record(0, op));
        let marks = [record(0, op).mark(), record(1, 3).mark()];
        let at = settings.clone();
        let opening = std::thread::spawn(move || KafkaSource::open(at, 0..2, &marks));
        std::thread::sleep(Duration::from_millis(500));
        assert!(!opening.is_finished(), "nobody knows yet");
        open.end(commits);
        let source = opening.join().unwrap().unwrap();
        match commits {
            true => assert_eq!(source.lines, [""; 0]),
            false => assert!(source.lines[0].contains("has op 5"), "{:?}", source.lines),
        }
    }
}

#[test]
fn an_entry_that_cannot_be_read_stops_its_partition_and_no_other() {
    let Some(settings) = on_a_broker("an unreadable entry", 2) else {
        return;
    };
    let mut bus = KafkaBus::open(settings.clone(), 0..2).unwrap();
    bus.publish(&records(&[0, 1], 1..=5)).unwrap();
    put(&settings, 1, &[0x08, 2]);
    bus.publish(&records(&[0, 1], 6..=9)).unwrap();
    settle(&settings);
    let mut memory = Memory::default();
    let mut source = KafkaSource::open(settings, 0..2, &[]).unwrap();
    let lines = feed(&mut source, &mut memory);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains("partition 1") && lines[0].contains("version 2"),
        "{lines:?}"
    );
    assert!(memory.ops[&0].iter().copied().eq(1..=9), "{memory:?}");
    assert!(memory.ops[&1].iter().copied().eq(1..=5), "{memory:?}");
}

#[test]
fn a_store_of_another_history_or_ahead_of_the_topic_has_those_shards_stopped_and_no_other() {
    let Some(settings) = on_a_broker("another history", 4) else {
        return;
    };
    let mut bus = KafkaBus::open(settings.clone(), 0..4).unwrap();
    bus.publish(&records(&[0, 1, 2, 3], 1..=9)).unwrap();
    // Shard 3 goes on with an op too far.
    let mut value = Vec::new();
    crate::encode(&record(3, 11), &mut value);
    put(&settings, 3, &value);
    settle(&settings);
    let mut memory = Memory::at(&[(0, 4), (1, 4), (2, 12)]);
    memory.marks.get_mut(&1).unwrap().chain = 77;
    let marks = memory.marks().unwrap();
    let mut source = KafkaSource::open(settings, 0..4, &marks).unwrap();
    let lines = feed(&mut source, &mut memory);
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].contains("another history"), "{lines:?}");
    assert!(lines[1].contains("has op 12"), "{lines:?}");
    assert!(lines[2].contains("op 11 came"), "{lines:?}");
    let ops = [0, 1, 2, 3].map(|shard| memory.ops[&shard].len());
    assert_eq!(ops, [9, 4, 12, 9]);
}

#[test]
fn a_stopped_shard_hands_nothing_out_and_marks_of_what_was_not_handed_out_stop_theirs() {
    let Some(settings) = on_a_broker("a stopped shard", 2) else {
        return;
    };
    let mut bus = KafkaBus::open(settings.clone(), 0..2).unwrap();
    bus.publish(&records(&[0, 1], 1..=3)).unwrap();
    settle(&settings);
    let nobodys = KafkaSource::open(settings.clone(), [2], &[]);
    assert!(matches!(nobodys, Err(Fault::Settings(_))));
    let mut source = KafkaSource::open(settings, 0..2, &[]).unwrap();
    source.stop_shard(1);
    let mut ops = Vec::new();
    let mut take = |record: &dyn Fn() -> Record| {
        ops.push((record().shard, record().op));
        true
    };
    while source.read(&mut take).unwrap() != Fed::All {}
    assert_eq!(ops, [(0, 1), (0, 2), (0, 3)]);
    source.applied(record(0, 2).mark()).unwrap();
    source.applied(record(1, 9).mark()).unwrap();
    let line = source.applied(record(0, 4).mark()).unwrap_err();
    assert!(line.contains("shard 0"), "{line}");
    assert!(source.cursor(0).is_none(), "it is stopped");
}

#[test]
fn complaints_that_queued_up_while_no_broker_was_there_are_one_failed_read_and_not_one_each() {
    // Needs no broker: nobody listens there.
    let settings = Settings {
        brokers: "127.0.0.1:1".into(),
        topic: "tidegate-test-nobody".into(),
        shards: 1,
        replication: 1,
        min_insync_replicas: 1,
        ..Settings::default()
    };
    let reader = Reader::to_follow(&settings).unwrap();
    reader.assign(&[(0, 0)]).unwrap();
    let mut source = KafkaSource {
        settings,
        reader,
        cursors: BTreeMap::from([(0, Cursor::new(Mark::default()))]),
        pending: None,
        lines: VecDeque::new(),
        unmarked: 0,
    };
    // That the broker is away, and that all are.
    std::thread::sleep(Duration::from_secs(2));
    let line = source.read(&mut |_| true).unwrap_err();
    assert!(line.contains("tidegate-test-nobody"), "{line}");
    assert!(
        source.reader.consumer().poll(Duration::ZERO).is_none(),
        "no complaint is left for later reads"
    );
}
