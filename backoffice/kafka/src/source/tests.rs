use std::collections::BTreeMap;

use tidegate_follow::{Bus as _, Follower, Planted, Store, StoreError, Turn, take_in};

use super::*;
use crate::KafkaBus;
use crate::testing::{on_a_broker, record, records};

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
    let whole = |memory: &Memory, last| {
        (0..3).all(|shard| memory.ops[&shard].iter().copied().eq(1..=last))
            && (0..3).all(|shard| memory.marks[&shard] == record(shard, last).mark())
    };
    for op in [0, 1, 2, 40, 41, 150, 299, 300] {
        let mut memory = Memory::at(&[(0, op), (1, 300 - op), (2, 7)]);
        let marks = memory.marks().unwrap();
        let mut source = KafkaSource::open(settings.clone(), 0..3, &marks).unwrap();
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
