//! The feed's second mark: what the bus has.

use crate::common::*;
use crate::restart::{fill, open_shop};
use tidegate_log::{Planted, ShardMark};
use tidegate_node::{Fed, Feed, FeedError, Opened, Parted};

/// Reads once; the last record of each shard that it handed out.
fn read(files: &mut Memory, opened: &Opened, feed: &mut Feed) -> Result<(Fed, Vec<ShardMark>), Parted> {
    let durable = |thread: usize| opened.nodes[thread].appender().durable_upto();
    let mut marks: Vec<ShardMark> = Vec::new();
    let read = feed.read(files, Planted::None, durable, |record| {
        marks.retain(|mark| mark.shard != record.shard);
        marks.push(ShardMark {
            shard: record.shard,
            op: record.op,
            chain: record.chain,
        });
        Ok::<(), ()>(())
    });
    match read {
        Ok(fed) => Ok((fed, marks)),
        Err(FeedError::Parted(parted)) => Err(parted),
        Err(error) => panic!("{error:?}"),
    }
}

fn read_all(files: &mut Memory, opened: &Opened, feed: &mut Feed) -> Result<(), Parted> {
    while read(files, opened, feed)?.0 != Fed::All {}
    Ok(())
}

fn found_right(feed: &mut Feed) -> Vec<ShardMark> {
    std::iter::from_fn(|| feed.pop_published()).collect()
}

#[test]
fn a_feed_that_is_published_reads_on_however_far_behind_the_store_is() {
    let mut files = Memory::default();
    let mut opened = open_shop(&mut files, 2);
    fill(&mut files, &mut opened, 100, 600);
    let new = || Feed::new(&opened.manifest, &[]).remembering(100);
    let mut feed = new();
    while read(&mut files, &opened, &mut feed).expect("sound").0 == Fed::More {}
    let (fed, _) = read(&mut files, &opened, &mut feed).expect("sound");
    assert_eq!(fed, Fed::Full, "no mark of either kind came");

    let mut feed = new();
    let mut given = Vec::new();
    loop {
        let (fed, marks) = read(&mut files, &opened, &mut feed).expect("sound");
        for mark in marks {
            feed.published(mark).expect("it was handed out");
            given.push(mark);
        }
        match fed {
            Fed::All => break,
            Fed::More => {}
            Fed::Full => panic!("the bus has everything, and the feed waits for the store"),
        }
    }
    let behind = |given: &&ShardMark| given.op < mark(&opened, given.shard).op;
    let middle = *given.iter().find(behind).expect("some segments were read");
    let last = mark(&opened, middle.shard);
    assert!(found_right(&mut feed).contains(&last));
    let wrong = ShardMark { chain: 1, ..last };
    assert!(matches!(feed.applied(wrong), Err(Parted::OtherContent { .. })));
    feed.applied(middle)
        .expect("the bus had it, and its hash is not remembered");
    feed.applied(last).expect("it is remembered");
}

#[test]
fn a_mark_of_the_bus_is_believed_once_and_only_if_it_was_handed_out() {
    let mut files = Memory::default();
    let opened = open_shop(&mut files, 1);
    let mut feed = Feed::new(&opened.manifest, &[]);
    read_all(&mut files, &opened, &mut feed).expect("sound");
    let right = mark(&opened, 1);
    let wrong = ShardMark {
        chain: right.chain ^ 1,
        ..right
    };
    assert!(matches!(feed.published(wrong), Err(Parted::OtherContent { .. })));
    assert_eq!(found_right(&mut feed), []);
    for _ in 0..2 {
        feed.published(right).expect("it was handed out");
    }
    assert_eq!(found_right(&mut feed), [right]);
}

#[test]
fn a_bus_that_is_ahead_of_a_new_feed_is_believed_when_reading_comes_by() {
    let mut files = Memory::default();
    let mut opened = open_shop(&mut files, 1);
    fill(&mut files, &mut opened, 100, 50);
    let tail = mark(&opened, 1);
    for begins in [
        ShardMark {
            op: 0,
            chain: 0,
            ..tail
        },
        tail,
    ] {
        let mut feed = Feed::new(&opened.manifest, &[begins]);
        feed.published(tail).expect("reading will tell");
        assert_eq!(found_right(&mut feed), []);
        read_all(&mut files, &opened, &mut feed).expect("sound");
        assert_eq!(found_right(&mut feed), [tail]);
        feed.published(tail).expect("known");
        assert_eq!(found_right(&mut feed), []);
    }
}

#[test]
fn a_bus_with_another_history_is_found_when_reading_comes_by() {
    let mut files = Memory::default();
    let mut opened = open_shop(&mut files, 1);
    fill(&mut files, &mut opened, 100, 50);
    let tail = mark(&opened, 1);
    let other = ShardMark { chain: 7, ..tail };
    let mut feed = Feed::new(&opened.manifest, &[]);
    feed.published(other).expect("reading will tell");
    let parted = read_all(&mut files, &opened, &mut feed).expect_err("it is another history");
    assert!(matches!(parted, Parted::OtherContent { mark, .. } if mark == other));
    read_all(&mut files, &opened, &mut feed).expect("the other shards go on");
    assert_eq!(found_right(&mut feed), []);
}

#[test]
fn a_log_that_is_behind_its_bus_was_rolled_back_and_that_shard_stops() {
    let mut files = Memory::default();
    let opened = open_shop(&mut files, 1);
    let mut beyond = mark(&opened, 1);
    beyond.op += 1;
    let mut feed = Feed::new(&opened.manifest, &[]);
    feed.published(beyond).expect("reading will tell");
    let given = beyond.op - 1;
    assert_eq!(
        read_all(&mut files, &opened, &mut feed),
        Err(Parted::Gap { mark: beyond, given })
    );
    read_all(&mut files, &opened, &mut feed).expect("the other shards go on");
}
