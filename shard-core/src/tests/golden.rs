//! What logs and checkpoints of released versions depend on: these values never change.

use super::world::*;
use crate::entry::{Effect, Entry};
use crate::ids::*;
use crate::shard::*;

fn story(seed: u64) -> World {
    let mut world = World::with(2, |config| config.hash_seed = seed);
    for sku in ["A", "B:1", "B:2", "C"] {
        world.put_with(sku, 10, |put| put.buyer_limit = Some(Some(8)));
    }
    let local = world.placed(1, 1, &[("A", 1)]);
    world.placed(2, 1, &[("B:1", 2), ("B:2", 1)]);
    let cross = world.placed(3, 1, &[("A", 1), ("B:1", 1), ("C", 1)]);
    world.start_payment(local, "ch_1");
    world.cancel(local);
    world.confirm(cross, "ch_2");
    world.pass(900_000);
    world.confirm(local, "ch_1");
    world.check();
    world
}

#[test]
fn the_seed_of_the_hash_tables_never_shows() {
    let (a, b) = (story(1), story(2));
    assert_eq!(a.logs, b.logs);
    for (a, b) in a.shards.iter().zip(&b.shards) {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        a.snapshot(&mut first);
        b.snapshot(&mut second);
        assert_eq!(first, second);
        assert_eq!(a.digest(), b.digest());
    }
}

#[test]
fn the_digest_of_a_known_story_never_changes() {
    let digests: Vec<u64> = story(0).shards.iter().map(Shard::digest).collect();
    assert_eq!(digests, [5_935_410_352_563_981_321, 3_297_862_311_617_087_092]);
}

#[test]
fn the_bytes_of_a_known_entry_never_change() {
    let effect = Effect::Confirmed {
        order: OrderId(0x0102),
        charge: charge("ch_1"),
        held_again: true,
    };
    let mut bytes = Vec::new();
    Entry::new(Millis(300), effect).encode(&mut bytes);
    assert_eq!(bytes, b"\x02\x10\x00\xac\x02\x02\x01\0\0\0\0\0\0\x04ch_1\x01");
}
