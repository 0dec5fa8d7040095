//! Crash images: what the real shard thread writes and syncs is recorded, images are built that lack unsynced
//! writes, and the real recovery runs on each.

use std::collections::HashMap;
use std::path::Path;

use tidegate_node::open;
use tidegate_shard_core::{Buyer, Caller, Command, Input, OrderId, Outcome, Reply};

use super::harness::{Recorder, World, key, open_config};
use super::images::{Disk, Event, Rng};
use crate::os_files::OsFiles;

/// The real recovery on an image: every order acknowledged before the crash is there.
fn check_image(dir: &Path, threads: usize, acknowledged: &HashMap<OrderId, u64>) -> Result<(), String> {
    let opened = open(
        &mut OsFiles::new(dir),
        &open_config(threads, u64::MAX),
        &mut |_| {},
    )
    .map_err(|error| format!("recovery: {error}"))?;
    for (order, number) in acknowledged {
        let shard = opened
            .nodes
            .iter()
            .find_map(|node| node.shard(order.shard()))
            .expect("the shard is there");
        let caller = Caller::Buyer(Buyer(key(*number)));
        let read = Command::ReadOrder {
            order: *order,
            caller,
        };
        let reply = shard.decide(opened.last_time, Input::Command(&read)).reply;
        if !matches!(&reply, Reply::Now(Outcome::Order(view)) if view.id == *order) {
            return Err(format!("order {order}: {reply:?}"));
        }
    }
    Ok(())
}

/// Two starts, so that recovery's own writes are cut short as well.
fn record() -> Vec<Event> {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::default();
    for (first, orders) in [(0, 1200), (1200, 600)] {
        let mut world = World::start(dir.path(), &recorder, first);
        world.fill_catalogue();
        world.place_orders(first, orders);
        assert!(world.shared.failure().is_none());
        world.stop();
    }
    std::mem::take(&mut *recorder.events.lock().unwrap())
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

/// Builds images of crashes at random moments; returns what was wrong with the first bad one.
fn try_images(history: &[Event], images: u64) -> Result<usize, String> {
    let seed = setting("TIDEGATE_SEED", 20_250_101);
    let mut rng = Rng::new(seed);
    let mut crashes: Vec<usize> = (0..images)
        .map(|_| rng.below(history.len() as u64 + 1) as usize)
        .collect();
    crashes.sort_unstable();
    let mut disk = Disk::default();
    let (mut at, mut acknowledged) = (0, HashMap::new());
    for (image, crash) in crashes.into_iter().enumerate() {
        for event in &history[at..crash] {
            if let Event::Acknowledged { order, number } = event {
                acknowledged.insert(*order, *number);
            }
            disk.apply(event);
        }
        at = crash;
        let into = tempfile::tempdir().unwrap();
        disk.crash_image(&mut rng, into.path());
        check_image(into.path(), 1 + image % 3, &acknowledged).map_err(|what| {
            format!(
                "TIDEGATE_SEED={seed}, image {image}, crash after {crash} of {} events: {what}",
                history.len()
            )
        })?;
    }
    Ok(acknowledged.len())
}

#[test]
fn no_image_that_lacks_unsynced_writes_loses_an_acknowledged_order() {
    let acknowledged = try_images(&record(), setting("TIDEGATE_IMAGES", 40)).unwrap();
    assert!(acknowledged > 500);
}

#[test]
fn a_disk_that_forgets_synced_batches_is_caught() {
    let synced = |event: &Event| matches!(event, Event::Sync { path } if path.starts_with("logs/"));
    let history: Vec<Event> = record().into_iter().filter(|event| !synced(event)).collect();
    assert!(try_images(&history, 40).is_err());
}
