//! A store that follows: what it is handed, and what its marks do.

use crate::common::*;
use crate::restart::{fill, open_shop, ops, take_checkpoint};
use tidegate_log::{Planted, Position, ShardMark};
use tidegate_node::{
    Answer, Fed, Feed, FeedError, OpenConfig, OpenError, Opened, Parted, Unavailable, open, segments,
};
use tidegate_shard_core::{Entry, Shard, ShardId};

/// What a store has of each shard: payloads by op, and the last record's hash.
type Store = Vec<(Vec<Vec<u8>>, u64)>;

/// Reads until everything durable was handed out.
fn follow(files: &mut Memory, opened: &Opened, feed: &mut Feed, store: &mut Store) {
    let durable = |thread: usize| opened.nodes[thread].appender().durable_upto();
    loop {
        let read = feed.read(files, Planted::None, durable, |record| {
            let (payloads, chain) = &mut store[usize::from(record.shard)];
            assert_eq!(record.op, payloads.len() as u64 + 1, "no gap and no repeat");
            assert_eq!(record.previous, *chain);
            payloads.push(record.payload.to_vec());
            *chain = record.chain;
            Ok::<(), ()>(())
        });
        match read.expect("the log is sound") {
            Fed::More => {}
            Fed::All => return,
            Fed::Full => panic!("so many"),
        }
    }
}

fn marks(store: &Store) -> Vec<ShardMark> {
    let mark = |(shard, (payloads, chain)): (usize, &(Vec<Vec<u8>>, u64))| ShardMark {
        shard: shard as u16,
        op: payloads.len() as u64,
        chain: *chain,
    };
    store.iter().enumerate().map(mark).collect()
}

fn with_marks(threads: usize, marks: &[ShardMark]) -> OpenConfig {
    OpenConfig {
        marks: marks.to_vec(),
        ..config(4, threads)
    }
}

fn empty_store() -> Store {
    vec![(Vec::new(), 0); 4]
}

#[test]
fn a_store_is_handed_every_durable_entry_through_layouts_and_restarts_and_can_rebuild_the_shards() {
    let mut files = Memory::default();
    let mut opened = open_shop(&mut files, 1);
    let mut store = empty_store();
    for threads in [1, 2, 2, 3] {
        drop(opened);
        opened = start(&mut files, &with_marks(threads, &marks(&store)));
        let mut feed = Feed::new(&opened.manifest, &marks(&store));
        for round in 0..3 {
            let from = 10_000 * (threads as u64) + 1000 * (opened.manifest.start.0 * 5 + round);
            fill(&mut files, &mut opened, from, 15);
            follow(&mut files, &opened, &mut feed, &mut store);
            for mark in marks(&store) {
                feed.applied(mark).expect("it is what was handed out");
            }
        }
    }
    let rebuilt = store.iter().enumerate().map(|(shard, (payloads, _))| {
        let mut built = Shard::new(config(4, 1).shard_config(shard as u16, 4));
        for payload in payloads {
            built.apply(&Entry::decode(payload).expect("verbatim"));
        }
        (shard as u16, built.op().0, built.digest())
    });
    assert_eq!(rebuilt.collect::<Vec<_>>(), ops(&opened));
}

#[test]
fn what_is_not_durable_is_not_handed_out() {
    let mut files = Memory::default();
    let mut opened = open_shop(&mut files, 1);
    let mut feed = Feed::new(&opened.manifest, &[]);
    let mut store = empty_store();
    follow(&mut files, &opened, &mut feed, &mut store);
    let before = marks(&store);
    send(&mut opened, 7, NOW, place(7, &["A0"]));
    let batch = write(&mut files, &mut opened, 0).expect("an order");
    follow(&mut files, &opened, &mut feed, &mut store);
    assert_eq!(marks(&store), before);
    opened.nodes[0].synced(batch);
    follow(&mut files, &opened, &mut feed, &mut store);
    assert_ne!(marks(&store), before);
}

#[test]
fn a_mark_with_another_hash_or_beyond_what_was_given_is_parted() {
    let mut files = Memory::default();
    let mut opened = open_shop(&mut files, 1);
    fill(&mut files, &mut opened, 100, 20);
    let mut feed = Feed::new(&opened.manifest, &[]);
    let mut store = empty_store();
    follow(&mut files, &opened, &mut feed, &mut store);
    let right = marks(&store)[1];
    let wrong = ShardMark {
        chain: right.chain ^ 1,
        ..right
    };
    let parted = feed.applied(wrong).expect_err("another hash");
    let chain = right.chain;
    assert_eq!(parted, Parted::OtherContent { mark: wrong, chain });
    assert!(
        parted.to_string().contains(&format!("shard 1, op {}", right.op)),
        "{parted}"
    );
    let beyond = ShardMark {
        op: right.op + 1,
        ..right
    };
    let given = right.op;
    assert_eq!(feed.applied(beyond), Err(Parted::Gap { mark: beyond, given }));
    feed.applied(right).expect("the right one");
    let late = ShardMark { op: 1, ..wrong };
    feed.applied(late).expect("an older mark says nothing new");
}

#[test]
fn a_wrong_mark_stops_its_shard_and_no_other() {
    let mut files = Memory::default();
    let mut opened = open_shop(&mut files, 1);
    let (here, other) = apart(4);
    send(&mut opened, 1, NOW, put(&here, 10));
    send(&mut opened, 2, NOW, put(&other, 10));
    send(&mut opened, 3, NOW, place(3, &[&here]));
    settle(&mut files, &mut opened, NOW);
    answers(&mut opened.nodes[0]);
    let shard = tidegate_shard_core::shard_of(&sku(&here), 4);
    let wrong = ShardMark {
        chain: 1,
        ..mark(&opened, shard.0)
    };
    let parted = opened.nodes[0].applied(NOW, wrong).expect_err("another hash");
    assert_eq!(parted.shard(), shard.0);
    assert!(opened.nodes[0].is_stopped(shard));
    send(&mut opened, 4, NOW, place(4, &[&here]));
    send(&mut opened, 3, NOW, place(3, &[&here]));
    send(&mut opened, 5, NOW, place(5, &[&other]));
    settle(&mut files, &mut opened, NOW);
    let answered = answers(&mut opened.nodes[0]);
    let of = |ticket| {
        answered
            .iter()
            .find(|(known, _)| *known == ticket)
            .map(|(_, answer)| answer)
    };
    assert_eq!(of(4), Some(&Answer::Unavailable(Unavailable::Stopped)));
    assert!(
        matches!(of(3), Some(Answer::Decided(_))),
        "its order is known, and nothing is logged for it"
    );
    assert!(
        matches!(of(5), Some(Answer::Decided(_))),
        "the other shard serves"
    );
}

#[test]
fn a_mark_beyond_what_is_durable_stops_its_shard() {
    let mut files = Memory::default();
    let mut opened = open_shop(&mut files, 1);
    let beyond = ShardMark {
        op: 1_000_000,
        ..mark(&opened, 0)
    };
    let parted = opened.nodes[0].applied(NOW, beyond).expect_err("a gap");
    assert!(matches!(parted, Parted::Gap { .. }));
    assert!(opened.nodes[0].is_stopped(ShardId(0)));
}

#[test]
fn a_start_reaches_every_mark_it_is_given_or_is_refused() {
    let mut files = Memory::default();
    let mut opened = open_shop(&mut files, 1);
    let mut feed = Feed::new(&opened.manifest, &[]);
    let mut store = empty_store();
    fill(&mut files, &mut opened, 100, 30);
    follow(&mut files, &opened, &mut feed, &mut store);
    let early = marks(&store);
    assert!(take_checkpoint(&mut files, &mut opened, 0));
    fill(&mut files, &mut opened, 500, 10);
    follow(&mut files, &opened, &mut feed, &mut store);
    let late = marks(&store);
    drop(opened);
    let mut opened_with = |marks: &[ShardMark]| open(&mut files, &with_marks(1, marks), &mut |_| {});
    assert!(
        opened_with(&late)
            .expect("it is the log's")
            .recovered
            .skipped_segments
            > 0
    );
    assert!(opened_with(&early).is_ok());
    for right in early.iter().chain(&late) {
        let chain = right.chain;
        let mark = ShardMark {
            chain: chain ^ 4,
            ..*right
        };
        let refused = opened_with(&[mark]).err().expect("another history");
        assert!(
            matches!(refused, OpenError::OtherHistory { mark: of, chain: log } if of == mark && log == chain),
            "{refused}"
        );
        assert!(
            refused
                .to_string()
                .contains(&format!("shard {}, op {}", mark.shard, mark.op))
        );
    }
    let mark = ShardMark {
        op: late[2].op + 1,
        ..late[2]
    };
    let refused = opened_with(&[mark]).err().expect("it is not reached");
    assert!(
        matches!(refused, OpenError::MarkNotReached { mark: of, op } if of == mark && op == late[2].op),
        "{refused}"
    );
}

#[test]
fn a_follower_behind_the_oldest_segment_is_told_that_what_it_needs_is_gone() {
    let mut files = Memory::default();
    let mut opened = open_shop(&mut files, 1);
    for round in 1..3 {
        fill(&mut files, &mut opened, 1000 * round, 30);
        assert!(take_checkpoint(&mut files, &mut opened, 0));
    }
    apply_all(&mut opened);
    let log = opened.manifest.current().logs[0].log;
    while let Some(segment) = opened.nodes[0].pop_freed() {
        segments::free(&mut files, log, segment).expect("memory");
    }
    let durable = opened.nodes[0].appender().durable_upto();
    let mut feed = Feed::new(&opened.manifest, &[]);
    let gone = loop {
        match feed.read(&mut files, Planted::None, |_| durable, |_| Ok::<(), ()>(())) {
            Ok(Fed::More) => {}
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
    };
    let FeedError::Parted(Parted::Gone { op: 0, oldest, .. }) = gone else {
        panic!("{gone:?}");
    };
    assert!(oldest > 1);
}

#[test]
fn a_store_that_was_fed_by_another_log_is_parted_at_its_first_record() {
    let mut files = Memory::default();
    let mut opened = open_shop(&mut files, 1);
    fill(&mut files, &mut opened, 100, 10);
    let at = mark(&opened, 2);
    let foreign = ShardMark {
        op: at.op - 1,
        chain: 99,
        ..at
    };
    let durable = opened.nodes[0].appender().durable_upto();
    let mut feed = Feed::new(&opened.manifest, &[foreign]);
    let parted = loop {
        match feed.read(&mut files, Planted::None, |_| durable, |_| Ok::<(), ()>(())) {
            Ok(Fed::More) => {}
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(parted, FeedError::Parted(Parted::OtherContent { mark, .. }) if mark == foreign),
        "{parted:?}"
    );
    assert!(durable > Position::START);
}

#[test]
fn a_shard_that_has_parted_is_told_of_once_and_the_others_are_followed_to_the_end() {
    let mut files = Memory::default();
    let mut opened = open_shop(&mut files, 1);
    fill(&mut files, &mut opened, 100, 30);
    let at = mark(&opened, 2);
    let foreign = ShardMark {
        op: at.op - 1,
        chain: 99,
        ..at
    };
    let mut feed = Feed::new(&opened.manifest, &[foreign]);
    let mut store = empty_store();
    let durable = opened.nodes[0].appender().durable_upto();
    let mut told = 0;
    loop {
        let read = feed.read(
            &mut files,
            Planted::None,
            |_| durable,
            |record| {
                assert_ne!(record.shard, 2);
                let (payloads, chain) = &mut store[usize::from(record.shard)];
                payloads.push(record.payload.to_vec());
                *chain = record.chain;
                Ok::<(), ()>(())
            },
        );
        match read {
            Ok(Fed::All) => break,
            Ok(_) => {}
            Err(FeedError::Parted(parted)) => {
                assert_eq!(parted.shard(), 2);
                told += 1;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(told, 1);
    for given in marks(&store).into_iter().filter(|given| given.shard != 2) {
        assert_eq!(given, mark(&opened, given.shard), "all of it was handed out");
        feed.applied(given).expect("the right mark");
    }
    feed.applied(at)
        .expect("what a stopped shard has is not compared any more");
}
