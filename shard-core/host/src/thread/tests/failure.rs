//! A disk that is slow, full or broken.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tidegate_node::Unavailable;

use tidegate_shard_core::{Command, Outcome};

use super::harness::{PATIENCE, Recorder, World, place, sku};
use crate::port::{Answer, Event, Request};

fn unknown(number: u64) -> Command {
    Command::ReadSku {
        sku: sku(1000 + number),
    }
}

#[test]
fn a_failed_write_acknowledges_nothing_and_ends_the_host() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::default();
    let mut world = World::start(dir.path(), &recorder, 1);
    world.fill_catalogue();
    recorder.faults.broken.store(true, Ordering::Relaxed);
    world.send(1, place(1));
    assert!(
        world.answer(Duration::from_millis(300)).is_none(),
        "no answer, for nothing is known"
    );
    let failure = world.shared.failure().expect("the host says so");
    assert!(failure.text.contains(".seg, offset") && failure.text.contains("the disk is broken"));
    assert!(!world.port.is_serving());
    world.stop();
    // A new start on a disk that works again serves; the order was never acknowledged, its key finds it or not.
    recorder.faults.broken.store(false, Ordering::Relaxed);
    let mut world = World::start(dir.path(), &recorder, 2);
    world.place_orders(1, 50);
    assert!(world.shared.failure().is_none());
    world.stop();
}

#[test]
fn a_full_disk_refuses_orders_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::default();
    let mut world = World::start(dir.path(), &recorder, 1);
    world.fill_catalogue();
    recorder.faults.full.store(true, Ordering::Relaxed);
    let (mut number, mut refused) = (0, false);
    while !refused {
        world.send(number, place(number));
        match world.answer(Duration::from_millis(200)) {
            Some((_, Answer::Unavailable(Unavailable::LogFull))) => refused = true,
            // The last order before the log was full waits for the next segment.
            Some((_, Answer::Decided(_))) | None => {}
            Some(other) => panic!("{other:?}"),
        }
        number += 1;
        assert!(number < 10_000, "two segments of 128 KiB fill up");
    }
    recorder.faults.full.store(false, Ordering::Relaxed);
    let mut served = false;
    for number in number..number + 200 {
        world.send(number, place(number));
        served |= matches!(world.answer(PATIENCE), Some((n, Answer::Decided(_))) if n == number);
    }
    assert!(served && world.shared.failure().is_none());
    world.stop();
}

#[test]
fn the_breaker_sees_since_when_a_write_hangs() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::default();
    let mut world = World::start(dir.path(), &recorder, 1);
    world.fill_catalogue();
    recorder.faults.slow_ms.store(200, Ordering::Relaxed);
    world.send(1, place(1));
    std::thread::sleep(Duration::from_millis(100));
    let since = |world: &World| {
        world
            .stats()
            .iter()
            .map(|stats| stats.oldest_unsynced_ns.get())
            .max()
    };
    let hangs = since(&world).unwrap();
    assert!(hangs > 0 && crate::clock::monotonic_ns() - hangs >= 50_000_000);
    assert!(world.answer(PATIENCE).is_some());
    recorder.faults.slow_ms.store(0, Ordering::Relaxed);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(since(&world), Some(0));
    world.stop();
}

#[test]
fn refusals_that_depend_on_nothing_new_need_no_sync() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::start(dir.path(), &Recorder::default(), 1);
    world.fill_catalogue();
    let batches = |world: &World| world.stats().iter().map(|stats| stats.batches.get()).sum::<u64>();
    let before = batches(&world);
    for number in 0..100 {
        world.send(number, unknown(number));
    }
    for _ in 0..100 {
        let answer = world.answer(PATIENCE);
        assert!(
            matches!(answer, Some((_, Answer::Decided(Outcome::Refused(_))))),
            "{answer:?}"
        );
    }
    assert_eq!(batches(&world), before);
    world.stop();
}

#[test]
fn what_crosses_the_rings_stays_small() {
    assert!(size_of::<Request>() <= 256, "{}", size_of::<Request>());
    assert!(size_of::<Event>() <= 256, "{}", size_of::<Event>());
}

#[test]
fn a_start_on_a_full_disk_fails_and_works_once_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::default();
    recorder.faults.full.store(true, Ordering::Relaxed);
    let world = World::start(dir.path(), &recorder, 1);
    let failure = world.shared.failure().expect("the host says so");
    assert!(failure.text.contains("the disk is full"));
    recorder.faults.full.store(false, Ordering::Relaxed);
    world.stop();
    let mut world = World::start(dir.path(), &recorder, 2);
    world.fill_catalogue();
    world.place_orders(1, 50);
    assert!(world.shared.failure().is_none());
    world.stop();
}
